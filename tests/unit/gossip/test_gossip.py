"""Two nodes on loopback, with gossip between them: what reaches the other, and what is not told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from core.base.clock import SystemClock
from core.base.events import EventBus
from core.bolt.features import GOSSIP_QUERIES_BITS, LEYDEN_FEATURES, combine, from_bits
from core.bolt.gossip import ChannelUpdate, NodeAnnouncement
from core.bolt.gossip_queries import GossipTimestampFilter, QueryChannelRange, QueryShortChannelIds, ReplyChannelRange
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.gossip.graph import Graph
from core.gossip.graph_values import Trust
from core.gossip.kept_graph import KeptGraph
from core.gossip.service import Gossip
from core.gossip.store import open_gossip_store
from core.gossip.store_format import channel_amount
from core.gossip.verification import Verifier
from core.peers.manager import PeerManager
from core.peers.reasons import CloseCode
from tests.support.announcements import signed
from tests.support.network import Network, make_network
from tests.support.peers import TestNode, node, until
from tests.support.raw_peer import RawPeer, regtest_init

CHAIN = NETWORKS["regtest"].chain_hash
TODAY = int(time.time()) // 86_400 * 86_400


@dataclass
class Told:
    """One node that keeps a graph."""

    peers: TestNode
    graph: Graph
    gossip: Gossip

    @property
    def manager(self) -> PeerManager:
        return self.peers.manager


@contextlib.asynccontextmanager
async def told(folder: Path, network: Network | None = None) -> AsyncIterator[Told]:
    """With `network` it knows that one, and the chain was seen to hold it."""
    folder.mkdir()
    clock = SystemClock()
    if network is not None:
        await stored(folder / "gossip_store", network)
    kept = await KeptGraph.open(folder / "gossip_store", CHAIN, EventBus(), clock)
    gossip = Gossip(kept, clock)
    async with Verifier.start() as verifier, node(gossip=gossip) as peers:
        working = asyncio.create_task(gossip.run(verifier))
        try:
            yield Told(peers, kept.graph, gossip)
        finally:
            working.cancel()
            await asyncio.wait([working])
            await kept.aclose()
    assert working.cancelled()


async def stored(path: Path, network: Network) -> None:
    store = await open_gossip_store(path)
    records: list[tuple[bytes, int]] = []
    for number, announcement in enumerate(network.channel_announcements):
        records += [(announcement, TODAY), (channel_amount(network.capacities_sat[number]), 0)]
    records += [(message, ChannelUpdate.decode(message).timestamp) for message in network.channel_updates]
    records += [(message, TODAY) for message in network.node_announcements]
    await store.append(records)
    await store.aclose()


def listing(graph: Graph) -> list[tuple[object, ...]]:
    """All but where it is stored, who vouches for it, and the capacity, which the chain alone tells."""
    channels = [
        (
            one.short_channel_id,
            (one.node_id_1, one.node_id_2, one.features),
            [None if policy is None else replace(policy, offset=0) for policy in one.policies],
        )
        for one in graph.channels()
    ]
    nodes = [(one.node_id, one.channels, one.announced and replace(one.announced, offset=0)) for one in graph.nodes()]
    return sorted(channels, key=lambda row: str(row[0])) + sorted(nodes, key=lambda row: str(row[0]))


async def test_two_thousand_channels_reach_the_other_node(tmp_path: Path) -> None:
    network = make_network(1, 2_000, now_s=TODAY)
    async with told(tmp_path / "a", network) as a, told(tmp_path / "b") as b:
        await b.peers.connect_to(a.peers)
        await until(lambda: listing(a.graph) == listing(b.graph) if len(b.graph) == 2_000 else None, 60)
        assert {one.trust for one in b.graph.channels()} == {Trust.UNCHECKED}
        await until(lambda: not b.gossip.ingest.unverified)
    again = await KeptGraph.open(tmp_path / "b" / "gossip_store", CHAIN, EventBus(), SystemClock())
    await again.aclose()
    assert listing(again.graph) == listing(a.graph)
    assert again.graph.checked_count == 0


@contextlib.asynccontextmanager
async def raw(told: Told) -> AsyncIterator[RawPeer]:
    peers = told.peers
    async with RawPeer.dialled(NodeKey.generate(), peers.node_id, peers.host, peers.port) as peer:
        await peer.exchange_init()
        yield peer


SMALL = make_network(2, 20, now_s=TODAY)


async def test_what_was_not_seen_on_the_chain_is_never_told(tmp_path: Path) -> None:
    async with told(tmp_path / "a") as a, raw(a) as teller:
        await teller.send(*SMALL)
        await until(lambda: len(a.graph) == 20 and not a.gossip.ingest.unverified)
        async with raw(a) as asking:
            await asking.send(
                QueryChannelRange(CHAIN, 0, 0xFFFFFFFF).encode(), GossipTimestampFilter(CHAIN, 0, 0xFFFFFFFF).encode()
            )
            (reply,) = await answers(asking, 264)
            assert ReplyChannelRange.decode(reply).short_channel_ids == ()


async def test_a_query_for_channels_is_answered_with_all_that_is_known_of_them(tmp_path: Path) -> None:
    scids = sorted(ChannelUpdate.decode(message).short_channel_id for message in SMALL.channel_updates[::2])
    async with told(tmp_path / "a", SMALL) as a, raw(a) as asking:
        await asking.send(QueryChannelRange(CHAIN, 0, 0xFFFFFFFF, 3).encode())
        reply = ReplyChannelRange.decode((await answers(asking, 264))[-1])
        assert reply.short_channel_ids == tuple(map(int, scids))
        assert reply.sync_complete and reply.end_blocknum == 0xFFFFFFFF
        assert reply.timestamps and all(all(pair) for pair in reply.timestamps)
        assert reply.checksums and all(all(pair) for pair in reply.checksums)
        await asking.send(QueryShortChannelIds(CHAIN, reply.short_channel_ids).encode())
        assert set(await answers(asking, 262)) == {*SMALL, b"\x01\x06" + CHAIN + b"\x01"}


async def test_a_filter_lets_everything_through_but_what_came_from_that_peer(tmp_path: Path) -> None:
    async with told(tmp_path / "a", SMALL) as a, raw(a) as asking:
        theirs = SMALL.node_announcements[0]
        await asking.send(theirs, GossipTimestampFilter(CHAIN, 0, 0xFFFFFFFF).encode())
        expected = set(SMALL) - {theirs}
        heard: set[bytes] = set()
        async with asyncio.timeout(5):
            while heard < expected:
                message = await asking.receive()
                heard |= {message} if 256 <= kind(message) <= 258 else set()
        assert heard == expected


async def test_a_forged_record_is_warned_of_and_ends_the_connection(tmp_path: Path) -> None:
    forged = bytearray(SMALL.channel_announcements[0])
    forged[10] ^= 1
    async with told(tmp_path / "a") as a, raw(a) as teller:
        await teller.send(bytes(forged))
        await a.peers.closed(CloseCode.BAD_GOSSIP)
        assert len(a.graph) == 0


async def test_old_updates_and_foreign_chains_are_passed_over(tmp_path: Path) -> None:
    old = SMALL.update(0, 0, timestamp=TODAY - 15 * 86_400)
    ahead = SMALL.update(0, 0, timestamp=int(time.time()) + 2 * 86_400)
    foreign = make_network(3, 3, network=NETWORKS["bitcoin"], now_s=TODAY)
    async with told(tmp_path / "a") as a, raw(a) as teller:
        await teller.send(SMALL.channel_announcements[0], old, ahead, *foreign, *SMALL.node_announcements)
        await until(lambda: len(a.graph) == 1 and not a.gossip.ingest.unverified)
        (channel,) = a.graph.channels()
        assert channel.policies == (None, None)


async def test_who_guesses_a_signer_wrong_is_not_blamed_for_another_ones_claim(tmp_path: Path) -> None:
    """Anybody can announce an unchecked channel, so its updates may be signed by who really has it."""
    really = ChannelUpdate.decode(SMALL.channel_updates[0])
    by_another = make_network(4, 20, now_s=TODAY).update(0, 0, short_channel_id=really.short_channel_id)
    async with told(tmp_path / "a") as a, raw(a) as first, raw(a) as second:
        await first.send(SMALL.channel_announcements[0])
        await until(lambda: len(a.graph) == 1)
        await second.send(by_another)
        await until(lambda: not a.gossip.ingest.unverified)
        await first.send(SMALL.channel_updates[0])
        await until(lambda: next(a.graph.channels()).policies[really.direction] is not None)
        assert len(a.manager.peers()) == 2


async def test_an_update_that_came_while_we_were_away_is_asked_for_by_its_timestamp(tmp_path: Path) -> None:
    """It is older than what a streaming peer sends by itself."""
    fresh = SMALL.update(3, 1, timestamp=ChannelUpdate.decode(SMALL.channel_updates[7]).timestamp + 60, fee_base_msat=7)
    newer = replace(SMALL, channel_updates=(*SMALL.channel_updates[:7], fresh, *SMALL.channel_updates[8:]))
    async with told(tmp_path / "a", newer) as a, told(tmp_path / "b", SMALL) as b:
        assert listing(a.graph) != listing(b.graph)
        await b.peers.connect_to(a.peers)
        await until(lambda: listing(a.graph) == listing(b.graph), 20)


async def test_what_a_node_said_while_we_were_away_comes_too(tmp_path: Path) -> None:
    """Lists do not tell of it."""
    said = NodeAnnouncement.decode(SMALL.node_announcements[0])
    newest = max(ChannelUpdate.decode(message).timestamp for message in SMALL.channel_updates)
    anew = signed(replace(said, timestamp=newest + 1, alias=b"later".ljust(32, b"\0")), SMALL.keys[said.node_id])
    newer = replace(SMALL, node_announcements=(anew, *SMALL.node_announcements[1:]))
    async with told(tmp_path / "a", newer) as a, told(tmp_path / "b", SMALL) as b:
        assert listing(a.graph) != listing(b.graph)
        await b.peers.connect_to(a.peers)
        await until(lambda: listing(a.graph) == listing(b.graph), 20)


async def test_a_connection_that_takes_the_place_of_an_older_one_is_asked_anew(tmp_path: Path) -> None:
    key = NodeKey.generate()
    async with told(tmp_path / "a") as a, asked(key, a) as older:
        assert kind(older) == GossipTimestampFilter.TYPE
        async with asked(key, a) as newer:
            assert kind(newer) == GossipTimestampFilter.TYPE


@contextlib.asynccontextmanager
async def asked(key: NodeKey, told: Told) -> AsyncIterator[bytes]:
    """What a peer with this key is first asked for, while it is connected."""
    peers = told.peers
    async with RawPeer.dialled(key, peers.node_id, peers.host, peers.port) as peer:
        await peer.exchange_init(regtest_init(combine(LEYDEN_FEATURES, from_bits(GOSSIP_QUERIES_BITS))))
        async with asyncio.timeout(15):
            first = await peer.receive()
        assert first is not None
        yield first


def kind(message: bytes) -> int:
    return message[0] << 8 | message[1]


async def answers(peer: RawPeer, last: int) -> list[bytes]:
    """What comes of BOLT 7 up to a message of the type `last`, without what it asks us."""
    found: list[bytes] = []
    async with asyncio.timeout(5):
        while not found or kind(found[-1]) != last:
            message = await peer.receive()
            if 256 <= kind(message) <= 265 and kind(message) not in (261, 263, 265):
                found.append(message)
    return found


async def test_a_list_that_nobody_asked_for_and_that_is_cut_off_ends_the_connection(tmp_path: Path) -> None:
    """BOLT 1: though nothing of it would be read."""
    async with told(tmp_path / "a") as a, raw(a) as teller:
        await teller.send(ReplyChannelRange(CHAIN, 0, 5, True, (7,)).encode()[:40])
        await a.peers.closed(CloseCode.MALFORMED)
