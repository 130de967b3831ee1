"""What of the network is drawn: the nodes around one, and the channels between them. Pure; numpy alone.

`Copied.of` copies the graph's tables on the loop, in about a millisecond. Everything else works on the copy and
belongs in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.gossip.columns import CHECKED, DYING, LIVE, OVERLAY
from core.gossip.graph import Graph

MOST_NODES = 2500
"""A hub of mainnet has some 2,000 peers; more dots than that are a fog."""
MOST_LINES = 3200
"""Beyond those that lead to a node from the centre, lines are left out, the smallest first."""
_DISABLED = 2
"""In a channel update's flags (BOLT 7)."""
CLASSES_SAT = (1_000_000, 5_000_000, 20_000_000, 100_000_000)
"""Where a class of capacity ends and the next begins: five classes."""

Array = NDArray[Any]


class Standing(IntEnum):
    """What a line stands for, the strongest of the channels between its two nodes."""

    CONNECTION = 0
    """No channel: our node is connected to that peer."""
    OVERLAY = 1
    UNCHECKED = 2
    CHECKED = 3


@dataclass(frozen=True, slots=True)
class Copied:
    """The graph's tables as they were."""

    channels: Array
    directions: Array
    nodes: Array
    ids: tuple[bytes, ...]

    @classmethod
    def of(cls, graph: Graph) -> Copied:
        """On the loop: 6 MB of a network as large as mainnet."""
        used = graph.channel_table.used
        return cls(
            graph.channel_table.records[:used].copy(),
            graph.direction_table.records[: 2 * used].copy(),
            graph.node_table.records[: len(graph.node_ids)].copy(),
            tuple(graph.node_ids),
        )


