"""Gossip as it comes in: screened, verified elsewhere, then kept.

The cheapest question first: whether it came before; then, for many at once, form, chain, age, whether it is news to the
graph and whether there is room; signatures last. One batch is screened while another is verified. A new channel is
unchecked, and bounded in number, until `chain_check` has asked the chain, so what follows it, its updates and its
nodes, neither waits for the chain nor is lost.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from core.base.clock import Clock
from core.bolt.gossip import POINT_BYTES, ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.wire import WireError
from core.gossip.columns import CHECKED
from core.gossip.errors import VerificationFailed
from core.gossip.graph_bulk import NEWS, UNKNOWN, Read, joined, read_channels, read_updates
from core.gossip.graph_values import Verdict
from core.gossip.kept_graph import Announcement, KeptGraph, News
from core.gossip.limits import (
    BATCH_TO_VERIFY,
    BATCHES_UNDER_WAY,
    FURTHEST_AHEAD_S,
    LIARS,
    LIES_A_PEER,
    LONGEST_RECORD,
    NODES_A_TURN_BYTES,
    NODES_TOLD_AT_ONCE,
    OLDEST_UPDATE_S,
    TOLD_AT_ONCE,
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
_DONT_FORWARD = 2
_CHANNELS = (ChannelAnnouncement.TYPE, ChannelUpdate.TYPE)
_NAMES = {kind.TYPE: kind.__name__ for kind in (ChannelAnnouncement, ChannelUpdate, NodeAnnouncement)}


class Verifies(Protocol):
    """`verification.Verifier`."""

    async def verify(self, batch: Sequence[Record]) -> list[Genuine]:
        """VerificationFailed when it cannot be known."""


class Taken(NamedTuple):
    """A record that is in the graph and in the store now."""

    message: bytes
    source: bytes
    """Id of the peer that brought it first."""

    @property
    def value(self) -> Announcement:
        """Read anew each time."""
        match self.message[0] << 8 | self.message[1]:
            case ChannelAnnouncement.TYPE:
                return ChannelAnnouncement.decode(self.message)
            case ChannelUpdate.TYPE:
                return ChannelUpdate.decode(self.message)
            case _:
                return NodeAnnouncement.decode(self.message)


class _Told(NamedTuple):
    peer: Peer
    message: bytes


class _Heard(NamedTuple):
    """What is worth a look at its signatures."""

    peer: Peer
    message: bytes
    about: int | bytes
    """The channel by its short channel id, its direction by twice that and the direction, or the node's id."""
    signer: bytes | None = None
    certain: bool = True
    """Whether a wrong signature is the peer's fault: the signer is nobody else's claim."""

    @property
    def record(self) -> Record:
        return self.message if self.signer is None else SignedBy(self.message, self.signer)


class _Claim(NamedTuple):
    """An announcement without a verdict."""

    heard: _Heard
    ends: tuple[bytes, bytes]


_Kinds = tuple[list[_Heard], list[_Heard], list[_Heard]]
"""Channels, updates, nodes."""


class _Batch(NamedTuple):
    told: list[_Told]
    kinds: _Kinds
    """What of it is worth a look."""
    verdicts: asyncio.Task[list[Genuine]]


