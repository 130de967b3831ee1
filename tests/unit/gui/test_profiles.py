"""The profiles of a data directory, their chooser, and the switch from one to another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from core.base.events import NodeState
from core.base.settings import Settings, parse_arguments
from core.node import Node
from gui.profiles import ProfileChooser, choose_profile, list_profiles, next_folder
from gui.session import _Session
from gui.theme import Theme
from gui.window import MainWindow
from gui.wizard.window import WizardWindow
from tests.support.fake_node import node_id


def begin(folder: Path, network: str, number: int | None = None) -> None:
    paths = folder / network
    paths.mkdir(parents=True)
    (paths / "config.toml").write_text("")
    if number is not None:
        (paths / "node-id.json").write_text(json.dumps({"node_id": node_id(number).hex()}))


def test_every_profile_that_was_begun_is_listed_and_no_other(tmp_path: Path) -> None:
    assert list_profiles(tmp_path) == []
    begin(tmp_path, "signet", 3)
    begin(tmp_path / "nodes" / "2", "bitcoin")
    (tmp_path / "regtest").mkdir()
    found = [(entry.network, entry.name, entry.node_id) for entry in list_profiles(tmp_path)]
    assert found == [("signet", "", node_id(3)), ("bitcoin", "2", None)]
    assert next_folder(tmp_path) == tmp_path / "nodes" / "3"


@pytest.mark.parametrize("text", ["", "[]", '{"node_id": 3}', '{"node_id": "zz"}', '{"node_id": "02"}'])
def test_a_marker_that_cannot_be_read_names_no_node(tmp_path: Path, text: str) -> None:
    begin(tmp_path, "signet")
    (tmp_path / "signet" / "node-id.json").write_text(text)
    assert list_profiles(tmp_path)[0].node_id is None


@pytest.mark.qt_loop
async def test_the_chooser_gives_what_was_pressed(tmp_path: Path, theme: Theme) -> None:
    begin(tmp_path, "signet", 3)
    begin(tmp_path, "bitcoin", 4)
    profiles = list_profiles(tmp_path)
    for press, wanted in (("open-1", (True, profiles[1])), ("anotherNode", (True, None)), (None, (False, None))):
        asked = asyncio.ensure_future(choose_profile(profiles, theme))
        await asyncio.sleep(0)
        chooser = shown(ProfileChooser)
        assert any(each.text() == "signet" for each in chooser.findChildren(QLabel))
        if press is None:
            chooser.close()
        else:
            next(each for each in chooser.findChildren(QPushButton) if each.objectName() == press).click()
        assert await asked == wanted


def shown(kind: type) -> object:
    return next(each for each in QApplication.topLevelWidgets() if isinstance(each, kind) and each.isVisible())


def is_shown(kind: type) -> bool:
    return any(isinstance(each, kind) and each.isVisible() for each in QApplication.topLevelWidgets())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


class App(SimpleNamespace):
    """Of `Application` what a session wants."""


@pytest.mark.qt_loop
async def test_a_switch_stops_the_one_before_the_other_is_asked_for(
    tmp_path: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(data_dir: Path, network: str) -> Settings:
        common = ["--offline", "--keystore", "memory", "--data-dir", str(data_dir)]
        return parse_arguments([*common, "--network", network])

    monkeypatch.setattr("gui.session.Theme", lambda _qt: theme)
    nodes: list[Node] = []
    monkeypatch.setattr("gui.session.Node", lambda settings: nodes.append(Node(settings)) or nodes[-1])
    ended: list[bool] = []
    app = App(
        qt=QApplication.instance(), crash=App(keep_faults=lambda _folder: None), request_stop=lambda: ended.append(True)
    )
    session = _Session(app, resolve(tmp_path, "regtest"), resolve)
    session.begin()
    await until(lambda: nodes and nodes[0].state is NodeState.RUNNING and is_shown(MainWindow))
    shown(MainWindow).switch_requested.emit()  # type: ignore[attr-defined]
    await until(lambda: is_shown(ProfileChooser))
    assert nodes[0].state is NodeState.OFF
    assert not is_shown(MainWindow)
    chooser = shown(ProfileChooser)
    next(b for b in chooser.findChildren(QPushButton) if b.objectName() == "open-0").click()  # type: ignore[attr-defined]
    await until(lambda: len(nodes) == 2 and nodes[1].state is NodeState.RUNNING)
    await session.aclose()
    session.raise_failure()
    assert nodes[1].state is NodeState.OFF
    assert ended


@pytest.mark.qt_loop
async def test_a_new_profile_meets_the_wizard_unless_flags_say_no(
    tmp_path: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gui.session.Theme", lambda _qt: theme)
    app = App(qt=QApplication.instance(), crash=App(keep_faults=lambda _folder: None), request_stop=lambda: None)

    def session(*options: str) -> tuple[_Session, Settings]:
        settings = parse_arguments(["--network", "regtest", "--data-dir", str(tmp_path), *options])
        return _Session(app, settings, lambda _dir, _network: settings), settings

    for options, wanted in (((), True), (("--no-wizard",), False), (("--demo",), False)):
        made, settings = session(*options)
        assert await made._wants_wizard(settings) is wanted
    made, _settings = session()
    made.begin()
    await until(lambda: is_shown(WizardWindow))
    await made.aclose()
    made.raise_failure()
    assert not is_shown(WizardWindow)


@pytest.mark.qt_loop
async def test_a_session_that_was_told_to_wait_starts_nothing_by_itself(
    tmp_path: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(data_dir: Path, network: str) -> Settings:
        options = ["--offline", "--keystore", "memory", "--no-activate", "--data-dir", str(data_dir)]
        return parse_arguments([*options, "--network", network])

    monkeypatch.setattr("gui.session.Theme", lambda _qt: theme)
    nodes: list[Node] = []
    monkeypatch.setattr("gui.session.Node", lambda settings: nodes.append(Node(settings)) or nodes[-1])
    app = App(qt=QApplication.instance(), crash=App(keep_faults=lambda _folder: None), request_stop=lambda: None)
    session = _Session(app, resolve(tmp_path, "regtest"), resolve)
    session.begin()
    await until(lambda: nodes and is_shown(MainWindow))
    window = shown(MainWindow)
    assert nodes[0].task_id is None
    assert "--no-activate" in window.activation._lead.text()  # type: ignore[attr-defined]
    window.activation._start.click()  # type: ignore[attr-defined]
    await until(lambda: nodes[0].state is NodeState.RUNNING)
    await session.aclose()
    session.raise_failure()
