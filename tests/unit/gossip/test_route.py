"""`getroute`: the cheapest way, by hand, against all ways there are, and on the shape of a real network."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from core.gossip.graph import Graph
from core.gossip.graph_bulk import extend
from core.gossip.graph_values import Trust
from core.gossip.liquidity import HALF_LIFE_S
from core.gossip.route import (
    BLOCKS_PER_YEAR,
    Hop,
    NoRoute,
    RouteMap,
    RouteRequest,
    RouteSearch,
    Snapshot,
    UnknownNode,
    find_route,
)
from core.gossip.scorer import Scorer
from tests.support.topology import read_topology
from tests.unit.gossip.graphs import CHAIN, NOW, add, channel, node, node_id, scid, update

AMOUNT = 1_000_000
CAPACITY_MSAT = 1_000_000_000
"""Of the channels that `add` makes."""


@pytest.fixture
def graph() -> Graph:
    return Graph(CHAIN)


def request(source: int, destination: int, **terms: object) -> RouteRequest:
    return RouteRequest(node_id(source), node_id(destination), AMOUNT, **terms)  # type: ignore[arg-type]


def found(graph: Graph, source: int, destination: int, **terms: object) -> list[int]:
    """The numbers of the route's channels."""
    hops = find_route(RouteMap.of(graph), request(source, destination, **terms))
    return [hop.short_channel_id.block - 100 for hop in hops]


def test_amounts_and_delays_as_cln_gives_them(graph: Graph) -> None:
    """What leaves the source pays every fee but its own channel's; the last hop gets the amount and the final cltv."""
    add(graph, 1, 1, 2, base_msat=7, proportional=70, delta=14)
    add(graph, 2, 2, 3, base_msat=1000, proportional=100, delta=40)
    add(graph, 3, 3, 4, base_msat=2000, proportional=500, delta=80)
    third = AMOUNT
    second = third + 2000 + third * 500 // 1_000_000
    first = second + 1000 + second * 100 // 1_000_000
    assert find_route(RouteMap.of(graph), request(1, 4, final_cltv=18)) == [
        Hop(node_id(2), scid(1), 0, first, 18 + 80 + 40),
        Hop(node_id(3), scid(2), 0, second, 18 + 80),
        Hop(node_id(4), scid(3), 0, third, 18),
    ]
    back = find_route(RouteMap.of(graph), request(4, 2))
    assert [(hop.direction, hop.node_id) for hop in back] == [(1, node_id(3)), (1, node_id(2))]


def test_from_a_node_to_itself_is_no_hop(graph: Graph) -> None:
    add(graph, 1, 1, 2)
    assert found(graph, 1, 1) == []


def test_the_cheaper_and_of_equals_the_shorter(graph: Graph) -> None:
    add(graph, 1, 1, 3, base_msat=2000, proportional=0)
    add(graph, 2, 1, 2, base_msat=1000, proportional=0)
    add(graph, 3, 2, 3, base_msat=1000, proportional=0)
    assert found(graph, 1, 3, risk_factor=0.0) == [1]
    graph.update_channel(update(1, 0, timestamp=NOW + 1, base_msat=2002, proportional=0))
    assert found(graph, 1, 3, risk_factor=0.0) == [2, 3]


def test_of_equally_dear_ways_the_one_with_fewer_hops_though_it_is_found_later(graph: Graph) -> None:
    for number, first, second, base_msat in ((1, 1, 2, 1000), (2, 2, 5, 1000)):
        add(graph, number, first, second, base_msat=base_msat, proportional=0)
    for number, first, second, base_msat in ((3, 1, 3, 1800), (4, 3, 4, 100), (5, 4, 5, 100)):
        add(graph, number, first, second, base_msat=base_msat, proportional=0)
    assert found(graph, 1, 5, risk_factor=0.0) == [1, 2]


def test_risk_makes_locked_money_dear(graph: Graph) -> None:
    """A thousand blocks at 10 % a year cost 1.9 thousandths of the amount."""
    risk = AMOUNT * 10 / 100 * 1000 / BLOCKS_PER_YEAR
    assert 1800 < risk < 2000
    add(graph, 1, 1, 2, base_msat=0, proportional=0, delta=1000)
    add(graph, 2, 1, 2, base_msat=1500, proportional=0, delta=0)
    assert found(graph, 1, 2, risk_factor=10.0) == [2]
    assert found(graph, 1, 2, risk_factor=5.0) == [1]


