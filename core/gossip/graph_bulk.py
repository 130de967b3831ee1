"""Many gossip messages into the graph at once: fields are gathered by numpy, no object is made a message (BOLT 7).

For what is known to be genuine: our own store, or what was just verified. A thousand messages take about 2 ms, so a
whole store is fed in `slices`, with a turn of the loop between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.gossip.columns import CHECKED, LIVE, OVERLAY, Rows
from core.gossip.graph import Graph

SLICE = 1024
"""Messages of one kind that are applied at once: about 2 ms."""
_FEATURES_AT = 2 + 4 * 64
"""Where the length of a channel announcement's features stands."""
_CHAIN_BYTES = 32
_NODE_ID_BYTES = 33
_ENDS = _CHAIN_BYTES + 8 + 2 * _NODE_ID_BYTES
"""Chain, short channel id and node ids, which follow the features."""
_KEYS = 2 * _NODE_ID_BYTES
"""Of the funding output, behind them."""
_SIGNED_AT = 2 + 64
"""Where an update's chain and a node announcement's features stand."""
_ALIAS_BYTES = 32
_NODE = np.dtype(
    [
        ("timestamp", ">u4"),
        ("node_id", f"V{_NODE_ID_BYTES}"),
        ("rgb_color", np.uint8, (3,)),
        ("alias", f"V{_ALIAS_BYTES}"),
        ("addresses_bytes", ">u2"),
    ]
)
"""A `node_announcement` behind its features, up to its addresses."""

_UPDATE = np.dtype(
    [
        ("chain_hash", np.uint8, (_CHAIN_BYTES,)),
        ("short_channel_id", ">u8"),
        ("timestamp", ">u4"),
        ("message_flags", "u1"),
        ("channel_flags", "u1"),
        ("cltv_expiry_delta", ">u2"),
        ("htlc_minimum_msat", ">u8"),
        ("fee_base_msat", ">u4"),
        ("fee_proportional_millionths", ">u4"),
        ("htlc_maximum_msat", ">u8"),
    ]
)
"""A `channel_update` behind its signature."""
_COPIED = (
    "timestamp",
    "message_flags",
    "channel_flags",
    "cltv_expiry_delta",
    "htlc_minimum_msat",
    "fee_base_msat",
    "fee_proportional_millionths",
    "htlc_maximum_msat",
)

Spans = NDArray[np.int64]
"""Start and length of messages, type included: shape (n, 2)."""


