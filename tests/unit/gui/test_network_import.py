"""Taking in another node's gossip_store from the window."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from PySide6.QtCore import QDir, QMimeDatabase
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from core.gossip.errors import VerificationFailed
from core.gossip.importing import ImportReport
from gui.actions import ActionId
from gui.network_import import NetworkImport, import_words, lightningd_folder
from gui.tasks import WindowTasks
from gui.theme import Theme
from gui.window import MainWindow
from tests.support.fake_node import FakeNode

# Of the offscreen platform, for menus and sheets.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")
QMimeDatabase().mimeTypeForName("text/plain")  # Qt keeps the system's table open from the first file dialog on
FILE = Path("/elsewhere/<b>gossip_store</b>")
REPORT = ImportReport(50_808, 101_000, 17_324, 12, 7, 3, None)


@pytest.fixture
def dialog(node: FakeNode, theme: Theme, qtbot: QtBot) -> NetworkImport:
    node.run()
    made = NetworkImport(node, WindowTasks(), theme)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    made.show()
    return made


async def _begun(node: FakeNode, dialog: NetworkImport) -> asyncio.Future[ImportReport]:
    dialog.begin(FILE)
    await _settle()
    assert node.importing is not None
    return node.importing


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_says_how_far_it_is_and_then_all_that_became_of_the_file(
    node: FakeNode, dialog: NetworkImport
) -> None:
    importing = await _begun(node, dialog)
    assert node.imports == [FILE]
    assert dialog.line == "50 % read and verified"
    assert dialog.cancel_button.isVisible()
    assert not dialog.choose_button.isVisible()
    importing.set_result(REPORT)
    await _settle()
    assert "169,132 messages are part of your graph now" in dialog.notice.text
    for part in (
        "50,808 channels",
        "101,000 updates",
        "17,324 nodes",
        "known: 12",
        "many): 7",
        "name): 3",
        "unchecked",
    ):
        assert part in dialog.notice.text
    assert dialog.line == ""
    assert dialog.choose_button.isVisible()


def test_what_could_not_be_read_is_said_as_plain_text() -> None:
    words = import_words(ImportReport(0, 0, 0, 5, 0, 0, "7 bytes\x1b could not be read"))
    assert words.title == "Nothing in this file was new"
    assert words.lines[-1] == "Not all of the file could be read: 7 bytes\ufffd could not be read"


async def test_a_failure_is_shown_and_can_be_tried_again(node: FakeNode, dialog: NetworkImport) -> None:
    importing = await _begun(node, dialog)
    importing.set_exception(VerificationFailed(reason="the node stops"))
    await _settle()
    assert "the node stops" in dialog.notice.text
    assert not dialog.running
    dialog._again()
    await _settle()
    assert node.imports == [FILE, FILE]
    assert not dialog.notice.isVisible()
    dialog.cancel()
    await _settle()


async def test_cancel_ends_it_and_says_what_stays(node: FakeNode, dialog: NetworkImport) -> None:
    importing = await _begun(node, dialog)
    dialog.cancel_button.click()
    await _settle()
    assert importing.cancelled()
    assert dialog.line == "Cancelled. What was taken in until then stays."
    assert dialog.choose_button.isVisible()
    assert not dialog.notice.isVisible()


async def test_one_file_at_a_time_and_closing_does_not_end_it(node: FakeNode, dialog: NetworkImport) -> None:
    importing = await _begun(node, dialog)
    dialog.begin(Path("/another"))
    dialog.reject()
    await _settle()
    assert node.imports == [FILE]
    assert not importing.cancelled()
    dialog.choose()
    assert dialog.isVisible()
    assert dialog.findChild(QFileDialog) is None
    importing.set_result(REPORT)
    await _settle()
    assert dialog.notice.isVisible()


async def test_the_chooser_begins_where_core_lightning_keeps_its_store(
    dialog: NetworkImport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".lightning" / "regtest"
    folder.mkdir(parents=True)
    assert lightningd_folder(tmp_path, "regtest") is None
    (folder / "gossip_store").touch()
    assert lightningd_folder(tmp_path, "bitcoin") is None
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    dialog.choose()
    chooser = dialog.findChild(QFileDialog)
    assert chooser is not None
    assert chooser.directory().absolutePath() == str(folder)
    assert chooser.filter() & QDir.Filter.Hidden
    chooser.reject()


async def test_the_menu_asks_for_a_file_without_holding_the_loop(node: FakeNode, window: MainWindow) -> None:
    action = window.actions_table[ActionId.IMPORT_GRAPH]
    assert not action.isEnabled()
    node.run()
    window.bridge.flush()
    assert action.isEnabled()
    action.trigger()
    chooser = window.network_import.findChild(QFileDialog)
    assert chooser is not None
    assert chooser.isVisible()
    chooser.fileSelected.emit(str(FILE))
    chooser.reject()
    await _settle()
    assert node.imports == [FILE]
    window.network_import.cancel()
    await _settle()
