"""Many gossip messages into the graph at once: fields are gathered by numpy, no object is made a message (BOLT 7).

For what is known to be genuine: our own store, or what was just verified. A thousand messages take about 2 ms, so a
whole store is fed in `slices`, with a turn of the loop between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.gossip.columns import CHECKED, DYING, LIVE, OVERLAY, Rows
from core.gossip.graph import Graph
from core.gossip.graph_values import Verdict

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

VERDICTS = (Verdict.NEWS, Verdict.KNOWN, Verdict.UNKNOWN, Verdict.FOREIGN)
NEWS, KNOWN, UNKNOWN, FOREIGN = (np.uint8(number) for number in range(len(VERDICTS)))

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
    channels = read_channels(graph, raw, batch.announcements)
    news = channels.newest()
    capacities = batch.capacities_sat[channels.numbers[news]]
    add_channels(graph, channels, news, capacities, _offsets(channels, news, batch), heard=heard, checked=checked)
    updates = read_updates(graph, raw, batch.updates)
    newer = updates.newest()
    apply_updates(graph, updates, newer, _offsets(updates, newer, batch))
    nodes = read_nodes(graph, raw, batch.nodes)
    latest = nodes.newest()
    apply_nodes(graph, nodes, latest, _offsets(nodes, latest, batch))
    return Taken(len(news), len(newer), len(latest))


@dataclass(frozen=True, slots=True)
class Read:
    """Messages of one kind, looked at as the graph is; those that are too short for what they say are left out."""

    raw: NDArray[np.uint8]
    numbers: Rows
    """Which of the spans they are, ascending."""
    starts: Rows
    verdicts: NDArray[np.uint8]
    """What each would be to the graph, as a number of `VERDICTS`."""
    abouts: NDArray[Any]
    """What each that is news is about."""
    timestamps: NDArray[Any]

    def newest(self) -> Rows:
        """Of the news the newest about each, of equally new ones the first; in no order."""
        news = np.flatnonzero(self.verdicts == NEWS)
        order = news[np.lexsort((-news, self.timestamps[news], self.abouts[news]))]
        last = np.ones(len(order), bool)
        last[:-1] = self.abouts[order][1:] != self.abouts[order][:-1]
        return order[last]


@dataclass(frozen=True, slots=True)
class Channels(Read):
    """Announcements of channels, about their short channel ids."""

    features: Rows
    """Bytes of each."""
    ends: NDArray[np.uint8]
    """Both node ids, shape (n, 66)."""


@dataclass(frozen=True, slots=True)
class Updates(Read):
    """About rows of directions."""

    fields: NDArray[Any]
    """Of `_UPDATE`."""


@dataclass(frozen=True, slots=True)
class Nodes(Read):
    """Announcements of nodes, about rows of nodes."""

    features: Rows
    addresses: Rows
    """Bytes of each."""
    fields: NDArray[Any]
    """Of `_NODE`."""


def joined(messages: Sequence[bytes]) -> tuple[NDArray[np.uint8], Spans]:
    """One buffer with all of them, and where each stands in it."""
    lengths = np.fromiter(map(len, messages), np.int64, len(messages))
    return np.frombuffer(b"".join(messages), np.uint8), np.stack([lengths.cumsum() - lengths, lengths], axis=1)


def read_channels(graph: Graph, raw: NDArray[np.uint8], spans: Spans) -> Channels:
    """Announcements of channels as they stand in `raw`."""
    numbers = _within(spans, len(raw), _FEATURES_AT + 2 + _ENDS + _KEYS)
    starts, lengths = spans[numbers].T
    features = _u16(raw, starts + _FEATURES_AT)
    fits = lengths >= _FEATURES_AT + 2 + features + _ENDS + _KEYS
    numbers, starts, features = numbers[fits], starts[fits], features[fits]
    fields = _gather(raw, starts + _FEATURES_AT + 2 + features, _ENDS)
    ids = fields[:, _CHAIN_BYTES : _CHAIN_BYTES + 8].copy().view(">u8")[:, 0].astype(np.uint64)
    rows = graph.rows_of(ids)
    known = rows >= 0
    if known.any():
        known &= graph.channel_table.records["state"][rows] & OVERLAY == 0
    verdicts = np.where(known, KNOWN, NEWS)
    verdicts[~_same_chain(graph, fields[:, :_CHAIN_BYTES])] = FOREIGN
    ages = np.zeros(len(ids), np.uint8)
    return Channels(raw, numbers, starts, verdicts, ids, ages, features, fields[:, _CHAIN_BYTES + 8 :])


def read_updates(graph: Graph, raw: NDArray[np.uint8], spans: Spans) -> Updates:
    """Updates as they stand in `raw`."""
    numbers = _within(spans, len(raw), _SIGNED_AT + _UPDATE.itemsize)
    starts = spans[numbers, 0]
    fields = _gather(raw, starts + _SIGNED_AT, _UPDATE.itemsize).view(_UPDATE)[:, 0]
    rows = graph.rows_of(fields["short_channel_id"].astype(np.uint64))
    places = 2 * rows + (fields["channel_flags"] & 1)
    verdicts = np.full(len(rows), UNKNOWN)
    there = np.flatnonzero(rows >= 0)
    # Of an overlay's channel nobody knows who may sign for it.
    states = graph.channel_table.records["state"][rows[there]]
    there, states = there[states & OVERLAY == 0], states[states & OVERLAY == 0]
    newer = fields["timestamp"][there] > graph.direction_table.records["timestamp"][places[there]]
    newer &= (states & DYING == 0) | (fields["channel_flags"][there] & 2 != 0)  # BOLT 7, as in `update_verdict`
    verdicts[there] = np.where(newer, NEWS, KNOWN)
    verdicts[~_same_chain(graph, fields["chain_hash"])] = FOREIGN
    return Updates(raw, numbers, starts, verdicts, places, fields["timestamp"].astype(np.int64), fields)


def read_nodes(graph: Graph, raw: NDArray[np.uint8], spans: Spans) -> Nodes:
    """Announcements of nodes as they stand in `raw`. What their addresses say is not looked at."""
    least = _SIGNED_AT + 2 + _NODE.itemsize
    numbers = _within(spans, len(raw), least)
    starts, lengths = spans[numbers].T
    features = _u16(raw, starts + _SIGNED_AT)
    fits = lengths >= least + features
    numbers, starts, lengths, features = numbers[fits], starts[fits], lengths[fits], features[fits]
    fields = _gather(raw, starts + _SIGNED_AT + 2 + features, _NODE.itemsize).view(_NODE)[:, 0]
    addresses = fields["addresses_bytes"].astype(np.int64)
    fits = lengths >= least + features + addresses
    numbers, starts, features, addresses, fields = (
        column[fits] for column in (numbers, starts, features, addresses, fields)
    )
    rows = np.array([graph.node_rows.get(node_id, -1) for node_id in fields["node_id"].tolist()], np.int64)
    timestamps = fields["timestamp"].astype(np.int64)
    verdicts = np.full(len(rows), UNKNOWN)
    there = np.flatnonzero(rows >= 0)
    nodes = graph.node_table.records[rows[there]]
    there, nodes = (column[nodes["channels"] != nodes["overlay_channels"]] for column in (there, nodes))
    newer = (timestamps[there] > nodes["timestamp"]) | (nodes["state"] & OVERLAY != 0)
    verdicts[there] = np.where(newer, NEWS, KNOWN)
    return Nodes(raw, numbers, starts, verdicts, rows, timestamps, features, addresses, fields)


def add_channels(
    graph: Graph,
    channels: Channels,
    news: Rows,
    capacities: NDArray[np.uint64],
    offsets: NDArray[np.uint64],
    *,
    heard: int,
    checked: bool,
) -> None:
    """Apply those of `newest`, each with its capacity and its place in the store; the others as for `extend`."""
    if not len(news):
        return
    ids, features = channels.abouts[news], channels.features[news]
    ends = _ends(graph, channels.ends[news])
    for row in graph.rows_of(ids).tolist():
        if row >= 0:  # An overlay's; after its nodes have their new channel, so that they stay.
            graph.remove(int(graph.channel_table.records["short_channel_id"][row]))
    rows = graph.channel_table.take_many(len(news))
    graph.fit_directions()
    records = graph.channel_table.records
    records["short_channel_id"][rows] = ids
    records["node_1"][rows], records["node_2"][rows] = ends[:, 0], ends[:, 1]
    records["capacity_sat"][rows] = capacities
    records["offset"][rows] = offsets
    records["heard"][rows] = heard
    seen = capacities != 0 if checked else np.zeros(len(news), bool)
    records["state"][rows] = np.where(seen, LIVE | CHECKED, LIVE)
    for at in np.flatnonzero(features).tolist():
        start = int(channels.starts[news[at]]) + _FEATURES_AT + 2
        graph.keep_features(int(rows[at]), channels.raw[start : start + int(features[at])].tobytes())
    graph.index.add_many(ids, rows, graph.channel_table)
    graph.channel_count += len(news)
    graph.checked_count += int(seen.sum())
    graph.changes.many_added(ids.tolist())
    graph.version += 1


def apply_updates(graph: Graph, updates: Updates, newer: Rows, offsets: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply those of `newest`, each with its place in the store; gives the places of what they replace, or 0."""
    at, fields = updates.abouts[newer], updates.fields[newer]
    records = graph.direction_table.records
    replaced: NDArray[np.uint64] = records["offset"][at]
    for name in _COPIED:
        records[name][at] = fields[name]
    records["offset"][at] = offsets
    ids = graph.channel_table.records["short_channel_id"][at >> 1]
    graph.changes.many_updated(zip(ids.tolist(), (at & 1).tolist(), strict=True), len(at))
    graph.version += 1
    return replaced


