"""Many channels at once, by the graph's columns: what of a peer's list we want, and what we may tell of our own. Pure.

A list names 8,000 channels in one message, which nobody looks up one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, update_checksum
from core.bolt.gossip_queries import (
    WANT_ANNOUNCEMENT,
    WANT_NODE_1,
    WANT_NODE_2,
    WANT_UPDATE_1,
    WANT_UPDATE_2,
    ReplyChannelRange,
)
from core.gossip.columns import CHECKED, DYING, LIVE, OVERLAY, Rows
from core.gossip.graph import Graph
from core.gossip.limits import FURTHEST_AHEAD_S, OLDEST_UPDATE_S

EVERYTHING = WANT_ANNOUNCEMENT | WANT_UPDATE_1 | WANT_UPDATE_2 | WANT_NODE_1 | WANT_NODE_2
"""As a query flag."""
REFRESHED_AFTER_S = OLDEST_UPDATE_S // 2
"""An update that says what ours says is fetched once ours is so old: before it is pruned, and not each time."""
_SLICE = 256
"""Ids that are looked at in one piece: about a millisecond."""
_UPDATE = struct.Struct(">32sQIBBHQIIQ")
_UPDATE_ID = slice(2 + 64 + 32, 2 + 64 + 32 + 8)
_FEATURES = 2 + 4 * 64 + 2
"""Where an announcement's features begin; the chain's hash and the id come behind them."""
_HEAD = ChannelUpdate.TYPE.to_bytes(2, "big") + bytes(64)

Wanted = list[tuple[int, int]]


def wanted_of(graph: Graph, reply: ReplyChannelRange, now: int) -> Iterator[Wanted]:
    """What is to be asked for of a part of a peer's list, a slice of it after the other, for a loop that breathes.

    An unknown channel is wanted whole, unless the peer itself would have pruned it; of a known one an update that is
    newer than ours and says something else, or is newer than ours by much. `now` is seconds since the epoch.
    """
    ids = np.array(reply.short_channel_ids, np.uint64)
    stamps = None if reply.timestamps is None else np.array(reply.timestamps, np.int64).reshape(-1, 2)
    for first in range(0, len(ids), _SLICE):
        part = slice(first, first + _SLICE)
        known = _signed(graph, ids[part])
        if stamps is None:
            flags = np.where(known >= 0, 0, EVERYTHING)
        else:
            sums = () if reply.checksums is None else reply.checksums[part]
            flags = _newer(graph, known, stamps[part], sums, now)
        yield [(scid, flag) for scid, flag in zip(ids[part].tolist(), flags.tolist(), strict=True) if flag]


def kept_up_until(graph: Graph) -> int | None:
    """When the graph last knew the network, in seconds since the epoch; None when it has no update.

    The newest updates but a hundredth: a few may have been dated ahead.
    """
    used = graph.channel_table.used
    signed = graph.channel_table.records["state"][:used] & (LIVE | OVERLAY) == LIVE
    stamps = graph.direction_table.records["timestamp"][: 2 * used][signed.repeat(2)]
    stamps = stamps[stamps != 0]
    return int(np.quantile(stamps, 0.99, method="lower")) if len(stamps) else None


def still_tellable(graph: Graph, messages: Iterable[bytes]) -> list[bytes]:
    """These messages of the store, empty in place of those about a channel that may not be told of now."""
    listed = list(messages)
    about = [_about(message) for message in listed]
    may = tellable(graph, graph.rows_of(np.array([scid or 0 for scid in about], np.uint64))).tolist()
    told = zip(listed, about, may, strict=True)
    return [message if one or scid is None else b"" for message, scid, one in told]


def _about(message: bytes) -> int | None:
    """The channel that an announcement or update is about; None for a node's."""
    kind = int.from_bytes(message[:2], "big")
    if kind == ChannelUpdate.TYPE:
        return int.from_bytes(message[_UPDATE_ID], "big")
    if kind == ChannelAnnouncement.TYPE:
        at = _FEATURES + int.from_bytes(message[_FEATURES - 2 : _FEATURES], "big") + 32
        return int.from_bytes(message[at : at + 8], "big")
    return None


def tellable_between(graph: Graph, first_block: int, end_block: int) -> NDArray[np.uint64]:
    """Ids of channels with `first_block <= block < end_block` that may be told of, ascending.

    Not of those whose funding output is spent: BOLT 7 has them not announced any more, and some peers blame for it.
    """
    ids = graph.channels_between(first_block, end_block)
    rows = graph.rows_of(ids)
    may = tellable(graph, rows)
    if len(rows):
        may &= graph.channel_table.records["state"][rows] & DYING == 0
    return ids[may]


def tellable(graph: Graph, rows: Rows) -> NDArray[np.bool_]:
    """Which of these may be told of: seen on the chain, stored, and with an update (BOLT 7). Rows of -1 may not."""
    records = graph.channel_table.records
    if not len(records):
        return np.zeros(len(rows), bool)
    states = records["state"][rows]
    stamps = graph.direction_table.records["timestamp"]
    updated = (stamps[2 * rows] != 0) | (stamps[2 * rows + 1] != 0)
    seen = (states & (LIVE | CHECKED) == LIVE | CHECKED) & (states & OVERLAY == 0)
    may: NDArray[np.bool_] = (rows >= 0) & seen & (records["offset"][rows] > 0) & updated
    return may


def _signed(graph: Graph, ids: NDArray[np.uint64]) -> Rows:
    """Rows of the channels that their nodes announced to us, -1 for others: an overlay's is wanted like an unknown."""
    rows = graph.rows_of(ids)
    if not len(graph.channel_table.records):
        return rows
    return np.where(graph.channel_table.records["state"][rows] & OVERLAY == 0, rows, -1)


def _newer(
    graph: Graph, rows: Rows, stamps: NDArray[np.int64], sums: tuple[tuple[int, int], ...], now: int
) -> NDArray[np.int64]:
    there = stamps > 0
    lasting = ~there | (stamps >= now - OLDEST_UPDATE_S)
    usable = there & lasting & (stamps <= now + FURTHEST_AHEAD_S)
    unknown = (rows < 0) & lasting.all(axis=1) & usable.any(axis=1)
    flags = np.where(unknown, EVERYTHING, 0)
    for direction, bit in enumerate((WANT_UPDATE_1, WANT_UPDATE_2)):
        records = graph.direction_table.records
        if not len(records):
            break
        at = 2 * np.maximum(rows, 0) + direction
        ours = records["timestamp"][at].astype(np.int64)
        newer = (rows >= 0) & usable[:, direction] & (stamps[:, direction] > ours)
        for number in np.flatnonzero(newer & (ours >= now - REFRESHED_AFTER_S)).tolist() if sums else ():
            newer[number] = sums[number][direction] != _checksum(graph, int(rows[number]), direction)
        flags = flags | np.where(newer, bit, 0)
    return flags


def _checksum(graph: Graph, row: int, direction: int) -> int:
    """`update_checksum` of ours. What an update says beyond BOLT 7 is not in the graph: such a one is asked for."""
    scid = int(graph.channel_table.records["short_channel_id"][row])
    _, minimum, maximum, base, proportional, _, delta, message, channel = graph.direction_table.records[
        2 * row + direction
    ].item()
    facts = (graph.chain_hash, scid, 0, message, channel, delta, minimum, base, proportional, maximum)
    return update_checksum(_HEAD + _UPDATE.pack(*facts))
