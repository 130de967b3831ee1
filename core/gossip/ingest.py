"""Gossip as it comes in: screened, verified elsewhere, then kept.

The cheapest question first: form, chain, age, whether it is news to the graph, whether it came before, whether there is
room; signatures last. A new channel is unchecked, and bounded in number, until `chain_check` has asked the chain, so
what follows it, its updates and its nodes, neither waits for the chain nor is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.base.clock import Clock
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.wire import WireError
from core.gossip.errors import VerificationFailed
from core.gossip.graph_values import Trust, Verdict
from core.gossip.kept_graph import Announcement, KeptGraph, News
from core.gossip.limits import (
    BATCH_TO_VERIFY,
    FURTHEST_AHEAD_S,
    LIARS,
    LIES_A_PEER,
    LONGEST_RECORD,
    OLDEST_UPDATE_S,
    UNCHECKED,
    UNCHECKED_A_LIAR,
    UNCHECKED_A_PEER,
    UNCHECKED_A_PEER_IN_A_CROWD,
    UNVERIFIED,
    UNVERIFIED_A_PEER,
    UNVERIFIED_A_PEER_IN_A_CROWD,
    UPDATES_A_PERIOD,
    UPDATES_PERIOD_S,
)
from core.gossip.peer import Peer
from core.gossip.seen import Seen
from core.gossip.verify_frames import Record, SignedBy
from core.gossip.verify_frames import Verdict as Genuine

_log = logging.getLogger(__name__)
_RETRY_S = 1.0


class Verifies(Protocol):
    """`verification.Verifier`."""

    async def verify(self, batch: Sequence[Record]) -> list[Genuine]:
        """VerificationFailed when it cannot be known."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A record that is in the graph and in the store now."""

    message: bytes
    value: Announcement
    source: bytes
    """Id of the peer that brought it first."""


@dataclass(frozen=True, slots=True)
class _Heard:
    peer: Peer
    message: bytes
    value: Announcement
    signer: bytes | None = None
    certain: bool = True
    """Whether a wrong signature is the peer's fault: the signer is nobody else's claim."""

    @property
    def record(self) -> Record:
        return self.message if self.signer is None else SignedBy(self.message, self.signer)


