"""`getroute`: the cheapest path by fee and risk, as Core Lightning finds it (common/dijkstra.c, common/route.c).

The search goes from the destination back, because what a hop must forward depends on the fees behind it. It runs in
pieces (`RouteSearch.advance`), so that nobody waits for it: a whole search of mainnet takes some 100 ms.
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.bolt.features import requires_unknown
from core.bolt.wire import ShortChannelId
from core.gossip.columns import DYING, LIVE, Records, Rows
from core.gossip.graph import Graph
from core.gossip.liquidity import LiquidityBounds, penalty_msat

MAX_HOPS = 20
"""CLN's `ROUTING_MAX_HOPS`: what fits an onion of 1,300 bytes."""
DEFAULT_FINAL_CLTV = 9
"""CLN's default of `cltv`, in blocks."""
BLOCKS_PER_YEAR = 52_596
_HOP_MSAT = 1
"""Of two equally cheap ways the shorter one."""
_SHORTER_MSAT = 1 << 50
"""A hop, when short is all that counts: more than any fee or penalty."""
_MAX_AMOUNT_MSAT = 21_000_000 * 100_000_000 * 1000


class Bounds(Protocol):
    """What payments taught; `core.gossip.scorer.Scorer` is one."""

    def bounds(self, short_channel_id: int, direction: int) -> LiquidityBounds | None: ...


class NoRoute(Exception):
    """Nothing leads from the source to the destination under these terms."""

    def __init__(self, shortest: int | None = None) -> None:
        super().__init__("no route" if shortest is None else f"shortest route has {shortest} hops")
        self.shortest = shortest
        """Hops of the shortest route, when it is only that this is too many."""


class UnknownNode(Exception):
    """An end of the route has no channel in the graph."""

    def __init__(self, node_id: bytes, *, is_source: bool) -> None:
        super().__init__(f"unknown {'source' if is_source else 'destination'} {node_id.hex()}")
        self.node_id = node_id
        self.is_source = is_source


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What `getroute` is asked."""

    source: bytes
    destination: bytes
    amount_msat: int
    """What shall arrive. 0 asks for any way there is: as long as no fee has come on top, no minimum and no maximum of a
    channel is looked at (CLN)."""
    risk_factor: float = 10.0
    """What locked money costs, in percent a year."""
    final_cltv: int = DEFAULT_FINAL_CLTV
    """Blocks that the destination asks for."""
    max_hops: int = MAX_HOPS
    excluded_channels: Collection[tuple[int, int]] = ()
    """Short channel id and direction."""
    excluded_nodes: Collection[bytes] = ()
    """Nobody is routed to them; the source may be one."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One channel of a route, from its source's side."""

    node_id: bytes
    """Where it leads."""
    short_channel_id: ShortChannelId
    direction: int
    amount_msat: int
    """What arrives at `node_id`."""
    delay: int
    """Blocks that are left there."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the graph's tables, from which a map is made in a thread: 1 ms at mainnet size."""

    version: int
    node_ids: list[bytes]
    node_rows: dict[bytes, int]
    channels: Records
    directions: Records
    features: dict[int, bytes]
    """Of channels by row, where there are any."""
    texts: list[bytes]
    """Of nodes by row, beginning with their features."""
    features_bytes: NDArray[np.uint16]
    """How long those are."""

    @classmethod
    def of(cls, graph: Graph) -> Snapshot:
        used = graph.channel_table.used
        return cls(
            graph.version,
            graph.node_ids.copy(),
            graph.node_rows.copy(),
            graph.channel_table.records[:used].copy(),
            graph.direction_table.records[: 2 * used].copy(),
            graph.channel_features.copy(),
            graph.node_texts.copy(),
            graph.node_table.records["features_bytes"][: len(graph.node_texts)].copy(),
        )


