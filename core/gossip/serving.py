"""What we tell a peer: what it asked for, and what is new. Only what the chain was seen to hold is told at all.

One task a peer, which does one thing after the other, so that a peer's own slowness is all it costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from core.base.clock import Clock
from core.bolt.gossip import ChannelUpdate, NodeAnnouncement, update_checksum
from core.bolt.gossip_queries import (
    WANT_ANNOUNCEMENT,
    WANT_CHECKSUMS,
    WANT_NODE_1,
    WANT_NODE_2,
    WANT_TIMESTAMPS,
    WANT_UPDATE_1,
    WANT_UPDATE_2,
    GossipTimestampFilter,
    Pair,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    most_ids_in_reply,
)
from core.gossip.graph import Graph
from core.gossip.graph_values import Channel, Trust
from core.gossip.limits import (
    BROADCAST_INTERVAL_S,
    ECHO_A_GENERATION,
    ECHO_GENERATIONS,
    LOOKED_AT_BYTES,
    QUERIES_WAITING,
    RECENT,
    SERVED_AT_ONCE,
    SERVED_BYTES_S,
    SERVED_UNSENT_BYTES,
)
from core.gossip.listing import EVERYTHING, still_tellable, tellable_between
from core.gossip.peer import Peer
from core.gossip.seen import Seen
from core.gossip.store import GossipStore
from core.gossip.store_format import StoreDamaged

_BREATH_S = 0.02
"""How often we look whether a peer has read."""
_LOOKED_THROUGH = 1_000
"""New messages that are looked at for one peer in one turn of the loop: a millisecond."""
Query = QueryChannelRange | QueryShortChannelIds
T = TypeVar("T")


class Recent:
    """The latest that may be passed on, for those that are still to be sent it."""

    def __init__(self) -> None:
        self._messages: deque[tuple[bytes, int, bytes, bytes]] = deque()
        self._last: dict[bytes, int] = {}
        """By what a message is about the place of the last one of those."""
        self.end = 0
        """How many there ever were."""

    def add(self, message: bytes, timestamp: int, source: bytes = b"") -> None:
        """`source` is the id of the peer that brought it first, empty when nobody knows."""
        subject = _subject(message)
        self._messages.append((message, timestamp, source, subject))
        self._last[subject] = self.end
        self.end += 1
        if len(self._messages) > RECENT:
            _message, _timestamp, _source, gone = self._messages.popleft()
            if self._last[gone] == self.end - RECENT - 1:
                del self._last[gone]

    def after(self, place: int, reader: bytes = b"", *, most: int = RECENT) -> tuple[list[tuple[bytes, int]], int]:
        """Message and timestamp of those after the first `place`, without what the peer `reader` brought; and the
        place to go on from, since no more than `most` are looked at.

        Of several about the same only the last (BOLT 7, staggered broadcast). The oldest may be gone.
        """
        oldest = self.end - len(self._messages)
        first = max(place, oldest)
        fresh = itertools.islice(self._messages, first - oldest, first - oldest + most)
        news = [
            (message, timestamp)
            for number, (message, timestamp, source, subject) in enumerate(fresh, first)
            if self._last[subject] == number and (not reader or source != reader)
        ]
        return news, min(first + most, self.end)


class Serving:
    """What one peer is told. `run` does it."""

    def __init__(
        self, peer: Peer, graph: Graph, store: GossipStore, recent: Recent, clock: Clock, turn: asyncio.Lock
    ) -> None:
        """Who has `turn`, which all peers share, looks at some channels: all of them at once would hold the loop."""
        self._peer = peer
        self._turn = turn
        self._graph = graph
        self._store = store
        self._recent = recent
        self._clock = clock
        self._queries: deque[Query] = deque()
        self._filter: GossipTimestampFilter | None = None
        self._dump = False
        self._place = 0
        self._due = 0.0
        self._wake = asyncio.Event()
        self._theirs = Seen(generations=ECHO_GENERATIONS, size=ECHO_A_GENERATION)

    def heard(self, message: bytes) -> None:
        """What it told us is not told to it."""
        self._theirs.add(message)

    def ask(self, query: Query) -> None:
        """Answered in order; too many at once are passed over, with a warning."""
        if isinstance(query, QueryShortChannelIds) and any(
            isinstance(one, QueryShortChannelIds) for one in self._queries
        ):
            self._peer.warn("Bad concurrent query_short_channel_ids")
        elif len(self._queries) >= QUERIES_WAITING:
            self._peer.warn("Too many queries at once")
        else:
            self._queries.append(query)
            self._wake.set()

    def set_filter(self, wanted: GossipTimestampFilter, first_broadcast_s: float) -> None:
        """From now on what it lets through is sent: all that is there, then what is new, each minute."""
        self._filter = wanted
        self._dump = wanted.timestamp_range > 0
        self._place = self._recent.end
        self._due = self._clock.monotonic() + first_broadcast_s
        self._wake.set()

    def look(self) -> None:
        """Every few seconds: whether it is time for what is new."""
        if self._filter is not None and self._clock.monotonic() >= self._due:
            self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled. Raises ProfileUnusable when the store cannot be read."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._answer_all()
            if self._dump:
                await self._send_all()
            if self._filter is not None and self._clock.monotonic() >= self._due:
                await self._send_new(self._filter)

    # -- what is there

    async def _send_all(self) -> None:
        """What the filter lets through, channels before nodes; a new filter begins anew, a query comes between."""
        self._dump, wanted = False, self._filter
        assert wanted is not None
        served: set[bytes] = set()
        for row in range(0, self._graph.channel_table.used, SERVED_AT_ONCE):
            async with self._turn:
                offsets: list[int] = []
                for channel in self._rows(row):
                    updates = [one.offset for one in channel.policies if one and wanted.lets_through(one.timestamp)]
                    if updates:
                        offsets += [channel.offset, *updates]
                    served |= {channel.node_id_1, channel.node_id_2}
                await self._clock.sleep(0)
            await self._send_records(offsets)
            await self._answer_all()
            if self._dump or self._filter is not wanted:
                return
        for part in _parts(list(served)):
            await self._send_nodes(part, wanted)
            await self._answer_all()

    async def _send_nodes(self, node_ids: Iterable[bytes], wanted: GossipTimestampFilter | None = None) -> None:
        """What they announced, as far as `wanted` lets it through; with None they were asked for."""
        for part in _parts(list(node_ids)):
            nodes = [node.announced for node in map(self._graph.node, part) if node is not None]
            await self._send_records(
                [
                    one.offset
                    for one in nodes
                    if one and one.may_be_forwarded() and (wanted is None or wanted.lets_through(one.timestamp))
                ],
                asked_for=wanted is None,
            )

    def _rows(self, first: int) -> Iterator[Channel]:
        table = self._graph.channel_table
        for row in range(first, min(first + SERVED_AT_ONCE, table.used)):
            channel = self._graph.channel(int(table.records["short_channel_id"][row]))
            if channel is not None and may_be_announced(channel):
                yield channel

    async def _send_new(self, wanted: GossipTimestampFilter) -> None:
        self._due = self._clock.monotonic() + BROADCAST_INTERVAL_S
        end = self._recent.end
        while self._place < end:
            news, self._place = self._recent.after(self._place, self._peer.peer_id, most=_LOOKED_THROUGH)
            for part in _parts(news):
                await self._send([message for message, timestamp in part if wanted.lets_through(timestamp)])

    # -- answers

    async def _answer_all(self) -> None:
        """BOLT 7: no answer waits for what was not asked for."""
        while self._queries:
            await self._answer(self._queries[0])
            self._queries.popleft()

    async def _answer(self, query: Query) -> None:
        if query.chain_hash != self._graph.chain_hash:
            self._refuse(query)
        elif isinstance(query, QueryShortChannelIds):
            await self._answer_ids(query)
        else:
            await self._answer_range(query)

    def _refuse(self, query: Query) -> None:
        """Of another chain we know nothing."""
        if isinstance(query, QueryShortChannelIds):
            self._peer.send(ReplyShortChannelIdsEnd(query.chain_hash, False).encode())
        else:
            reply = ReplyChannelRange(query.chain_hash, query.first_blocknum, query.number_of_blocks, False, ())
            self._peer.send(reply.encode())

    async def _answer_ids(self, query: QueryShortChannelIds) -> None:
        flags = query.query_flags or (EVERYTHING,) * len(query.short_channel_ids)
        nodes: set[bytes] = set()
        for part in _parts(list(zip(query.short_channel_ids, flags, strict=True))):
            offsets: list[int] = []
            async with self._turn:
                for scid, wanted in part:
                    channel = self._graph.channel(scid)
                    if channel is None or not _may_be_told(channel):
                        continue
                    if wanted & WANT_ANNOUNCEMENT:
                        offsets.append(channel.offset)
                    for bit, policy in zip((WANT_UPDATE_1, WANT_UPDATE_2), channel.policies, strict=True):
                        if wanted & bit and policy is not None:
                            offsets.append(policy.offset)
                    nodes |= {channel.node_id_1} if wanted & WANT_NODE_1 else set()
                    nodes |= {channel.node_id_2} if wanted & WANT_NODE_2 else set()
                await self._clock.sleep(0)
            await self._send_records(offsets, asked_for=True)
        await self._send_nodes(nodes)
        # Without a chain to check channels against nothing is told, which BOLT 7 has us admit.
        self._peer.send(ReplyShortChannelIdsEnd(query.chain_hash, self._graph.checked_count > 0).encode())

    async def _answer_range(self, query: QueryChannelRange) -> None:
        ids = tellable_between(self._graph, query.first_blocknum, query.end_blocknum).tolist()
        stamps, sums = query.wants(WANT_TIMESTAMPS), query.wants(WANT_CHECKSUMS)
        most = most_ids_in_reply(timestamps=stamps, checksums=sums)
        parts = [ids[first : first + most] for first in range(0, len(ids), most)] or [[]]
        first = query.first_blocknum
        for number, part in enumerate(parts, 1):
            is_last = number == len(parts)
            end = query.end_blocknum if is_last else (part[-1] >> 40) + 1
            timestamps, checksums = await self._facts(part, sums=sums)
            reply = ReplyChannelRange(
                query.chain_hash,
                first,
                end - first,
                is_last,
                tuple(part),
                timestamps if stamps else None,
                checksums if sums else None,
            ).encode()
            self._peer.send(reply)
            await self._rest(len(reply))
            first = end - (not is_last)  # the next part may hold more of the same block

    async def _facts(self, scids: list[int], *, sums: bool) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
        """Timestamps of the latest updates, and with `sums` their checksums."""
        timestamps: list[Pair] = []
        checksums: list[Pair] = []
        for part in _parts(scids):
            async with self._turn:
                rows = self._graph.rows_of(np.array(part, np.uint64))
                there = np.where(rows >= 0, rows, 0)
                records = self._graph.direction_table.records[np.stack([2 * there, 2 * there + 1], axis=1)]
                records[rows < 0] = 0  # it left the graph since it was listed
                timestamps += map(tuple, records["timestamp"].tolist())
                if sums:
                    checksums += await self._checksums(records["offset"].ravel().tolist())
                else:
                    await self._clock.sleep(0)
            if sums:
                await self._rest(len(part) * LOOKED_AT_BYTES)
        return tuple(timestamps), tuple(checksums)

    async def _checksums(self, offsets: list[int]) -> list[Pair]:
        """Of the updates stored there, two a channel; 0 where there is none, or none to be read any more."""
        stored = [offset for offset in offsets if offset]
        found = dict(zip(stored, await self._read(stored), strict=False))
        sums = [update_checksum(found[offset]) if found.get(offset) else 0 for offset in offsets]
        return list(zip(sums[::2], sums[1::2], strict=True))

    # -- sending

    async def _send_records(self, offsets: list[int], *, asked_for: bool = False) -> None:
        await self._send(await self._read([offset for offset in offsets if offset]), asked_for=asked_for)

    async def _read(self, offsets: list[int]) -> list[bytes]:
        """Empty where one may no longer be told, nothing when some of it is gone: who misses it asks again."""
        with contextlib.suppress(StoreDamaged):  # the file was compacted meanwhile, or the disk lost it
            # A compaction moves records, and another may stand there now; a channel's block may have left the chain.
            return still_tellable(self._graph, await self._store.read(offsets))
        return []

    async def _send(self, messages: Iterable[bytes], *, asked_for: bool = False) -> None:
        size = 0
        for message in messages:
            if message and (asked_for or self._theirs.is_new(message)):
                self._peer.send(message)
                size += len(message)
        await self._rest(max(size, SERVED_AT_ONCE * LOOKED_AT_BYTES))

    async def _rest(self, size: int) -> None:
        """As long as one peer's share asks for, and until it has read."""
        await self._clock.sleep(size / SERVED_BYTES_S)
        while self._peer.unsent_bytes > SERVED_UNSENT_BYTES and self._peer.is_established:
            await self._clock.sleep(_BREATH_S)


