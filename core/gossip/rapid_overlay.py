"""A snapshot without signatures laid over the graph, in pieces: what anybody signed stays, whatever the snapshot says.

Channels of it are marked OVERLAY in the graph's own columns, so that they are listed and routed through like others,
cost no more, and are known by that mark wherever something is stored, served or counted.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.gossip.columns import LIVE, OVERLAY, Rows
from core.gossip.graph import Graph
from core.gossip.rapid import FIELDS, INCREMENTAL, MAX_CHANNELS, NodeDetail, Snapshot

BACKDATED_S = 7 * 24 * 3600
"""A snapshot tells no time of each update. LDK takes all of them for a week older than the newest."""
_AT_ONCE = 512
_NODES_AT_ONCE = 64
_MAX_MSAT = 21_000_000 * 100_000_000 * 1000
"""More than there is, nobody can pay: LDK refuses such an update too."""
_ALIAS_BYTES = 32


@dataclass(slots=True)
class Laid:
    """How many changed the graph."""

    channels: int = 0
    updates: int = 0
    nodes: int = 0
    """That something was said of."""
    passed_over: int = 0
    """Channels and updates that were of no use: signed gossip has them, they are no newer, malformed, or of a channel
    that is not known."""


def lay(graph: Graph, snapshot: Snapshot) -> Generator[None, None, Laid]:
    """Apply a snapshot of the graph's own chain, a piece a turn."""
    laid = Laid()
    heard = max(1, snapshot.latest_seen - BACKDATED_S)
    for first in range(0, len(snapshot.announced), _AT_ONCE):
        laid.channels += _channels(graph, snapshot, slice(first, first + _AT_ONCE), heard)
        yield
    for first in range(0, len(snapshot.details), _NODES_AT_ONCE):
        for detail in snapshot.details[first : first + _NODES_AT_ONCE]:
            laid.nodes += _node(graph, snapshot.node_ids[detail.node], detail, heard)
        yield
    for first in range(0, len(snapshot.updates), _AT_ONCE):
        laid.updates += _updates(graph, snapshot.updates[first : first + _AT_ONCE], heard)
        yield
    laid.passed_over = len(snapshot.announced) + len(snapshot.updates) - laid.channels - laid.updates
    return laid


def withdraw(graph: Graph, snapshot: Snapshot | None = None) -> Generator[None, None, None]:
    """Take out of the overlay what `snapshot`, which is a whole one, no longer has; without one all of it."""
    records = graph.channel_table.records[: graph.channel_table.used]
    ids = records["short_channel_id"][records["state"] & OVERLAY != 0]
    gone = ids if snapshot is None else ids[~np.isin(ids, snapshot.announced["short_channel_id"])]
    for number, short_channel_id in enumerate(gone.tolist()):
        if not graph.has_signed(short_channel_id):  # it may have come meanwhile
            graph.remove(short_channel_id)
        if number % _NODES_AT_ONCE == _NODES_AT_ONCE - 1:
            yield


def _channels(graph: Graph, snapshot: Snapshot, part: slice, heard: int) -> int:
    announced = snapshot.announced[part]
    ids, node_ids = announced["short_channel_id"], snapshot.node_ids
    pairs = zip(announced["node_1"].tolist(), announced["node_2"].tolist(), strict=True)
    # BOLT 7: directions are told apart by the order of the ids, so another order would turn them round.
    ordered = np.fromiter((node_ids[one] < node_ids[other] for one, other in pairs), bool, len(announced))
    fresh = np.flatnonzero((graph.rows_of(ids) < 0) & ordered)
    _ids, first = np.unique(ids[fresh], return_index=True)
    # What each snapshot may have, all of them together may: else a server could bring as much again each day.
    news = fresh[first][: max(0, MAX_CHANNELS - graph.overlay_count)]
    if not len(news):
        return 0
    ends = np.array(
        [[graph.node_row(node_ids[end]) for end in announced[name][news].tolist()] for name in ("node_1", "node_2")],
        np.int64,
    )
    counts = np.bincount(ends.ravel(), minlength=graph.node_table.used).astype(np.int32)
    for name in ("channels", "overlay_channels"):
        graph.node_table.records[name][: graph.node_table.used] += counts
    rows = graph.channel_table.take_many(len(news))
    graph.fit_directions()
    records = graph.channel_table.records
    records["short_channel_id"][rows] = ids[news]
    records["node_1"][rows], records["node_2"][rows] = ends
    records["capacity_sat"][rows] = announced["capacity_sat"][news]
    records["heard"][rows] = heard
    records["state"][rows] = LIVE | OVERLAY
    for row, number in zip(rows.tolist(), news.tolist(), strict=True):
        graph.keep_features(row, snapshot.features.get(part.start + number, b""))
    graph.index.add_many(ids[news], rows, graph.channel_table)
    graph.channel_count += len(news)
    graph.overlay_count += len(news)
    graph.changes.many_added(ids[news].tolist())
    graph.version += 1
    return len(news)


def _updates(graph: Graph, updates: NDArray[Any], heard: int) -> int:
    rows = graph.rows_of(updates["short_channel_id"])
    flags = updates["flags"]
    at: Rows = 2 * rows + (flags & 1)
    records = graph.direction_table.records
    there = np.flatnonzero(rows >= 0)
    there = there[graph.channel_table.records["state"][rows[there]] & OVERLAY != 0]
    known = records["timestamp"][at[there]]
    whole = flags[there] & INCREMENTAL == 0
    told = whole | (flags[there] & 0x04 != 0)
    sound = ~told | (updates["htlc_maximum_msat"][there] <= _MAX_MSAT)
    there = there[(known < heard) & (whole | (known > 0)) & sound]
    # Of two about the same direction the first, as in LDK: the second is no newer.
    _places, first = np.unique(at[there], return_index=True)
    chosen = there[first]
    places = at[chosen]
    for name, flag, _type in FIELDS:
        changed = (flags[chosen] & INCREMENTAL == 0) | (flags[chosen] & flag != 0)
        records[name][places[changed]] = updates[name][chosen[changed]]
    records["timestamp"][places] = heard
    records["message_flags"][places] = 1
    records["channel_flags"][places] = flags[chosen] & 3
    ids = updates["short_channel_id"][chosen]
    graph.changes.many_updated(zip(ids.tolist(), (places & 1).tolist(), strict=True), len(places))
    graph.version += 1
    return len(chosen)


def _node(graph: Graph, node_id: bytes, detail: NodeDetail, heard: int) -> bool:
    """What it announced itself stays; whoever has no channel is not in the graph."""
    row = graph.node_rows.get(node_id)
    node = graph.node(node_id)
    if row is None or node is None or (node.announced is not None and not node.announced.overlay):
        return False
    before = node.announced
    features = detail.features if detail.features is not None else before.features if before else b""
    addresses = detail.addresses if detail.addresses is not None else before.addresses if before else b""
    graph.keep_node(row, heard, bytes(3), (features, bytes(_ALIAS_BYTES), addresses), 0, state=OVERLAY)
    graph.changes.node(node_id)
    return True
