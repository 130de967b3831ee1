"""What of the network is drawn, and where."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bolt.gossip import ChannelAnnouncement
from core.bolt.networks import NETWORKS
from core.bolt.wire import ShortChannelId
from core.gossip.graph import Graph
from core.gossip.graph_values import Trust
from gui.graph import layout, neighbourhood
from gui.graph.layout import lay_out
from gui.graph.neighbourhood import Columns, Copied, Counts, Neighbourhood, Standing, around, best_connected
from gui.graph.picture import Wanted, make_picture
from gui.graph.strokes import CONNECTION_CLASS, dash_counts, pieces, strokes
from tests.support.graphs_of_hubs import NOW, channel, hub, node_id

CHAIN = NETWORKS["regtest"].chain_hash
OWN = node_id(1000)
DISABLED = 2


@pytest.fixture
def graph() -> Graph:
    """1 is beside 0, 2 beside 1, 3 beside 2; 5 and 6 are by themselves."""
    made = Graph(CHAIN)
    for number, ends in enumerate(((0, 1), (1, 2), (2, 3), (5, 6))):
        channel(made, number, ends, 1_000_000 * (number + 1))
    return made


def columns(graph: Graph) -> Columns:
    return Columns.of(Copied.of(graph))


def overlay(graph: Graph, number: int, ends: tuple[int, int]) -> None:
    one, other = sorted(map(node_id, ends))
    scid = ShortChannelId(600_000 + number, 1, 0)
    announcement = ChannelAnnouncement(*(bytes(64),) * 4, b"", CHAIN, scid, one, other, bytes(33), bytes(33))
    graph.add_channel(announcement, capacity_sat=None, trust=Trust.OVERLAY, heard=NOW)


def lines(found: Neighbourhood) -> Iterator[tuple[bytes, bytes, int]]:
    """Both ends and the place of each line."""
    for place, (first, second) in enumerate(zip(found.first.tolist(), found.second.tolist(), strict=True)):
        yield found.ids[first], found.ids[second], place


def line(found: Neighbourhood, one: int, other: int) -> int:
    wanted = {node_id(one), node_id(other)}
    return next(place for first, second, place in lines(found) if {first, second} == wanted)


def test_steps_are_counted_from_the_centre(graph: Graph) -> None:
    assert set(around(columns(graph), node_id(0), steps=1).ids) == {node_id(0), node_id(1)}
    found = around(columns(graph), node_id(0), steps=2)
    assert found.ids[0] == node_id(0)
    assert dict(zip(found.ids, found.steps.tolist(), strict=True)) == {node_id(0): 0, node_id(1): 1, node_id(2): 2}


def test_who_we_are_connected_to_needs_no_channel(graph: Graph) -> None:
    found = around(columns(graph), OWN, [(OWN, node_id(3)), (OWN, node_id(77))], steps=2)
    assert set(found.ids) == {OWN, node_id(3), node_id(77), node_id(2)}
    assert found.sizes[found.ids.index(node_id(77))] == 0
    own_lines = [place for first, _second, place in lines(found) if first == OWN]
    assert [Standing(found.standing[place]) for place in own_lines] == [Standing.CONNECTION] * 2
    assert [int(found.channels[place]) for place in own_lines] == [0, 0]


def test_a_channel_to_a_peer_is_more_than_the_connection(graph: Graph) -> None:
    found = around(columns(graph), node_id(0), [(node_id(0), node_id(1))])
    assert len(found.first) == 1
    assert found.standing.tolist() == [Standing.CHECKED]
    assert found.channels.tolist() == [1]
    assert found.capacity_sat.tolist() == [1_000_000]


def test_a_centre_that_nobody_knows_is_alone(graph: Graph) -> None:
    found = around(columns(graph), OWN, steps=2)
    assert found.ids == (OWN,)
    assert len(found.first) == 0


def test_channels_between_the_same_two_are_one_line(graph: Graph) -> None:
    channel(graph, 10, (0, 1), 7_000_000)
    found = around(columns(graph), node_id(0))
    assert found.channels.tolist() == [2]
    assert found.capacity_sat.tolist() == [8_000_000]


def test_a_line_is_as_good_as_its_best_channel(graph: Graph) -> None:
    channel(graph, 10, (0, 4), None, maximum_sat=6_000_000)
    overlay(graph, 11, (0, 7))
    overlay(graph, 12, (0, 1))
    found = around(columns(graph), node_id(0))
    assert found.standing[line(found, 0, 1)] == Standing.CHECKED
    assert found.standing[line(found, 0, 4)] == Standing.UNCHECKED
    assert found.standing[line(found, 0, 7)] == Standing.OVERLAY
    # Nobody saw the capacity: the line is drawn by what its ends say they forward.
    assert found.capacity_sat[line(found, 0, 4)] == 6_000_000


def test_off_and_dying_are_lines_of_which_every_channel_is(graph: Graph) -> None:
    first = channel(graph, 10, (0, 4), 1, flags=DISABLED)
    second = channel(graph, 11, (0, 4), 1)
    third = channel(graph, 12, (0, 7), 1, flags=DISABLED)
    for scid in (first, third):
        graph.mark_dying(scid, 700_000)
    found = around(columns(graph), node_id(0))
    assert found.disabled.tolist() == [place == line(found, 0, 7) for place in range(len(found.first))]
    assert found.dying.tolist() == found.disabled.tolist()
    graph.mark_dying(second, 700_000)
    found = around(columns(graph), node_id(0))
    assert found.dying[line(found, 0, 4)]


def test_removed_channels_and_their_nodes_are_not_drawn(graph: Graph) -> None:
    scid = channel(graph, 10, (0, 4), 1)
    graph.remove(scid)
    assert node_id(4) not in around(columns(graph), node_id(0), steps=2).ids
    assert Counts.of(columns(graph)).nodes == 6


def test_counts_tell_apart_what_nobody_checked(graph: Graph) -> None:
    channel(graph, 10, (0, 4), None, timestamp=NOW + 5)
    overlay(graph, 11, (0, 7))
    graph.mark_dying(channel(graph, 12, (0, 8), 5), 700_000)
    counts = Counts.of(columns(graph))
    assert counts == Counts(9, 7, 5, 1, 1, 1, 10_000_005, NOW + 5)
    assert Counts.of(columns(Graph(CHAIN))) == Counts()


def test_too_many_nodes_leave_out_those_with_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhood, "MOST_NODES", 4)
    graph = Graph(CHAIN)
    for number in range(1, 7):
        channel(graph, number, (0, number), 1_000_000 * number)
    found = around(columns(graph), node_id(0), [(node_id(0), node_id(1))], steps=1)
    # The peer that we are connected to stays, whatever it has.
    assert set(found.ids) == {node_id(0), node_id(1), node_id(6), node_id(5)}
    assert found.nodes_left_out == 3


def test_too_many_lines_leave_every_node_one_that_leads_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhood, "MOST_LINES", 10)
    whole = around(columns(hub(CHAIN, 60, crossing=3)), node_id(0), steps=2)
    assert len(whole.first) == len(whole.ids) - 1  # one each
    assert whole.lines_left_out > 50
    assert set(np.concatenate([whole.first, whole.second]).tolist()) == set(range(len(whole.ids)))


def test_the_best_connected_has_the_most_channels(graph: Graph) -> None:
    assert best_connected(columns(Graph(CHAIN))) is None
    assert best_connected(columns(hub(CHAIN, 30))) == node_id(0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 10**9)), max_size=40), st.integers(1, 2))
def test_every_line_joins_two_that_are_drawn_and_every_node_is_reached(
    found: list[tuple[int, int, int]], steps: int
) -> None:
    graph = Graph(CHAIN)
    for number, (one, other, capacity) in enumerate(found):
        if one != other:
            channel(graph, number, (one, other), capacity)
    drawn = around(columns(graph), node_id(0), steps=steps)
    assert drawn.capacity_sat.tolist() == sorted(drawn.capacity_sat.tolist())
    assert int(drawn.channels.sum()) <= len(graph)
    reached = {node_id(0)}
    for _ in range(steps):
        reached |= {end for first, second, _ in lines(drawn) for end in (first, second) if {first, second} & reached}
    assert reached == set(drawn.ids)
    assert len(set(drawn.ids)) == len(drawn.ids)


# Where they are


def test_a_layout_is_finite_the_same_every_time_and_around_its_centre() -> None:
    found = around(columns(hub(CHAIN, 80)), node_id(0), steps=2)
    places = lay_out(found, {})
    assert np.isfinite(places).all()
    assert places[0].tolist() == [0, 0]
    assert (places == lay_out(found, {})).all()
    apart = np.hypot(*(places[:, None] - places[None, :]).transpose(2, 0, 1))
    assert apart[~np.eye(len(places), dtype=bool)].min() > 0.05


def test_neighbours_are_nearer_than_strangers() -> None:
    graph = Graph(CHAIN)
    for number, ends in enumerate([(0, 1), (0, 2), *((1, n) for n in range(3, 9)), *((2, n) for n in range(9, 15))]):
        channel(graph, number, ends, 1_000_000)
    found = around(columns(graph), node_id(0), steps=2)
    places = dict(zip(found.ids, lay_out(found, {}), strict=True))

    def apart(one: int, other: int) -> float:
        return float(np.hypot(*(places[node_id(one)] - places[node_id(other)])))

    assert max(apart(1, n) for n in range(3, 9)) < min(apart(2, n) for n in range(3, 9))


def test_who_had_a_place_keeps_it_and_the_new_one_comes_beside_its_neighbour() -> None:
    graph = hub(CHAIN, 40)
    wanted = Wanted(OWN, (), node_id(0), 2)
    before = make_picture(Copied.of(graph), wanted, {})
    channel(graph, 5000, (3, 900), 1)
    after = make_picture(Copied.of(graph), wanted, before.kept())
    kept = after.kept()
    assert {one: kept[one] for one in before.kept()} == before.kept()
    away = np.hypot(*(np.array(list(kept.values())) - kept[node_id(900)]).T)
    assert node_id(3) in [list(kept)[place] for place in np.argsort(away)[1:6]]


def test_many_nodes_push_through_the_grid_nearly_as_one_by_one() -> None:
    chance = np.random.default_rng(3)
    places = (chance.normal(size=(600, 2)) * 30).astype(np.float32)
    mass = chance.uniform(1, 5, 600).astype(np.float32)
    exact, near = layout._pushes(places, mass), layout._pushes_through_grid(places, mass)
    off = np.hypot(*(exact - near).T) / np.hypot(*exact.T)
    assert np.median(off) < 0.1


# From our node's side


def test_our_node_is_in_the_middle_once_it_has_anybody() -> None:
    copied = Copied.of(hub(CHAIN, 20))
    assert make_picture(copied, Wanted(OWN, (), OWN, 1), {}).around.ids[0] == node_id(0)
    assert make_picture(copied, Wanted(OWN, ((OWN, node_id(4)),), OWN, 1), {}).around.ids[0] == OWN
    assert make_picture(copied, Wanted(node_id(3), (), node_id(3), 1), {}).around.ids[0] == node_id(3)
    assert make_picture(copied, Wanted(OWN, ((OWN, node_id(4)),), b"", 1), {}).around.ids[0] == node_id(0)
    assert make_picture(Copied.of(Graph(CHAIN)), Wanted(OWN, (), OWN, 1), {}).around.ids == (OWN,)


# Lines on the screen


def test_each_kind_of_line_has_a_shape_of_its_own(graph: Graph) -> None:
    shapes = [
        pieces(Standing.CHECKED, disabled=False, count=3),
        pieces(Standing.UNCHECKED, disabled=False, count=3),
        pieces(Standing.OVERLAY, disabled=False, count=3),
        pieces(Standing.CHECKED, disabled=True, count=3),
    ]
    assert len(set(shapes)) == len(shapes)
    found = around(columns(graph), node_id(0), [(node_id(0), node_id(99))])
    points = np.array([[10.0, 10.0], [60.0, 10.0], [10.0, 90.0]])
    drawn = {group.capacity_class: group for group in strokes(found, points, 100, 100)}
    assert set(drawn) == {1, CONNECTION_CLASS}
    assert drawn[1].segments.tolist() == [[*points[found.first[1]], *points[found.second[1]]]]
    assert not drawn[1].faded


@pytest.mark.parametrize(
    ("standing", "disabled"), [(Standing.UNCHECKED, False), (Standing.OVERLAY, False), (Standing.CHECKED, True)]
)
@pytest.mark.parametrize("length", [1.0, 30.0, 100.0])
def test_a_broken_line_reaches_from_end_to_end_and_has_no_hole_that_looks_like_its_end(
    standing: Standing, disabled: bool, length: float
) -> None:
    (count,) = dash_counts(standing, np.array([length]), disabled=disabled).tolist()
    ends = np.array(pieces(standing, disabled=disabled, count=count))
    assert (ends[0, 0], ends[-1, 1]) == (0.0, pytest.approx(1.0))
    holes = (ends[1:, 0] - ends[:-1, 1]) * length
    assert (holes > 0).all()
    assert holes.max() < 12


def test_thousands_of_lines_are_broken_into_few_pieces_each() -> None:
    lengths = np.array([5.0, 200.0, 10_000.0])
    assert dash_counts(Standing.UNCHECKED, lengths, disabled=False, many=True).tolist() == [2, 4, 4]
    assert dash_counts(Standing.CHECKED, lengths, disabled=False).tolist() == [1, 1, 1]


def test_lines_out_of_sight_are_not_drawn(graph: Graph) -> None:
    found = around(columns(graph), node_id(0))
    assert list(strokes(found, np.array([[-50.0, 10.0], [-10.0, 90.0]]), 100, 100)) == []
    assert len(list(strokes(found, np.array([[-50.0, 10.0], [150.0, 90.0]]), 100, 100))) == 1
