"""LDK 0.1 as a sink of our gossip, which it verifies, and as a source of it for another of our nodes."""

from __future__ import annotations

from pathlib import Path

from tests.counterparts import Ldk
from tests.support.network import make_network
from tests.support.peers import until
from tests.unit.gossip.test_gossip import TODAY, listing, told

CHANNELS = 200


async def test_a_network_goes_from_us_to_ldk_and_from_there_to_another_of_ours(tmp_path: Path) -> None:
    network = make_network(5, CHANNELS, now_s=TODAY)
    folder = tmp_path / "ldk"
    folder.mkdir()
    async with told(tmp_path / "a", network) as a, told(tmp_path / "b") as b, await Ldk.start(folder) as ldk:
        await ldk.connect(a.peers.node_id, a.peers.port)
        await until(lambda: _received(ldk, "NodeAnnouncement") == len(network.node_announcements), 30)
        assert _received(ldk, "ChannelAnnouncement") == CHANNELS
        await ldk.connect(b.peers.node_id, b.peers.port)
        await until(lambda: len(b.graph) == CHANNELS and listing(b.graph) == listing(a.graph), 30)


def _received(ldk: Ldk, name: str) -> int:
    return len(ldk.seen(event="log", text=lambda text: text.startswith(f"Received message {name}")))
