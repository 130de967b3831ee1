"""Routes on the event loop without holding it up: the map is made in a thread, searches go in pieces."""

from __future__ import annotations

import asyncio

from core.base.clock import Clock
from core.gossip.graph import Graph
from core.gossip.route import Bounds, Hop, RouteMap, RouteRequest, RouteSearch, Snapshot


class Router:
    """The graph, what payments taught, and the last map made of it."""

    def __init__(self, graph: Graph, bounds: Bounds | None, clock: Clock) -> None:
        self._graph = graph
        self._bounds = bounds
        self._clock = clock
        self._map: RouteMap | None = None

    async def find(self, request: RouteRequest) -> list[Hop]:
        """The route that `route.find_route` gives, in the graph as it is now. Raises UnknownNode and NoRoute."""
        route_map = await self._current()
        search = RouteSearch(route_map, request, bounds=self._bounds, now=self._clock.time())
        while not search.advance():
            await self._clock.sleep(0)
        return search.hops()

    async def _current(self) -> RouteMap:
        if self._map is None or self._map.version != self._graph.version:
            self._map = await asyncio.to_thread(RouteMap, Snapshot.of(self._graph))
        return self._map