@pytest.mark.parametrize(
    "terms",
    [{"minimum_msat": AMOUNT + 1}, {"maximum_msat": AMOUNT - 1}, {"disabled": True}],
    ids=["too little", "too much", "disabled"],
)
def test_a_direction_that_cannot_carry_it(graph: Graph, terms: dict[str, int]) -> None:
    add(graph, 1, 1, 2)
    graph.update_channel(update(1, 0, timestamp=NOW + 1, **terms))  # type: ignore[arg-type]
    with pytest.raises(NoRoute) as raised:
        found(graph, 1, 2)
    assert raised.value.shortest is None
    # CLN: one disabled direction takes the other with it.
    if terms.get("disabled"):
        with pytest.raises(NoRoute):
            found(graph, 2, 1)
    else:
        assert found(graph, 2, 1) == [1]


def test_what_is_half_known_or_dying_is_not_used_and_what_is_unchecked_is(graph: Graph) -> None:
    graph.add_channel(channel(1, 1, 2), capacity_sat=None, trust=Trust.UNCHECKED, heard=NOW)
    graph.update_channel(update(1, 0))
    with pytest.raises(NoRoute):
        found(graph, 1, 2)
    graph.update_channel(update(1, 1))
    assert found(graph, 1, 2) == [1]
    graph.mark_dying(int(scid(1)), 5)
    with pytest.raises(NoRoute):
        found(graph, 1, 2)


def test_unknown_ends_are_told_apart(graph: Graph) -> None:
    add(graph, 1, 1, 2)
    for ends, is_source in (((9, 2), True), ((1, 9), False)):
        with pytest.raises(UnknownNode) as raised:
            found(graph, *ends)
        assert (raised.value.node_id, raised.value.is_source) == (node_id(9), is_source)


def test_what_is_excluded(graph: Graph) -> None:
    add(graph, 1, 1, 2, base_msat=1)
    add(graph, 2, 1, 2, base_msat=2)
    add(graph, 3, 1, 3, base_msat=1000)
    add(graph, 4, 3, 2, base_msat=1000)
    assert found(graph, 1, 2, excluded_channels=[(int(scid(1)), 1)]) == [1]
    assert found(graph, 1, 2, excluded_channels=[(int(scid(1)), 0)]) == [2]
    both = [(int(scid(1)), 0), (int(scid(2)), 0)]
    assert found(graph, 1, 2, excluded_channels=both) == [3, 4]
    with pytest.raises(NoRoute):
        found(graph, 1, 2, excluded_channels=both, excluded_nodes=[node_id(3), node_id(77)])
    with pytest.raises(NoRoute):
        found(graph, 1, 2, excluded_nodes=[node_id(2)])
    assert found(graph, 1, 2, excluded_nodes=[node_id(1)]) == [1]


def test_too_many_hops_gives_the_shortest_or_says_how_long_that_is(graph: Graph) -> None:
    for number in range(4):
        add(graph, number, 1 + number, 2 + number, base_msat=0, proportional=0)
    add(graph, 10, 1, 9, base_msat=50_000, proportional=0)
    add(graph, 11, 9, 5, base_msat=50_000, proportional=0)
    assert found(graph, 1, 5, max_hops=4) == [0, 1, 2, 3]
    assert found(graph, 1, 5, max_hops=3) == found(graph, 1, 5, max_hops=2) == [10, 11]
    with pytest.raises(NoRoute) as raised:
        found(graph, 1, 5, max_hops=1)
    assert raised.value.shortest == 2


async def test_what_failed_before_is_avoided_until_it_is_forgotten(graph: Graph) -> None:
    add(graph, 1, 1, 2, base_msat=1)
    add(graph, 2, 1, 2, base_msat=20_000)
    scorer, route_map = await Scorer.open(None), RouteMap.of(graph)
    scorer.payment_failed(int(scid(1)), 0, AMOUNT, capacity_msat=CAPACITY_MSAT, now=NOW)

    def channel_at(now: float) -> int:
        return find_route(route_map, request(1, 2), bounds=scorer, now=now)[0].short_channel_id.block - 100

    assert channel_at(NOW) == channel_at(NOW - 5) == 2
    assert channel_at(NOW + 30 * HALF_LIFE_S) == 1
    scorer.payment_failed(int(scid(2)), 0, AMOUNT, capacity_msat=CAPACITY_MSAT, now=NOW)
    assert channel_at(NOW) == 1  # Nothing better is left: it is tried all the same.


