"""Connecting, looking at and disconnecting peers."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from core.base.events import ConnectPhase, ConnectProgress, Direction
from core.bolt.keys import short_id
from core.peers.errors import AddressAttempt, AllAddressesFailed, PeerHasChannel
from core.peers.events import PeerNotice
from core.peers.practice import PracticePeer
from gui.actions import ActionId
from gui.peers.claim import feature_lines
from gui.peers.connect_text import understand
from gui.peers.model import NODE_ID_ROLE, Column
from gui.tasks import WindowTasks
from gui.theme import Theme
from gui.window import MainWindow
from tests.support.fake_node import FakeNode, address, node_id

# Of the offscreen platform, for menus and sheets.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")
OWN = node_id(7)
OTHER = node_id(30)
URI = f"{OTHER.hex()}@203.0.113.30:9735"


@pytest.fixture
def peers(window: MainWindow, node: FakeNode) -> MainWindow:
    """The peer list of a running node with three peers."""
    node.run()
    for number in (11, 12, 13):
        node.fake_peers.arrive(node_id(number), address(number), Direction.IN if number == 12 else Direction.OUT)
    window.show_view(ActionId.SHOW_PEERS)
    window.bridge.flush()
    return window


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def _click(window: QWidget, name: str) -> None:
    found = window.findChild(QPushButton, name)
    assert isinstance(found, QPushButton)
    found.click()


# --- what is understood


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (OTHER.hex(), None, None),
        (f"{OTHER.hex()}@1.2.3.4", "1.2.3.4", None),
        (f" {OTHER.hex().upper()}@1.2.3.4:9735\n", "1.2.3.4", 9735),
        (f"{OTHER.hex()}@[2001:db8::1]:19846", "2001:db8::1", 19846),
        (f"{OTHER.hex()}@node.example.org:9735", "node.example.org", 9735),
        (f"{OTHER.hex()}@localhost:1", "127.0.0.1", 1),
    ],
)
def test_an_address_is_understood(text: str, host: str | None, port: int | None) -> None:
    read = understand(text, OWN)
    assert (read.node_id, read.host, read.port, read.problem) == (OTHER, host, port, "")
    assert read.ready


@pytest.mark.parametrize(
    ("text", "words", "unfinished"),
    [
        (OTHER.hex()[:65], "this has 65", True),
        (f"{OTHER.hex()[:65]}@1.2.3.4", "this has 65", False),
        ("05" + OTHER.hex()[2:], "start with 02 or 03", False),
        ("02" + "ff" * 32, "not a point", False),
        (OWN.hex(), "your own node id", False),
        (f"{OTHER.hex()}@", "host is missing", True),
        (f"{OTHER.hex()}@1.2.3.4:", "port is missing", True),
        (f"{OTHER.hex()}@1.2.3.4:70000", "between 1 and 65535", False),
        (f"{OTHER.hex()}@[::1", "bracket", True),
        (f"{OTHER.hex()}@no such host", "not a host name", False),
        ("203.0.113.7:9735", "The node id comes first", True),
        ("lnbcrt500u1pj", "invoice", False),
        ("lightning:lnbc1", "invoice", False),
    ],
)
def test_what_is_wrong_is_said_while_one_types(text: str, words: str, unfinished: bool) -> None:
    read = understand(text, OWN)
    assert words in read.problem
    assert read.unfinished is unfinished
    assert not read.ready


def test_the_field_shows_what_it_understood(peers: MainWindow, qtbot: QtBot) -> None:
    bar = peers.peers.connect_bar
    assert not bar.button.isEnabled()
    qtbot.keyClicks(bar.field, f"{OTHER.hex()}@203.0.113.30")
    assert short_id(OTHER) in bar.line
    assert "host 203.0.113.30 (ipv4)" in bar.line
    assert "port 19846 (this network's default)" in bar.line
    assert bar.button.isEnabled()


def test_a_text_from_elsewhere_only_fills_the_field(peers: MainWindow, node: FakeNode) -> None:
    peers.fill_connect(URI)
    assert peers.peers.connect_bar.field.text() == URI
    assert node.fake_peers.connects == []


def test_practice_peers_fill_the_field_and_dial_nobody(qtbot: QtBot, theme: Theme) -> None:
    node = FakeNode()
    node.practice_peers = (PracticePeer("echo", OTHER, address()), PracticePeer("quiet", node_id(31), address(2)))
    node.run()
    window = MainWindow(node, WindowTasks(), theme)  # type: ignore[arg-type]
    qtbot.addWidget(window, before_close_func=lambda widget: widget.close_now())
    _click(window, "practice-quiet")
    assert window.peers.connect_bar.field.text() == node.practice_peers[1].uri
    assert node.fake_peers.connects == []


# --- connecting


async def test_connect_shows_phases_then_selects_the_peer(peers: MainWindow, node: FakeNode, qtbot: QtBot) -> None:
    bar = peers.peers.connect_bar
    bar.field.setText(URI)
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    await _settle()
    assert node.fake_peers.connects == [(OTHER, "203.0.113.30", 9735)]
    assert bar.button.text() == "Cancel"
    node.bus.publish(ConnectProgress(OTHER, "203.0.113.30:9735", ConnectPhase.HANDSHAKE))
    peers.bridge.flush()
    assert bar.line == "Handshake · 203.0.113.30:9735"
    node.fake_peers.answer()
    await _settle()
    peers.bridge.flush()
    assert bar.button.text() == "Connect"
    assert bar.field.text() == ""
    assert short_id(OTHER) in bar.line
    selected = peers.peers.selected()
    assert selected is not None
    assert selected.node_id == OTHER


async def test_one_click_is_one_dial(peers: MainWindow, node: FakeNode) -> None:
    bar = peers.peers.connect_bar
    bar.dial(URI)
    bar.dial(URI)
    await _settle()
    assert len(node.fake_peers.connects) == 1
    bar.submit()
    await _settle()


async def test_a_dial_can_be_cancelled(peers: MainWindow, node: FakeNode) -> None:
    bar = peers.peers.connect_bar
    bar.dial(URI)
    await _settle()
    assert node.fake_peers.dialling
    bar.button.click()
    await _settle()
    assert not node.fake_peers.dialling
    assert not bar.dialling
    assert bar.field.text() == URI
    assert bar.line == "Cancelled."


async def test_a_failure_lists_each_attempt_with_its_remedy_and_retries(peers: MainWindow, node: FakeNode) -> None:
    bar = peers.peers.connect_bar
    bar.dial(URI)
    await _settle()
    attempts = (
        AddressAttempt("203.0.113.30:9735", ConnectPhase.DIALLING, "Connection refused"),
        AddressAttempt("x.onion:9735", None, "need a proxy"),
    )
    node.fake_peers.fail(AllAddressesFailed(node_id=OTHER, attempts=attempts))
    await _settle()
    assert "203.0.113.30:9735: the host is up, but nothing listens" in bar.notice.text
    assert "x.onion:9735: this is a Tor address" in bar.notice.text
    _click(peers, "remedy-retry")
    await _settle()
    assert len(node.fake_peers.connects) == 2
    assert not bar.notice.isVisible()
    bar.submit()
    await _settle()


def test_a_peer_that_is_connected_is_selected_and_not_dialled(peers: MainWindow, node: FakeNode) -> None:
    bar = peers.peers.connect_bar
    bar.dial(f"{node_id(12).hex()}@203.0.113.99")
    assert node.fake_peers.connects == []
    assert "already connected (inbound" in bar.line
    selected = peers.peers.selected()
    assert selected is not None
    assert selected.node_id == node_id(12)


# --- the list


def test_empty_states_say_one_thing_and_offer_one(window: MainWindow, node: FakeNode) -> None:
    window.show_view(ActionId.SHOW_PEERS)
    view = window.peers
    assert view.empty.sentence == "Your node is not running."
    node.run()
    window.bridge.flush()
    assert view.empty.sentence.startswith("No peers yet.")
    node.fake_peers.arrive(node_id(11), address())
    window.bridge.flush()
    assert not view.empty.isVisible()
    view.filter.setText("nobody like this")
    assert view.empty.isVisible()
    assert "nobody like this" in view.empty.sentence
    view.empty._run()
    assert not view.empty.isVisible()


def test_start_is_offered_where_it_is_missed(window: MainWindow, node: FakeNode) -> None:
    window.show_view(ActionId.SHOW_PEERS)
    window.peers.empty._run()
    assert node.activations == 1


def test_the_column_of_names_is_there_as_soon_as_anybody_has_one(peers: MainWindow, node: FakeNode) -> None:
    table = peers.peers.table
    assert table.isColumnHidden(Column.ALIAS)
    node.channel(1, (node_id(11), node_id(99)))
    node.announce(node_id(11), b"heard later")
    node.tell_graph()
    peers.bridge.flush()
    assert not table.isColumnHidden(Column.ALIAS)
    assert table.columnWidth(Column.ALIAS) > 80


def test_live_figures_are_read_for_rows_that_can_be_seen(peers: MainWindow, node: FakeNode) -> None:
    node.fake_peers.change(node_id(11), messages_in=4321)
    peers.peers.refresh()
    row = peers.peers.model.row_of(node_id(11))
    assert row is not None
    assert row.info.messages_in == 4321


def test_figures_are_refreshed_only_while_the_list_is_seen(peers: MainWindow) -> None:
    assert peers.peers._refreshing.isActive()
    assert peers.peers._refreshing.interval() == 100
    peers.show_view(ActionId.SHOW_MESSAGES)
    assert not peers.peers._refreshing.isActive()


def test_rows_keep_their_places_under_an_open_menu(peers: MainWindow) -> None:
    view = peers.peers
    view.select(node_id(11))
    view._open_menu(view.table.rect().center())
    assert not view.sorted.dynamicSortFilter()
    menu = QApplication.activePopupWidget()
    assert menu is not None
    menu.close()
    assert view.sorted.dynamicSortFilter()


def test_the_panel_shows_the_selected_peer(peers: MainWindow, node: FakeNode) -> None:
    peers.peers.select(node_id(12))
    panel = peers.peers.panel
    assert panel.isVisible()
    assert "Inbound" in panel.text
    assert "not measured" in panel.text
    assert "option_channel_type" in panel.features_text
    node.bus.publish(PeerNotice(node_id(12), is_error=False, channel_id=bytes(32), text="x" * 900))
    peers.bridge.flush()
    assert panel.said.startswith("warning: xxx")
    assert len(panel.said) < 520


def test_features_are_named_with_bit_and_need() -> None:
    lines = feature_lines(bytes.fromhex("0000080000000000000000000000000000000102"))
    assert any("optional, also ours" in line for line in lines)
    assert any("required" in line for line in lines)


# --- actions on a peer


def test_actions_are_there_for_a_selected_peer_only(peers: MainWindow) -> None:
    on_peer = [
        ActionId.COPY_NODE_ID,
        ActionId.PING,
        ActionId.MESSAGE_PEER,
        ActionId.DISCONNECT,
        ActionId.FORCE_DISCONNECT,
    ]
    assert not any(peers.actions_table[action].isEnabled() for action in on_peer)
    peers.peers.select(node_id(11))
    assert all(peers.actions_table[action].isEnabled() for action in on_peer)
    peers.show_view(ActionId.SHOW_MESSAGES)
    assert not any(peers.actions_table[action].isEnabled() for action in on_peer)


def test_copy_gives_the_whole_node_id(peers: MainWindow) -> None:
    peers.peers.select(node_id(11))
    peers.actions_table[ActionId.COPY_NODE_ID].trigger()
    assert QGuiApplication.clipboard().text() == node_id(11).hex()


async def test_ping_measures_the_latency(peers: MainWindow) -> None:
    peers.peers.select(node_id(11))
    peers.actions_table[ActionId.PING].trigger()
    await _settle()
    assert "43 ms" in peers.peers.panel.text


async def test_disconnect_asks_nothing(peers: MainWindow, node: FakeNode) -> None:
    peers.peers.select(node_id(11))
    peers.actions_table[ActionId.DISCONNECT].trigger()
    await _settle()
    peers.bridge.flush()
    assert node.fake_peers.disconnected == [(node_id(11), False)]
    row = peers.peers.selected()
    assert row is not None
    assert not row.connected
    assert peers.actions_table[ActionId.RECONNECT].isEnabled()
    assert "disconnected on request" in peers.peers.panel.text
    peers.actions_table[ActionId.REMOVE_ROW].trigger()
    assert peers.peers.model.row_of(node_id(11)) is None


async def test_a_refused_disconnect_leads_to_the_sheet(peers: MainWindow, node: FakeNode) -> None:
    node.fake_peers.refuse_disconnect = PeerHasChannel(node_id=node_id(11), state="CHANNELD_NORMAL")
    peers.peers.select(node_id(11))
    peers.actions_table[ActionId.DISCONNECT].trigger()
    await _settle()
    assert "CHANNELD_NORMAL" in peers.peers.notice.text
    _click(peers, "remedy-force_disconnect")
    await _settle()
    sheet = _sheet(peers)
    sheet.reject()
    await _settle()


def _sheet(window: MainWindow) -> QMessageBox:
    found = window.peers.findChild(QMessageBox)
    assert isinstance(found, QMessageBox)
    return found


async def test_force_disconnect_says_first_what_it_does_not_do_and_cancel_is_default(
    peers: MainWindow, node: FakeNode
) -> None:
    peers.peers.select(node_id(11))
    peers.actions_table[ActionId.FORCE_DISCONNECT].trigger()
    await _settle()
    sheet = _sheet(peers)
    first = sheet.informativeText().splitlines()[0]
    assert first == "This closes the connection, not your channels. No coins move."
    assert sheet.defaultButton() is sheet.button(QMessageBox.StandardButton.Cancel)
    sheet.reject()
    await _settle()
    assert node.fake_peers.disconnected == []


async def test_force_disconnect_happens_on_its_own_button(peers: MainWindow, node: FakeNode) -> None:
    peers.peers.select(node_id(11))
    peers.actions_table[ActionId.FORCE_DISCONNECT].trigger()
    await _settle()
    next(button for button in _sheet(peers).buttons() if button.text() == "Force-disconnect").click()
    await _settle()
    assert node.fake_peers.disconnected == [(node_id(11), True)]


async def test_connecting_again_uses_the_known_address(peers: MainWindow, node: FakeNode) -> None:
    node.fake_peers.leave(node_id(11))
    peers.bridge.flush()
    peers.peers.select(node_id(11))
    peers.actions_table[ActionId.RECONNECT].trigger()
    await _settle()
    assert node.fake_peers.connects == [(node_id(11), "203.0.113.11", 9735)]
    peers.peers.connect_bar.submit()
    await _settle()


def test_sending_a_message_goes_to_the_composer(peers: MainWindow) -> None:
    peers.peers.select(node_id(13))
    peers.actions_table[ActionId.MESSAGE_PEER].trigger()
    assert peers.messages.isVisible()
    assert peers.messages.composer.peer.currentData() == node_id(13)


def test_connected_rows_come_first(peers: MainWindow, node: FakeNode) -> None:
    node.fake_peers.leave(node_id(11))
    peers.bridge.flush()
    view = peers.peers
    order = [view.sorted.index(row, 0).data(NODE_ID_ROLE) for row in range(view.sorted.rowCount())]
    assert order[-1] == node_id(11)


def test_a_node_that_stops_leaves_nobody_connected(peers: MainWindow, node: FakeNode) -> None:
    from core.base.events import NodeState

    node.lightning = None
    node.change_state(NodeState.OFF)
    peers.bridge.flush()
    assert peers.peers.model.counts() == (0, 0, 3)
    assert not peers.peers.connect_bar.button.isEnabled()


async def test_connect_again_does_not_dial_where_an_inbound_peer_came_from(peers: MainWindow, node: FakeNode) -> None:
    for number in (11, 12):
        node.fake_peers.leave(node_id(number))
        peers.bridge.flush()
        peers.peers.select(node_id(number))
        peers.actions_table[ActionId.RECONNECT].trigger()
        await _settle()
        node.fake_peers.answer()
        await _settle()
    assert [connect[1] for connect in node.fake_peers.connects] == ["203.0.113.11", None]


# --- first steps


@pytest.fixture
def practice(qtbot: QtBot, theme: Theme) -> tuple[MainWindow, FakeNode]:
    """A running node beside a practice peer that is not connected yet."""
    node = FakeNode()
    node.practice_peers = (PracticePeer("echo", OTHER, address()),)
    node.run()
    window = MainWindow(node, WindowTasks(), theme)  # type: ignore[arg-type]
    qtbot.addWidget(window, before_close_func=lambda widget: widget.close_now())
    window.show()
    window.show_view(ActionId.SHOW_PEERS)
    return window, node


def test_an_empty_list_offers_to_paste_and_dials_nobody(practice: tuple[MainWindow, FakeNode]) -> None:
    window, node = practice
    QGuiApplication.clipboard().setText(f" {URI}\n")
    _click(window.peers, "emptyAction")
    assert window.peers.connect_bar.field.text() == URI
    assert window.peers.connect_bar.button.isEnabled()
    assert node.fake_peers.connects == []


async def test_the_field_keeps_its_text_and_width_during_a_dial(practice: tuple[MainWindow, FakeNode]) -> None:
    window, _node = practice
    bar = window.peers.connect_bar
    bar.field.setText(URI)
    width = bar.field.width()
    bar.submit()
    await _settle()
    QApplication.processEvents()
    assert bar.dialling
    _click(window.peers, "practice-echo")
    assert bar.field.text() == URI
    assert bar.field.width() == width
    bar.submit()
    await _settle()
    _click(window.peers, "practice-echo")
    assert bar.field.text() != URI


def test_a_practice_peer_is_called_by_its_name(practice: tuple[MainWindow, FakeNode]) -> None:
    window, node = practice
    node.fake_peers.arrive(OTHER, address())
    window.bridge.flush()
    name = f"{short_id(OTHER)} echo"
    assert window.peers.sorted.index(0, Column.NODE_ID).data() == name
    assert window.messages.composer.peer.itemText(0) == name
    window.peers.filter.setText("echo")
    assert window.peers.sorted.rowCount() == 1


def test_the_panel_has_the_buttons_that_apply(peers: MainWindow, node: FakeNode) -> None:
    def shown() -> list[str]:
        tools = peers.peers.panel.findChildren(QToolButton)
        return [tool.text() for tool in tools if tool.isVisible() and tool.text()]

    peers.peers.select(node_id(11))
    assert shown() == ["Ping", "Message", "Disconnect"]
    node.fake_peers.leave(node_id(11))
    peers.bridge.flush()
    assert shown() == ["Connect again"]


def test_a_narrow_list_keeps_the_addresses_legible(peers: MainWindow, qtbot: QtBot) -> None:
    table = peers.peers.table
    least = table.columnWidth(Column.ADDRESS)
    peers.resize(peers.minimumSize())
    qtbot.waitUntil(lambda: table.horizontalScrollBar().maximum() > 0)
    assert 100 < table.columnWidth(Column.ADDRESS) <= least
