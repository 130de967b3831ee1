"""The graph on a chain that Bitcoin Core's kernel validates: what peers tell is looked up, and its end is seen."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.activation.gossip_chain import FundingsOnChain, GossipChain
from core.base.clock import SystemClock
from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate
from core.bolt.gossip_queries import GossipTimestampFilter
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.chain.kernel import KernelChain
from core.chain.source import TipChanged
from core.gossip import ingest, service, serving
from core.gossip.chain_check import Funding, NoFunding, Wanted
from core.gossip.fundings import Fundings
from core.gossip.graph import Graph
from core.gossip.graph_values import Trust
from core.gossip.ingest import Ingest
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import BLOCKS_AHEAD, TIP_OF_TODAY_S
from core.gossip.service import Gossip
from core.gossip.verification import Verifier
from core.peers.reasons import CloseCode
from core.storage.database import Database
from tests.support.funded_network import FundedNetwork, fund_on_kernel
from tests.support.network import Network, make_network
from tests.support.peers import TestNode, node, until
from tests.support.raw_peer import RawPeer
from tests.unit.activation.rig import make_rig
from tests.unit.activation.test_graph import put
from tests.unit.gossip.graphs import channel
from tests.unit.gossip.test_kept_graph import news

CHAIN = NETWORKS["regtest"].chain_hash
TODAY = int(time.time()) // 86_400 * 86_400
CHANNELS = 8


@dataclass
class World:
    """A chain with a network on it, which is there whatever becomes of the nodes."""

    chain: KernelChain
    bus: EventBus
    funded: FundedNetwork

    @property
    def network(self) -> Network:
        return self.funded.network

    @property
    def scids(self) -> list[int]:
        found = map(ChannelAnnouncement.decode, self.network.channel_announcements)
        return [int(one.short_channel_id) for one in found]


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    bus = EventBus()
    chain = await KernelChain.open(None, bus, SystemClock())
    try:
        yield World(chain, bus, await fund_on_kernel(chain, seed=1, channels=CHANNELS, now_s=TODAY))
    finally:
        await chain.aclose()


@dataclass
class One:
    """A node that keeps a graph and asks the chain."""

    peers: TestNode
    kept: KeptGraph
    fundings: Fundings
    ingest: Ingest

    @property
    def graph(self) -> Graph:
        return self.kept.graph

    def is_dying(self, scid: int) -> bool:
        found = self.graph.channel(scid)
        assert found is not None
        return found.dying


@contextlib.asynccontextmanager
async def started(folder: Path, world: World) -> AsyncIterator[One]:
    clock = SystemClock()
    database = await Database.open(folder / "leyden.sqlite")
    kept = await KeptGraph.open(folder / "gossip_store", CHAIN, EventBus(), clock)
    gossip, fundings = Gossip(kept, clock), Fundings(database)
    on_chain = GossipChain(world.chain, kept, gossip, fundings, world.bus, clock)
    async with Verifier.start() as verifier, node(gossip=gossip) as peers:
        working = [asyncio.create_task(gossip.run(verifier)), asyncio.create_task(on_chain.run())]
        try:
            yield One(peers, kept, fundings, gossip.ingest)
        finally:
            for task in working:
                task.cancel()
            await asyncio.wait(working)
            await kept.aclose()
            await database.aclose()
    assert all(task.cancelled() for task in working)


@contextlib.asynccontextmanager
async def raw(one: One) -> AsyncIterator[RawPeer]:
    async with RawPeer.dialled(NodeKey.generate(), one.peers.node_id, one.peers.host, one.peers.port) as peer:
        await peer.exchange_init()
        yield peer


async def told_everything(folder: Path, world: World) -> None:
    async with started(folder, world) as one, raw(one) as teller:
        await teller.send(*world.network)
        await until(lambda: one.graph.checked_count == CHANNELS and heard_all(one), 20)


def heard_all(one: One) -> bool:
    return all(None not in channel.policies for channel in one.graph.channels())


async def test_what_is_on_the_chain_is_checked_and_passed_on_announcement_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BROADCAST_INTERVAL_S", 0.0)
    monkeypatch.setattr(serving, "BROADCAST_INTERVAL_S", 0.0)
    monkeypatch.setattr(service, "_LOOK_S", 0.02)
    async with world() as there, started(tmp_path, there) as one, raw(one) as teller, raw(one) as asking:
        filtered = GossipTimestampFilter(CHAIN, 0, 0xFFFFFFFF).encode()
        await asking.send(filtered)
        await teller.send(*there.network, filtered)
        expected = {*there.network.channel_announcements, *there.network.channel_updates}
        heard: list[bytes] = []
        async with asyncio.timeout(30):
            while not expected <= set(heard):
                message = await asking.receive()
                assert message is not None
                heard.append(message)
        assert one.graph.checked_count == CHANNELS
        capacities = {int(channel.short_channel_id): channel.capacity_sat for channel in one.graph.channels()}
        assert capacities == dict(zip(there.scids, there.network.capacities_sat, strict=True))
        announced: set[int] = set()
        for message in heard:
            match message[0] << 8 | message[1]:
                case ChannelAnnouncement.TYPE:
                    announced.add(int(ChannelAnnouncement.decode(message).short_channel_id))
                case ChannelUpdate.TYPE:
                    assert int(ChannelUpdate.decode(message).short_channel_id) in announced
        assert not expected & set(await teller.pong_after()), "nothing of it goes back to where it came from"


async def test_a_spent_channel_fades_comes_back_with_its_block_and_goes_in_the_end(tmp_path: Path) -> None:
    async with world() as there:
        await told_everything(tmp_path, there)
        first, second = there.scids[:2]
        async with started(tmp_path, there) as one:
            await there.chain.broadcast(there.funded.close(0))
            before = await there.chain.tip()
            closed = await there.chain.mine(1)
            await until(lambda: one.is_dying(first), 20)
            assert not one.is_dying(second)
        # Away while a reorganisation undoes that, and another channel is closed instead.
        async with started(tmp_path, there) as one:
            assert one.is_dying(first)
            await there.chain.mine(2, on=before.height)  # its close waits again, and nobody takes it in
            await until(lambda: not one.is_dying(first), 20)
        await there.chain.broadcast(there.funded.close(1))
        spent = await there.chain.mine(1)
        async with started(tmp_path, there) as one:
            await until(lambda: one.is_dying(second) and one.is_dying(first), 20)
            assert await one.kept.prune(spent.height + 71) == 0
            assert await one.kept.prune(spent.height + 72) == 2
            assert len(one.graph) == CHANNELS - 2
        assert closed.height < spent.height


async def test_channels_whose_blocks_went_away_are_asked_for_again(tmp_path: Path) -> None:
    async with world() as there:
        await told_everything(tmp_path, there)
        lowest = min(there.scids) >> 40
        async with started(tmp_path, there) as one:
            tip = await there.chain.tip()
            await there.chain.mine(tip.height - lowest + 2, on=lowest - 1)
            await until(lambda: len(one.graph) == 0, 20)
            assert not len(await one.fundings.known()) or one.graph.checked_count == 0


async def test_a_reorganisation_while_we_were_away_has_them_asked_for_again(tmp_path: Path) -> None:
    async with world() as there:
        await told_everything(tmp_path, there)
        lowest = min(there.scids) >> 40
        await there.chain.mine((await there.chain.tip()).height - lowest + 2, on=lowest - 1)
        async with started(tmp_path, there) as one:
            assert len(one.graph) == CHANNELS
            await until(lambda: len(one.graph) == 0, 20)


async def test_who_brings_many_channels_that_are_not_there_is_closed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "LIES_A_PEER", 6)
    made_up = make_network(9, 12, now_s=TODAY, first_block=1, blocks=50)
    async with world() as there, started(tmp_path, there) as one, raw(one) as honest, raw(one) as liar:
        await honest.send(*there.network)
        await until(lambda: one.graph.checked_count == CHANNELS, 20)
        await liar.send(*made_up)
        await until(lambda: one.peers.manager.closed_connections, 20)
        await one.peers.closed(CloseCode.BAD_GOSSIP)
        await until(lambda: len(one.graph) == CHANNELS, 20)
        assert len(one.peers.manager.peers()) == 1


async def test_channels_of_blocks_to_come_take_up_no_room(tmp_path: Path) -> None:
    """The chain would never be asked about them; but one that is still being read says nothing of where it ends."""
    async with world() as there, started(tmp_path, there) as one, raw(one) as teller:
        end = (await there.chain.mine(1)).height + BLOCKS_AHEAD
        until_then = make_network(9, 3, now_s=TODAY, first_block=end, blocks=1)
        later = make_network(10, 3, now_s=TODAY, first_block=end + 1, blocks=1)
        await until(lambda: one.ingest.highest_block == end, 20)
        await teller.send(*later.channel_announcements, *until_then.channel_announcements)
        await until(lambda: len(one.graph) == 3 and not one.ingest.unverified, 20)
        assert {int(found.short_channel_id) >> 40 for found in one.graph.channels()} == {end}
        tip = await there.chain.tip()
        there.bus.publish(TipChanged(replace(tip, time=tip.time - 2 * TIP_OF_TODAY_S)))
        assert one.ingest.highest_block is None
        await teller.send(*later.channel_announcements)
        await until(lambda: len(one.graph) == 6, 20)
        there.bus.publish(TipChanged(tip))
    assert one.ingest.highest_block is None, "nobody asks the chain any more"


async def test_what_was_refuted_is_asked_for_again_on_another_chain_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    really = FundingsOnChain.funding_outputs

    async def noted(chain: FundingsOnChain, wanted: Sequence[Wanted]) -> list[Funding | NoFunding | None]:
        asked.extend(int(scid) for scid, _script in wanted)
        return await really(chain, wanted)

    monkeypatch.setattr(FundingsOnChain, "funding_outputs", noted)
    made_up = make_network(9, 2, now_s=TODAY, first_block=1, blocks=50)
    async with world() as there, started(tmp_path, there) as one, raw(one) as teller:
        await teller.send(*made_up.channel_announcements)
        await until(lambda: len(asked) == 2 and len(one.graph) == 0, 20)
        await teller.send(*made_up.channel_announcements, *there.network)
        await until(lambda: one.graph.checked_count == CHANNELS, 20)
        assert len(asked) == 2 + CHANNELS
        tip = await there.chain.tip()
        await there.chain.mine(2, on=tip.height - 1)
        await teller.send(*made_up.channel_announcements)
        await until(lambda: len(asked) == 4 + CHANNELS, 20)


async def test_without_a_chain_that_is_asked_nothing_counts_as_checked(tmp_path: Path) -> None:
    async with make_rig(tmp_path) as rig:
        await put(rig.paths.gossip_store, news(channel(7, 1, 2)))
        lightning = await rig.run()  # a chain that knows headers alone
        assert [found.trust for found in lightning.graph.channels()] == [Trust.UNCHECKED]
        assert lightning.graph.checked_count == 0
        await lightning.aclose()
        headers, kernel = rig.chain, await KernelChain.open(None, rig.bus, rig.clock)
        assert headers is not None
        rig.use_chain(kernel)
        rig.overrides["fundings"] = None
        switched_off = await rig.run()
        assert [found.trust for found in switched_off.graph.channels()] == [Trust.UNCHECKED]
        await switched_off.aclose()
        del rig.overrides["fundings"]
        again = await rig.run()
        assert [found.trust for found in again.graph.channels()] == [Trust.CHECKED], "what was stored stays"
        assert again.importer.channels_came == again.gossip.channels_came, "imported ones are asked for at once"
        await again.aclose()
        await headers.aclose()
