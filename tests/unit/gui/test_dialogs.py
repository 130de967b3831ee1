"""gui.dialogs: a coroutine waits for a dialog and nothing else does."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QMessageBox, QPushButton, QWidget

import gui
from gui.dialogs import ask, choose, inform, until_closed


@pytest.fixture
def window(qapp: QApplication) -> Iterator[QWidget]:
    window = QWidget()
    window.show()
    yield window
    window.deleteLater()


async def the_box(window: QWidget) -> QMessageBox:
    """The box that a task has opened over `window`."""
    while not (boxes := [box for box in window.findChildren(QMessageBox) if box.isVisible()]):
        await asyncio.sleep(0.001)
    return boxes[0]


def button(box: QMessageBox, label: str) -> QPushButton:
    return next(each for each in box.findChildren(QPushButton) if each.text().replace("&", "") == label)


@pytest.mark.qt_loop
async def test_an_open_dialog_leaves_every_other_task_running(window: QWidget) -> None:
    ticks = 0

    async def ticker() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(ticker())
    asking = asyncio.create_task(ask(window, "Disconnect?", "A channel is open.", "Disconnect"))
    box = await the_box(window)
    while ticks < 5:
        await asyncio.sleep(0.001)
    assert not asking.done()
    button(box, "Disconnect").click()
    assert await asking is True
    before = ticks
    while ticks == before:
        await asyncio.sleep(0.001)
    ticking.cancel()
    await asyncio.wait([ticking])


@pytest.mark.qt_loop
async def test_escape_and_cancel_and_close_mean_no(window: QWidget) -> None:
    for refuse in (
        lambda box: QTest.keyClick(box, Qt.Key.Key_Escape),
        lambda box: button(box, "Cancel").click(),
        lambda box: box.close(),
    ):
        asking = asyncio.create_task(ask(window, "Disconnect?", "", "Disconnect"))
        refuse(await the_box(window))
        assert await asking is False


@pytest.mark.qt_loop
async def test_enter_takes_the_first_choice_and_never_a_destructive_one(window: QWidget) -> None:
    for destructive, answer in ((False, True), (True, False)):
        asking = asyncio.create_task(ask(window, "Go on?", "", "Go on", destructive=destructive))
        QTest.keyClick(await the_box(window), Qt.Key.Key_Return)
        assert await asking is answer


@pytest.mark.qt_loop
async def test_a_choice_of_several_gives_its_index(window: QWidget) -> None:
    for label, index in (("Keyring", 0), ("File", 1), ("Cancel", None)):
        choosing = asyncio.create_task(choose(window, "Where to?", "", ["Keyring", "File"]))
        button(await the_box(window), label).click()
        assert await choosing == index


@pytest.mark.qt_loop
async def test_what_a_peer_says_is_shown_as_it_is_and_never_as_markup(window: QWidget) -> None:
    telling = asyncio.create_task(inform(window, "The peer says", "<b>bold</b><img src=x>", details="more"))
    box = await the_box(window)
    assert box.textFormat() is Qt.TextFormat.PlainText
    assert (box.informativeText(), box.detailedText()) == ("<b>bold</b><img src=x>", "more")
    button(box, "OK").click()
    await telling


@pytest.mark.qt_loop
async def test_a_cancelled_question_closes_its_dialog(window: QWidget) -> None:
    asking = asyncio.create_task(ask(window, "Disconnect?", "", "Disconnect"))
    box = await the_box(window)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert not box.isVisible()


@pytest.mark.qt_loop
async def test_a_dialog_that_goes_with_its_parent_counts_as_refused() -> None:
    parent = QWidget()
    asking = asyncio.create_task(ask(parent, "Disconnect?", "", "Disconnect"))
    box = await the_box(parent)
    del box
    parent.deleteLater()
    del parent
    assert await asking is False


@pytest.mark.qt_loop
async def test_any_dialog_can_be_awaited_for_its_code(window: QWidget) -> None:
    dialog = QDialog(window)
    waiting = asyncio.create_task(until_closed(dialog))
    await asyncio.sleep(0.005)
    dialog.done(7)
    assert await waiting == 7
    dialog.deleteLater()


EXEC_LIKE = {"exec", "exec_", "processEvents", "waitForFinished"}
"""Calls that run a Qt loop inside a callback. In a coroutine a plain qasync loop loses tasks by them."""

STATIC_DIALOGS = {
    "getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory", "getText", "getItem", "getInt",
    "getDouble", "getColor", "getFont", "question", "critical", "about", "asyncClose", "asyncWrap",
}  # fmt: skip
"""Static functions that call `exec` themselves, and qasync's helpers that spin or nest. `information` and `warning`
are also logger methods, so they are looked for on QMessageBox alone."""


def nested_loops(source: str) -> list[str]:
    """Calls in `source` that would run a nested Qt loop, as `line: name`."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, ast.unparse(node.func.value)
            boxes = owner.endswith("QMessageBox") and name in {"information", "warning"}
            of_logger = owner in {"logger", "logging", "log"}
            if name in EXEC_LIKE or boxes or (name in STATIC_DIALOGS and not of_logger):
                found.append(f"{node.lineno}: {name}")
    return found


def test_the_look_for_nested_loops_finds_them() -> None:
    assert nested_loops("box.exec()\nQMessageBox.question(None, '', '')\nQMessageBox.warning(None, '', '')") == [
        "1: exec",
        "2: question",
        "3: warning",
    ]
    assert nested_loops("logger.critical('x')\nlogger.warning('x')\nbox.open()") == []


def test_no_file_of_the_window_runs_a_nested_qt_loop() -> None:
    folder = Path(gui.__file__).parent
    files = sorted(folder.rglob("*.py"))
    found = [f"{path.relative_to(folder)}:{each}" for path in files for each in nested_loops(path.read_text())]
    assert files and found == []