def apply_nodes(graph: Graph, nodes: Nodes, newer: Rows, offsets: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply those of `newest`, each with its place in the store; gives the places of what they replace, or 0."""
    at = nodes.abouts[newer]
    records = graph.node_table.records
    replaced: NDArray[np.uint64] = records["offset"][at]
    records["offset"][at] = offsets
    records["timestamp"][at] = nodes.timestamps[newer]
    records["features_bytes"][at] = nodes.features[newer]
    records["rgb_color"][at] = nodes.fields["rgb_color"][newer]
    records["state"][at] = 0
    graph.version += 1  # their features tell who may be routed through them
    graph.keep_texts(at.tolist(), _texts(nodes.raw, nodes.starts[newer], nodes.features[newer], nodes.addresses[newer]))
    return replaced


def _ends(graph: Graph, pairs: NDArray[np.uint8]) -> Rows:
    """The rows of both nodes of each channel, shape (n, 2); new nodes are made, channels counted."""
    ids = np.ascontiguousarray(pairs).view(f"V{_NODE_ID_BYTES}").ravel().tolist()
    rows = list(map(graph.node_rows.get, ids))
    ends = np.array([graph.node_row(id_) if row is None else row for id_, row in zip(ids, rows, strict=True)], np.int64)
    counts = np.bincount(ends, minlength=graph.node_table.used).astype(np.int32)
    graph.node_table.records["channels"][: graph.node_table.used] += counts
    return ends.reshape(-1, 2)


def _texts(raw: NDArray[np.uint8], starts: Rows, features: Rows, addresses: Rows) -> Iterator[bytes]:
    """Features, alias and addresses of each announcement, one after the other."""
    view = raw.data  # joining views copies each byte once
    fixed = starts + _SIGNED_AT + 2 + features
    behind = fixed + _NODE.itemsize
    columns = (fixed - features, fixed, behind, behind + addresses)
    for begin, middle, alias_end, end in zip(*(column.tolist() for column in columns), strict=True):
        alias = view[alias_end - 2 - _ALIAS_BYTES : alias_end - 2]
        yield b"".join((view[begin:middle], alias, view[alias_end:end]))


def _within(spans: Spans, end: int, least: int) -> Rows:
    """Which spans lie in the buffer and have at least so many bytes."""
    starts, lengths = spans.T
    return np.flatnonzero((starts >= 0) & (lengths >= least) & (starts + lengths <= end))


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


def _offsets(found: Read, chosen: Rows, batch: Batch) -> NDArray[np.uint64]:
    """Where the records of those that were chosen stand in the store."""
    if batch.base is None:
        return np.zeros(len(chosen), np.uint64)
    return (found.starts[chosen] + batch.base).astype(np.uint64)
