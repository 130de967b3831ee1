"""Peers as rows."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QAbstractItemModel, Qt
from pytestqt.modeltest import ModelTester

from core.base.events import Direction, PeerConnected, PeerDisconnected
from core.gossip.graph_values import GraphChanged
from core.peers.reasons import CloseCode, closed_by_them
from gui.peers import model as peer_model
from gui.peers.model import NODE_ID_ROLE, SEARCH_ROLE, SORT_ROLE, Column, PeerModel
from gui.theme import Theme
from tests.support.fake_node import FakeNode, address, node_id


@pytest.fixture
def model(node: FakeNode, theme: Theme) -> PeerModel:
    node.run()
    return PeerModel(node, theme)  # type: ignore[arg-type]


def _arrive(node: FakeNode, model: PeerModel, *numbers: int, direction: Direction = Direction.OUT) -> None:
    for number in numbers:
        node.fake_peers.arrive(node_id(number), address(number), direction)
        model.apply([PeerConnected(node_id(number), direction, address(number), b"")])


def _leave(node: FakeNode, model: PeerModel, number: int) -> None:
    node.fake_peers.leave(node_id(number))
    model.apply([PeerDisconnected(node_id(number), closed_by_them(CloseCode.PEER_CLOSED))])


def _cell(model: PeerModel, number: int, column: Column, role: int = Qt.ItemDataRole.DisplayRole) -> object:
    return model.index_of(node_id(number)).siblingAtColumn(column).data(role)


class _Steps:
    """What a view would hear."""

    def __init__(self, model: QAbstractItemModel) -> None:
        self.heard: list[str] = []
        model.rowsInserted.connect(lambda _p, first, last: self.heard.append(f"insert {first}-{last}"))
        model.rowsRemoved.connect(lambda _p, first, last: self.heard.append(f"remove {first}-{last}"))
        model.dataChanged.connect(lambda first, last: self.heard.append(f"change {first.row()}-{last.row()}"))
        model.modelReset.connect(lambda: self.heard.append("reset"))
        model.layoutChanged.connect(lambda: self.heard.append("layout"))


def test_the_model_keeps_qts_rules(node: FakeNode, model: PeerModel, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(model)
    _arrive(node, model, 1, 2, 3)
    _leave(node, model, 2)
    model.forget(node_id(2))
    _arrive(node, model, 4)
    assert model.rowCount() == 3


def test_rows_are_inserted_changed_and_removed_and_never_reset(node: FakeNode, model: PeerModel) -> None:
    steps = _Steps(model)
    _arrive(node, model, 1, 2)
    _leave(node, model, 1)
    _arrive(node, model, 1)
    _leave(node, model, 2)
    model.forget(node_id(2))
    assert steps.heard == ["insert 0-0", "insert 1-1", "change 0-0", "change 0-0", "change 1-1", "remove 1-1"]


def test_what_a_row_shows(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1, direction=Direction.IN)
    node.fake_peers.change(node_id(1), latency_s=0.0432, messages_in=12345, messages_out=7)
    model.refresh([node_id(1)])
    shown = [_cell(model, 1, column) for column in Column]
    identity = node_id(1).hex()
    assert shown == [
        "Connected",
        f"{identity[:6]}…{identity[-6:]}",
        "",
        "203.0.113.1:9735",
        "Inbound",
        "43",
        "now",
        "12,345",
        "7",
    ]
    assert identity in str(_cell(model, 1, Column.NODE_ID, Qt.ItemDataRole.ToolTipRole))
    assert _cell(model, 1, Column.STATE, NODE_ID_ROLE) == node_id(1)


def test_a_latency_that_was_not_measured_is_not_zero(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1, 2)
    node.fake_peers.change(node_id(2), latency_s=3.0)
    model.refresh([node_id(2)])
    assert _cell(model, 1, Column.LATENCY) == "not measured"
    assert _cell(model, 1, Column.LATENCY, SORT_ROLE) > _cell(model, 2, Column.LATENCY, SORT_ROLE)  # type: ignore[operator]


def test_a_refresh_repaints_only_rows_that_differ(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1, 2, 3)
    steps = _Steps(model)
    node.fake_peers.change(node_id(2), messages_in=9)
    model.refresh([node_id(1), node_id(2), node_id(3), node_id(99)])
    assert steps.heard == ["change 1-1"]


def test_a_peer_that_left_stays_with_the_reason(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1)
    _leave(node, model, 1)
    assert _cell(model, 1, Column.STATE) == "Offline"
    assert "the peer closed the connection" in str(_cell(model, 1, Column.STATE, Qt.ItemDataRole.ToolTipRole))
    assert model.counts() == (0, 0, 1)
    model.refresh([node_id(1)])
    assert _cell(model, 1, Column.STATE) == "Offline"


def test_an_older_sessions_end_does_not_take_a_newer_one_away(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1)
    model.apply([PeerDisconnected(node_id(1), closed_by_them(CloseCode.PEER_CLOSED))])
    assert _cell(model, 1, Column.STATE) == "Connected"


def test_someone_who_came_and_left_within_a_frame_makes_no_row(model: PeerModel) -> None:
    model.apply([PeerDisconnected(node_id(5), closed_by_them(CloseCode.PEER_CLOSED))])
    model.apply([PeerConnected(node_id(6), Direction.IN, address(), b"")])
    assert model.rowCount() == 0


def test_a_connected_peer_is_not_forgotten(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1)
    model.forget(node_id(1))
    assert model.rowCount() == 1


def test_offline_rows_are_bounded_and_the_first_to_leave_gives_way(
    node: FakeNode, model: PeerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_model, "OFFLINE_ROWS_MAX", 2)
    _arrive(node, model, 1, 2, 3, 4)
    for number in (3, 1, 2):
        _leave(node, model, number)
    assert {node_id(n) for n in (1, 2, 4)} == {model.index(r, 0).data(NODE_ID_ROLE) for r in range(model.rowCount())}


def test_a_stopped_node_has_nobody_connected(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1, 2)
    model.all_left("your node stopped")
    assert model.counts() == (0, 0, 2)


def test_those_connected_before_are_caught_up_with(node: FakeNode, model: PeerModel) -> None:
    node.fake_peers.arrive(node_id(1), address())
    model.catch_up()
    model.catch_up()
    assert model.rowCount() == 1


def test_a_peers_text_is_never_markup(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1)
    node.fake_peers.leave(node_id(1))
    model.apply([PeerDisconnected(node_id(1), closed_by_them(CloseCode.PEER_ERROR, "<img src=x>"))])
    tooltip = str(_cell(model, 1, Column.STATE, Qt.ItemDataRole.ToolTipRole))
    assert "<img" not in tooltip
    assert "&lt;img" in tooltip


def test_screen_readers_hear_the_column_with_each_cell(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1)
    assert _cell(model, 1, Column.STATE, Qt.ItemDataRole.AccessibleTextRole) == "State: Connected"


# --- what gossip has them say


def _announce(node: FakeNode, number: int, alias: bytes) -> GraphChanged:
    if node.graph.node(node_id(number)) is None:
        node.channel(number, (node_id(number), node_id(90)))
    node.clock.jump_wall(1)
    node.announce(node_id(number), alias)
    changed = node.graph.take_changes()
    assert changed is not None
    return changed


def test_a_peer_is_called_as_it_calls_itself(node: FakeNode, model: PeerModel) -> None:
    _announce(node, 1, b"before")
    _arrive(node, model, 1, 2)
    assert [_cell(model, number, Column.ALIAS) for number in (1, 2)] == ["«before»", ""]
    steps = _Steps(model)
    model.graph_changed([_announce(node, 2, b"<b>two</b>"), _announce(node, 3, b"a stranger")])
    assert _cell(model, 2, Column.ALIAS) == "«<b>two</b>»"
    assert "&lt;b&gt;two" in str(_cell(model, 2, Column.ALIAS, Qt.ItemDataRole.ToolTipRole))
    assert "«<b>two</b>»" in str(_cell(model, 2, Column.STATE, SEARCH_ROLE))
    assert steps.heard == ["change 1-1"]


def test_only_rows_that_differ_are_repainted_when_all_has_changed(node: FakeNode, model: PeerModel) -> None:
    _arrive(node, model, 1, 2)
    for number in (1, 2):
        model.graph_changed([_announce(node, number, b"same")])
    _announce(node, 2, b"other")
    steps = _Steps(model)
    model.graph_changed([GraphChanged(everything=True)])
    assert steps.heard == ["change 1-1"]
    assert [_cell(model, number, Column.ALIAS) for number in (1, 2)] == ["«same»", "«other»"]


def test_names_are_sorted_without_case_and_the_nameless_stand_last(node: FakeNode, model: PeerModel) -> None:
    for number, alias in ((1, b"bob"), (2, b"Alice"), (3, b"")):
        _announce(node, number, alias)
    _arrive(node, model, 1, 2, 3)
    assert sorted((1, 2, 3), key=lambda number: _cell(model, number, Column.ALIAS, SORT_ROLE)) == [2, 1, 3]  # type: ignore[arg-type, return-value]


def test_a_stopped_node_is_not_asked(node: FakeNode, model: PeerModel) -> None:
    _announce(node, 1, b"one")
    _arrive(node, model, 1)
    node.lightning = None
    model.graph_changed([GraphChanged(everything=True)])
    assert _cell(model, 1, Column.ALIAS) == "«one»"