async def test_a_doubt_costs_as_much_as_its_formula_says(graph: Graph) -> None:
    """The second way is 9,900 msat dearer; at five sixths of what failed the doubt about the first is worth 23,339."""
    add(graph, 1, 1, 2, base_msat=100, proportional=0)
    add(graph, 2, 1, 2, base_msat=10_000, proportional=0)
    scorer, route_map = await Scorer.open(None), RouteMap.of(graph)

    def way() -> int:
        return find_route(route_map, request(1, 2, risk_factor=0.0), bounds=scorer, now=NOW)[0].short_channel_id.block

    scorer.payment_failed(int(scid(1)), 0, AMOUNT * 6 // 5, capacity_msat=CAPACITY_MSAT, now=NOW)
    assert way() == 102
    scorer.payment_passed(int(scid(1)), 0, AMOUNT * 9 // 10, capacity_msat=CAPACITY_MSAT, now=NOW)
    assert way() == 101  # Two chances in three, or 5,273 msat.
    scorer.payment_passed(int(scid(2)), 0, AMOUNT, capacity_msat=CAPACITY_MSAT, now=NOW)
    assert way() == 101


def test_no_amount_asks_for_any_way_as_long_as_no_fee_has_come_on_top(graph: Graph) -> None:
    add(graph, 1, 1, 2, base_msat=0, proportional=5, minimum_msat=1000)
    add(graph, 2, 2, 3, base_msat=0, proportional=5, minimum_msat=1000)
    nothing = RouteRequest(node_id(1), node_id(3), 0)
    assert [hop.amount_msat for hop in find_route(RouteMap.of(graph), nothing)] == [0, 0]
    with pytest.raises(NoRoute):
        find_route(RouteMap.of(graph), RouteRequest(node_id(1), node_id(3), 1))
    graph.update_channel(update(2, 0, timestamp=NOW + 1, base_msat=999, minimum_msat=1000))
    with pytest.raises(NoRoute):
        find_route(RouteMap.of(graph), nothing)


def ways(graph: Graph, at: bytes, destination: bytes, seen: tuple[bytes, ...] = ()) -> Iterator[list[tuple[int, int]]]:
    """All simple paths, as short channel ids and directions."""
    if at == destination:
        yield []
        return
    for short_channel_id in graph.channels_of(at):
        known = graph.channel(short_channel_id)
        assert known is not None
        direction = 0 if known.node_id_1 == at else 1
        after = (known.node_id_2, known.node_id_1)[direction]
        if after not in (*seen, at):
            for rest in ways(graph, after, destination, (*seen, at)):
                yield [(short_channel_id, direction), *rest]


def price(graph: Graph, way: list[tuple[int, int]]) -> int | None:
    """Base fees and hops of a way; None when it cannot carry the amount."""
    total = 0
    for short_channel_id, direction in reversed(way):
        known = graph.channel(short_channel_id)
        policy = known.policies[direction] if known else None
        assert policy is not None
        if not policy.htlc_minimum_msat <= AMOUNT <= policy.htlc_maximum_msat:
            return None
        total += policy.fee_base_msat + 1
    return total


@pytest.mark.parametrize("seed", range(20))
def test_against_all_ways_there_are(graph: Graph, seed: int) -> None:
    """Where a fee does not depend on the amount, the cheapest of all."""
    rng = random.Random(seed)
    for number in range(14):
        first = rng.randrange(7)
        second = rng.choice([other for other in range(7) if other != first])
        add(graph, number, first, second, base_msat=0, proportional=0)
        for direction in (0, 1):
            told = update(
                number,
                direction,
                timestamp=NOW + 1,
                base_msat=rng.randrange(10_000),
                proportional=0,
                maximum_msat=rng.choice([AMOUNT // 2, 4 * AMOUNT, 4 * AMOUNT]),
                minimum_msat=0,
            )
            graph.update_channel(told)
    # Fees make amounts grow by less than any maximum has to spare.
    for source in range(1, 7):
        if graph.node(node_id(source)) is None or graph.node(node_id(0)) is None:
            continue
        prices = [price(graph, way) for way in ways(graph, node_id(source), node_id(0))]
        best = min((one for one in prices if one is not None), default=None)
        try:
            hops = find_route(RouteMap.of(graph), request(source, 0, risk_factor=0.0))
        except NoRoute:
            assert best is None
            continue
        assert price(graph, [(int(hop.short_channel_id), hop.direction) for hop in hops]) == best


def test_on_the_shape_of_a_real_network_in_pieces_and_while_it_changes() -> None:
    topology, graph = read_topology(), Graph(CHAIN)
    extend(graph, topology.batch(CHAIN, NOW), heard=NOW, checked=True)
    snapshot = Snapshot.of(graph)
    route_map = RouteMap.of(graph)
    whole, pieces = [], []
    ends = [(topology.node_id(a), topology.node_id(b)) for a, b in zip(range(90), range(100, 190), strict=True)]
    for source, destination in ends:
        asked = RouteRequest(source, destination, 50_000_000)
        try:
            whole.append(find_route(route_map, asked))
        except NoRoute:
            whole.append([])
    for known in list(graph.channels()):
        graph.remove(int(known.short_channel_id))
    assert route_map.version != graph.version
    turns, later = 0, RouteMap(snapshot)
    for source, destination in ends:
        search = RouteSearch(later, RouteRequest(source, destination, 50_000_000))
        try:
            while not search.advance(100):
                turns += 1
            pieces.append(search.hops())
        except NoRoute:
            pieces.append([])
    assert pieces == whole
    assert turns > len(ends)
    assert sum(map(bool, whole)) > 60
    for (source, destination), hops in zip(ends, whole, strict=True):
        at = source
        for hop in hops:
            number = (hop.short_channel_id.block - 500_000) * 4 + hop.short_channel_id.transaction
            pair = topology.node_id(int(topology.starts[number])), topology.node_id(int(topology.ends[number]))
            assert pair[hop.direction] == at
            at = hop.node_id
            assert topology.minima_msat[2 * number + hop.direction] <= hop.amount_msat
            assert hop.amount_msat <= topology.maxima_msat[2 * number + hop.direction]
        assert not hops or at == destination


def test_the_least_and_the_most_that_a_channel_carries_pass(graph: Graph) -> None:
    add(graph, 1, 1, 2, minimum_msat=AMOUNT, maximum_msat=AMOUNT)
    assert found(graph, 1, 2) == [1]


def test_no_way_through_what_requires_an_unknown_feature(graph: Graph) -> None:
    """BOLT 7: neither through such a channel nor through or to such a node; an odd bit is of no concern."""
    unknown_even, unknown_odd = b"\x10" + bytes(15), b"\x20" + bytes(15)
    add(graph, 1, 1, 2)
    graph.update_node(node(2, features=unknown_odd))
    assert found(graph, 1, 2) == [1]
    graph.add_channel(channel(2, 2, 3, features=unknown_even), capacity_sat=1_000, trust=Trust.CHECKED, heard=NOW)
    for direction in (0, 1):
        graph.update_channel(update(2, direction, maximum_msat=1_000_000))
    with pytest.raises(NoRoute):
        found(graph, 1, 3)
    add(graph, 3, 2, 3)
    assert found(graph, 1, 3) == [1, 3]
    before = graph.version
    graph.update_node(node(2, timestamp=NOW + 1, features=unknown_even))
    assert graph.version > before, "an old map would lead through it"
    for destination in (2, 3):
        with pytest.raises(NoRoute):
            found(graph, 1, destination)


def test_a_channel_that_claims_to_carry_more_than_it_has_is_not_used(graph: Graph) -> None:
    add(graph, 1, 1, 2)
    graph.update_channel(update(1, 1, timestamp=NOW + 1, maximum_msat=CAPACITY_MSAT))
    assert found(graph, 1, 2) == [1]
    graph.update_channel(update(1, 1, timestamp=NOW + 2, maximum_msat=CAPACITY_MSAT + 1))
    with pytest.raises(NoRoute):
        found(graph, 1, 2)


def test_where_nobody_told_the_capacity_the_maximum_stands(graph: Graph) -> None:
    graph.add_channel(channel(1, 1, 2), capacity_sat=None, trust=Trust.UNCHECKED, heard=NOW)
    for direction in (0, 1):
        graph.update_channel(update(1, direction, maximum_msat=5 * CAPACITY_MSAT))
    assert found(graph, 1, 2) == [1]