class Ingest:
    """What peers tell, from `hear` to `taken`. `run` does the work."""

    def __init__(self, kept: KeptGraph, clock: Clock, taken: Callable[[Sequence[Taken]], None]) -> None:
        self._kept = kept
        self._graph = kept.graph
        self._clock = clock
        self._taken = taken
        self._seen = Seen()
        self._queue: deque[_Told] = deque()
        self._there = asyncio.Event()
        self._waiting: Counter[Peer] = Counter()
        self._held: set[Peer] = set()
        self._announced: dict[int, _Claim] = {}
        """Announcements without a verdict by channel, the last one of each: their updates come right behind them."""
        self._unchecked: Counter[bytes] = Counter()
        """Channels brought by each peer of which the chain has not told. No more entries than such channels."""
        self._brought: dict[int, bytes] = {}
        """Who brought each of them."""
        self._lies: OrderedDict[bytes, int] = OrderedDict()
        """Channels that never were on the chain, by who brought them, less those that were; the latest liars."""
        self.is_refuted: Callable[[bytes], bool] = lambda _announcement: False
        """Whether the chain has told already that it does not hold this one."""
        self.highest_block: int | None = None
        """Channels of later blocks are not taken: the chain has none. None: it is not known where it ends."""
        self._replaced: Counter[int | bytes] = Counter()
        """How often each direction and each node replaced what it said, in the running period."""
        self._period_ends = 0.0
        kept.gone = self._gone

    # -- hearing

    def hear(self, peer: Peer, message: bytes) -> None:
        """A record from a peer; dropped, or in the queue."""
        if len(message) > LONGEST_RECORD or not self._seen.add(message):
            return
        self._queue.append(_Told(peer, message))
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

    def settle_all_of(self, peer_id: bytes) -> list[int]:
        """The unchecked channels that a liar brought, which go unasked; they may be told of again, by others too."""
        found = [scid for scid, source in self._brought.items() if source == peer_id]
        for scid in found:
            self._forget_source(scid)
        if found:
            self._seen = Seen()
        return found

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

    async def _nodes(self, batch: Sequence[_Told]) -> dict[bytes, NodeAnnouncement | None]:
        """What nodes say of themselves, None if it does not decode; in pieces: one may have hundreds of addresses."""
        found: dict[bytes, NodeAnnouncement | None] = {}
        size = 0
        for _peer, message in batch:
            if message[0] << 8 | message[1] in _CHANNELS:
                continue
            try:
                found[message] = NodeAnnouncement.decode(message)
            except WireError:
                found[message] = None
            size += len(message)
            if size > NODES_A_TURN_BYTES:
                size = 0
                await self._clock.sleep(0)
        return found

    def _screened(self, batch: Sequence[_Told], nodes: Mapping[bytes, NodeAnnouncement | None]) -> _Kinds:
        """What is worth a look. BOLT 1: what does not decode ends the connection."""
        told: dict[int, list[_Told]] = {type_: [] for type_ in _CHANNELS}
        others: list[_Told] = []
        for one in batch:
            told.get(one.message[0] << 8 | one.message[1], others).append(one)
        # Channels first: the others are judged by them.
        channels = self._screened_channels(told[ChannelAnnouncement.TYPE])
        kinds = channels, self._screened_updates(told[ChannelUpdate.TYPE]), self._screened_nodes(others, nodes)
        if sum(map(len, kinds)) < len(batch):
            self._forget_others(batch, (one for kind in kinds for one in kind))
        return kinds

    def _screened_channels(self, told: Sequence[_Told]) -> list[_Heard]:
        read = read_channels(self._graph, *joined([one.message for one in told]))
        _blame_malformed(told, read)
        news = np.flatnonzero(read.verdicts == NEWS)
        ids = np.ascontiguousarray(read.ends[news]).view(f"V{POINT_BYTES}").tolist()
        claims: dict[bytes, _Claim] = {}
        columns = read.numbers[news].tolist(), read.abouts[news].tolist(), ids
        for number, scid, (node_id_1, node_id_2) in zip(*columns, strict=True):
            peer, message = told[number]
            if (self.highest_block is not None and scid >> 40 > self.highest_block) or self.is_refuted(message):
                continue
            if node_id_1 >= node_id_2:
                peer.refuse_gossip("channel_announcement: node ids are not in order")
                continue
            claims[message] = _Claim(_Heard(peer, message, scid), (node_id_1, node_id_2))
        heard = self._with_room(claim.heard for claim in claims.values())
        for one in heard:
            self._announced[int(one.about)] = claims[one.message]
        return heard

    def _screened_updates(self, told: Sequence[_Told]) -> list[_Heard]:
        read, now = read_updates(self._graph, *joined([one.message for one in told])), self._clock.time()
        _blame_malformed(told, read)
        timely = (now - OLDEST_UPDATE_S <= read.timestamps) & (read.timestamps <= now + FURTHEST_AHEAD_S)
        timely &= read.fields["message_flags"] & _DONT_FORWARD == 0
        numbers, scids = read.numbers.tolist(), read.fields["short_channel_id"].tolist()
        heard = []
        news = np.flatnonzero(timely & (read.verdicts == NEWS))
        places = read.abouts[news]
        certain = self._graph.channel_table.records["state"][places >> 1] & CHECKED != 0
        columns = news.tolist(), (places & 1).tolist(), self._graph.signers(places), certain.tolist()
        for at, direction, signer, is_certain in zip(*columns, strict=True):
            peer, message = told[numbers[at]]
            about = 2 * scids[at] + direction
            if not self._is_too_often(about):
                heard.append(_Heard(peer, message, about, signer, is_certain))
        for at in np.flatnonzero(timely & (read.verdicts == UNKNOWN)).tolist() if self._announced else ():
            claim = self._announced.get(scids[at])
            if claim is not None:
                (peer, message), direction = told[numbers[at]], int(read.fields["channel_flags"][at] & 1)
                own = claim.heard.peer is peer
                heard.append(_Heard(peer, message, 2 * scids[at] + direction, claim.ends[direction], own))
        return heard

    def _screened_nodes(self, told: Sequence[_Told], nodes: Mapping[bytes, NodeAnnouncement | None]) -> list[_Heard]:
        heard = []
        for peer, message in told:
            value = nodes[message]
            if value is None:
                peer.malformed(message)
                continue
            if value.timestamp > self._clock.time() + FURTHEST_AHEAD_S or self._is_too_often(value.node_id):
                continue
            verdict = self._graph.node_verdict(value)
            if verdict is Verdict.NEWS or (verdict is Verdict.UNKNOWN and self._announced):
                heard.append(_Heard(peer, message, value.node_id))
        return heard

    def _is_too_often(self, about: int | bytes) -> bool:
        """Counted when it is taken, so that forgeries use up nobody's share."""
        if self._replaced and self._clock.monotonic() >= self._period_ends:
            self._replaced.clear()
        return self._replaced[about] >= UPDATES_A_PERIOD if self._replaced else False

    def _note_replaced(self, about: int | bytes) -> None:
        if not self._replaced:
            self._period_ends = self._clock.monotonic() + UPDATES_PERIOD_S
        self._replaced[about] += 1

    def _with_room(self, channels: Iterable[_Heard]) -> list[_Heard]:
        """Those that there is room for, each counted with those before it.

        Until the chain is asked, a channel costs whoever makes it up no more than four signatures.
        """
        unchecked, brought, found = self._graph.unchecked_count, dict[bytes, int](), list[_Heard]()
        for heard in channels:
            peer_id = heard.peer.peer_id
            room = UNCHECKED_A_PEER if unchecked < UNCHECKED_A_PEER else UNCHECKED_A_PEER_IN_A_CROWD
            if peer_id in self._lies:
                room = UNCHECKED_A_LIAR
            count = brought.get(peer_id, 0)
            if unchecked < UNCHECKED and self._unchecked[peer_id] + count < room:
                found.append(heard)
                brought[peer_id] = count + 1
                unchecked += 1
        return found

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
        under_way: deque[_Batch] = deque()
        try:
            while True:
                if not under_way:
                    await self._there.wait()
                while self._queue and len(under_way) < BATCHES_UNDER_WAY:
                    under_way.append(await self._begin(verifier))
                    await self._clock.sleep(0)  # looking through a batch is a turn of the loop
                if not self._queue:
                    self._there.clear()
                await self._end(under_way.popleft())
        finally:
            for batch in under_way:
                batch.verdicts.cancel()
                self._done(batch)

    async def _begin(self, verifier: Verifies) -> _Batch:
        told = list(itertools.islice(self._queue, BATCH_TO_VERIFY))
        nodes = await self._nodes(told)
        for _ in told:  # a cancel leaves them all where they were
            self._queue.popleft()
        kinds = self._screened(told, nodes)
        records = [heard.record for kind in kinds for heard in kind]
        return _Batch(told, kinds, asyncio.ensure_future(verifier.verify(records)))

    async def _end(self, batch: _Batch) -> None:
        try:
            await self._work(batch, await batch.verdicts)
        except VerificationFailed as error:
            _log.warning("%d gossip messages were dropped: %s", len(batch.told), error)
            for one in batch.told:
                self._seen.forget(one.message)
            await self._clock.sleep(_RETRY_S)
        finally:
            self._done(batch)

    async def _work(self, batch: _Batch, verdicts: list[Genuine]) -> None:
        found = iter(verdicts)
        channels, updates, nodes = (self._genuine(kind, found) for kind in batch.kinds)
        taken = await self._take(channels, self._with_room(channels))
        for heard in taken:
            self._unchecked[heard.peer.peer_id] += 1
            self._brought[int(heard.about)] = heard.peer.peer_id
        taken += await self._take(updates, self._still_signed(updates))
        await self._tell(taken, TOLD_AT_ONCE)
        await self._tell(await self._take(nodes, nodes), NODES_TOLD_AT_ONCE)

    async def _tell(self, taken: Sequence[_Heard], at_once: int) -> None:
        for first in range(0, len(taken), at_once):
            self._taken([Taken(heard.message, heard.peer.peer_id) for heard in taken[first : first + at_once]])
            await self._clock.sleep(0)

    def _genuine(self, kind: Sequence[_Heard], verdicts: Iterator[Genuine]) -> list[_Heard]:
        genuine: list[_Heard] = []
        for heard, verdict in zip(kind, verdicts, strict=False):  # the verdicts go on
            if verdict is Genuine.VALID:
                genuine.append(heard)
            elif heard.certain:
                name = _NAMES[heard.message[0] << 8 | heard.message[1]]
                heard.peer.refuse_gossip(f"{name}: {verdict.name.replace('_', ' ').lower()}")
            else:
                self._seen.forget(heard.message)
        return genuine

    async def _take(self, genuine: Sequence[_Heard], news: Sequence[_Heard]) -> list[_Heard]:
        """Have what is still news of the genuine kept; gives that."""
        if not genuine:
            return []
        applied = await self._kept.take([News(heard.message) for heard in news])
        taken: list[_Heard] = []
        for heard, done in zip(news, applied, strict=True):
            if done.verdict is Verdict.NEWS:
                taken.append(heard)
                if done.replaces:
                    self._note_replaced(heard.about)
        if len(taken) < len(genuine):
            self._forget_others(genuine, taken)
        return taken

    def _still_signed(self, updates: Sequence[_Heard]) -> list[_Heard]:
        """Asked again now that all before it is in the graph: the signer may have been a guess."""
        abouts = [int(heard.about) for heard in updates]
        rows = self._graph.rows_of(np.array([about >> 1 for about in abouts], np.uint64))
        places = 2 * rows + np.array([about & 1 for about in abouts], np.int64)
        there = np.flatnonzero(rows >= 0)
        signers = zip(there.tolist(), self._graph.signers(places[there]), strict=True)
        return [updates[at] for at, signer in signers if updates[at].signer == signer]

    def _forget_others(self, all_: Sequence[_Told | _Heard], but: Iterable[_Heard]) -> None:
        """Let them come again."""
        kept = {heard.message for heard in but}
        for one in all_:
            if one.message not in kept:
                self._seen.forget(one.message)

    def _done(self, batch: _Batch) -> None:
        for heard in batch.kinds[0]:
            claim = self._announced.get(int(heard.about))
            if claim is not None and claim.heard is heard:
                del self._announced[int(heard.about)]
        self._waiting.subtract(one.peer for one in batch.told)
        for peer in {one.peer for one in batch.told}:
            if not self._waiting[peer]:
                del self._waiting[peer]
        for peer in [peer for peer in self._held if self._waiting[peer] <= self._room // 2]:
            self._held.discard(peer)
            peer.hold_for_gossip(False)


def _blame_malformed(told: Sequence[_Told], read: Read) -> None:
    if len(read.numbers) < len(told):
        for number in sorted(set(range(len(told))).difference(read.numbers.tolist())):
            told[number].peer.malformed(told[number].message)