@dataclass(frozen=True, slots=True)
class Columns:
    """The graph as it was: one entry a channel, and one a row of its nodes."""

    node_1: Array
    node_2: Array
    capacity_sat: Array
    """0 where nobody looked."""
    claimed_sat: Array
    """The most that either end says it forwards; capacity where that is known."""
    state: Array
    disabled: Array
    """Both ends say so, or the one that said anything."""
    newest: int
    """Of all updates, in seconds since the epoch; 0 without any."""
    ids: tuple[bytes, ...]
    colours: Array
    """Red, green and blue of each node; -1 where it announced nothing."""

    @classmethod
    def of(cls, copied: Copied) -> Columns:
        """What is live of the copy."""
        records = copied.channels
        live = np.flatnonzero(records["state"] & LIVE)
        stamps = copied.directions["timestamp"].reshape(-1, 2)[live]
        disabled = copied.directions["channel_flags"].reshape(-1, 2)[live] & _DISABLED != 0
        maxima = copied.directions["htlc_maximum_msat"].reshape(-1, 2)[live].max(axis=1, initial=0) // np.uint64(1000)
        capacity = records["capacity_sat"][live]
        colours = copied.nodes["rgb_color"].astype(np.int16)
        colours[copied.nodes["timestamp"] == 0] = -1
        return cls(
            records["node_1"][live].astype(np.int64),
            records["node_2"][live].astype(np.int64),
            capacity,
            np.where(capacity > 0, capacity, maxima).astype(np.float64),
            records["state"][live],
            (disabled | (stamps == 0)).all(axis=1) & disabled.any(axis=1),
            int(stamps.max(initial=0)),
            copied.ids,
            colours,
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """Of the whole graph."""

    nodes: int = 0
    channels: int = 0
    checked: int = 0
    unchecked: int = 0
    overlay: int = 0
    dying: int = 0
    capacity_sat: int = 0
    """Of the channels that the chain was seen to hold."""
    newest: int = 0
    """The newest update, in seconds since the epoch; 0 without any."""

    @classmethod
    def of(cls, columns: Columns) -> Counts:
        checked = columns.state & CHECKED != 0
        overlay = columns.state & OVERLAY != 0
        return cls(
            nodes=sum(map(bool, columns.ids)),
            channels=len(columns.state),
            checked=int(checked.sum()),
            unchecked=int((~checked & ~overlay).sum()),
            overlay=int(overlay.sum()),
            dying=int((columns.state & DYING != 0).sum()),
            capacity_sat=int(columns.capacity_sat[checked].sum()),
            newest=columns.newest,
        )


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Nodes and the lines between them. Node 0 is the centre; lines ascend with their capacity."""

    ids: tuple[bytes, ...]
    steps: Array
    """From the centre."""
    sizes: Array
    """How many channels each node has in the whole graph."""
    colours: Array
    first: Array
    second: Array
    """The ends of each line, as numbers of nodes."""
    capacity_sat: Array
    channels: Array
    """How many a line stands for."""
    standing: Array
    disabled: Array
    dying: Array
    nodes_left_out: int
    lines_left_out: int

    @property
    def classes(self) -> Array:
        """Of capacity, 0 to 4."""
        return np.searchsorted(CLASSES_SAT, self.capacity_sat, side="right")


def around(
    columns: Columns, centre: bytes, connections: Sequence[tuple[bytes, bytes]] = (), *, steps: int = 1
) -> Neighbourhood:
    """The nodes within so many steps of `centre`, the best connected to what is nearer first, `MOST_NODES` at most.

    `connections` are pairs of nodes that need no channel to be neighbours: ours. A centre that nobody knows is alone.
    """
    net = _Net(columns, centre, connections)
    level = np.full(len(net.ids), -1, np.int64)
    level[net.row_of[centre]] = 0
    room, left_out = MOST_NODES - 1, 0
    for step in range(1, steps + 1):
        found = net.next_to(level)
        level[found[:room]] = step
        left_out += max(0, len(found) - room)
        room -= len(found[:room])
    chosen = np.flatnonzero(level >= 0)
    chosen = chosen[np.lexsort((-net.sizes[chosen], level[chosen]))]
    return net.among(chosen, level, left_out)


def best_connected(columns: Columns) -> bytes | None:
    """The node with the most channels; None in an empty graph."""
    if not len(columns.node_1):
        return None
    return columns.ids[int(np.bincount(np.concatenate([columns.node_1, columns.node_2])).argmax())]


class _Net:
    """The columns with those nodes that have no channel."""

    def __init__(self, columns: Columns, centre: bytes, connections: Sequence[tuple[bytes, bytes]]) -> None:
        self._columns = columns
        self.row_of = {node_id: row for row, node_id in enumerate(columns.ids) if node_id}
        ids = list(columns.ids)
        for node_id in (centre, *(end for pair in connections for end in pair)):
            if node_id not in self.row_of:
                self.row_of[node_id] = len(ids)
                ids.append(node_id)
        self.ids = ids
        pairs = [(self.row_of[one], self.row_of[other]) for one, other in connections]
        linked = np.array(pairs, np.int64).reshape(-1, 2)
        channels = len(columns.node_1)
        self.ends = np.concatenate([np.stack([columns.node_1, columns.node_2], axis=1), linked])
        self.weights = np.concatenate([columns.claimed_sat + 1, np.zeros(len(linked))])
        self.is_channel = np.arange(len(self.ends)) < channels
        self.sizes = np.bincount(self.ends[:channels].ravel(), minlength=len(ids))

    def next_to(self, level: Array) -> Array:
        """Nodes not yet chosen beside those that are: those we are connected to, then by capacity."""
        inside = level >= 0
        strength = np.zeros(len(self.ids))
        linked = np.zeros(len(self.ids), bool)
        for here, there in ((0, 1), (1, 0)):
            leads_out = inside[self.ends[:, here]] & ~inside[self.ends[:, there]]
            found = self.ends[leads_out, there]
            strength += np.bincount(found, self.weights[leads_out], minlength=len(self.ids))
            linked[found[~self.is_channel[leads_out]]] = True
        rows = np.flatnonzero((strength > 0) | linked)
        return rows[np.lexsort((-strength[rows], ~linked[rows]))]

    def among(self, chosen: Array, level: Array, nodes_left_out: int) -> Neighbourhood:
        """The channels between the chosen, one line a pair of nodes."""
        number = np.full(len(self.ids), -1, np.int64)
        number[chosen] = np.arange(len(chosen))
        inside = (number[self.ends] >= 0).all(axis=1)
        ends = np.sort(number[self.ends[inside]], axis=1)
        keys, first, line = np.unique(ends[:, 0] * len(chosen) + ends[:, 1], return_index=True, return_inverse=True)
        count = len(keys)
        is_channel = self.is_channel[inside]
        capacity = np.bincount(line, np.where(is_channel, self.weights[inside] - 1, 0), minlength=count)
        channels = np.bincount(line, is_channel, minlength=count).astype(np.int64)
        standing = np.zeros(count, np.int64)
        np.maximum.at(standing, line, self._standing()[inside])
        # What leads to each node stays whatever its capacity, then the largest.
        leads = _leading(ends[first], level[chosen], capacity)
        wanted = np.lexsort((-capacity, ~leads))[: max(MOST_LINES, int(leads.sum()))]
        wanted = wanted[np.argsort(capacity[wanted], kind="stable")]
        colours = np.full((len(self.ids), 3), -1, np.int16)
        colours[: len(self._columns.colours)] = self._columns.colours
        return Neighbourhood(
            ids=tuple(self.ids[row] for row in chosen.tolist()),
            steps=level[chosen],
            sizes=self.sizes[chosen],
            colours=colours[chosen],
            first=ends[first[wanted], 0],
            second=ends[first[wanted], 1],
            capacity_sat=capacity[wanted],
            channels=channels[wanted],
            standing=standing[wanted],
            disabled=self._all_of(self._columns.disabled, inside, line, count)[wanted],
            dying=self._all_of(self._columns.state & DYING != 0, inside, line, count)[wanted],
            nodes_left_out=nodes_left_out,
            lines_left_out=count - len(wanted),
        )

    def _standing(self) -> Array:
        state = self._columns.state
        signed = np.where(state & CHECKED, Standing.CHECKED, Standing.UNCHECKED)
        standing = np.full(len(self.ends), Standing.CONNECTION, np.int64)
        standing[self.is_channel] = np.where(state & OVERLAY, Standing.OVERLAY, signed)
        return standing

    def _all_of(self, flag: Array, inside: Array, line: Array, count: int) -> Array:
        """Whether all channels of a line have a flag; a mere connection has none."""
        flags = np.zeros(len(self.ends), bool)
        flags[self.is_channel] = flag
        without = np.bincount(line, ~flags[inside] & self.is_channel[inside], minlength=count)
        some = np.bincount(line, self.is_channel[inside], minlength=count)
        result: Array = (some > 0) & (without == 0)
        return result


def _leading(ends: Array, steps: Array, capacity: Array) -> Array:
    """Which lines are the largest from a node towards the centre, or end in it; numbers ascend with the steps."""
    nearer = steps[ends[:, 0]] < steps[ends[:, 1]]
    leads: Array = ends[:, 0] == 0
    order = np.flatnonzero(nearer)
    order = order[np.lexsort((-capacity[order], ends[order, 1]))]
    leads[order[np.unique(ends[order, 1], return_index=True)[1]]] = True
    return leads
