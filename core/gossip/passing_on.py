"""What is new and was seen on the chain goes to those who are told what is new: a channel once it has an update, its
announcement first, then its updates and what its nodes say of themselves (BOLT 7)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping, Sequence

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.gossip.graph_values import Channel
from core.gossip.ingest import Taken
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import ECHO_GENERATIONS, RECENT, SERVED_AT_ONCE
from core.gossip.seen import Seen
from core.gossip.serving import Recent, announced_of, may_be_announced, may_be_passed_on
from core.gossip.store_format import StoreDamaged


class PassingOn:
    """Fills `Recent`. `run` reads from the store what came before the chain was asked."""

    def __init__(self, kept: KeptGraph, recent: Recent) -> None:
        self._graph = kept.graph
        self._store = kept.store
        self._recent = recent
        self._checked: dict[int, bytes] = {}
        """Channels that the chain holds and that are to be announced, with who brought each, the oldest first; no more
        than are remembered."""
        self._silent: dict[int, bytes] = {}
        """The same, of those without any update: nobody may be told of them yet."""
        self._under_way: Mapping[int, bytes] = {}
        """The same, of those that are being read."""
        self._there = asyncio.Event()
        self._passed = Seen(generations=ECHO_GENERATIONS, size=RECENT // 2)
        """What went through: a node has many channels and is announced once."""

    @property
    def is_busy(self) -> bool:
        """Whether there is something to announce."""
        return bool(self._checked or self._under_way)

    def checked(self, brought: Mapping[int, bytes]) -> None:
        """The chain was seen to hold these, which it was not before; with the peer that brought each, or nothing."""
        for scid, source in brought.items():
            _remember(self._checked, scid, source)
        self._there.set()

    def taken(self, taken: Sequence[Taken]) -> None:
        """These are in the graph and in the store now."""
        for one in taken:
            value = one.value
            if isinstance(value, ChannelAnnouncement):
                continue  # the chain is asked first
            awaited = self._awaited(value)
            if awaited is not None:
                self.checked({awaited: self._checked.get(awaited, one.source)})  # announced with it, and before it
            elif may_be_passed_on(self._graph, value):
                self._pass(one.message, value.timestamp, one.source)

    def _awaited(self, value: ChannelUpdate | NodeAnnouncement) -> int | None:
        """A channel that is to be announced before this goes out (BOLT 7)."""
        if isinstance(value, ChannelUpdate):
            scid = int(value.short_channel_id)
            if not any(scid in there for there in (self._silent, self._checked, self._under_way)):
                return None
            channel = self._graph.channel(scid)
            return None if channel is None or channel.dying else scid
        if not self._checked and not self._under_way:
            return None
        scids = announced_of(self._graph, value.node_id)
        first = next(scids, None)
        if first is None:
            return None
        waits = all(scid in self._checked or scid in self._under_way for scid in itertools.chain((first,), scids))
        return first if waits else None

    async def run(self) -> None:
        """Until it is cancelled. Raises ProfileUnusable when the store cannot be read."""
        while True:
            await self._there.wait()
            part = dict(itertools.islice(self._checked.items(), SERVED_AT_ONCE))
            if not part:
                self._there.clear()
                continue
            for scid in part:
                del self._checked[scid]
                self._silent.pop(scid, None)
            self._under_way = part
            await self._announce(part)
            self._under_way = {}

    async def _announce(self, brought: Mapping[int, bytes]) -> None:
        for scid, source in brought.items():
            channel = self._graph.channel(scid)
            if channel is None:
                continue
            stamps = [policy.timestamp for policy in channel.policies if policy is not None]
            if not stamps:
                _remember(self._silent, scid, source)
            elif may_be_announced(channel):
                await self._pass_stored([(channel.offset, max(stamps)), *self._behind(channel)], source)

    def _behind(self, channel: Channel) -> list[tuple[int, int]]:
        """Where in the store its updates and its nodes' announcements stand, and how old they are."""
        found = [(policy.offset, policy.timestamp) for policy in channel.policies if policy is not None]
        nodes = map(self._graph.node, (channel.node_id_1, channel.node_id_2))
        announced = [node.announced for node in nodes if node is not None and node.announced is not None]
        return found + [(one.offset, one.timestamp) for one in announced if one.may_be_forwarded()]

    async def _pass_stored(self, records: Sequence[tuple[int, int]], source: bytes) -> None:
        stored = [record for record in records if record[0]]
        with contextlib.suppress(StoreDamaged):  # the file was compacted meanwhile: who asks is told all the same
            messages = await self._store.read([offset for offset, _timestamp in stored])
            for message, (_offset, timestamp) in zip(messages, stored, strict=True):
                self._pass(message, timestamp, source)

    def _pass(self, message: bytes, timestamp: int, source: bytes) -> None:
        if self._passed.add(message):
            self._recent.add(message, timestamp, source)


def _remember(scids: dict[int, bytes], scid: int, source: bytes) -> None:
    scids[scid] = source
    if len(scids) > RECENT:
        del scids[next(iter(scids))]
