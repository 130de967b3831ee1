"""Gossip of a running node: peers tell `ingest`, `sync` knows what to ask them for, `serving` answers them."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.base.clock import Clock
from core.bolt.features import bits
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.gossip_queries import (
    CountMismatch,
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    UnknownEncoding,
    range_end,
)
from core.bolt.wire import WireError
from core.gossip.ingest import Ingest, Taken
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import BROADCAST_INTERVAL_S, LISTS_WAITING
from core.gossip.listing import Wanted, kept_up_until, wanted_of
from core.gossip.passing_on import PassingOn
from core.gossip.peer import Peer
from core.gossip.serving import Recent, Serving
from core.gossip.sync import Seeker, Send
from core.gossip.verification import Verifier

_LOOK_S = 5.0
_RECORDS = (ChannelAnnouncement.TYPE, NodeAnnouncement.TYPE, ChannelUpdate.TYPE)
_GOSSIP_QUERIES = frozenset((6, 7))
_GOSSIP_QUERIES_EX = frozenset((10, 11))
"""BOLT 9."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far we are in learning the network, for who shows it."""

    streaming: int
    """Peers that send us what is new."""
    asking: bool
    """Whether a peer is answering what it knows of the whole."""
    unverified: int
    """Messages that wait for their verdict."""


