"""The console: table, detail, composer."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton
from pytestqt.qtbot import QtBot

from core.base.events import Direction, NodeState
from core.bolt.keys import short_id
from gui.actions import ActionId
from gui.messages.draft import Form
from gui.window import MainWindow
from tests.support.fake_node import FakeNode, address, node_id


@pytest.fixture
def console(window: MainWindow, node: FakeNode) -> MainWindow:
    """The console of a running node with two peers."""
    node.run()
    for number in (11, 12):
        node.fake_peers.arrive(node_id(number), address(number))
    window.show_view(ActionId.SHOW_MESSAGES)
    window.bridge.flush()
    return window


def _press(window: MainWindow, name: str) -> None:
    found = next(tool for tool in window.findChildren(QToolButton) if tool.accessibleName() == name)
    found.click()


def test_empty_states(window: MainWindow, node: FakeNode) -> None:
    window.show_view(ActionId.SHOW_MESSAGES)
    assert window.messages.empty.sentence == "Your node is not running."
    node.run()
    window.bridge.flush()
    assert window.messages.empty.sentence == "Connect to a peer to send messages."
    assert window.messages.composer.state == "Connect to a peer to send messages."
    node.fake_peers.arrive(node_id(11), address())
    window.bridge.flush()
    assert window.messages.empty.sentence.startswith("Nothing yet.")
    node.fake_peers.message(node_id(11), Direction.IN, 32769, b"x")
    window.bridge.flush()
    assert not window.messages.empty.isVisible()


def test_a_message_is_sent_and_appears_as_written(console: MainWindow, node: FakeNode, qtbot: QtBot) -> None:
    composer = console.messages.composer
    qtbot.keyClicks(composer.payload, "68 69")
    assert composer.preview == "80 01 | 68 69"
    assert composer.send.isEnabled()
    composer.send.click()
    console.bridge.flush()
    assert node.fake_peers.sent == [(node_id(11), bytes.fromhex("80016869"))]
    assert console.messages.model.rowCount() == 1
    assert composer.payload.toPlainText() == ""
    assert composer.type.value() == 32769


def test_ctrl_enter_sends(console: MainWindow, node: FakeNode, qtbot: QtBot) -> None:
    composer = console.messages.composer
    qtbot.keyClicks(composer.payload, "ff")
    assert console.actions_table[ActionId.SEND].isEnabled()
    qtbot.keyClick(composer.payload, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert [message for _peer, message in node.fake_peers.sent] == [bytes.fromhex("8001ff")]


def test_text_and_hex_are_told_apart(console: MainWindow) -> None:
    composer = console.messages.composer
    composer.payload.setPlainText("68")
    _press(console, "Payload as Text")
    assert composer.form is Form.TEXT
    assert composer.draft.payload == b"68"
    _press(console, "Payload as Hex")
    assert composer.draft.payload == b"h"


def test_an_even_type_is_explained_and_not_sent(console: MainWindow, node: FakeNode) -> None:
    composer = console.messages.composer
    composer.type.set_value(32770)
    assert "Even types are not sent" in composer.type_words
    assert not composer.send.isEnabled()
    composer.submit()
    assert node.fake_peers.sent == []


def test_the_dice_roll_an_odd_custom_type(console: MainWindow) -> None:
    composer = console.messages.composer
    for _ in range(50):
        _press(console, "A random odd type")
        value = composer.type.value()
        assert value is not None
        assert value % 2 == 1
        assert value > 32768


def test_arrow_keys_keep_the_type_odd(console: MainWindow, qtbot: QtBot) -> None:
    field = console.messages.composer.type
    qtbot.keyClick(field, Qt.Key.Key_Up)
    assert field.value() == 32771
    qtbot.keyClick(field, Qt.Key.Key_Down)
    assert field.value() == 32769
    field.set_value(65535)
    qtbot.keyClick(field, Qt.Key.Key_Up)
    assert field.value() == 65535


def test_the_draft_is_kept_when_its_peer_leaves(console: MainWindow, node: FakeNode) -> None:
    composer = console.messages.composer
    composer.choose(node_id(12))
    composer.payload.setPlainText("68 69")
    node.fake_peers.leave(node_id(12))
    console.bridge.flush()
    assert composer.state == f"{short_id(node_id(12))} disconnected. Your draft is kept."
    assert composer.payload.toPlainText() == "68 69"
    assert composer.peer.currentData() == node_id(12)
    assert not composer.send.isEnabled()
    node.fake_peers.arrive(node_id(12), address(12))
    console.bridge.flush()
    assert composer.state == ""
    assert composer.send.isEnabled()


def test_another_peer_can_be_chosen_for_the_draft(console: MainWindow, node: FakeNode) -> None:
    composer = console.messages.composer
    composer.choose(node_id(12))
    composer.payload.setPlainText("68 69")
    node.fake_peers.leave(node_id(12))
    console.bridge.flush()
    composer.choose(node_id(11))
    assert composer.known_peers() == [node_id(11)]
    assert composer.send.isEnabled()


def test_a_peer_without_a_draft_just_goes(console: MainWindow, node: FakeNode) -> None:
    node.fake_peers.leave(node_id(11))
    console.bridge.flush()
    assert console.messages.composer.known_peers() == [node_id(12)]


def test_a_refusal_is_shown_where_it_was_asked_for(console: MainWindow, node: FakeNode) -> None:
    composer = console.messages.composer
    composer.payload.setPlainText("68")
    del node.fake_peers._peers[node_id(11)]  # gone, and the window has not heard of it yet
    composer.submit()
    assert "Not connected" in composer.notice.text
    assert composer.payload.toPlainText() == "68"


def test_the_detail_shows_the_bytes_of_the_wire(console: MainWindow, node: FakeNode) -> None:
    node.fake_peers.message(node_id(11), Direction.IN, 32769, "grüße <b>".encode())
    node.fake_peers.message(node_id(11), Direction.OUT, 32771, b"\xff\xff")
    console.bridge.flush()
    view = console.messages
    assert not view.detail.isVisible()
    view.table.selectRow(0)
    assert view.detail.isVisible()
    assert f"Received from {short_id(node_id(11))}" in view.detail.head
    assert view.detail.bytes.toPlainText().startswith("0000  80 01 67 72")
    assert view.detail.text.toPlainText() == "grüße <b>"
    view.table.selectRow(1)
    assert f"Written to {short_id(node_id(11))}" in view.detail.head
    assert view.detail.text.toPlainText() == ""
    assert "not UTF-8" in view.detail.text.placeholderText()


def test_the_newest_message_is_followed(console: MainWindow, node: FakeNode) -> None:
    for number in range(200):
        node.fake_peers.message(node_id(11), Direction.IN, 32769, bytes([number]))
    console.bridge.flush()
    bar = console.messages.table.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    bar.setValue(0)
    node.fake_peers.message(node_id(11), Direction.IN, 32769, b"new")
    console.bridge.flush()
    assert bar.value() == 0


def test_messages_from_before_the_window_are_there(
    qtbot: QtBot, node: FakeNode, theme: object, window: MainWindow
) -> None:
    from gui.tasks import WindowTasks

    node.run()
    node.fake_peers.arrive(node_id(11), address())
    node.fake_peers.message(node_id(11), Direction.IN, 32769, b"early")
    second = MainWindow(node, WindowTasks(), theme)  # type: ignore[arg-type]
    qtbot.addWidget(second, before_close_func=lambda widget: widget.close_now())
    assert second.messages.model.rowCount() == 1
    assert second.messages.composer.known_peers() == [node_id(11)]
    assert second.peers.model.rowCount() == 1


def test_a_stopped_node_sends_nothing(console: MainWindow, node: FakeNode) -> None:
    console.messages.composer.payload.setPlainText("68")
    node.lightning = None
    node.change_state(NodeState.OFF)
    console.bridge.flush()
    assert not console.messages.composer.send.isEnabled()
    assert console.messages.composer.payload.toPlainText() == "68"
