"""The graph of a running node and its store: what the one takes the other keeps, in one order and for good.

Everything that changes the graph goes through here, one batch after the other. A change is told when it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.bolt.address import Address
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.gossip.graph import Graph
from core.gossip.graph_loading import load_graph
from core.gossip.graph_values import Applied, Removal, Trust, Verdict
from core.gossip.store import GossipStore, open_gossip_store
from core.gossip.store_file import Record
from core.gossip.store_format import channel_amount, delete_channel
from core.gossip.store_reading import Progress

_SLICE = 128
"""Messages that are applied at once: about 2 ms."""

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

    @classmethod
    async def open(
        cls, path: Path | None, chain_hash: bytes, bus: EventBus, clock: Clock, progress: Progress = lambda *_: None
    ) -> KeptGraph:
        """The graph that the store at `path` (None: nothing is kept) holds; ProfileUnusable as `open_gossip_store`."""
        store = await open_gossip_store(path, progress)
        graph = Graph(chain_hash)
        graph.expect(store.counts.channels, store.counts.nodes)
        await load_graph(graph, store.batches(), clock)
        graph.take_changes()  # nobody has seen it without them
        return cls(graph, store, bus, clock)

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
        await self.store.append([(delete_channel(scid), 0) for scid in removal.short_channel_ids])
        await self.store.mark_deleted(removal.offsets)

    async def compact(self) -> None:
        """Have the store rewritten when most of it is deleted. Raises ProfileUnusable."""
        async with self._lock:
            if self.store.is_worth_compacting:
                # A cancel after the file was replaced loses where the records went: it comes when the graph is closed.
                moved = await self.store.compact()
                self.graph.move_offsets(moved.old, moved.new)

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
    """As the store has them. A channel's timestamp is for readers that stream by time; its updates have their own."""
    if isinstance(news.content, ChannelAnnouncement):
        announced = (news.message, 0)
        return [announced] if news.capacity_sat is None else [announced, (channel_amount(news.capacity_sat), 0)]
    return [(news.message, news.content.timestamp)]


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
