"""What one peer is told, with the clock under our hand."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeVar

from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, update_checksum
from core.bolt.gossip_queries import (
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
)
from core.bolt.networks import NETWORKS
from core.gossip.kept_graph import KeptGraph, News
from core.gossip.limits import BROADCAST_INTERVAL_S, SERVED_UNSENT_BYTES
from core.gossip.listing import still_tellable
from core.gossip.serving import Recent, Serving
from tests.support.clock import ManualClock
from tests.support.network import DEFAULT_NOW_S, Network, make_network
from tests.support.peers import until

CHAIN = NETWORKS["regtest"].chain_hash
ALL = 0xFFFFFFFF
T = TypeVar("T")
NETWORK = make_network(3, 60, blocks=5)


class Listener:
    """A peer that notes what it is sent (`core.gossip.peer.Peer`)."""

    peer_id = b"\x02" * 33
    features = b""
    is_established = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.warnings: list[str] = []
        self.unsent_bytes = 0

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def hold_for_gossip(self, held: bool) -> None:
        raise AssertionError

    def malformed(self, message: bytes) -> None:
        raise AssertionError

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def refuse_gossip(self, text: str) -> None:
        raise AssertionError


class Served:
    def __init__(self, kept: KeptGraph, clock: ManualClock) -> None:
        self.peer = Listener()
        self.kept = kept
        self.clock = clock
        self.recent = Recent()
        self.turn = asyncio.Lock()
        self.serving = Serving(self.peer, kept.graph, kept.store, self.recent, clock, self.turn)

    async def all_sent(self, count: int) -> list[bytes]:
        """So many messages, and no more for a minute to come."""

        async def go_on() -> None:
            while True:
                await self.clock.advance(0.1)

        going = asyncio.create_task(go_on())
        try:
            await until(lambda: len(self.peer.sent) >= count)
            await self.clock.advance(1.0)
        finally:
            going.cancel()
        assert len(self.peer.sent) == count
        return self.peer.sent


@contextlib.asynccontextmanager
async def served(folder: Path, network: Network = NETWORK, *, checked: bool = True) -> AsyncIterator[Served]:
    clock = ManualClock(time=DEFAULT_NOW_S)
    kept = await KeptGraph.open(folder / "gossip_store", CHAIN, EventBus(), clock)
    await kept.take(
        [
            News(message, capacity if checked else None)
            for message, capacity in zip(network.channel_announcements, network.capacities_sat, strict=True)
        ]
    )
    await kept.take([News(message) for message in network.channel_updates])
    made = Served(kept, clock)
    working = asyncio.create_task(made.serving.run())
    try:
        yield made
    finally:
        working.cancel()
        await asyncio.wait([working])
        await kept.aclose()
    assert working.cancelled()


def scids(network: Network = NETWORK) -> list[int]:
    return [int(ChannelAnnouncement.decode(message).short_channel_id) for message in network.channel_announcements]


async def test_a_list_is_told_with_the_timestamps_and_checksums_of_the_stored_updates(tmp_path: Path) -> None:
    async with served(tmp_path) as made:
        made.serving.ask(QueryChannelRange(CHAIN, 0, ALL, 3))
        (message,) = await made.all_sent(1)
    reply = ReplyChannelRange.decode(message)
    updates = [ChannelUpdate.decode(one) for one in NETWORK.channel_updates]
    sums = [update_checksum(one) for one in NETWORK.channel_updates]
    assert reply.short_channel_ids == tuple(scids())
    assert reply.timestamps == tuple((one.timestamp, other.timestamp) for one, other in _pairs(updates))
    assert reply.checksums == tuple(_pairs(sums))
    assert (reply.first_blocknum, reply.end_blocknum, reply.sync_complete) == (0, ALL, True)


def _pairs(values: Sequence[T]) -> list[tuple[T, T]]:
    return list(zip(values[::2], values[1::2], strict=True))


async def test_a_list_of_many_messages_splits_a_block_and_leaves_no_gap(tmp_path: Path) -> None:
    network = make_network(4, 3_000, blocks=2)
    async with served(tmp_path, network) as made:
        made.serving.ask(QueryChannelRange(CHAIN, 500_000, 10, 3))
        made.serving.ask(QueryChannelRange(CHAIN, 500_000, 1))
        *parts, only = map(ReplyChannelRange.decode, await made.all_sent(3))
    assert [scid for part in parts for scid in part.short_channel_ids] == scids(network)
    assert all(later.first_blocknum <= part.end_blocknum for part, later in itertools.pairwise(parts))
    assert [part.sync_complete for part in parts] == [False, True]
    assert (parts[0].first_blocknum, parts[-1].end_blocknum) == (500_000, 500_010)
    assert only.short_channel_ids == tuple(scid for scid in scids(network) if scid >> 40 == 500_000)


async def test_what_is_new_goes_out_once_a_minute_at_the_peers_own_moment(tmp_path: Path) -> None:
    async with served(tmp_path) as made:
        made.serving.set_filter(GossipTimestampFilter(CHAIN, ALL - 1, 1), first_broadcast_s=17.0)
        await made.clock.advance(0)
        made.recent.add(b"\x01\x00first", ALL - 1)
        await look(made, 16.9)
        assert made.peer.sent == []
        await look(made, 0.1)
        assert made.peer.sent == [b"\x01\x00first"]
        made.recent.add(b"\x01\x00second", ALL - 1)
        await look(made, BROADCAST_INTERVAL_S - 0.1)
        assert len(made.peer.sent) == 1
        await look(made, 0.1)
        assert made.peer.sent == [b"\x01\x00first", b"\x01\x00second"]


async def look(made: Served, seconds: float) -> None:
    await made.clock.advance(seconds)
    made.serving.look()
    await made.clock.advance(0)


async def test_nothing_goes_back_to_who_brought_it_or_beyond_the_filter(tmp_path: Path) -> None:
    async with served(tmp_path) as made:
        made.serving.set_filter(GossipTimestampFilter(CHAIN, 100, 10), first_broadcast_s=1.0)
        made.serving.heard(b"\x01\x00heard from it too")
        for message, timestamp, source in (
            (b"\x01\x00heard from it too", 105, b""),
            (b"\x01\x00brought by it", 105, made.peer.peer_id),
            (b"\x01\x00too old", 99, b""),
            (b"\x01\x00too new", 110, b""),
            (b"\x01\x00from another", 109, b"\x03" * 33),
        ):
            made.recent.add(message, timestamp, source)
        await look(made, 1.0)
        assert made.peer.sent == [b"\x01\x00from another"]


async def test_nothing_more_is_served_while_the_peer_does_not_read(tmp_path: Path) -> None:
    async with served(tmp_path) as made:
        made.peer.unsent_bytes = SERVED_UNSENT_BYTES + 1
        made.serving.ask(QueryShortChannelIds(CHAIN, tuple(scids())))
        await until(lambda: len(made.peer.sent) > 0)
        held = len(made.peer.sent)
        for _ in range(20):
            await made.clock.advance(1.0)
        assert len(made.peer.sent) == held < 3 * len(scids())
        made.peer.unsent_bytes = 0
        assert set(await made.all_sent(3 * len(scids()) + 1)) >= set(NETWORK.channel_announcements)


async def test_what_was_not_seen_on_the_chain_is_not_even_told_when_its_place_is_read(tmp_path: Path) -> None:
    """A record is looked at once more after it was read: a compaction may have put another in its place."""
    messages = [*NETWORK.channel_announcements, *NETWORK.channel_updates]
    node = NETWORK.node_announcements[0]
    async with served(tmp_path, checked=False) as made:
        assert still_tellable(made.kept.graph, [*messages, node]) == [b""] * len(messages) + [node]
    (tmp_path / "again").mkdir()
    async with served(tmp_path / "again") as made:
        assert still_tellable(made.kept.graph, messages) == messages
