"""What becomes of what peers tell: looked at together, verified, kept; whom it is blamed on, what may come again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from core.base.events import EventBus
from core.bolt.addresses import decode_descriptors
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.gossip import ingest as ingesting
from core.gossip.errors import VerificationFailed
from core.gossip.ingest import Ingest, Taken
from core.gossip.kept_graph import KeptGraph, News
from core.gossip.limits import (
    BATCHES_UNDER_WAY,
    FURTHEST_AHEAD_S,
    NODES_A_TURN_BYTES,
    OLDEST_UPDATE_S,
    UNVERIFIED_A_PEER,
)
from core.gossip.verify_frames import Record, SignedBy, Verdict
from tests.support.clock import ManualClock
from tests.support.peers import until
from tests.unit.gossip.graphs import CHAIN, NOW, channel, node, node_id, scid, update

Message = ChannelAnnouncement | ChannelUpdate | NodeAnnouncement


@dataclass(eq=False)
class Teller:
    """A peer (`core.gossip.peer.Peer`) and what it is blamed for."""

    number: int = 1
    blamed: list[str] = field(default_factory=list)
    held: bool = False
    features = b""
    is_established = True
    unsent_bytes = 0

    @property
    def peer_id(self) -> bytes:
        return bytes([2, self.number]) + bytes(31)

    def send(self, message: bytes) -> None:
        raise AssertionError

    def hold_for_gossip(self, held: bool) -> None:
        self.held = held

    def malformed(self, message: bytes) -> None:
        self.blamed.append(f"malformed {message[1]}")

    def warn(self, text: str) -> None:
        raise AssertionError

    def refuse_gossip(self, text: str) -> None:
        self.blamed.append(text)


@dataclass
class Signatures:
    """Verified when `there` is set: right when the signer is, but of what `is_forged`."""

    is_forged: Callable[[bytes], bool] = lambda _message: False
    batches: list[list[Record]] = field(default_factory=list)
    there: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0

    async def verify(self, batch: Sequence[Record]) -> list[Verdict]:
        self.batches.append(list(batch))
        await self.there.wait()
        if self.failures:
            self.failures -= 1
            raise VerificationFailed(reason="no workers")
        messages = [record.message if isinstance(record, SignedBy) else record for record in batch]
        return [Verdict.WRONG_SIGNATURE if self.is_forged(one) else Verdict.VALID for one in messages]  # type: ignore[arg-type]

    @property
    def looked_at(self) -> list[bytes]:
        return [one.message if isinstance(one, SignedBy) else one for batch in self.batches for one in batch]  # type: ignore[misc]


@dataclass
class Rig:
    kept: KeptGraph
    ingest: Ingest
    clock: ManualClock
    signatures: Signatures = field(default_factory=Signatures)
    taken: list[Taken] = field(default_factory=list)
    peer: Teller = field(default_factory=Teller)

    async def hear(self, *messages: Message | bytes, peer: Teller | None = None) -> None:
        """All of them at once, until each has its verdict."""
        for message in messages:
            self.ingest.hear(peer or self.peer, message if isinstance(message, bytes) else message.encode())
        await self.settled()

    async def settled(self) -> None:
        await until(lambda: not self.ingest.unverified)


@contextlib.asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[Rig]:
    clock, taken = ManualClock(time=NOW), list[Taken]()
    kept = await KeptGraph.open(folder / "gossip_store", CHAIN, EventBus(), clock)
    made = Rig(kept, Ingest(kept, clock, taken.extend), clock, taken=taken)
    made.signatures.there.set()
    working = asyncio.create_task(made.ingest.run(made.signatures))
    try:
        yield made
    finally:
        working.cancel()
        await asyncio.wait([working])
        await kept.aclose()
    assert working.cancelled()


async def test_what_comes_together_is_judged_by_its_channels_whatever_the_order(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        told = [node(1), update(7, 1), update(7, 0), channel(7, 1, 2)]
        await made.hear(*told)
        assert sorted(one.message for one in made.taken) == sorted(one.encode() for one in told)
        assert {one.source for one in made.taken} == {made.peer.peer_id}
        records = [record for record in made.signatures.batches[0] if isinstance(record, SignedBy)]
        assert [(ChannelUpdate.decode(each.message).direction, each.signer) for each in records] == [
            (1, node_id(2)),
            (0, node_id(1)),
        ]


async def test_what_is_of_no_use_is_not_verified_and_may_come_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        useless = [update(8, 0), node(9), channel(6, 1, 2, chain_hash=bytes(32))]
        await made.hear(*useless)
        assert (made.signatures.looked_at, made.taken, made.peer.blamed) == ([], [], [])
        await made.hear(channel(8, 1, 9))
        await made.hear(*useless)
        assert [one.value for one in made.taken] == [channel(8, 1, 9), update(8, 0), node(9)]
        before = len(made.signatures.looked_at)
        await made.hear(*useless, update(8, 0, base_msat=5))
        assert len(made.signatures.looked_at) == before, "known is known, and equally new is no news"
        old, ahead = (update(8, 1, timestamp=NOW + age) for age in (-OLDEST_UPDATE_S - 1, FURTHEST_AHEAD_S + 1))
        await made.hear(old, ahead, replace(update(8, 1), message_flags=3), node(1, timestamp=ahead.timestamp))
        assert len(made.signatures.looked_at) == before, "too old, of a time to come, and for us alone"


async def test_what_a_forged_announcement_claims_is_forgotten_with_it(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        made.signatures.is_forged = lambda _message: True
        await made.hear(channel(7, 1, 2))
        await made.hear(update(7, 0), node(1))
        assert made.signatures.looked_at == [channel(7, 1, 2).encode()]


async def test_what_does_not_decode_is_blamed_on_who_sent_it(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        other = Teller(2)
        for message in (channel(7, 1, 2), update(7, 0), node(1)):
            made.ingest.hear(other, message.encode())
            await made.hear(message.encode()[:-1])
        assert made.peer.blamed == ["malformed 0", "malformed 2", "malformed 1"]
        assert other.blamed == [] and len(made.taken) == 3


async def test_ids_out_of_order_and_forgeries_are_blamed(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        await made.hear(channel(7, 2, 1), channel(8, 1, 1))
        assert made.peer.blamed == ["channel_announcement: node ids are not in order"] * 2
        made.signatures.is_forged = lambda _message: True
        forger = Teller(2)
        await made.hear(channel(7, 1, 2), update(7, 0), peer=forger)
        assert forger.blamed == ["ChannelAnnouncement: wrong signature", "ChannelUpdate: wrong signature"]
        assert not made.taken


async def test_an_update_by_another_ones_claim_is_nobodys_fault(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        made.signatures.is_forged = lambda message: message[1] == 2
        made.ingest.hear(Teller(2), channel(7, 1, 2).encode())
        await made.hear(update(7, 0))
        assert made.peer.blamed == [] and len(made.taken) == 1
        await made.kept.check({int(scid(7)): 1000})
        await made.hear(update(7, 0, timestamp=NOW + 1))
        assert made.peer.blamed == ["ChannelUpdate: wrong signature"], "the chain told whose channel it is"
        made.signatures.is_forged = lambda _message: False
        await made.hear(update(7, 0))
        assert made.taken[-1].value == update(7, 0), "it may come again"


async def test_a_signer_that_was_guessed_wrong_signs_nothing(tmp_path: Path) -> None:
    """Two claim one channel: the update counts for the one that stands."""
    async with rig(tmp_path) as made:
        made.signatures.there.clear()
        made.ingest.hear(made.peer, channel(7, 3, 4).encode())
        made.ingest.hear(made.peer, update(7, 0).encode())
        await until(lambda: made.signatures.batches)
        await made.kept.take([News(channel(7, 1, 2).encode())])
        made.signatures.there.set()
        await made.settled()
        assert made.taken == []
        await made.hear(update(7, 0))
        assert [one.value for one in made.taken] == [update(7, 0)]
        assert made.signatures.batches[-1] == [SignedBy(update(7, 0).encode(), node_id(1))]


async def test_one_batch_is_looked_at_while_another_is_verified(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        made.signatures.there.clear()
        made.ingest.hear(made.peer, channel(7, 1, 2).encode())
        made.ingest.hear(made.peer, update(7, 0).encode())
        for number in range(BATCHES_UNDER_WAY * ingesting.BATCH_TO_VERIFY):
            made.ingest.hear(made.peer, update(7, 1, timestamp=NOW - number).encode())
        await until(lambda: len(made.signatures.batches) == BATCHES_UNDER_WAY)
        second = made.signatures.batches[1]
        assert len(second) == ingesting.BATCH_TO_VERIFY, "its channel is in the first"
        assert not made.taken
        made.signatures.there.set()
        await made.settled()
        assert [one.value for one in made.taken][:2] == [channel(7, 1, 2), update(7, 0)]
        assert made.taken[2].value == update(7, 1)
        assert made.kept.graph.update_verdict(update(7, 1)).name == "KNOWN"


async def test_who_brings_more_than_there_is_room_for_is_not_read_until_half_is_done(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        made.signatures.there.clear()
        for number in range(UNVERIFIED_A_PEER - 1):
            made.ingest.hear(made.peer, update(7, 1, timestamp=NOW - number).encode())
            made.ingest.hear(made.peer, update(7, 1, timestamp=NOW - number).encode())
        assert not made.peer.held
        made.ingest.hear(made.peer, channel(7, 1, 2).encode())
        assert made.peer.held and made.ingest.unverified == UNVERIFIED_A_PEER
        made.signatures.there.set()
        await made.settled()
        assert not made.peer.held


async def test_no_more_unchecked_channels_of_one_peer_than_its_room_however_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "UNCHECKED_A_PEER", 10)
    monkeypatch.setattr(ingesting, "UNCHECKED_A_PEER_IN_A_CROWD", 10)
    monkeypatch.setattr(ingesting, "BATCH_TO_VERIFY", 8)
    async with rig(tmp_path) as made:
        await made.hear(*(channel(number, 1, 2) for number in range(40)))
        assert len(made.kept.graph) == 10
        await made.hear(*(channel(number, 1, 2) for number in range(40, 80)), peer=Teller(2))
        assert len(made.kept.graph) == 20


async def test_what_could_not_be_verified_may_come_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        made.signatures.failures = 1
        made.ingest.hear(made.peer, channel(7, 1, 2).encode())
        while made.ingest.unverified:
            await made.clock.advance(1.0)
        assert not made.taken and not made.peer.blamed
        await made.hear(channel(7, 1, 2))
        assert len(made.taken) == 1


async def test_nodes_with_hundreds_of_addresses_give_others_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[float] = []

    async def turn(seconds: float) -> None:
        turns.append(seconds)
        await asyncio.sleep(0)

    many = decode_descriptors((b"\x01" + bytes(6)) * 250)
    async with rig(tmp_path) as made:
        monkeypatch.setattr(made.clock, "sleep", turn)
        told = [replace(node(number), addresses=many) for number in range(100)]
        await made.hear(*told)
        assert len(turns) >= sum(len(one.encode()) for one in told) // NODES_A_TURN_BYTES - 1
        assert not made.taken, "nobody knows these nodes"


async def test_a_cancel_gives_back_what_was_under_way(tmp_path: Path) -> None:
    kept = await KeptGraph.open(tmp_path / "gossip_store", CHAIN, EventBus(), ManualClock(time=NOW))
    ingest, peer, signatures = Ingest(kept, ManualClock(time=NOW), lambda _taken: None), Teller(), Signatures()
    working = asyncio.create_task(ingest.run(signatures))
    for number in range(BATCHES_UNDER_WAY * ingesting.BATCH_TO_VERIFY):
        ingest.hear(peer, channel(number, 1, 2).encode())
    await until(lambda: len(signatures.batches) == BATCHES_UNDER_WAY)
    assert ingest.unverified == BATCHES_UNDER_WAY * ingesting.BATCH_TO_VERIFY
    working.cancel()
    await asyncio.wait([working])
    assert ingest.unverified == 0
    await kept.aclose()