class RouteMap:
    """What the search needs of a graph at one version: for each node the directions that lead to it, in one list (CSR).

    As in CLN a channel is used when both its directions are known and enabled; one that is dying is not. BOLT 7 rules
    out what requires a feature that we do not know, and a channel whose maximum is above its capacity. At mainnet size
    15 ms and 3 MB.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.version = snapshot.version
        """Make another one when the graph's differs."""
        self.node_ids = snapshot.node_ids
        self.node_rows = snapshot.node_rows
        channels, directions = snapshot.channels, snapshot.directions
        rows = _usable(channels, directions)
        rows = rows[~_require_unknown(snapshot, rows)]
        sources, ends = _ends(channels[rows])
        order = ends.argsort(kind="stable")
        at = (2 * rows[:, None] + np.array([0, 1])).ravel()[order]
        chosen, owners = directions[at], channels[at >> 1]
        self.starts = memoryview(ends[order].searchsorted(np.arange(len(self.node_ids) + 1)).data)
        """Where each node's directions begin, and, one on, end."""
        self.sources = memoryview(sources[order].data)
        self.short_channel_ids = _column(owners, "short_channel_id")
        self.capacities_sat = _column(owners, "capacity_sat")
        self.directions = memoryview((at & 1).astype(np.uint8).data)
        self.minima_msat = _column(chosen, "htlc_minimum_msat")
        self.maxima_msat = _column(chosen, "htlc_maximum_msat")
        self.bases_msat = _column(chosen, "fee_base_msat")
        self.proportionals = _column(chosen, "fee_proportional_millionths")
        self.deltas = _column(chosen, "cltv_expiry_delta")

    @classmethod
    def of(cls, graph: Graph) -> RouteMap:
        return cls(Snapshot.of(graph))


def find_route(
    route_map: RouteMap, request: RouteRequest, *, bounds: Bounds | None = None, now: float = 0.0
) -> list[Hop]:
    """The cheapest route; when it has too many hops, the shortest (CLN). Empty from a node to itself.

    `now` is in seconds since the epoch, for how old the bounds are. Raises UnknownNode and NoRoute.
    """
    search = RouteSearch(route_map, request, bounds=bounds, now=now)
    while not search.advance():
        pass
    return search.hops()


class RouteSearch:
    """One search, in pieces."""

    def __init__(
        self, route_map: RouteMap, request: RouteRequest, *, bounds: Bounds | None = None, now: float = 0.0
    ) -> None:
        """Raises UnknownNode."""
        self._map = route_map
        self._request = request
        self._bounds = bounds
        self._now = now
        self._source = self._row(request.source, is_source=True)
        self._destination = self._row(request.destination, is_source=False)
        self._excluded = frozenset(request.excluded_channels)
        self._closed = frozenset(route_map.node_rows.get(node_id, -1) for node_id in request.excluded_nodes)
        self._risk = request.risk_factor / 100 / BLOCKS_PER_YEAR
        self._hops: list[Hop] | None = None
        self._shorter = False
        self._begin()

    def advance(self, directions: int = 2000) -> bool:
        """Look at about so many directions, some 2 ms; whether the search has ended. Raises NoRoute."""
        looked = 0
        while looked < directions:
            node = self._nearest()
            if node is None:
                raise NoRoute
            if node == self._source:
                return self._arrived()
            if node not in self._closed:
                self._relax(node)
                looked += self._map.starts[node + 1] - self._map.starts[node]
        return False

    def hops(self) -> list[Hop]:
        """The route, once `advance` gave True."""
        assert self._hops is not None, "the search has not ended"
        return self._hops

    def _row(self, node_id: bytes, *, is_source: bool) -> int:
        row = self._map.node_rows.get(node_id)
        if row is None:
            raise UnknownNode(node_id, is_source=is_source)
        return row

    def _begin(self) -> None:
        count = len(self._map.node_ids)
        self._score: list[int | float] = [math.inf] * count
        self._settled = bytearray(count)
        self._amount = [0] * count
        """What must arrive at a node for the destination to get its due."""
        self._way: list[int] = [-1] * count
        """The direction out of a node, as its place in the map."""
        self._score[self._destination] = 0
        self._amount[self._destination] = self._request.amount_msat
        self._heap: list[tuple[int | float, int]] = [(0, self._destination)]

    def _nearest(self) -> int | None:
        while self._heap:
            _score, node = heapq.heappop(self._heap)
            if not self._settled[node]:
                self._settled[node] = 1
                return node
        return None

    def _relax(self, node: int) -> None:
        """Offer `node` to all that have a channel to it."""
        route_map, amount, score = self._map, self._amount[node], self._score[node]
        sources, settled, scores = route_map.sources, self._settled, self._score
        minima, maxima = route_map.minima_msat, route_map.maxima_msat
        bases, proportionals, deltas = route_map.bases_msat, route_map.proportionals, route_map.deltas
        risk = amount * self._risk
        special = self._bounds is not None or bool(self._excluded)
        for at in range(route_map.starts[node], route_map.starts[node + 1]):
            source = sources[at]
            if settled[source] or not (minima[at] <= amount <= maxima[at] or amount == 0):
                continue
            fee = bases[at] + amount * proportionals[at] // 1_000_000
            cost = score + fee + int(risk * deltas[at]) + (_SHORTER_MSAT if self._shorter else _HOP_MSAT)
            if cost >= scores[source] or amount + fee > _MAX_AMOUNT_MSAT:
                continue
            if special:
                extra = self._extra(at, amount)
                if extra is None or cost + extra >= scores[source]:
                    continue
                cost += extra
            scores[source] = cost
            self._amount[source] = amount + fee
            self._way[source] = at
            heapq.heappush(self._heap, (cost, source))

    def _extra(self, at: int, amount_msat: int) -> int | None:
        """What payments taught of a direction, as a price; None when it is excluded."""
        key = self._map.short_channel_ids[at], self._map.directions[at]
        if key in self._excluded:
            return None
        known = self._bounds.bounds(*key) if self._bounds is not None else None
        if known is None:
            return 0
        capacity_msat = self._map.capacities_sat[at] * 1000 or self._map.maxima_msat[at]
        return penalty_msat(known, amount_msat, capacity_msat, self._now)

    def _arrived(self) -> bool:
        ways = []
        node = self._source
        while node != self._destination:
            ways.append(self._way[node])
            node = self._next(ways[-1])
        if len(ways) > self._request.max_hops:
            if self._shorter:
                raise NoRoute(len(ways))
            self._shorter = True
            self._begin()
            return False
        self._hops = self._told(ways)
        return True

    def _next(self, at: int) -> int:
        """The node that a direction leads to."""
        return bisect.bisect_right(self._map.starts, at) - 1

    def _told(self, ways: list[int]) -> list[Hop]:
        hops: list[Hop] = []
        delay = self._request.final_cltv
        for at in reversed(ways):
            node = self._next(at)
            scid = ShortChannelId.from_int(self._map.short_channel_ids[at])
            hops.append(Hop(self._map.node_ids[node], scid, self._map.directions[at], self._amount[node], delay))
            delay += self._map.deltas[at]
        return hops[::-1]


