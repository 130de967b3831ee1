"""A list of channels in more parts than can be looked at: nothing is kept without bound, and it is not gone on with."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from core.base.events import EventBus
from core.bolt.features import GOSSIP_QUERIES_BITS, from_bits
from core.bolt.gossip_queries import QueryChannelRange, ReplyChannelRange
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import LISTS_WAITING
from core.gossip.service import Gossip
from tests.support.clock import ManualClock
from tests.unit.gossip.graphs import CHAIN, NOW


@dataclass(eq=False)
class Lister:
    """A peer that is asked which channels there are."""

    peer_id: bytes = b"\x02" * 33
    features: bytes = from_bits(GOSSIP_QUERIES_BITS)
    sent: list[bytes] = field(default_factory=list)

    is_established = True
    unsent_bytes = 0

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def hold_for_gossip(self, held: bool) -> None:
        raise AssertionError("it tells no records")

    def malformed(self, message: bytes) -> None:
        raise AssertionError(message.hex())

    def warn(self, text: str) -> None:
        raise AssertionError(text)

    refuse_gossip = warn


def part(number: int) -> bytes:
    """One block each, the last one never comes."""
    return ReplyChannelRange(CHAIN, number, 1, False, (number << 40,)).encode()


def is_asking(gossip: Gossip) -> bool:
    return gossip.standing.asking


async def test_more_parts_than_can_wait_end_the_question() -> None:
    kept = await KeptGraph.open(None, CHAIN, EventBus(), ManualClock(time=NOW))
    gossip, peer = Gossip(kept, ManualClock(time=NOW), random.Random(1)), Lister()
    gossip.connected(peer)
    assert any(message[:2] == QueryChannelRange.TYPE.to_bytes(2, "big") for message in peer.sent)
    for number in range(LISTS_WAITING):
        gossip.heard(peer, part(number))
    assert is_asking(gossip)
    gossip.heard(peer, part(LISTS_WAITING))
    assert not is_asking(gossip)
    assert len(gossip._lists) == LISTS_WAITING
    for number in range(LISTS_WAITING):
        gossip.heard(peer, part(number))
    assert len(gossip._lists) == LISTS_WAITING, "what nobody awaits is not kept"
    reading = asyncio.create_task(gossip._read_lists())
    while gossip._lists:
        await asyncio.sleep(0)
    assert not is_asking(gossip)
    reading.cancel()
    await asyncio.wait([reading])
    await kept.aclose()
