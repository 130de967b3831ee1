"""Routes on the event loop without holding it up: the map is made in a thread, searches go in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from core.base.clock import Clock
from core.gossip.graph import Graph
from core.gossip.route import Hop, RouteMap, RouteRequest, RouteSearch, Snapshot
from core.gossip.scorer import Scorer


class Router:
    """The graph, what payments taught, and the last map made of it."""

    def __init__(self, graph: Graph, scorer: Scorer, clock: Clock) -> None:
        self._graph = graph
        self._scorer = scorer
        self._clock = clock
        self._map: RouteMap | None = None

    async def find(self, request: RouteRequest) -> list[Hop]:
        """The route that `route.find_route` gives, in the graph as it is now. Raises UnknownNode and NoRoute."""
        route_map = await self._current()
        search = RouteSearch(route_map, request, bounds=self._scorer, now=self._clock.time())
        while not search.advance():
            await self._clock.sleep(0)
        return search.hops()

    def payment_succeeded(self, route: Sequence[Hop]) -> None:
        """Learn that what `route` says passed all its channels for good."""
        now = self._clock.time()
        for hop, capacity_msat in self._known(route):
            scid = int(hop.short_channel_id)
            self._scorer.payment_succeeded(scid, hop.direction, hop.amount_msat, capacity_msat=capacity_msat, now=now)

    def payment_failed(self, route: Sequence[Hop], failed: int) -> None:
        """Learn that a payment passed `route` up to the channel of this index, and not that one."""
        now = self._clock.time()
        for hop, capacity_msat in self._known(route[: failed + 1]):
            learn = self._scorer.payment_failed if hop is route[failed] else self._scorer.payment_passed
            learn(int(hop.short_channel_id), hop.direction, hop.amount_msat, capacity_msat=capacity_msat, now=now)

    def _known(self, route: Sequence[Hop]) -> Iterator[tuple[Hop, int]]:
        """Those channels that are still in the graph, with their capacity as the search sees it."""
        for hop in route:
            channel = self._graph.channel(int(hop.short_channel_id))
            if channel is None:
                continue
            policy = channel.policies[hop.direction]
            capacity_msat = (channel.capacity_sat or 0) * 1000 or (policy.htlc_maximum_msat if policy else 0)
            if capacity_msat:
                yield hop, capacity_msat

    async def _current(self) -> RouteMap:
        if self._map is None or self._map.version != self._graph.version:
            self._map = await asyncio.to_thread(RouteMap, Snapshot.of(self._graph))
        return self._map
