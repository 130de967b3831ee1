"""The window before the main one: what it waits for, what it asks, and that nothing goes on behind its back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton

from core.base.settings import parse_arguments
from core.node import Node
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from gui.opening import OpeningWindow, open_node
from gui.theme import Theme
from gui.words import Remedy

pytestmark = pytest.mark.qt_loop


def make_node(home: Path, *options: str) -> Node:
    return Node(
        parse_arguments(["--network", "regtest", "--data-dir", str(home / "d"), "--bind", "127.0.0.1:0", *options])
    )


def shown() -> OpeningWindow | None:
    windows = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, OpeningWindow)]
    return next((window for window in windows if window.isVisible()), None)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)  # a loop that never rests keeps the keyring's thread from Python's lock


def press(name: str) -> None:
    window = shown()
    assert window is not None
    button = next(button for button in window.findChildren(QPushButton) if button.objectName() == name)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def fields() -> list[QLineEdit]:
    window = shown()
    assert window is not None
    return [field for field in window.findChildren(QLineEdit) if field.isVisibleTo(window)]


async def test_a_node_that_opens_at_once_is_asked_nothing(home: Path, theme: Theme) -> None:
    node = make_node(home, "--keystore", "memory")
    assert await open_node(node, theme)
    assert shown() is None
    await node.stop()


async def test_without_a_keyring_it_offers_a_key_file_and_makes_it(home: Path, theme: Theme) -> None:
    node = make_node(home)
    opening = asyncio.ensure_future(open_node(node, theme))
    await until(lambda: "No keyring" in window_text())
    assert not node.paths.key_file.exists()
    press(f"remedy-{Remedy.USE_KEY_FILE}")
    first, second = fields()
    first.setText("correct horse")
    press("usePassphrase")  # the second is still empty: nothing happens
    assert not opening.done()
    second.setText("correct horse")
    assert first.echoMode() is QLineEdit.EchoMode.Password
    press("usePassphrase")
    assert await opening
    assert node.paths.key_file.exists()
    await node.stop()


async def test_a_wrong_passphrase_asks_again_with_one_field(home: Path, theme: Theme) -> None:
    await test_without_a_keyring_it_offers_a_key_file_and_makes_it(home, theme)
    node = make_node(home)
    opening = asyncio.ensure_future(open_node(node, theme))
    await until(lambda: "passphrase is needed" in window_text())
    (field,) = fields()
    field.setText("wrong")
    press("usePassphrase")
    await until(lambda: "does not open" in window_text())
    fields()[0].setText("correct horse")
    press("usePassphrase")
    assert await opening
    await node.stop()


def window_text() -> str:
    window = shown()
    return window._notice.text if window is not None and window._notice.isVisible() else ""


async def test_retry_looks_again_and_closing_the_window_quits(
    home: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, starts = make_node(home), list[object]()
    start = node.start

    async def counted(*, keystore: str | None, passphrase: Passphrase | None, secret: Secret | None) -> None:
        starts.append(keystore)
        await start(keystore=keystore, passphrase=passphrase, secret=secret)

    monkeypatch.setattr(node, "start", counted)
    opening = asyncio.ensure_future(open_node(node, theme))
    await until(lambda: "No keyring" in window_text())
    press(f"remedy-{Remedy.LOOK_AGAIN}")
    await until(lambda: len(starts) == 2 and "No keyring" in window_text())  # hidden while the second start runs
    window = shown()
    assert window is not None
    window.close()
    assert not await opening
    assert shown() is None
    await node.stop()


async def test_a_key_that_is_gone_is_restored_from_its_words(home: Path, theme: Theme) -> None:
    first = make_node(home, "--keystore", "file")
    words = "abandon " * 11 + "about"
    secret = await first.keys.restore(words)
    await first.start(passphrase=Passphrase("correct horse"), secret=secret)
    node_id = first.node_id
    await first.stop()
    first.paths.key_file.unlink()
    node = make_node(home)
    opening = asyncio.ensure_future(open_node(node, theme))
    await until(lambda: "key is not there" in window_text() or "passphrase is needed" in window_text())
    if "passphrase is needed" in window_text():
        for field in fields():
            field.setText("correct horse")
        press("usePassphrase")
        await until(lambda: "key is not there" in window_text())
    press(f"remedy-{Remedy.RESTORE_WORDS}")
    window = shown()
    assert window is not None
    window._words._field.setPlainText("abandon " * 11 + "abandon")
    press("useWords")
    await until(window._words._hint.text)
    window._words._field.setPlainText(words)
    press("useWords")
    await until(lambda: opening.done() or "passphrase is needed" in window_text())
    if not opening.done():
        for field in fields():
            field.setText("correct horse")
        press("usePassphrase")
    assert await opening
    assert node.node_id == node_id
    await node.stop()
