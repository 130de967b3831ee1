"""What a peer may cost: long records, channels of blocks to come, one peer's flood, one channel's chatter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.gossip import ingest as ingesting
from core.gossip.ingest import Ingest, Taken
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import (
    LONGEST_RECORD,
    UNCHECKED_A_PEER,
    UNCHECKED_A_PEER_IN_A_CROWD,
    UPDATES_A_PERIOD,
    UPDATES_PERIOD_S,
)
from core.gossip.service import Gossip
from core.gossip.verify_frames import Record, Verdict
from tests.support.clock import ManualClock
from tests.support.peers import until
from tests.unit.gossip.graphs import CHAIN, NOW, channel, node, scid, update


class Teller:
    """A peer that is never blamed (`core.gossip.peer.Peer`)."""

    features = b""
    is_established = True
    unsent_bytes = 0

    def __init__(self, number: int = 1) -> None:
        self.peer_id = bytes([2, number]) + bytes(31)

    def send(self, message: bytes) -> None:
        raise AssertionError

    def hold_for_gossip(self, held: bool) -> None:
        pass

    def malformed(self, message: bytes) -> None:
        raise AssertionError

    def warn(self, text: str) -> None:
        raise AssertionError

    def refuse_gossip(self, text: str) -> None:
        raise AssertionError


@dataclass
class Signatures:
    """All right or, while `forged`, none."""

    forged: bool = False
    looked_at: int = 0

    async def verify(self, batch: Sequence[Record]) -> list[Verdict]:
        self.looked_at += len(batch)
        return [Verdict.WRONG_SIGNATURE if self.forged else Verdict.VALID] * len(batch)


@dataclass
class Rig:
    kept: KeptGraph
    ingest: Ingest
    clock: ManualClock
    signatures: Signatures
    taken: list[Taken] = field(default_factory=list)

    async def hear(self, *messages: ChannelAnnouncement | ChannelUpdate | NodeAnnouncement, peer: int = 1) -> None:
        """All of them, each with its verdict."""
        for message in messages:
            self.ingest.hear(Teller(peer), message.encode())
        await until(lambda: not self.ingest.unverified)


@contextlib.asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[Rig]:
    clock, taken = ManualClock(time=NOW), list[Taken]()
    kept = await KeptGraph.open(folder / "gossip_store", CHAIN, EventBus(), clock)
    made = Rig(kept, Ingest(kept, clock, taken.extend), clock, Signatures(), taken)
    working = asyncio.create_task(made.ingest.run(made.signatures))
    try:
        yield made
    finally:
        working.cancel()
        await asyncio.wait([working])
        await kept.aclose()
    assert working.cancelled()


async def test_a_record_that_is_longer_than_any_is_not_looked_at(tmp_path: Path) -> None:
    """It would lie in the file, and what a node says of itself in memory, for two weeks."""
    async with rig(tmp_path) as made:
        bare = len(channel(1, 1, 2).encode())
        await made.hear(channel(1, 1, 2, features=bytes(LONGEST_RECORD - bare + 1)))
        assert (len(made.kept.graph), made.signatures.looked_at) == (0, 0)
        await made.hear(channel(1, 1, 2, features=bytes(LONGEST_RECORD - bare)))
        assert len(made.kept.graph) == 1
        await made.hear(node(1, features=bytes(LONGEST_RECORD)), node(2))
        assert [one.node_id[-1] for one in made.kept.graph.nodes() if one.announced] == [2]


async def test_a_channel_of_a_block_to_come_is_not_taken(tmp_path: Path) -> None:
    """The chain would never be asked about it, so it would take up an honest one's room."""
    async with rig(tmp_path) as made:
        made.ingest.highest_block = scid(7).block
        await made.hear(channel(8, 1, 2), channel(7, 1, 2))
        assert [one.short_channel_id for one in made.kept.graph.channels()] == [scid(7)]
        made.ingest.highest_block = scid(8).block
        await made.hear(channel(8, 1, 2))
        assert len(made.kept.graph) == 2, "it was not taken for seen"


