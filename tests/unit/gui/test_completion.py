"""Nodes of the network beneath the connect field."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from core.bolt.keys import short_id
from gui.actions import ActionId
from gui.peers.completion import ROWS, Completion
from gui.window import MainWindow
from tests.support.fake_node import FakeNode, node_id

# Of the offscreen platform, for popups.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")
HUB = node_id(90)


@pytest.fixture
def completion(node: FakeNode, window: MainWindow) -> Iterator[Completion]:
    """The connect field has the keys; the network has a hub and twenty nodes called `cafe 1` and so on."""
    node.run()
    for number in range(1, 21):
        node.channel(number, (node_id(number), HUB))
        node.announce(node_id(number), f"Cafe {number}".encode())
    node.announce(HUB, b"<b>the hub</b>")
    window.bridge.flush()
    window.show_view(ActionId.SHOW_PEERS)
    window.activateWindow()
    window.peers.connect_bar.field.setFocus()
    made = window.peers.connect_bar.completion
    yield made
    made.completer.popup().hide()


async def _type(window: MainWindow, qtbot: QtBot, text: str) -> None:
    qtbot.keyClicks(window.peers.connect_bar.field, text)
    for _ in range(8):
        await asyncio.sleep(0)


async def test_a_name_is_found_while_one_types(window: MainWindow, qtbot: QtBot, completion: Completion) -> None:
    await _type(window, qtbot, "HUB")
    assert completion.offered == [f"«<b>the hub</b>»  ·  {short_id(HUB)}  ·  20 channels"]
    assert completion.completer.popup().isVisible()


async def test_an_id_is_found_by_its_beginning(window: MainWindow, qtbot: QtBot, completion: Completion) -> None:
    await _type(window, qtbot, node_id(5).hex()[:12])
    assert completion.offered == [f"«Cafe 5»  ·  {short_id(node_id(5))}  ·  1 channel"]


async def test_the_list_is_bounded(window: MainWindow, qtbot: QtBot, completion: Completion) -> None:
    await _type(window, qtbot, "CAFE")
    assert len(completion.offered) == ROWS
    await _type(window, qtbot, " 19")
    assert [line.split("  ·  ")[0] for line in completion.offered] == ["«Cafe 19»"]


async def test_taking_one_fills_in_its_id_and_dials_nobody(
    node: FakeNode, window: MainWindow, qtbot: QtBot, completion: Completion
) -> None:
    await _type(window, qtbot, "the hub")
    popup = completion.completer.popup()
    qtbot.keyClick(popup, Qt.Key.Key_Down)
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    bar = window.peers.connect_bar
    assert bar.field.text() == HUB.hex()
    assert short_id(HUB) in bar.line
    assert not bar.dialling
    await _type(window, qtbot, "\r")
    assert node.fake_peers.connects == [(HUB, None, None)]
    bar.submit()
    await asyncio.sleep(0)


async def test_nothing_is_offered_for_an_address_a_whole_id_or_two_letters(
    window: MainWindow, qtbot: QtBot, completion: Completion
) -> None:
    bar = window.peers.connect_bar
    for text in ("hu", HUB.hex(), f"{HUB.hex()[:10]}@hub"):
        bar.field.clear()
        await _type(window, qtbot, text)
        assert completion.offered == []


async def test_what_is_new_is_found_after_a_while(
    node: FakeNode, window: MainWindow, qtbot: QtBot, completion: Completion
) -> None:
    await _type(window, qtbot, "newcomer")
    node.channel(50, (node_id(50), HUB))
    node.announce(node_id(50), b"newcomer to all")
    await _type(window, qtbot, " ")
    assert completion.offered == []
    await node.clock.advance(10)
    await _type(window, qtbot, "to")
    assert [line.split("  ·  ")[0] for line in completion.offered] == ["«newcomer to all»"]


async def test_a_node_that_is_off_offers_nothing(
    node: FakeNode, window: MainWindow, qtbot: QtBot, completion: Completion
) -> None:
    await _type(window, qtbot, "hub")
    node.lightning = None
    await _type(window, qtbot, "<")
    assert completion.offered == []