def _subject(message: bytes) -> bytes:
    """What a later message about the same would make obsolete."""
    match message[0] << 8 | message[1]:
        case ChannelUpdate.TYPE:
            return message[98:106] + bytes([message[111] & 1])  # the channel and the direction
        case NodeAnnouncement.TYPE:
            at = 72 + (message[66] << 8 | message[67])
            return message[at : at + 33]
        case _:
            return message


def may_be_passed_on(graph: Graph, value: ChannelUpdate | NodeAnnouncement) -> bool:
    """BOLT 7, and of what the chain was seen to hold alone. Of a spent channel nothing but that it is disabled."""
    if isinstance(value, NodeAnnouncement):
        return value.may_be_forwarded and any(announced_of(graph, value.node_id))
    channel = graph.channel(int(value.short_channel_id))
    return channel is not None and _may_be_told(channel) and (value.disabled or not channel.dying)


def announced_of(graph: Graph, node_id: bytes) -> Iterator[int]:
    """The channels of a node that may be announced, looked up as they are asked for: it may have thousands."""
    found = map(graph.channel, graph.channels_of(node_id))
    return (int(channel.short_channel_id) for channel in found if channel is not None and may_be_announced(channel))


def may_be_announced(channel: Channel) -> bool:
    """BOLT 7: unasked, one whose funding output is spent is not."""
    return _may_be_told(channel) and not channel.dying


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[first : first + SERVED_AT_ONCE] for first in range(0, len(values), SERVED_AT_ONCE))


def _may_be_told(channel: Channel) -> bool:
    """BOLT 7: a channel without any update is not announced."""
    return channel.trust is Trust.CHECKED and channel.offset > 0 and channel.policies != (None, None)
