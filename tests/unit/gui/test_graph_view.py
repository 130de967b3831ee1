"""The graph page over a node that is none: what it shows, finds, says and asks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from core.base.events import NodeState
from core.bolt.address import Address, AddressKind
from core.bolt.keys import short_id
from core.gossip.graph_values import Trust
from gui.actions import ActionId, Actions
from gui.bridge import Bridge
from gui.graph.names import MOST_RESULTS, Names
from gui.graph.neighbourhood import Counts
from gui.graph.view import GraphView
from gui.tasks import WindowTasks
from gui.theme import Theme
from gui.window import MainWindow
from gui.words_graph import counts_words, freshness_words, left_out_words, sats
from tests.support.fake_node import FakeNode, address, node_id
from tests.support.peers import until as until_within

WAIT_S = 20.0
"""Pictures are made in a thread, and machines are slow at times."""
REACHABLE = Address(AddressKind.IPV4, "203.0.113.9", 9735)


async def until(holds: Callable[[], object]) -> None:
    await until_within(holds, WAIT_S)


def fill(node: FakeNode) -> None:
    """A peer, 11, and behind it 12; 20 to 24 by themselves. Most have names."""
    node.channel(500_000, (node_id(11), node_id(12)))
    for number in range(21, 25):
        node.channel(500_000 + number, (node_id(20), node_id(number)), trust=Trust.UNCHECKED)
    node.announce(node_id(11), b"ACINQ", addresses=[REACHABLE])
    node.announce(node_id(12), b"acinq's friend", addresses=[REACHABLE])
    node.announce(node_id(20), "\u202eevil\n\x1b[31m".encode())


class Frame(QWidget):
    """The page without the rest of a window, whose making takes longer than most of these tests."""

    def __init__(self, node: FakeNode, theme: Theme) -> None:
        super().__init__()
        self.bridge = Bridge(node.bus, self)
        self.actions_table = Actions(theme, self)
        self.actions_table.bind(ActionId.START_NODE, node.activate)
        self.asked_to_connect = 0
        self.actions_table.bind(ActionId.CONNECT, self._connect)
        self.asked_to_import = 0
        self.actions_table.bind(ActionId.IMPORT_GRAPH, self._import)
        self.tasks = WindowTasks()
        self.graph = GraphView(node, self.tasks, self.bridge, theme, self.actions_table)  # type: ignore[arg-type]
        QVBoxLayout(self).addWidget(self.graph)
        self.resize(1000, 700)

    def _connect(self) -> None:
        self.asked_to_connect += 1

    def _import(self) -> None:
        self.asked_to_import += 1


@pytest.fixture
def frame(qtbot: QtBot, node: FakeNode, theme: Theme) -> Frame:
    made = Frame(node, theme)
    qtbot.addWidget(made, before_close_func=lambda widget: widget.bridge.close())
    made.show()
    return made


async def shown(frame: Frame, node: FakeNode) -> GraphView:
    """The page of a running node, its picture made."""
    node.run()
    frame.bridge.flush()
    await settled(frame.graph)
    return frame.graph


async def settled(page: GraphView) -> None:
    await until(lambda: not page.busy)


def drawn(page: GraphView) -> set[bytes]:
    return set(page.canvas.around.ids) if page.canvas.around is not None else set()


def the_button(page: GraphView, name: str) -> QPushButton:
    return next(each for each in page.findChildren(QPushButton) if each.objectName() == name)


@pytest.mark.qt_loop
async def test_without_a_running_node_it_offers_to_start_one(frame: Frame, node: FakeNode) -> None:
    await settled(frame.graph)
    assert frame.graph.empty.sentence == "Your node is not running."
    the_button(frame.graph, "emptyAction").click()
    assert node.activations == 1


@pytest.mark.qt_loop
async def test_without_channels_and_peers_it_says_what_to_do(frame: Frame, node: FakeNode) -> None:
    page = await shown(frame, node)
    assert page.empty.isVisible()
    assert "no channel yet" in page.empty.sentence
    the_button(page, "emptyAction").click()
    assert frame.asked_to_connect == 1
    the_button(page, "emptyOtherAction").click()
    assert frame.asked_to_import == 1


@pytest.mark.qt_loop
async def test_results_of_a_search_stand_at_the_top_beside_the_picture_which_else_has_the_whole_width(
    frame: Frame, node: FakeNode
) -> None:
    fill(node)
    page = await shown(frame, node)
    assert page.canvas.geometry().right() == page.counts.parentWidget().rect().right()
    page.search.setText("acinq")
    await until(page.results.isVisible)
    await settled(page)
    assert page.results.geometry().top() == page.canvas.geometry().top()
    assert page.canvas.height() > 2 * page.results.height()


@pytest.mark.qt_loop
async def test_emoji_of_a_name_stay_whole_beside_its_dot_and_in_the_choice_of_centres(
    frame: Frame, node: FakeNode
) -> None:
    fill(node)
    jellyfish = "Medusa 🪼"  # newer than what Python 3.11 calls printable
    node.announce(node_id(21), jellyfish.encode())
    page = await shown(frame, node)
    page.look_at(node_id(21))
    await settled(page)
    page.canvas.finish()
    assert jellyfish in page.canvas.labels
    assert page.centres.currentText() == jellyfish


@pytest.mark.qt_loop
async def test_our_peers_and_whom_they_have_channels_with_are_drawn(frame: Frame, node: FakeNode) -> None:
    fill(node)
    node.fake_peers.arrive(node_id(11), address(11))
    page = await shown(frame, node)
    assert drawn(page) == {node.node_id, node_id(11), node_id(12)}
    assert page.legend.kinds == {"CHECKED", "CONNECTION"}
    assert page.counts.whole.startswith("7 nodes  ·  5 channels  ·  1 checked on the chain  ·  4 unchecked")
    assert page.freshness.text() == "no update heard yet"
    assert page.left_out.whole == ""
    assert page.learning.text() == "No peer tells news: connect to one that knows the network, or import a graph."
    page.canvas.finish()
    assert sorted(page.canvas.labels) == ["ACINQ", "acinq's friend", "your node"]


@pytest.mark.qt_loop
async def test_the_legend_gives_way_where_it_would_hide_the_picture_until_it_is_asked_for(
    frame: Frame, node: FakeNode
) -> None:
    fill(node)
    page = await shown(frame, node)
    explain = next(each for each in page.findChildren(QAbstractButton) if each.toolTip() == "What the lines mean")
    assert page.legend.isVisible()
    frame.resize(500, 400)
    await until(lambda: not page.legend.isVisible())
    explain.click()
    assert page.legend.isVisible()
    frame.resize(1000, 700)
    await until(lambda: page.canvas.width() > 700)
    assert page.legend.isVisible()
    explain.click()
    frame.resize(1010, 710)
    await until(lambda: page.canvas.height() > 560)
    assert not page.legend.isVisible()


@pytest.mark.qt_loop
async def test_one_step_is_the_peers_alone(frame: Frame, node: FakeNode) -> None:
    fill(node)
    node.fake_peers.arrive(node_id(11), address(11))
    page = await shown(frame, node)
    next(each for each in page.findChildren(QAbstractButton) if each.text() == "1 step").click()
    await settled(page)
    assert drawn(page) == {node.node_id, node_id(11)}


@pytest.mark.qt_loop
async def test_without_peers_the_best_connected_node_is_shown_and_that_is_said(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    assert drawn(page) == {node_id(number) for number in range(20, 25)}
    assert "no peer yet" in page.left_out.whole


@pytest.mark.qt_loop
async def test_it_follows_the_graph_and_the_peers_twice_a_second_at_most(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    began: list[object] = []
    refresh = page._refresh
    page._wait.timeout.disconnect()
    page._wait.timeout.connect(lambda: (began.append(None), refresh()))
    for number in range(30, 40):
        node.channel(600_000 + number, (node_id(20), node_id(number)))
        node.tell_graph()
        frame.bridge.flush()
    node.fake_peers.arrive(node_id(20), address(20))
    frame.bridge.flush()
    assert page._wait.interval() == 500
    await until(lambda: node_id(39) in drawn(page) and node.node_id in drawn(page))
    await settled(page)
    assert len(began) == 1


@pytest.mark.qt_loop
async def test_nothing_is_made_while_nobody_looks(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    page.hide()
    node.channel(700_000, (node_id(20), node_id(50)))
    node.tell_graph()
    frame.bridge.flush()
    assert not page.busy
    assert not page._ages.isActive()
    page.show()
    await settled(page)
    assert node_id(50) in drawn(page)


@pytest.mark.qt_loop
async def test_a_name_is_found_and_made_the_centre_by_keyboard(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    QTest.keyClicks(page.search, "acinq")
    await until(lambda: page.results.count() == 2)
    assert page.results.item(0).text() == f"ACINQ\n{short_id(node_id(11))}"
    QTest.keyClick(page.search, Qt.Key.Key_Down)
    QTest.keyClick(page.results, Qt.Key.Key_Down)
    QTest.keyClick(page.results, Qt.Key.Key_Return)
    await settled(page)
    assert page.canvas.around is not None
    assert page.canvas.around.ids[0] == node_id(12)
    assert page.details.node_id == node_id(12) == page.canvas.chosen_id
    assert page.centres.currentText() == "acinq's friend"
    assert not page.results.isVisible()


@pytest.mark.qt_loop
async def test_a_search_without_result_says_so_and_escape_ends_it(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    page.search.setText("nobody")
    await until(page.results.count)
    assert page.results.item(0).text() == "No node known by that name or id."
    QTest.keyClick(page.search, Qt.Key.Key_Return)
    assert page.details.node_id == b""
    QTest.keyClick(page.search, Qt.Key.Key_Escape)
    assert page.search.text() == ""
    assert not page.results.isVisible()


@pytest.mark.qt_loop
async def test_a_new_name_is_found_once_it_was_told(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    page.search.setText("bitrefill")
    await until(page.results.count)
    node.announce(node_id(21), b"bitrefill")
    node.tell_graph()
    frame.bridge.flush()
    page.search.setText("bitrefil")
    await until(lambda: page.results.item(0).data(Qt.ItemDataRole.UserRole) == node_id(21))
    QTest.keyClick(page.search, Qt.Key.Key_Return)
    assert page.details.node_id == node_id(21)
    await settled(page)


@pytest.mark.qt_loop
async def test_connect_goes_through_the_connect_bar(window: MainWindow, node: FakeNode) -> None:
    fill(node)
    node.run()
    window.bridge.flush()
    QTest.keyClick(window, Qt.Key.Key_4, Qt.KeyboardModifier.ControlModifier)
    page = window.graph
    assert page.isVisible()
    assert window.focusWidget() is page.search
    await settled(page)
    page.look_at(node_id(11))
    await settled(page)
    assert "Channels" not in page.details.claim.text
    assert "ACINQ" in page.details.claim.text
    assert "203.0.113.9:9735" in page.details.claim.text
    page.details.connect_button.click()
    assert window.peers.isVisible()
    await until(lambda: node.fake_peers.connects == [(node_id(11), None, None)])
    node.fake_peers.answer()
    await until(lambda: not window.peers.connect_bar.dialling)


@pytest.mark.qt_loop
async def test_who_cannot_be_dialled_has_no_button_for_it(frame: Frame, node: FakeNode) -> None:
    fill(node)
    node.fake_peers.arrive(node_id(12), address(12))
    page = await shown(frame, node)
    for who, why in (
        (node_id(20), "It has announced no address that can be dialled."),
        (node_id(12), "You are connected to it."),
        (node.node_id, "This is your own node."),
    ):
        page.details.show_node(who)
        assert not page.details.connect_button.isEnabled()
        assert why in [each.text() for each in page.details.findChildren(QLabel) if each.isVisible()]


@pytest.mark.qt_loop
async def test_details_tell_apart_what_nobody_checked(frame: Frame, node: FakeNode) -> None:
    fill(node)
    node.channel(400_000, (node_id(20), node_id(11)))
    page = await shown(frame, node)
    page.details.show_node(node_id(20))
    assert page.details.text.splitlines() == [
        "channels: 5",
        "capacity: 1M sat",
        "largest: 1M sat",
        "checked: 1",
        "unchecked: 4",
        "overlay: ",
        "since: block 400,000",
    ]
    assert page.details._copy._text == node_id(20).hex()


@pytest.mark.qt_loop
async def test_hostile_names_stay_one_line_of_harmless_text(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    page.search.setText("evil")
    await until(page.results.count)
    line = page.results.item(0).text()
    assert line.count("\n") == 1
    assert not {"\u202e", "\x1b"} & set(line)
    page.canvas.finish()
    assert not [text for text in page.canvas.labels if not text.isprintable()]


@pytest.mark.qt_loop
async def test_everything_that_takes_the_focus_has_a_name_and_labels_are_plain(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    page.search.setText("acinq")
    await until(page.results.count)
    page.details.show_node(node_id(11))
    nameless = [
        type(each).__name__
        for each in page.findChildren(QWidget)
        if each.isVisible()
        and each.focusPolicy() != Qt.FocusPolicy.NoFocus
        and not (each.accessibleName() or (isinstance(each, QAbstractButton | QLabel) and each.text()))
    ]
    assert nameless == []
    rich = [each.text() for each in page.findChildren(QLabel) if each.textFormat() is not Qt.TextFormat.PlainText]
    assert rich == []


@pytest.mark.qt_loop
async def test_a_window_that_is_about_to_go_begins_no_picture(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    before = drawn(page)
    await frame.tasks.aclose()
    page.look_at(node_id(11))
    await settled(page)
    assert drawn(page) == before


@pytest.mark.qt_loop
async def test_a_node_that_stops_leaves_no_picture(frame: Frame, node: FakeNode) -> None:
    fill(node)
    page = await shown(frame, node)
    node.lightning = None
    node.change_state(NodeState.OFF)
    frame.bridge.flush()
    await until(page.empty.isVisible)
    assert page.empty.sentence == "Your node is not running."


async def test_names_are_found_by_what_they_begin_with_first_and_bounded() -> None:
    node = FakeNode()
    for number in range(1, 80):
        node.channel(500_000 + number, (node_id(100), node_id(number)))
        node.announce(node_id(number), f"{number} sat".encode())
    node.announce(node_id(100), b"SAT")
    names = await Names.read(node.fake_graph, node.clock)
    assert len(names) == 80
    assert names.find("sat")[0] == node_id(100)
    assert len(names.find("sat")) == MOST_RESULTS
    assert names.find("7 SA")[0] == node_id(7)
    assert names.find(node_id(5).hex()[:12]) == [node_id(5)]
    assert names.find("  ") == []


def test_words_of_amounts_and_ages() -> None:
    assert [sats(amount) for amount in (0, 999, 20_000, 1_500_000, 12_345_678_901, 536_168_010_515)] == [
        "0 sat",
        "999 sat",
        "20k sat",
        "1.5M sat",
        "123 BTC",
        "5,362 BTC",
    ]
    assert freshness_words(Counts(newest=1000), 1240) == "newest update 4 min ago"
    assert freshness_words(Counts(newest=5000), 1240) == "newest update 1 s ago"
    assert "12 from an unsigned snapshot" in counts_words(Counts(overlay=12, dying=3))
    assert "3 closing" in counts_words(Counts(overlay=12, dying=3))


def test_words_of_what_is_left_out() -> None:
    class Left:
        nodes_left_out, lines_left_out = 12_345, 2

    left: Callable[..., str] = left_out_words
    assert left(Left()) == "12,345 smaller nodes and 2 smaller channels not drawn"
    Left.lines_left_out = 0
    assert left(Left()) == "12,345 smaller nodes not drawn"
    Left.nodes_left_out = 0
    assert left(Left()) == ""
