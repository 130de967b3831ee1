"""What is new and was seen on the chain goes to those who are told what is new: a channel once it has an update, its
announcement first, then its updates and what its nodes say of themselves (BOLT 7)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate
from core.gossip.graph_values import Channel, Trust
from core.gossip.ingest import Taken
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import ECHO_GENERATIONS, RECENT, SERVED_AT_ONCE
from core.gossip.seen import Seen
from core.gossip.serving import Recent, may_be_passed_on
from core.gossip.store_format import StoreDamaged


class PassingOn:
    """Fills `Recent`. `run` reads from the store what came before the chain was asked."""

    def __init__(self, kept: KeptGraph, recent: Recent) -> None:
        self._graph = kept.graph
        self._store = kept.store
        self._recent = recent
        self._checked: dict[int, None] = {}
        """Channels that the chain holds and that are to be announced, the oldest first; no more than are remembered."""
        self._silent: dict[int, None] = {}
        """The same, of those without any update: nobody may be told of them yet."""
        self._there = asyncio.Event()
        self._passed = Seen(generations=ECHO_GENERATIONS, size=RECENT // 2)
        """What went through: a node has many channels and is announced once."""

    def checked(self, scids: Iterable[int]) -> None:
        """The chain was seen to hold these, which it was not before."""
        for scid in scids:
            _remember(self._checked, scid)
        self._there.set()

    def taken(self, taken: Sequence[Taken]) -> None:
        """These are in the graph and in the store now."""
        for one in taken:
            if isinstance(one.value, ChannelAnnouncement):
                continue  # the chain is asked first
            if isinstance(one.value, ChannelUpdate) and int(one.value.short_channel_id) in self._silent:
                self.checked((int(one.value.short_channel_id),))  # announced with it, and before it
            elif may_be_passed_on(self._graph, one.value):
                self._pass(one.message, one.value.timestamp)

    async def run(self) -> None:
        """Until it is cancelled. Raises ProfileUnusable when the store cannot be read."""
        while True:
            await self._there.wait()
            part = list(self._checked)[:SERVED_AT_ONCE]
            if not part:
                self._there.clear()
                continue
            for scid in part:
                del self._checked[scid]
                self._silent.pop(scid, None)
            await self._announce(part)

    async def _announce(self, scids: Sequence[int]) -> None:
        for scid in scids:
            channel = self._graph.channel(scid)
            if channel is None or channel.trust is not Trust.CHECKED:
                continue
            stamps = [policy.timestamp for policy in channel.policies if policy is not None]
            if not stamps:
                _remember(self._silent, scid)
                continue
            await self._pass_stored([(channel.offset, max(stamps)), *self._behind(channel)])

    def _behind(self, channel: Channel) -> list[tuple[int, int]]:
        """Where in the store its updates and its nodes' announcements stand, and how old they are."""
        found = [(policy.offset, policy.timestamp) for policy in channel.policies if policy is not None]
        nodes = map(self._graph.node, (channel.node_id_1, channel.node_id_2))
        announced = [node.announced for node in nodes if node is not None and node.announced is not None]
        return found + [(one.offset, one.timestamp) for one in announced]

    async def _pass_stored(self, records: Sequence[tuple[int, int]]) -> None:
        stored = [record for record in records if record[0]]
        with contextlib.suppress(StoreDamaged):  # the file was compacted meanwhile: who asks is told all the same
            messages = await self._store.read([offset for offset, _timestamp in stored])
            for message, (_offset, timestamp) in zip(messages, stored, strict=True):
                self._pass(message, timestamp)

    def _pass(self, message: bytes, timestamp: int) -> None:
        if self._passed.add(message):
            self._recent.add(message, timestamp)


def _remember(scids: dict[int, None], scid: int) -> None:
    scids[scid] = None
    if len(scids) > RECENT:
        del scids[next(iter(scids))]
