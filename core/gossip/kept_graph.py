"""The graph of a running node and its store: what the one takes the other keeps, in one order and for good.

Everything that changes the graph goes through here, one batch after the other. A change is told when it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.bolt.address import Address
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.gossip.graph import Graph
from core.gossip.graph_checks import mark_unchecked
from core.gossip.graph_loading import load_graph
from core.gossip.graph_values import Applied, Channel, Removal, Trust, Verdict
from core.gossip.store import GossipStore, open_gossip_store
from core.gossip.store_compaction import Moved
from core.gossip.store_file import Record
from core.gossip.store_format import CHANNEL_DYING, channel_amount, channel_dying, delete_channel
from core.gossip.store_reading import Progress
from core.gossip.store_walk import Batch

_SLICE = 128
"""Messages that are applied at once: about 2 ms."""

T = TypeVar("T")
_DYING_BYTES = 14

Announcement = ChannelAnnouncement | ChannelUpdate | NodeAnnouncement


@dataclass(frozen=True, slots=True)
class News:
    """A message whose signatures are genuine."""

    message: bytes
    """As it came: the store has it to the byte."""
    content: Announcement
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
        store = await open_gossip_store(path, progress)
        graph = Graph(chain_hash)
        graph.expect(store.counts.channels, store.counts.nodes)
        kept = cls(graph, store, bus, clock)
        dying: list[tuple[int, int, int]] = []
        await load_graph(graph, _noting_dying(store.batches(), dying), clock)
        for scid, height, offset in dying:
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
        found: dict[int, Applied] = {}
        async with self._lock:
            for kind in (ChannelAnnouncement, ChannelUpdate, NodeAnnouncement):
                numbers = [number for number, news in enumerate(batch) if isinstance(news.content, kind)]
                for first in range(0, len(numbers), _SLICE):
                    part = numbers[first : first + _SLICE]
                    found |= zip(part, await self._take([batch[number] for number in part]), strict=True)
        return [found[number] for number in range(len(batch))]

    async def _take(self, batch: Sequence[News]) -> list[Applied]:
        """Messages of one kind."""
        applied = [Applied(self.verdict(news.content)) for news in batch]
        fresh = [number for number, done in enumerate(applied) if done.verdict is Verdict.NEWS]
        wanted = _newest(batch, fresh)
        for number in fresh:
            applied[number] = Applied(Verdict.KNOWN)  # unless it is among the wanted
        records: list[Record] = []
        places = []
        for number in wanted:
            places.append(len(records))
            records += _records(batch[number])
        offsets = await self.store.append(records)
        for number, place in zip(wanted, places, strict=True):
            applied[number] = self._apply(batch[number], offsets[place])
        await self.store.mark_deleted(done.replaces for done in applied if done.replaces)
        return applied

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

    def _apply(self, news: News, offset: int) -> Applied:
        match news.content:
            case ChannelAnnouncement() as announcement:
                trust = Trust.UNCHECKED if news.capacity_sat is None else Trust.CHECKED
                heard = int(self._clock.time())
                return self.graph.add_channel(
                    announcement, capacity_sat=news.capacity_sat, trust=trust, heard=heard, offset=offset
                )
            case ChannelUpdate() as update:
                return self.graph.update_channel(update, offset=offset)
            case NodeAnnouncement() as announcement:
                return self.graph.update_node(announcement, offset=offset)

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
        (note,) = await self.store.append([(channel_dying(scid, height), 0)])
        if channel.offset:
            await self.store.mark_dying(channel.offset)
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
        if channel is not None and channel.offset:
            await self.store.mark_living(channel.offset)
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
        """Tell the last changes and close the store; closing twice does nothing. Raises ProfileUnusable."""
        async with self._lock:
            self.tell()
            await self.store.aclose()


def _records(news: News) -> list[Record]:
    """As the store has them; the amount of an unchecked channel is 0, which leaves room for what the chain says.

    A channel's timestamp is for readers that stream by time; its updates have their own.
    """
    if isinstance(news.content, ChannelAnnouncement):
        announced = (news.message, 0)
        return [announced, (channel_amount(news.capacity_sat or 0), 0)]
    return [(news.message, news.content.timestamp)]


async def _noting_dying(pieces: AsyncIterator[Batch], dying: list[tuple[int, int, int]]) -> AsyncIterator[Batch]:
    """Hands the pieces through; short channel id, height and offset of each note go to `dying`."""
    async for piece in pieces:
        at = np.flatnonzero(piece.live & (piece.type == CHANNEL_DYING) & (piece.length >= _DYING_BYTES))
        for number in at.tolist():
            message = piece.message(number)
            scid, height = int.from_bytes(message[2:10], "big"), int.from_bytes(message[10:14], "big")
            dying.append((scid, height, int(piece.offset[number])))
        yield piece


def _newest(batch: Sequence[News], numbers: Sequence[int]) -> list[int]:
    """Of several messages about the same the newest, of equally new ones the first: the others are not stored."""
    best: dict[object, int] = {}
    for number in numbers:
        about, age = _about(batch[number].content)
        if about not in best or age > _about(batch[best[about]].content)[1]:
            best[about] = number
    return sorted(best.values())


def _about(content: Announcement) -> tuple[object, int]:
    """What a message is about, and how new it is."""
    match content:
        case ChannelAnnouncement():
            return content.short_channel_id, 0
        case ChannelUpdate():
            return (content.short_channel_id, content.direction), content.timestamp
        case NodeAnnouncement():
            return content.node_id, content.timestamp
