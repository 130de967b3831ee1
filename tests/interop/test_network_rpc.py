"""The network graph of the headless program over its socket, with pyln-client: listed, routed, imported, dialled."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.base.clock import SystemClock
from core.base.events import EventBus
from core.bolt.address import Address, AddressKind
from core.bolt.addresses import Descriptor
from core.bolt.gossip import ChannelUpdate
from core.bolt.networks import NETWORKS
from core.gossip.kept_graph import KeptGraph
from core.gossip.store import open_gossip_store
from tests.counterparts import Leyden, PylnClient
from tests.support.network import Network, make_network
from tests.unit.gossip.graphs import channel, node
from tests.unit.gossip.test_kept_graph import news

TODAY = int(time.time()) // 86_400 * 86_400


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Leyden, PylnClient]]:
    async with await Leyden.start(folder / "leyden") as leyden:
        async with await PylnClient.start(folder / "client", str(leyden.socket)) as client:
            yield leyden, client
        await leyden.stop()
        assert leyden.exit_code == 0


async def their_store(path: Path, network: Network) -> None:
    store = await open_gossip_store(path)
    await store.append([(message, TODAY) for message in network])
    await store.aclose()


def listed(network: Network, rows: list[dict[str, Any]]) -> None:
    """Every update, with what it says."""
    updates = {}
    for message in network.channel_updates:
        update = ChannelUpdate.decode(message)
        updates[str(update.short_channel_id), update.direction] = update
    assert {(row["short_channel_id"], row["direction"]) for row in rows} == set(updates)
    for row in rows:
        update = updates[row["short_channel_id"], row["direction"]]
        assert row["last_update"] == update.timestamp
        assert row["base_fee_millisatoshi"] == update.fee_base_msat
        assert row["htlc_maximum_msat"] == update.htlc_maximum_msat
        assert row["active"] is not update.disabled


async def test_a_network_is_imported_listed_routed_through_and_there_after_a_restart(home: Path) -> None:
    network = make_network(11, 400, now_s=TODAY, disabled_share=0)
    await their_store(home / "theirs", network)
    async with running(home) as (_, client):
        assert (await client.call("listchannels"))["channels"] == []
        report = await client.call("importgossipstore", path=str(home / "theirs"))
        nodes = len(network.node_announcements)
        assert report == {
            "channels": 400,
            "channel_updates": 800,
            "nodes": nodes,
            "known": 0,
            "passed_over": 0,
            "refused": 0,
        }
        before = (await client.call("listchannels"))["channels"], (await client.call("listnodes"))["nodes"]
        listed(network, before[0])
        assert len(before[1]) == nodes
        first, last = before[0][0]["source"], before[0][-1]["destination"]
        route = (await client.call("getroute", node_id=last, amount_msat=1000, riskfactor=10, fromid=first))["route"]
        assert route[-1]["id"] == last
        assert route[-1]["amount_msat"] == 1000
    async with running(home) as (leyden, client):
        after = (await client.call("listchannels"))["channels"], (await client.call("listnodes"))["nodes"]
        assert after == before
        assert any(f"400 channels, {nodes} nodes" in event["text"] for event in leyden.seen(event="line"))


async def test_an_id_alone_is_enough_after_a_restart_with_only_the_store(home: Path) -> None:
    async with await Leyden.start(home / "other") as other:
        where = Address(AddressKind.IPV4, "127.0.0.1", other.port)
        folder = home / "leyden" / "data" / "regtest"
        folder.mkdir(parents=True, mode=0o700)
        kept = await KeptGraph.open(folder / "gossip_store", NETWORKS["regtest"].chain_hash, EventBus(), SystemClock())
        announced = replace(channel(1, 1, 2), node_id_2=other.node_id)
        told = replace(node(2), node_id=other.node_id, addresses=(Descriptor.of(where),))
        await kept.take(news(announced, told))
        await kept.aclose()
        async with running(home) as (_, client):
            connected = await client.call("connect", peer_id=other.node_id.hex())
            assert connected["address"] == {"type": "ipv4", "address": "127.0.0.1", "port": other.port}