def _usable(channels: Records, directions: Records) -> Rows:
    """Rows of living channels of which both directions are known and enabled."""
    known = (directions["timestamp"] != 0) & (directions["channel_flags"] & 2 == 0)
    capacity_msat = channels["capacity_sat"].repeat(2) * np.uint64(1000)  # 0: nobody told
    known &= (directions["htlc_maximum_msat"] <= capacity_msat) | (capacity_msat == 0)
    return np.flatnonzero(known.reshape(-1, 2).all(axis=1) & (channels["state"] & (LIVE | DYING) == LIVE))


def _require_unknown(snapshot: Snapshot, rows: Rows) -> NDArray[np.bool_]:
    """Which of these channels must not be routed through, for a feature of theirs or of one of their ends."""
    sizes, texts = snapshot.features_bytes.tolist(), snapshot.texts
    asked: dict[bytes, bool] = {}  # hardly any is different from all others
    closed = np.zeros(max(len(snapshot.node_ids), 1), bool)
    for row, (text, size) in enumerate(zip(texts, sizes, strict=True)):
        features = text[:size]
        if features not in asked:
            asked[features] = requires_unknown(features)
        closed[row] = asked[features]
    refused = np.zeros(max(len(snapshot.channels), 1), bool)
    refused[[row for row, features in snapshot.features.items() if requires_unknown(features)]] = True
    ends = snapshot.channels[rows]
    found: NDArray[np.bool_] = refused[rows] | closed[ends["node_1"]] | closed[ends["node_2"]]
    return found


def _ends(channels: Records) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Of both directions of each channel the node it comes from, and the one it leads to."""
    first, second = channels["node_1"], channels["node_2"]
    return np.stack([first, second], axis=1).ravel(), np.stack([second, first], axis=1).ravel()


def _column(records: Records, name: str) -> memoryview:
    """One field; a number of a memoryview is read three times as fast as one of an array."""
    return memoryview(np.ascontiguousarray(records[name]).data)
