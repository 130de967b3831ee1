"""The settings of a profile, changed in the window."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from core.base.paths import ProfilePaths
from core.base.settings import SettingInvalid, Settings
from gui.actions import ActionId
from gui.settings.config import change_config, changed_text
from gui.settings.dialog import SettingsDialog
from gui.tasks import WindowTasks
from gui.theme import Theme
from gui.window import MainWindow
from tests.support.fake_node import FakeNode

# Of the offscreen platform, for windows above windows.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")
URL = "https://rapid.example.org/snapshot"


# --- the file


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("", {"alias": "a"}, 'alias = "a"\n'),
        ('# mine\nalias = "a"\nbind = []\n', {"alias": 'b"\\'}, '# mine\nalias = "b\\"\\\\"\nbind = []\n'),
        ("bind = []", {"alias": "é"}, 'bind = []\nalias = "é"\n'),
        ('alias = "a"\nbind = []\n', {"alias": ""}, "bind = []\n"),
        ('  "alias"="a"\n', {"alias": "b"}, 'alias = "b"\n'),
        ("", {"alias": ""}, ""),
        ('aliases = "a"\n', {"alias": "b"}, 'aliases = "a"\nalias = "b"\n'),
    ],
)
def test_one_line_is_changed_and_all_others_stay(before: str, changes: Mapping[str, str], after: str) -> None:
    assert changed_text(before, changes) == after


def test_the_file_is_made_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "regtest" / "config.toml"
    change_config(path, {"gossip-check-chain": "off"})
    change_config(path, {"rapid-gossip-sync": URL})
    change_config(path, {"gossip-check-chain": "on"})
    assert tomllib.loads(path.read_text()) == {"gossip-check-chain": "on", "rapid-gossip-sync": URL}


@pytest.mark.parametrize("text", ['alias = """\nalias = "x"\n"""\n', "[table]\nalias = 1\n", "alias = \n", "\ufeff="])
def test_what_cannot_be_changed_line_by_line_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(SettingInvalid):
        change_config(path, {"alias": "b", "color": "3a4bd0"})
    assert path.read_text() == text


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingInvalid):
        change_config(path, {"alias": "b"})


# --- the window


def _dialog(
    node: FakeNode, theme: Theme, qtbot: QtBot, folder: Path, settings: Settings | None = None
) -> SettingsDialog:
    node.paths = ProfilePaths(folder, "regtest")
    node.settings = settings or Settings()
    made = SettingsDialog(node, WindowTasks(), theme)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    made.open_anew()
    return made


async def _saved(dialog: SettingsDialog) -> None:
    dialog.save_button.click()
    while dialog._saving is not None:
        await asyncio.sleep(0.001)


async def test_the_chain_check_is_switched_off(node: FakeNode, theme: Theme, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = _dialog(node, theme, qtbot, tmp_path)
    assert dialog.network.check_chain.isChecked()
    assert not dialog.save_button.isEnabled()
    dialog.network.check_chain.click()
    await _saved(dialog)
    assert tomllib.loads(node.paths.config.read_text()) == {"gossip-check-chain": "off"}
    assert f"Saved in {tmp_path / 'regtest'}. When that is a practice node's" in dialog.state.text()
    node.key_location = "GNOME Keyring"
    dialog.open_anew()
    assert "started again" in dialog.state.text()
    assert not dialog.save_button.isEnabled()
    dialog.reject()
    dialog.open_anew()
    assert not dialog.network.check_chain.isChecked()


async def test_a_snapshot_wants_a_sound_source(node: FakeNode, theme: Theme, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = _dialog(node, theme, qtbot, tmp_path)
    page = dialog.network
    assert not page.source.isEnabled()
    page.rapid.click()
    assert "Name the snapshot's server" in dialog.state.text()
    qtbot.keyClicks(page.source, "http://rapid.example.org/")
    assert "over http" in dialog.state.text()
    assert not dialog.save_button.isEnabled()
    page.source.clear()
    qtbot.keyClicks(page.source, URL)
    await _saved(dialog)
    assert tomllib.loads(node.paths.config.read_text()) == {"rapid-gossip-sync": URL}
    page.rapid.click()
    await _saved(dialog)
    assert node.paths.config.read_text() == ""


def test_what_is_not_saved_is_forgotten(node: FakeNode, theme: Theme, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = _dialog(node, theme, qtbot, tmp_path)
    dialog.network.check_chain.click()
    dialog.reject()
    dialog.open_anew()
    assert dialog.network.check_chain.isChecked()
    assert not node.paths.config.exists()


def test_what_an_option_has_set_cannot_be_changed_here(
    node: FakeNode, theme: Theme, qtbot: QtBot, tmp_path: Path
) -> None:
    pinned = Settings(gossip_check_chain="off", origins={"gossip-check-chain": "cmdline"})
    dialog = _dialog(node, theme, qtbot, tmp_path, pinned)
    assert not dialog.network.check_chain.isEnabled()
    assert not dialog.network.check_chain.isChecked()
    assert dialog.network.rapid.isEnabled()


async def test_a_file_that_cannot_be_changed_is_told(
    node: FakeNode, theme: Theme, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = _dialog(node, theme, qtbot, tmp_path)
    node.paths.config.parent.mkdir(parents=True)
    node.paths.config.write_text("not toml")
    dialog.network.check_chain.click()
    await _saved(dialog)
    assert dialog.notice.isVisible()
    assert "config.toml" in dialog.notice.text
    assert dialog.save_button.isEnabled()


def test_the_menu_opens_it(window: MainWindow) -> None:
    window.actions_table[ActionId.SETTINGS].trigger()
    assert window.settings.isVisible()
    window.settings.reject()