class Gossip:
    """What the peer core tells (`core.peers.hooks.GossipListener`) from the first connection on; `run` works."""

    def __init__(self, kept: KeptGraph, clock: Clock, chance: random.Random | None = None) -> None:
        """`chance` is for tests."""
        self._graph = kept.graph
        self._store = kept.store
        self._clock = clock
        self._chance = chance or random.Random()
        self._recent = Recent()
        self._seeker = Seeker(kept.graph.chain_hash, self._chance, kept_up_until(kept.graph))
        self._lists: deque[tuple[Peer, bytes]] = deque()
        """Parts of lists of channels that are still to be looked at."""
        self._lists_there = asyncio.Event()
        self.channels_came: Callable[[], None] = lambda: None
        """Told when there are new channels, of which the chain knows more."""
        self._passing_on = PassingOn(kept, self._recent)
        self.ingest = Ingest(kept, clock, self._taken)
        self._turn = asyncio.Lock()
        """Of those who are served."""
        self._serving: dict[Peer, Serving] = {}
        self._by_id: dict[bytes, Peer] = {}
        self._tasks: dict[Peer, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self, verifier: Verifier) -> None:
        """Until it is cancelled. Raises ProfileUnusable when the store cannot be used."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for peer in self._serving:
                    self._begin(peer)
                group.create_task(self.ingest.run(verifier))
                group.create_task(self._passing_on.run())
                group.create_task(self._read_lists())
                await self._look_regularly()
            finally:
                self._group = None

    async def _look_regularly(self) -> None:
        while True:
            self._send(self._seeker.look(self._clock.monotonic(), int(self._clock.time())))
            for serving in self._serving.values():
                serving.look()
            await self._clock.sleep(_LOOK_S)

    @property
    def standing(self) -> Standing:
        """As it is now."""
        return Standing(len(self._seeker.streaming), self._seeker.is_asking, self.ingest.unverified)

    # -- what the peer core tells

    def connected(self, peer: Peer) -> None:
        """A connection takes the place of an older one with the same peer."""
        now, wall = self._clock.monotonic(), int(self._clock.time())
        if self._by_id.pop(peer.peer_id, None) is not None:  # the older one's questions are not answered here
            self._send(self._seeker.disconnected(peer.peer_id, now, wall))
        self._serving[peer] = Serving(peer, self._graph, self._store, self._recent, self._clock, self._turn)
        self._by_id[peer.peer_id] = peer
        self._begin(peer)
        offered = bits(peer.features)
        if not _GOSSIP_QUERIES.isdisjoint(offered):
            extended = not _GOSSIP_QUERIES_EX.isdisjoint(offered)
            self._send(self._seeker.connected(peer.peer_id, now, wall, extended=extended))

    def disconnected(self, peer: Peer) -> None:
        """Nothing of it goes on, but what it brought is still verified."""
        self.ingest.forget(peer)
        self._serving.pop(peer, None)
        task = self._tasks.pop(peer, None)
        if task is not None:
            task.cancel()
        if self._by_id.get(peer.peer_id) is peer:
            del self._by_id[peer.peer_id]
            self._send(self._seeker.disconnected(peer.peer_id, self._clock.monotonic(), int(self._clock.time())))

    def heard(self, peer: Peer, message: bytes) -> None:
        """One message of BOLT 7."""
        type_, serving = message[0] << 8 | message[1], self._serving.get(peer)
        if serving is None:
            return
        if type_ in _RECORDS:
            serving.heard(message)
            self._seeker.heard(peer.peer_id, self._clock.monotonic())
            self.ingest.hear(peer, message)
            return
        try:
            self._talk(peer, serving, type_, message)
        except WireError as error:
            _blame(peer, message, error)

    def _talk(self, peer: Peer, serving: Serving, type_: int, message: bytes) -> None:
        now = self._clock.monotonic()
        match type_:
            case QueryShortChannelIds.TYPE:
                serving.ask(QueryShortChannelIds.decode(message))
            case QueryChannelRange.TYPE:
                serving.ask(QueryChannelRange.decode(message))
            case GossipTimestampFilter.TYPE:
                wanted = GossipTimestampFilter.decode(message)
                if wanted.chain_hash == self._graph.chain_hash:
                    serving.set_filter(wanted, self._chance.uniform(0, BROADCAST_INTERVAL_S))
                else:
                    peer.warn(f"gossip_timestamp_filter for bad chain: {wanted.chain_hash.hex()}")
            case ReplyChannelRange.TYPE:
                self._keep_list(peer, message)
            case ReplyShortChannelIdsEnd.TYPE:
                ReplyShortChannelIdsEnd.decode(message)
                self._send(self._seeker.answered(peer.peer_id, now))

    # -- what the chain tells (`core.gossip.chain_check.Answered`)

    def checked(self, scids: Sequence[int]) -> None:
        """The chain holds these channels: they may be told to others."""
        self._passing_on.checked({scid: self.ingest.settled(scid, stands=True) or b"" for scid in scids})

    def refuted(self, scids: Sequence[int], *, blamed: bool) -> list[int]:
        """The chain does not hold these; `blamed`: it never did, so who brought them had no reason to.

        Gives what goes with them: all else that a liar brought, so that nobody waits until the chain was asked for it.
        """
        sources = {self.ingest.settled(scid, stands=False if blamed else None) for scid in scids}
        liars = [source for source in sources if source is not None and blamed and self.ingest.is_liar(source)]
        for source in liars:
            if source in self._by_id:
                self._by_id[source].refuse_gossip("channel_announcement: many channels are not on the chain")
        return [scid for source in liars for scid in self.ingest.settle_all_of(source)]

    # -- inside

    def _begin(self, peer: Peer) -> None:
        if self._group is not None and peer not in self._tasks:
            self._tasks[peer] = self._group.create_task(self._serving[peer].run())

    def _send(self, sends: list[Send]) -> None:
        for peer_id, message in sends:
            if (peer := self._by_id.get(peer_id)) is not None:
                peer.send(message)

    def _keep_list(self, peer: Peer, message: bytes) -> None:
        """What nobody asked for is not even read."""
        if not self._seeker.awaits_list(peer.peer_id):
            self._keep_no_list(peer, message)
            return
        if len(self._lists) >= LISTS_WAITING:
            self._seeker.give_up(peer.peer_id, self._clock.monotonic())
            return
        self._lists.append((peer, message))
        self._lists_there.set()

    def _keep_no_list(self, peer: Peer, message: bytes) -> None:
        """Of what is not awaited any more only its end counts."""
        try:
            self._seeker.listed_late(peer.peer_id, range_end(message))
        except WireError as error:
            _blame(peer, message, error)

    async def _read_lists(self) -> None:
        while True:
            await self._lists_there.wait()
            self._lists_there.clear()
            while self._lists:
                peer, message = self._lists.popleft()
                if self._by_id.get(peer.peer_id) is not peer:
                    continue
                if self._seeker.awaits_list(peer.peer_id):
                    await self._read_list(peer, message)
                else:
                    self._keep_no_list(peer, message)

    async def _read_list(self, peer: Peer, message: bytes) -> None:
        try:
            reply = ReplyChannelRange.decode(message)
        except WireError as error:
            _blame(peer, message, error)
            return
        wanted: Wanted = []
        for part in wanted_of(self._graph, reply, int(self._clock.time())):
            wanted += part
            await self._clock.sleep(0)
        if self._by_id.get(peer.peer_id) is peer:
            self._send(self._seeker.listed(peer.peer_id, reply, wanted, self._clock.monotonic()))

    def _taken(self, taken: Sequence[Taken]) -> None:
        for one in taken:
            self._seeker.told_news(one.source)
        self._passing_on.taken(taken)
        if any(isinstance(one.value, ChannelAnnouncement) for one in taken):
            self.channels_came()


def _blame(peer: Peer, message: bytes, error: WireError) -> None:
    """BOLT 7: an encoding that is not spoken, or a count that is wrong, is warned of and nothing else."""
    if isinstance(error, UnknownEncoding | CountMismatch):
        peer.warn(f"message of type {message[0] << 8 | message[1]}: {error}")
    else:
        peer.malformed(message)