def _none() -> Spans:
    return np.zeros((0, 2), np.int64)


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages as they stand in one buffer: announcements are applied first, then updates, then nodes."""

    raw: Any
    """Anything with the buffer interface."""
    announcements: Spans = field(default_factory=_none)
    capacities_sat: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    """One an announcement, 0 where nobody told."""
    updates: Spans = field(default_factory=_none)
    nodes: Spans = field(default_factory=_none)
    base: int | None = None
    """Added to a message's start it is its record's offset in the store; None: they are in no store."""


class Taken(NamedTuple):
    """How many messages changed the graph. The others are old, about something unknown, foreign or malformed."""

    channels: int
    updates: int
    nodes: int


def slices(batch: Batch) -> Iterator[Batch]:
    """The batch in pieces, in the order in which they are to be applied."""
    for at in range(0, len(batch.announcements), SLICE):
        part = slice(at, at + SLICE)
        yield Batch(batch.raw, batch.announcements[part], batch.capacities_sat[part], base=batch.base)
    for at in range(0, len(batch.updates), SLICE):
        yield Batch(batch.raw, updates=batch.updates[at : at + SLICE], base=batch.base)
    for at in range(0, len(batch.nodes), SLICE):
        yield Batch(batch.raw, nodes=batch.nodes[at : at + SLICE], base=batch.base)


def extend(graph: Graph, batch: Batch, *, heard: int, checked: bool) -> Taken:
    """Apply a batch; nothing in it can make this fail. `heard` is now, in seconds since the epoch.

    `checked`: the chain has the funding outputs of those announcements that have a capacity.
    """
    raw = np.frombuffer(batch.raw, np.uint8)
    taken = Taken(
        _announcements(graph, raw, batch, heard, checked=checked),
        _updates(graph, raw, batch),
        _nodes(graph, raw, batch),
    )
    graph.version += 1
    return taken


def _announcements(graph: Graph, raw: NDArray[np.uint8], batch: Batch, heard: int, *, checked: bool) -> int:
    whole = _within(batch.announcements, len(raw), _FEATURES_AT + 2 + _ENDS + _KEYS)
    starts, lengths = batch.announcements[whole].T
    features = _u16(raw, starts + _FEATURES_AT)
    fits = lengths >= _FEATURES_AT + 2 + features + _ENDS + _KEYS
    starts, features, capacities = starts[fits], features[fits], batch.capacities_sat[whole][fits]
    fields = _gather(raw, starts + _FEATURES_AT + 2 + features, _ENDS)
    ids = fields[:, _CHAIN_BYTES : _CHAIN_BYTES + 8].copy().view(">u8")[:, 0].astype(np.uint64)
    news = _channel_news(graph, fields[:, :_CHAIN_BYTES], ids)
    if not len(news):
        return 0
    ends = _ends(graph, fields[news, _CHAIN_BYTES + 8 :])
    for row in graph.rows_of(ids[news]).tolist():
        if row >= 0:  # An overlay's; after its nodes have their new channel, so that they stay.
            graph.remove(int(graph.channel_table.records["short_channel_id"][row]))
    rows = graph.channel_table.take_many(len(news))
    graph.fit_directions()
    records = graph.channel_table.records
    records["short_channel_id"][rows] = ids[news]
    records["node_1"][rows], records["node_2"][rows] = ends[:, 0], ends[:, 1]
    records["capacity_sat"][rows] = capacities[news]
    records["offset"][rows] = _offsets(starts[news], batch.base)
    records["heard"][rows] = heard
    seen = capacities[news] != 0 if checked else np.zeros(len(news), bool)
    records["state"][rows] = np.where(seen, LIVE | CHECKED, LIVE)
    for at in np.flatnonzero(features[news]).tolist():
        start = int(starts[news[at]]) + _FEATURES_AT + 2
        graph.keep_features(int(rows[at]), raw[start : start + int(features[news[at]])].tobytes())
    graph.index.add_many(ids[news], rows, graph.channel_table)
    graph.channel_count += len(news)
    graph.checked_count += int(seen.sum())
    graph.changes.many_added(ids[news].tolist())
    return len(news)


def _channel_news(graph: Graph, chains: NDArray[np.uint8], ids: NDArray[np.uint64]) -> Rows:
    """Where the first announcement of each channel stands that is new."""
    rows = graph.rows_of(ids)
    known = rows >= 0
    if known.any():
        known &= graph.channel_table.records["state"][rows] & OVERLAY == 0
    ours = np.flatnonzero(_same_chain(graph, chains) & ~known)
    _ids, first = np.unique(ids[ours], return_index=True)
    return ours[first]


def _ends(graph: Graph, pairs: NDArray[np.uint8]) -> Rows:
    """The rows of both nodes of each channel, shape (n, 2); new nodes are made, channels counted."""
    ids = np.ascontiguousarray(pairs).view(f"V{_NODE_ID_BYTES}").ravel().tolist()
    rows = list(map(graph.node_rows.get, ids))
    ends = np.array([graph.node_row(id_) if row is None else row for id_, row in zip(ids, rows, strict=True)], np.int64)
    counts = np.bincount(ends, minlength=graph.node_table.used).astype(np.int32)
    graph.node_table.records["channels"][: graph.node_table.used] += counts
    return ends.reshape(-1, 2)


def _updates(graph: Graph, raw: NDArray[np.uint8], batch: Batch) -> int:
    whole = _within(batch.updates, len(raw), _SIGNED_AT + _UPDATE.itemsize)
    starts = batch.updates[whole, 0]
    fields = _gather(raw, starts + _SIGNED_AT, _UPDATE.itemsize).view(_UPDATE)[:, 0]
    rows = graph.rows_of(fields["short_channel_id"].astype(np.uint64))
    places = 2 * rows + (fields["channel_flags"] & 1)
    records = graph.direction_table.records
    known = np.flatnonzero((rows >= 0) & _same_chain(graph, fields["chain_hash"]))
    # Of an overlay's channel nobody knows who may sign for it.
    known = known[graph.channel_table.records["state"][rows[known]] & OVERLAY == 0]
    known = known[fields["timestamp"][known] > records["timestamp"][places[known]]]
    # The newest of each direction comes last; of equally new ones the first.
    order = known[np.lexsort((-known, fields["timestamp"][known], places[known]))]
    last = np.ones(len(order), bool)
    last[:-1] = places[order][1:] != places[order][:-1]
    chosen = order[last]
    at = places[chosen]
    for name in _COPIED:
        records[name][at] = fields[name][chosen]
    records["offset"][at] = _offsets(starts[chosen], batch.base)
    ids = graph.channel_table.records["short_channel_id"][at >> 1]
    graph.changes.many_updated(zip(ids.tolist(), (at & 1).tolist(), strict=True), len(at))
    return len(at)


def _nodes(graph: Graph, raw: NDArray[np.uint8], batch: Batch) -> int:
    least = _SIGNED_AT + 2 + _NODE.itemsize
    starts, lengths = batch.nodes[_within(batch.nodes, len(raw), least)].T
    features = _u16(raw, starts + _SIGNED_AT)
    fits = lengths >= least + features
    starts, lengths, features = starts[fits], lengths[fits], features[fits]
    fields = _gather(raw, starts + _SIGNED_AT + 2 + features, _NODE.itemsize).view(_NODE)[:, 0]
    addresses = fields["addresses_bytes"].astype(np.int64)
    found = map(graph.node_rows.get, fields["node_id"].tolist())
    rows = np.array([-1 if row is None else row for row in found], np.int64)
    timestamps = fields["timestamp"].astype(np.int64)
    known = np.flatnonzero((rows >= 0) & (lengths >= least + features + addresses))
    nodes = graph.node_table.records[rows[known]]
    newer = (timestamps[known] > nodes["timestamp"]) | (nodes["state"] & OVERLAY != 0)
    known = known[newer & (nodes["channels"] != nodes["overlay_channels"])]
    # The newest of each node comes last; of equally new ones the first.
    order = known[np.lexsort((-known, timestamps[known], rows[known]))]
    last = np.ones(len(order), bool)
    last[:-1] = rows[order][1:] != rows[order][:-1]
    chosen = order[last]
    at = rows[chosen]
    records = graph.node_table.records
    records["offset"][at] = _offsets(starts[chosen], batch.base)
    records["timestamp"][at] = timestamps[chosen]
    records["features_bytes"][at] = features[chosen]
    records["rgb_color"][at] = fields["rgb_color"][chosen]
    records["state"][at] = 0
    graph.keep_texts(at.tolist(), _texts(raw, starts[chosen], features[chosen], addresses[chosen]))
    return len(at)


def _texts(raw: NDArray[np.uint8], starts: Rows, features: Rows, addresses: Rows) -> Iterator[bytes]:
    """Features, alias and addresses of each announcement, one after the other."""
    view = raw.data  # joining views copies each byte once
    fixed = starts + _SIGNED_AT + 2 + features
    behind = fixed + _NODE.itemsize
    columns = (fixed - features, fixed, behind, behind + addresses)
    for begin, middle, alias_end, end in zip(*(column.tolist() for column in columns), strict=True):
        alias = view[alias_end - 2 - _ALIAS_BYTES : alias_end - 2]
        yield b"".join((view[begin:middle], alias, view[alias_end:end]))


def _within(spans: Spans, end: int, least: int) -> NDArray[np.bool_]:
    """Which spans lie in the buffer and have at least so many bytes."""
    starts, lengths = spans.T
    inside: NDArray[np.bool_] = (starts >= 0) & (lengths >= least) & (starts + lengths <= end)
    return inside


def _gather(raw: NDArray[np.uint8], starts: Rows, size: int) -> NDArray[np.uint8]:
    """`size` bytes from each start, shape (n, size)."""
    if not len(starts):
        return np.zeros((0, size), np.uint8)
    gathered: NDArray[np.uint8] = np.lib.stride_tricks.sliding_window_view(raw, size)[starts]
    return gathered


def _u16(raw: NDArray[np.uint8], places: Rows) -> Rows:
    return raw[places].astype(np.int64) << 8 | raw[places + 1]


def _same_chain(graph: Graph, chains: NDArray[np.uint8]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (chains == np.frombuffer(graph.chain_hash, np.uint8)).all(axis=1)
    return same


def _offsets(starts: Rows, base: int | None) -> NDArray[np.uint64]:
    return np.zeros(len(starts), np.uint64) if base is None else (starts + base).astype(np.uint64)
