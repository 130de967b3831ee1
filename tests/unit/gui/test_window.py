"""The frame around the views."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QLabel, QMenu, QWidget
from pytestqt.qtbot import QtBot

from core.base.events import Direction, NodeState
from core.bolt.address import Address, AddressKind
from core.bolt.keys import short_id
from gui.actions import ActionId
from gui.tasks import WindowTasks
from gui.theme import Role, Scheme, Theme
from gui.top_bar import state_look
from gui.widgets.basics import Chip
from gui.window import MainWindow
from tests.support.fake_node import FakeNode, address, node_id


def _populate(window: MainWindow, node: FakeNode) -> None:
    node.run()
    node.fake_peers.arrive(node_id(11), address(11))
    node.fake_peers.message(node_id(11), Direction.IN, 32769, b"hello")
    window.bridge.flush()
    window.peers.select(node_id(11))
    window.messages.table.selectRow(0)


@pytest.mark.parametrize("view", [ActionId.SHOW_NODE, ActionId.SHOW_PEERS, ActionId.SHOW_MESSAGES])
def test_everything_that_takes_the_focus_has_a_name(window: MainWindow, node: FakeNode, view: ActionId) -> None:
    _populate(window, node)
    window.show_view(view)
    nameless = [
        f"{type(widget).__name__} {widget.objectName()}"
        for widget in window.findChildren(QWidget)
        if widget.isVisible() and widget.focusPolicy() != Qt.FocusPolicy.NoFocus and not _name(widget)
    ]
    assert nameless == []


def _name(widget: QWidget) -> str:
    own = widget.text() if isinstance(widget, QAbstractButton | QLabel) else ""
    return widget.accessibleName() or own


def test_every_label_is_plain_text(window: MainWindow, node: FakeNode) -> None:
    _populate(window, node)
    rich = [label.text() for label in window.findChildren(QLabel) if label.textFormat() is not Qt.TextFormat.PlainText]
    assert rich == []


def test_every_action_is_bound_and_stands_in_a_menu(window: MainWindow) -> None:
    in_menus = {
        action.objectName()
        for menu in window.menuBar().findChildren(QMenu)
        for action in menu.actions()
        if action.objectName()
    }
    assert in_menus == set(ActionId)
    assert all(window.actions_table[action_id].receivers("2triggered(bool)") for action_id in ActionId)


def test_no_two_actions_share_a_shortcut(window: MainWindow) -> None:
    keys = [window.actions_table[action].shortcut().toString() for action in ActionId]
    used = [key for key in keys if key]
    assert len(used) == len(set(used))


def test_a_shortcut_stands_in_its_tooltip(window: MainWindow) -> None:
    assert window.actions_table[ActionId.SHOW_PEERS].toolTip() == "Peers (Ctrl+2)"


def test_views_are_reached_by_keyboard(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert window.peers.isVisible()
    assert window.peers.connect_bar.field.hasFocus() or window.focusWidget() is window.peers.connect_bar.field
    qtbot.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert window.messages.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert window.activation.isVisible()


def test_ctrl_n_leads_to_the_connect_field(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.keyClick(window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is window.peers.connect_bar.field


def test_the_network_is_always_shown(window: MainWindow) -> None:
    assert window.top.network.text == "regtest"


def test_mainnet_has_the_brass_badge(qtbot: QtBot, theme: Theme) -> None:
    window = MainWindow(FakeNode(network="bitcoin"), WindowTasks(), theme)  # type: ignore[arg-type]
    qtbot.addWidget(window, before_close_func=lambda widget: widget.close_now())
    assert window.top.network.text == "MAINNET"
    assert window.top.network.property("tone") == Role.BRASS


def test_a_key_that_is_not_kept_is_said(window: MainWindow, qtbot: QtBot, theme: Theme) -> None:
    assert "key is not kept" in [chip.text for chip in window.top.findChildren(Chip)]
    node = FakeNode()
    node.key_location = "GNOME Keyring"
    other = MainWindow(node, WindowTasks(), theme)  # type: ignore[arg-type]
    qtbot.addWidget(other, before_close_func=lambda widget: widget.close_now())
    assert "key is not kept" not in [chip.text for chip in other.top.findChildren(Chip)]


@pytest.mark.parametrize("state", NodeState)
def test_every_state_is_a_word_with_an_icon(window: MainWindow, node: FakeNode, state: NodeState) -> None:
    node.change_state(state)
    window.bridge.flush()
    words, icon_name, _role = state_look(state)
    assert window.top.state.text == words
    assert icon_name


def test_the_own_uri_is_short_to_see_and_whole_to_copy(window: MainWindow, node: FakeNode) -> None:
    node.run()
    window.bridge.flush()
    assert window.top.uri == f"{short_id(node.node_id)}@127.0.0.1:9735"
    window.actions_table[ActionId.COPY_URI].trigger()
    assert QGuiApplication.clipboard().text() == f"{node.node_id.hex()}@127.0.0.1:9735"


def test_a_local_socket_is_offered_only_when_there_is_nothing_else(window: MainWindow, node: FakeNode) -> None:
    local = Address(AddressKind.LOCAL, "/run/leyden.sock", 0)
    node.fake_peers.bound = (local, Address(AddressKind.IPV4, "127.0.0.1", 9735))
    node.run()
    window.bridge.flush()
    assert window.top.uri == f"{short_id(node.node_id)}@127.0.0.1:9735"


def test_the_onion_address_is_offered_before_all_others(window: MainWindow, node: FakeNode) -> None:
    node.onion_address = Address(AddressKind.TORV3, "a" * 56 + ".onion", 9735)
    node.run()
    window.bridge.flush()
    window.actions_table[ActionId.COPY_URI].trigger()
    assert QGuiApplication.clipboard().text() == f"{node.node_id.hex()}@{node.onion_address}"


def test_an_address_that_nobody_can_use_is_not_offered(window: MainWindow, node: FakeNode) -> None:
    node.fake_peers.bound = (Address(AddressKind.IPV4, "0.0.0.0", 9735),)
    node.run()
    window.bridge.flush()
    assert window.top.uri == short_id(node.node_id)
    assert "port 9735 of every interface" in window.activation._running._hint.text()


async def test_the_status_bar_counts_peers_and_rates(window: MainWindow, node: FakeNode) -> None:
    assert window.status.text == "node is off  ·  key in memory"
    node.run()
    for number in (11, 12, 13):
        node.fake_peers.arrive(node_id(number), address(number), Direction.IN if number == 11 else Direction.OUT)
    window.bridge.flush()
    node.fake_peers.messages_in += 19
    node.fake_peers.messages_out += 1
    await node.clock.advance(0.5)
    window.status.refresh()
    assert window.status.text == ("listening 127.0.0.1:9735  ·  3 peers (1 in)  ·  38 msg/s ↓  2 ↑  ·  key in memory")


def test_the_status_bar_counts_twice_a_second_and_only_while_the_node_is_up(window: MainWindow, node: FakeNode) -> None:
    assert not window.status._timer.isActive()
    node.run()
    window.bridge.flush()
    assert window.status._timer.isActive()
    assert window.status._timer.interval() == 500
    node.lightning = None
    window.status.refresh()
    assert not window.status._timer.isActive()


def test_closing_asks_and_waits(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(window.close_requested, timeout=0):
        window.close()
    assert window.isVisible()
    window.close_now()
    assert not window.isVisible()


def test_quit_asks_as_closing_does(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(window.close_requested, timeout=0):
        window.actions_table[ActionId.QUIT].trigger()


def test_nothing_can_be_started_while_the_node_stops(window: MainWindow, node: FakeNode) -> None:
    node.run()
    node.change_state(NodeState.STOPPING)
    window.bridge.flush()
    assert not window.activation.isEnabled()
    assert not window.menuBar().isEnabled()
    assert window.top.state.text == "Stopping"


def test_a_node_that_has_stopped_and_forgot_its_id_can_still_be_shown(
    window: MainWindow, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.run()
    window.bridge.flush()
    whole = node.node_id
    monkeypatch.delattr(node, "node_id")
    node.lightning = None
    node.change_state(NodeState.OFF)
    window.bridge.flush()
    assert window.top.uri == short_id(whole)


def test_the_theme_is_chosen_in_the_menu(window: MainWindow, theme: Theme) -> None:
    assert window.actions_table[ActionId.THEME_LIGHT].isChecked()
    window.actions_table[ActionId.THEME_DARK].trigger()
    assert theme.scheme is Scheme.DARK


def test_no_timer_runs_in_a_window_at_rest(window: MainWindow, node: FakeNode) -> None:
    from PySide6.QtCore import QTimer

    assert [timer for timer in window.findChildren(QTimer) if timer.isActive()] == []