async def test_who_fills_the_room_for_unchecked_channels_leaves_some_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert UNCHECKED_A_PEER_IN_A_CROWD < UNCHECKED_A_PEER
    monkeypatch.setattr(ingesting, "UNCHECKED_A_PEER", 10)
    monkeypatch.setattr(ingesting, "UNCHECKED_A_PEER_IN_A_CROWD", 3)
    monkeypatch.setattr(ingesting, "UNCHECKED", 20)
    async with rig(tmp_path) as made:
        for peer, held in ((1, 10), (2, 13), (3, 16), (1, 16)):
            for number in range(20):
                await made.hear(channel(20 * peer + number, 1, 2), peer=peer)
            assert len(made.kept.graph) == held


async def test_what_a_liar_brought_goes_and_may_come_again_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "LIES_A_PEER", 2)
    async with rig(tmp_path) as made:
        gossip = Gossip(made.kept, made.clock)
        gossip.ingest = made.ingest
        await made.hear(*(channel(number, 1, 2) for number in range(6)), peer=1)
        await made.hear(channel(7, 1, 2), peer=2)
        assert gossip.refuted([int(scid(0))], blamed=True) == []
        assert gossip.refuted([int(scid(1)), int(scid(7))], blamed=False) == [], "spent ones are nobody's lies"
        with_it = gossip.refuted([int(scid(2))], blamed=True)
        assert sorted(with_it) == [int(scid(number)) for number in (3, 4, 5)]
        await made.kept.remove([int(scid(2)), *with_it])
        await made.hear(channel(4, 1, 2), peer=2)
        assert made.taken[-1] == Taken(channel(4, 1, 2).encode(), Teller(2).peer_id)


@pytest.mark.parametrize("what", ["a direction", "a node"])
async def test_one_that_speaks_all_the_time_is_heard_now_and_then(tmp_path: Path, what: str) -> None:
    def said(second: int) -> ChannelUpdate | NodeAnnouncement:
        stamp = NOW - 1000 + second
        return update(7, 0, timestamp=stamp) if what == "a direction" else node(1, timestamp=stamp)

    async with rig(tmp_path) as made:
        await made.hear(channel(7, 1, 2), said(0))
        before = made.signatures.looked_at
        for second in range(1, 50):
            await made.hear(said(second))
        assert made.signatures.looked_at - before == UPDATES_A_PERIOD
        await made.hear(update(7, 1), node(2))
        assert made.signatures.looked_at - before == UPDATES_A_PERIOD + 2, "others are heard"
        await made.clock.advance(UPDATES_PERIOD_S)
        await made.hear(said(49))
        assert made.taken[-1].value == said(49), "what was passed over may come again"


async def test_forgeries_use_up_nobodys_share(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        await made.hear(channel(7, 1, 2), update(7, 0, timestamp=NOW - 1000))
        made.signatures.forged = True
        for second in range(2 * UPDATES_A_PERIOD):
            await made.hear(update(7, 0, timestamp=NOW - 900 + second))
        made.signatures.forged = False
        await made.hear(genuine := update(7, 0, timestamp=NOW))
        assert made.taken[-1].value == genuine


async def test_what_the_chain_was_seen_not_to_hold_is_not_even_verified(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        gone = channel(7, 1, 2).encode()
        made.ingest.is_refuted = gone.__eq__
        await made.hear(channel(7, 1, 2), channel(8, 1, 2))
        assert [one.short_channel_id for one in made.kept.graph.channels()] == [scid(8)]
        assert made.signatures.looked_at == 1
        made.ingest.is_refuted = lambda _message: False
        await made.hear(channel(7, 1, 2))
        assert len(made.kept.graph) == 2, "another chain may hold it, and it was not taken for seen"
