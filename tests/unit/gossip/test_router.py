"""Routes on the event loop."""

from __future__ import annotations

import asyncio

import pytest

from core.gossip.graph import Graph
from core.gossip.graph_bulk import extend
from core.gossip.graph_values import Trust
from core.gossip.liquidity import LiquidityBounds
from core.gossip.route import NoRoute, RouteMap, RouteRequest, UnknownNode, find_route
from core.gossip.router import Router
from core.gossip.scorer import Scorer
from tests.support.clock import ManualClock
from tests.support.topology import read_topology
from tests.unit.gossip.graphs import CHAIN, NOW, add, channel, node_id, scid, update

AMOUNT = 50_000_000


async def test_the_route_and_a_loop_that_turns_meanwhile() -> None:
    topology, graph = read_topology(), Graph(CHAIN)
    extend(graph, topology.batch(CHAIN, NOW), heard=NOW, checked=True)
    router = Router(graph, await Scorer.open(None), ManualClock())
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    request = RouteRequest(topology.node_id(3), topology.node_id(150), AMOUNT)
    whole = find_route(RouteMap.of(graph), request)
    await router.find(request)
    turning = asyncio.create_task(turn())
    assert await router.find(request) == whole != []
    turning.cancel()
    assert turns > 0


async def test_the_graph_and_the_scorer_as_they_are_now() -> None:
    graph, scorer, clock = Graph(CHAIN), await Scorer.open(None), ManualClock()
    router = Router(graph, scorer, clock)
    with pytest.raises(UnknownNode):
        await router.find(RouteRequest(node_id(1), node_id(2), AMOUNT))
    add(graph, 1, 1, 2, base_msat=1)
    add(graph, 2, 1, 2, base_msat=9000)
    request = RouteRequest(node_id(1), node_id(2), AMOUNT)
    assert [hop.short_channel_id for hop in await router.find(request)] == [scid(1)]
    scorer.payment_failed(int(scid(1)), 0, AMOUNT, capacity_msat=10**9, now=clock.time())
    assert [hop.short_channel_id for hop in await router.find(request)] == [scid(2)]
    graph.remove(int(scid(2)))
    assert [hop.short_channel_id for hop in await router.find(request)] == [scid(1)]
    add(graph, 3, 3, 4)
    with pytest.raises(NoRoute):
        await router.find(RouteRequest(node_id(1), node_id(4), AMOUNT))


async def test_a_route_teaches_each_of_its_channels() -> None:
    graph, scorer, clock = Graph(CHAIN), await Scorer.open(None), ManualClock()
    router, now = Router(graph, scorer, clock), clock.time()
    for number in (1, 2, 3):
        add(graph, number, number, number + 1, base_msat=1000, proportional=0)
    capacity = 10**9
    route = await router.find(RouteRequest(node_id(1), node_id(4), AMOUNT))
    router.payment_failed(route, 1)
    assert scorer.bounds(int(scid(1)), 0) == LiquidityBounds(AMOUNT + 2000, capacity, now)
    assert scorer.bounds(int(scid(2)), 0) == LiquidityBounds(0, AMOUNT + 999, now)
    assert len(scorer) == 2, "what came behind was never tried"
    router.payment_succeeded(route)
    assert scorer.bounds(int(scid(1)), 0) == LiquidityBounds(0, capacity - AMOUNT - 2000, now)
    assert scorer.bounds(int(scid(1)), 1) == LiquidityBounds(AMOUNT + 2000, capacity, now)
    assert scorer.bounds(int(scid(3)), 1) == LiquidityBounds(AMOUNT, capacity, now)


async def test_a_capacity_that_nobody_told_is_the_greatest_payment_and_a_channel_that_is_gone_teaches_nothing() -> None:
    graph, scorer, clock = Graph(CHAIN), await Scorer.open(None), ManualClock()
    router = Router(graph, scorer, clock)
    graph.add_channel(channel(1, 1, 2), capacity_sat=None, trust=Trust.UNCHECKED, heard=NOW)
    add(graph, 2, 2, 3)
    for direction in (0, 1):
        graph.update_channel(update(1, direction, maximum_msat=70_000_000))
    route = await router.find(RouteRequest(node_id(1), node_id(3), AMOUNT))
    graph.remove(int(scid(2)))
    router.payment_failed(route, 1)
    assert len(scorer) == 1
    assert scorer.bounds(int(scid(1)), 0) == LiquidityBounds(route[0].amount_msat, 70_000_000, clock.time())
