"""The graph of a running node and its store: what the one takes the other keeps, in one order and for good.

Everything that changes the graph goes through here, one batch after the other. A change is told when it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.bolt.address import Address
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.gossip.columns import DYING, Rows
from core.gossip.graph import FORGET_AFTER_BLOCKS, Graph
from core.gossip.graph_bulk import (
    KNOWN,
    NEWS,
    SLICE,
    UNKNOWN,
    VERDICTS,
    Read,
    add_channels,
    apply_nodes,
    apply_updates,
    joined,
    read_channels,
    read_nodes,
    read_updates,
)
from core.gossip.graph_checks import mark_unchecked
from core.gossip.graph_opening import keep_image, open_graph
from core.gossip.graph_values import Applied, Channel, Removal, Trust, Verdict
from core.gossip.store import GossipStore
from core.gossip.store_compaction import Moved
from core.gossip.store_file import Record
from core.gossip.store_format import channel_amount, channel_dying, delete_channel
from core.gossip.store_reading import Progress

_SLICE = 128
"""Channels that go back to unchecked at once: about 2 ms."""

T = TypeVar("T")
_APPLIED = tuple(Applied(verdict) for verdict in VERDICTS)

Announcement = ChannelAnnouncement | ChannelUpdate | NodeAnnouncement


class News(NamedTuple):
    """A message whose signatures are genuine."""

    message: bytes
    """As it came: the store has it to the byte."""
    capacity_sat: int | None = None
    """Of a channel announcement whose funding output was seen on the chain; None: nobody looked."""


class KeptGraph:
    """Made by `open`, closed by `aclose`."""

    def __init__(self, graph: Graph, store: GossipStore, bus: EventBus, clock: Clock) -> None:
        self.graph = graph
        """To be read by everybody, and changed here alone."""
        self.store = store
        self._bus = bus
        self._clock = clock
        self._lock = asyncio.Lock()
        """Offsets are good as long as it is held: a compaction moves them."""
        self.gone: Callable[[Sequence[int]], None] = lambda _scids: None
        """Told of channels that leave the graph."""
        self._dying: dict[int, tuple[int, int]] = {}
        """Channels whose funding output is spent: at which height, and where the store says so."""

    @classmethod
    async def open(
        cls, path: Path | None, chain_hash: bytes, bus: EventBus, clock: Clock, progress: Progress = lambda *_: None
    ) -> KeptGraph:
        """The graph that the store at `path` (None: nothing is kept) holds; ProfileUnusable as `open_gossip_store`."""
        store, graph, dying = await open_graph(path, chain_hash, clock, progress)
        kept = cls(graph, store, bus, clock)
        for scid, deadline, offset in dying:
            height = max(0, deadline - FORGET_AFTER_BLOCKS)
            if graph.mark_dying(scid, height):
                kept._dying[scid] = height, offset
        graph.take_changes()  # nobody has seen it without them
        return kept

    def __str__(self) -> str:
        """A plain fact for the step's row."""
        unchecked = self.graph.unchecked_count
        return f"{self.store}; {unchecked} channels not checked against the chain" if unchecked else str(self.store)

    async def take(self, batch: Sequence[News]) -> list[Applied]:
        """Store and apply what is news in `batch`, channels first, then updates, then nodes; what became of each.

        What was news outlives a kill once this returns; who is cancelled meanwhile learns of it when all is done.
        Raises ProfileUnusable, StoreDamaged.
        """
        return await finish(self._take_all(batch))

    async def _take_all(self, batch: Sequence[News]) -> list[Applied]:
        applied = [_APPLIED[UNKNOWN]] * len(batch)
        async with self._lock:
            for type_, take in (
                (ChannelAnnouncement.TYPE, self._take_channels),
                (ChannelUpdate.TYPE, self._take_updates),
                (NodeAnnouncement.TYPE, self._take_nodes),
            ):
                head = type_.to_bytes(2, "big")
                numbers = [number for number, news in enumerate(batch) if news.message.startswith(head)]
                for first in range(0, len(numbers), SLICE):
                    part = numbers[first : first + SLICE]
                    for number, done in zip(part, await take([batch[number] for number in part]), strict=True):
                        applied[number] = done
        return applied

    async def _take_channels(self, batch: Sequence[News]) -> list[Applied]:
        """The amount of an unchecked one is stored as 0, which leaves room for what the chain says."""
        read = read_channels(self.graph, *joined([news.message for news in batch]))
        fresh = np.sort(read.newest())
        wanted = [batch[number] for number in read.numbers[fresh].tolist()]
        records: list[Record] = []
        for message, capacity_sat in wanted:
            # Its timestamp is for readers that stream by time: its updates have their own.
            records += ((message, 0), (channel_amount(capacity_sat or 0), 0))
        offsets = np.array((await self.store.append(records))[::2], np.uint64)
        capacities = np.array([capacity_sat or 0 for _message, capacity_sat in wanted], np.uint64)
        heard = int(self._clock.time())
        add_channels(self.graph, read, fresh, capacities, offsets, heard=heard, checked=True)
        return _applied(len(batch), read, fresh, np.zeros_like(offsets))

    async def _take_updates(self, batch: Sequence[News]) -> list[Applied]:
        read = read_updates(self.graph, *joined([news.message for news in batch]))
        fresh = np.sort(read.newest())
        offsets = await self._stored(batch, read, fresh)
        if self._dying:
            of_dying = self.graph.channel_table.records["state"][read.abouts[fresh] >> 1] & DYING != 0
            await self.store.mark_dying(offsets[of_dying].tolist())
        replaced = apply_updates(self.graph, read, fresh, offsets)
        await self.store.mark_deleted(replaced[replaced != 0].tolist())
        return _applied(len(batch), read, fresh, replaced)

    async def _take_nodes(self, batch: Sequence[News]) -> list[Applied]:
        read = read_nodes(self.graph, *joined([news.message for news in batch]))
        fresh = np.sort(read.newest())
        replaced = apply_nodes(self.graph, read, fresh, await self._stored(batch, read, fresh))
        await self.store.mark_deleted(replaced[replaced != 0].tolist())
        return _applied(len(batch), read, fresh, replaced)

    async def _stored(self, batch: Sequence[News], read: Read, fresh: Rows) -> NDArray[np.uint64]:
        """Store those updates or nodes; gives their offsets."""
        numbers, timestamps = read.numbers[fresh].tolist(), read.timestamps[fresh].tolist()
        records = [(batch[number].message, stamp) for number, stamp in zip(numbers, timestamps, strict=True)]
        return np.array(await self.store.append(records), np.uint64)

    def addresses_of(self, node_id: bytes) -> tuple[Address, ...]:
        """Where the node says that it can be reached; none when nothing was heard of it."""
        node = self.graph.node(node_id)
        return node.announced.dialable() if node is not None and node.announced is not None else ()

    def verdict(self, content: Announcement) -> Verdict:
        """What the message would be to the graph as it is."""
        match content:
            case ChannelAnnouncement():
                return self.graph.channel_verdict(content)
            case ChannelUpdate():
                return self.graph.update_verdict(content)
            case NodeAnnouncement():
                return self.graph.node_verdict(content)

    async def lay(self, work: Generator[None, None, T]) -> T:
        """Run what changes the overlay of unsigned channels, a piece a turn of the loop; nothing of it is stored."""
        async with self._lock:
            while True:
                try:
                    next(work)
                except StopIteration as done:
                    result: T = done.value
                    return result
                await self._clock.sleep(0)

    async def prune(self, height: int | None, *, spare: bytes | None = None) -> int:
        """Take out what is dead (`Graph.prune`); how many channels. Raises ProfileUnusable, StoreDamaged."""
        count = 0
        while True:
            async with self._lock:
                removal = self.graph.prune(int(self._clock.time()), height, spare=spare)
                await finish(self._forget(removal))
            if not removal.short_channel_ids:
                return count
            count += len(removal.short_channel_ids)

    async def _forget(self, removal: Removal) -> None:
        """The reason first, then the marks."""
        self.gone(removal.short_channel_ids)
        notes = [self._dying.pop(scid)[1] for scid in removal.short_channel_ids if scid in self._dying]
        await self.store.append([(delete_channel(scid), 0) for scid in removal.stored])
        await self.store.mark_deleted((*removal.offsets, *notes))

    async def compact(self) -> None:
        """Have the store rewritten when most of it is deleted. Raises ProfileUnusable."""
        async with self._lock:
            if self.store.is_worth_compacting:
                # A cancel after the file was replaced loses where the records went: it comes when the graph is closed.
                moved = await self.store.compact()
                self.graph.move_offsets(moved.old, moved.new)
                self._move_notes(moved)

    def _move_notes(self, moved: Moved) -> None:
        scids = list(self._dying)
        offsets = moved(np.array([offset for _height, offset in self._dying.values()], np.uint64)).tolist()
        for scid, offset in zip(scids, offsets, strict=True):
            self._dying[scid] = self._dying[scid][0], offset

    # -- what the chain says

    async def check(self, capacities_sat: Mapping[int, int]) -> list[int]:
        """The chain holds the funding outputs of these channels; gives those that are there and were unchecked.

        Raises ProfileUnusable, StoreDamaged.
        """
        return await finish(self._check(capacities_sat))

    async def _check(self, capacities_sat: Mapping[int, int]) -> list[int]:
        async with self._lock:
            found = {scid: self.graph.channel(scid) for scid in capacities_sat}
            fresh = [one for one in found.values() if one is not None and one.trust is Trust.UNCHECKED]
            scids = [int(one.short_channel_id) for one in fresh]
            amounts = [(one.offset, capacities_sat[scid]) for one, scid in zip(fresh, scids, strict=True)]
            await self.store.set_amounts([amount for amount in amounts if amount[0]])
            for scid in scids:
                self.graph.mark_checked(scid, capacities_sat[scid])
            return scids

    async def remove(self, scids: Iterable[int]) -> None:
        """The chain does not hold these. Raises ProfileUnusable, StoreDamaged."""
        async with self._lock:
            for scid in scids:
                await finish(self._forget(self.graph.remove(scid)))

    async def mark_dying(self, scids: Iterable[int], height: int) -> None:
        """The block at `height` spent the funding outputs of these channels. Raises ProfileUnusable, StoreDamaged."""
        async with self._lock:
            for scid in scids:
                channel = self.graph.channel(scid)
                if channel is not None and scid not in self._dying:
                    await finish(self._mark_dying(channel, height))

    async def _mark_dying(self, channel: Channel, height: int) -> None:
        scid = int(channel.short_channel_id)
        (note,) = await self.store.append([(channel_dying(scid, height + FORGET_AFTER_BLOCKS), 0)])
        await self.store.mark_dying(_told_of(channel))
        self._dying[scid] = height, note
        self.graph.mark_dying(scid, height)

    async def go_back(self, fork_height: int) -> None:
        """Blocks above `fork_height` are no longer in the chain: what they held is unchecked, what they spent lives.

        Raises ProfileUnusable, StoreDamaged.
        """
        async with self._lock:
            for scid in [scid for scid, (height, _note) in self._dying.items() if height > fork_height]:
                await finish(self._mark_living(scid))
            above = self.graph.channels_between(fork_height + 1, 1 << 24).tolist()
            for first in range(0, len(above), _SLICE):
                await finish(self._uncheck(above[first : first + _SLICE]))

    async def _mark_living(self, scid: int) -> None:
        _height, note = self._dying.pop(scid)
        channel = self.graph.channel(scid)
        if channel is not None:
            await self.store.mark_living(_told_of(channel))
        await self.store.mark_deleted([note])
        self.graph.mark_living(scid)

    async def _uncheck(self, scids: Sequence[int]) -> None:
        unchecked = [scid for scid in scids if mark_unchecked(self.graph, scid)]
        channels = [channel for channel in map(self.graph.channel, unchecked) if channel is not None]
        await self.store.set_amounts([(channel.offset, 0) for channel in channels if channel.offset])

    def tell(self) -> None:
        """Publish what changed since the last time, if anything did."""
        changed = self.graph.take_changes()
        if changed is not None:
            self._bus.publish(changed)

    async def aclose(self) -> None:
        """Tell the last changes and close the store; closing twice does nothing. Raises ProfileUnusable.

        What the next start reads is then made ready, which takes as long as reading the store.
        """
        async with self._lock:
            self.tell()
            await self.store.aclose()
            if self.store.path is not None:
                await keep_image(self.store.path, self.graph.chain_hash, self._clock)


def _applied(count: int, read: Read, fresh: Rows, replaced: NDArray[np.uint64]) -> list[Applied]:
    """What became of so many messages, those that were not read among them."""
    verdicts = np.full(count, UNKNOWN)
    verdicts[read.numbers] = np.where(read.verdicts == NEWS, KNOWN, read.verdicts)  # unless it is among the fresh
    verdicts[read.numbers[fresh]] = NEWS
    applied = [_APPLIED[verdict] for verdict in verdicts.tolist()]
    for at in np.flatnonzero(replaced).tolist():
        applied[int(read.numbers[fresh[at]])] = Applied(Verdict.NEWS, int(replaced[at]))
    return applied


def _told_of(channel: Channel) -> list[int]:
    """Where its announcement and its updates stand in the store."""
    offsets = [channel.offset, *(policy.offset for policy in channel.policies if policy is not None)]
    return [offset for offset in offsets if offset]