class Ingest:
    """What peers tell, from `hear` to `taken`. `run` does the work."""

    def __init__(self, kept: KeptGraph, clock: Clock, taken: Callable[[Sequence[Taken]], None]) -> None:
        self._kept = kept
        self._graph = kept.graph
        self._clock = clock
        self._taken = taken
        self._seen = Seen()
        self._queue: deque[_Heard] = deque()
        self._there = asyncio.Event()
        self._waiting: Counter[Peer] = Counter()
        self._held: set[Peer] = set()
        self._announced: dict[int, _Heard] = {}
        """Announcements without a verdict by channel, the last one of each: their updates come right behind them."""
        self._unchecked: Counter[bytes] = Counter()
        """Channels brought by each peer of which the chain has not told. No more entries than such channels."""
        self._brought: dict[int, bytes] = {}
        """Who brought each of them."""
        self._lies: OrderedDict[bytes, int] = OrderedDict()
        """Channels that never were on the chain, by who brought them, less those that were; the latest liars."""
        self.is_refuted: Callable[[ChannelAnnouncement], bool] = lambda _announcement: False
        """Whether the chain has told already that it does not hold this one."""
        self.highest_block: int | None = None
        """Channels of later blocks are not taken: the chain has none. None: it is not known where it ends."""
        self._replaced: Counter[int | bytes] = Counter()
        """How often each direction and each node replaced what it said, in the running period."""
        self._period_ends = 0.0
        kept.gone = self._gone

    # -- hearing

    def hear(self, peer: Peer, message: bytes) -> None:
        """A record from a peer; dropped, or in the queue. BOLT 1: one that does not decode ends the connection."""
        if len(message) > LONGEST_RECORD:
            return
        try:
            heard = self._screened(peer, message)
        except WireError:
            peer.malformed(message)
            return
        if heard is None or not self._seen.add(message):
            return
        if isinstance(heard.value, ChannelAnnouncement):
            self._announced[int(heard.value.short_channel_id)] = heard
        self._queue.append(heard)
        self._waiting[peer] += 1
        if self._waiting[peer] >= self._room and peer not in self._held:
            self._held.add(peer)
            peer.hold_for_gossip(True)
        self._there.set()

    def forget(self, peer: Peer) -> None:
        """It has gone; what it brought is verified nevertheless."""
        self._held.discard(peer)

    def settled(self, scid: int, *, stands: bool | None) -> bytes | None:
        """The chain has told of an unchecked channel; gives who brought it. None: neither blame nor credit.

        A channel that stands makes up for one that never was there: nobody is right always.
        """
        source = self._forget_source(scid)
        if source is not None and stands is not None:
            lies = self._lies.pop(source, 0) + (-1 if stands else 1)
            if lies > 0:
                self._lies[source] = min(lies, LIES_A_PEER)
            if len(self._lies) > LIARS:
                self._lies.popitem(last=False)
        return source

    def reconsider(self) -> None:
        """The chain is another: channels that it did not hold may be told of again, in the same words."""
        self._seen = Seen()

    def is_liar(self, peer_id: bytes) -> bool:
        """Whether it brought too many channels that never were on the chain."""
        return self._lies.get(peer_id, 0) >= LIES_A_PEER

    @property
    def unverified(self) -> int:
        """Records that wait for their verdict."""
        return self._waiting.total()

    @property
    def _room(self) -> int:
        return UNVERIFIED_A_PEER if len(self._queue) < UNVERIFIED else UNVERIFIED_A_PEER_IN_A_CROWD

    def _screened(self, peer: Peer, message: bytes) -> _Heard | None:
        match message[0] << 8 | message[1]:
            case ChannelAnnouncement.TYPE:
                return self._screened_channel(peer, message)
            case ChannelUpdate.TYPE:
                return self._screened_update(peer, message)
            case _:
                return self._screened_node(peer, message)

    def _screened_channel(self, peer: Peer, message: bytes) -> _Heard | None:
        value = ChannelAnnouncement.decode(message)
        if self._graph.channel_verdict(value) is not Verdict.NEWS or not self._has_room(peer):
            return None
        if self.is_refuted(value):
            return None
        if self.highest_block is not None and value.short_channel_id.block > self.highest_block:
            return None
        if value.node_id_1 >= value.node_id_2:
            peer.refuse_gossip("channel_announcement: node ids are not in order")
            return None
        return _Heard(peer, message, value)

    def _screened_update(self, peer: Peer, message: bytes) -> _Heard | None:
        value = ChannelUpdate.decode(message)
        now = self._clock.time()
        if not now - OLDEST_UPDATE_S <= value.timestamp <= now + FURTHEST_AHEAD_S or value.dont_forward:
            return None
        verdict, scid = self._graph.update_verdict(value), int(value.short_channel_id)
        if verdict is Verdict.NEWS:
            if self._is_too_often(value):
                return None
            channel = self._graph.channel(scid)
            signer = self._graph.source_of(scid, value.direction)
            return _Heard(peer, message, value, signer, channel is not None and channel.trust is Trust.CHECKED)
        announced = self._announced.get(scid) if verdict is Verdict.UNKNOWN else None
        if announced is None or not isinstance(announced.value, ChannelAnnouncement):
            return None
        ends = (announced.value.node_id_1, announced.value.node_id_2)
        return _Heard(peer, message, value, ends[value.direction], announced.peer is peer)

    def _screened_node(self, peer: Peer, message: bytes) -> _Heard | None:
        value = NodeAnnouncement.decode(message)
        if value.timestamp > self._clock.time() + FURTHEST_AHEAD_S:
            return None
        verdict = self._graph.node_verdict(value)
        if verdict is Verdict.NEWS or (verdict is Verdict.UNKNOWN and self._announced):
            return None if self._is_too_often(value) else _Heard(peer, message, value)
        return None

    def _is_too_often(self, value: ChannelUpdate | NodeAnnouncement) -> bool:
        """Counted when it is taken, so that forgeries use up nobody's share."""
        if self._replaced and self._clock.monotonic() >= self._period_ends:
            self._replaced.clear()
        return self._replaced[_about(value)] >= UPDATES_A_PERIOD if self._replaced else False

    def _note_replaced(self, value: Announcement) -> None:
        if isinstance(value, ChannelAnnouncement):
            return
        if not self._replaced:
            self._period_ends = self._clock.monotonic() + UPDATES_PERIOD_S
        self._replaced[_about(value)] += 1

    def _has_room(self, peer: Peer) -> bool:
        """Until the chain is asked, a channel costs whoever makes it up no more than four signatures."""
        unchecked = self._graph.unchecked_count
        room = UNCHECKED_A_PEER if unchecked < UNCHECKED_A_PEER else UNCHECKED_A_PEER_IN_A_CROWD
        if peer.peer_id in self._lies:
            room = UNCHECKED_A_LIAR
        return unchecked < UNCHECKED and self._unchecked[peer.peer_id] < room

    def _forget_source(self, scid: int) -> bytes | None:
        source = self._brought.pop(scid, None)
        if source is not None:
            self._unchecked[source] -= 1
            if not self._unchecked[source]:
                del self._unchecked[source]
        return source

    def _gone(self, scids: Iterable[int]) -> None:
        """Channels that left the graph before the chain told of them."""
        for scid in scids:
            self._forget_source(scid)

    # -- working

    async def run(self, verifier: Verifies) -> None:
        """Work until it is cancelled. Raises ProfileUnusable, StoreDamaged."""
        while True:
            await self._there.wait()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_TO_VERIFY))]
            if not self._queue:
                self._there.clear()
            try:
                await self._work(batch, verifier)
            except VerificationFailed as error:
                _log.warning("%d gossip messages were dropped: %s", len(batch), error)
                for heard in batch:
                    self._seen.forget(heard.message)
                await self._clock.sleep(_RETRY_S)
            finally:
                self._done(batch)

    async def _work(self, batch: list[_Heard], verifier: Verifies) -> None:
        verdicts = await verifier.verify([heard.record for heard in batch])
        genuine: list[_Heard] = []
        for heard, verdict in zip(batch, verdicts, strict=True):
            if verdict:
                genuine.append(heard)
            elif heard.certain:
                heard.peer.refuse_gossip(f"{type(heard.value).__name__}: {verdict.name.replace('_', ' ').lower()}")
            else:
                self._seen.forget(heard.message)
        taken: list[Taken] = []
        for kind in (ChannelAnnouncement, ChannelUpdate, NodeAnnouncement):
            taken += await self._take([heard for heard in genuine if isinstance(heard.value, kind)])
        if taken:
            self._taken(taken)

    async def _take(self, genuine: list[_Heard]) -> list[Taken]:
        """Have what is still news kept; gives that."""
        news = [heard for heard in genuine if self._may_be_taken(heard)]
        applied = await self._kept.take([News(heard.message, heard.value) for heard in news])
        taken: list[Taken] = []
        for heard, done in zip(news, applied, strict=True):
            if done.verdict is Verdict.NEWS:
                taken.append(Taken(heard.message, heard.value, heard.peer.peer_id))
                if done.replaces:
                    self._note_replaced(heard.value)
                if isinstance(heard.value, ChannelAnnouncement):
                    self._unchecked[heard.peer.peer_id] += 1
                    self._brought[int(heard.value.short_channel_id)] = heard.peer.peer_id
            else:
                self._seen.forget(heard.message)
        return taken

    def _may_be_taken(self, heard: _Heard) -> bool:
        """Asked again now that all before it is in the graph: others brought channels too, and a signer was a guess."""
        value = heard.value
        if isinstance(value, ChannelAnnouncement):
            may = self._has_room(heard.peer)
        elif isinstance(value, ChannelUpdate):
            may = self._graph.source_of(int(value.short_channel_id), value.direction) == heard.signer
        else:
            may = True
        if not may:
            self._seen.forget(heard.message)
        return may

    def _done(self, batch: list[_Heard]) -> None:
        for heard in batch:
            if isinstance(heard.value, ChannelAnnouncement):
                scid = int(heard.value.short_channel_id)
                if self._announced.get(scid) is heard:
                    del self._announced[scid]
            self._waiting[heard.peer] -= 1
            if not self._waiting[heard.peer]:
                del self._waiting[heard.peer]
        for peer in [peer for peer in self._held if self._waiting[peer] <= self._room // 2]:
            self._held.discard(peer)
            peer.hold_for_gossip(False)


def _about(value: ChannelUpdate | NodeAnnouncement) -> int | bytes:
    """Which direction of which channel, or which node."""
    return 2 * int(value.short_channel_id) + value.direction if isinstance(value, ChannelUpdate) else value.node_id
