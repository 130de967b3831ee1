"""Electrum 4.3.4 and our core, each dialling the other. A message counts when Electrum's own log holds it.

Electrum demands bit 7 (gossip_queries), which we do not offer while we serve no gossip; a test option does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.base.events import ConnectPhase, Direction, PeerConnected
from core.bolt.keys import NodeKey
from core.peers.errors import AllAddressesFailed
from core.peers.reasons import CloseCode
from tests.counterparts import Electrum
from tests.interop.ours import CUSTOM, PAST_ROTATION, OurNode, our_node

ELECTRUM_FEATURES = "8000000000000000000000000020000802b263"
both_ways = pytest.mark.parametrize("electrum_dials", [False, True], ids=["we dial", "Electrum dials"])


@asynccontextmanager
async def connected(folder: Path, *options: str, electrum_dials: bool) -> AsyncIterator[tuple[OurNode, Electrum]]:
    """Both, with a session that each of them reported."""
    async with our_node(offer_gossip_queries=True) as ours, await Electrum.start(folder, *options) as electrum:
        if electrum_dials:
            await electrum.connect(ours.node_id, ours.port)
        else:
            await ours.manager.connect(electrum.node_id, "127.0.0.1", electrum.port)
        await ours.wait_for(PeerConnected)
        await electrum.wait_for(event="init", peer=ours.node_id.hex()[:10])
        yield ours, electrum


@both_ways
async def test_handshake_init_ping_custom_message_and_our_disconnect(tmp_path: Path, electrum_dials: bool) -> None:
    async with connected(tmp_path, electrum_dials=electrum_dials) as (ours, electrum):
        assert electrum.seen(event="handshake", who=lambda who: who.startswith(ours.node_id.hex()))
        connected_event = await ours.wait_for(PeerConnected)
        assert connected_event.peer_id == electrum.node_id
        assert connected_event.features.hex() == ELECTRUM_FEATURES
        assert connected_event.direction is (Direction.IN if electrum_dials else Direction.OUT)
        (peer,) = await electrum.peers()
        assert peer["node_id"] == ours.node_id.hex()
        assert peer["initialized"]

        assert await ours.manager.ping(electrum.node_id, 128, 65_531) == 65_535

        ours.send(electrum.node_id, CUSTOM, b"odd, so it is ignored, and logged")
        await electrum.wait_for(event="message", type=CUSTOM)

        await ours.manager.disconnect(electrum.node_id)
        await electrum.wait_for(event="closed", peer=ours.node_id.hex()[:10])
        assert await electrum.peers() == []


@both_ways
async def test_electrum_disconnects_and_we_see_the_end(tmp_path: Path, electrum_dials: bool) -> None:
    async with connected(tmp_path, electrum_dials=electrum_dials) as (ours, electrum):
        await electrum.disconnect(ours.node_id)
        assert (await ours.wait_for_disconnect(electrum.node_id)).code is CloseCode.PEER_CLOSED


@pytest.mark.timeout(60)
async def test_keys_rotate_past_three_thousand_messages_both_ways(tmp_path: Path) -> None:
    """Every ping is a message to Electrum, every pong one from it; the custom messages' types are numbered."""
    async with connected(tmp_path, "unpaced", electrum_dials=False) as (ours, electrum):
        numbered = [CUSTOM + 2 * count for count in range(PAST_ROTATION)]
        for message_type in numbered:
            ours.send(electrum.node_id, message_type)
        for _ in range(PAST_ROTATION):
            assert await ours.manager.ping(electrum.node_id, 0, 1) == 5
        await electrum.wait_for(event="message", type=numbered[-1])
        assert [event["type"] for event in electrum.seen(event="message")] == numbered
        ours.send(electrum.node_id, CUSTOM - 2)
        await electrum.wait_for(event="message", type=CUSTOM - 2)
        info = ours.manager.peer(electrum.node_id)
        assert info is not None
        assert info.messages_out > 2 * PAST_ROTATION
        assert info.messages_in > PAST_ROTATION


async def test_electrum_does_not_know_the_key_we_ask_for(tmp_path: Path) -> None:
    """Electrum says nothing and keeps the connection open, so it is our deadline that ends the attempt."""
    async with (
        our_node(offer_gossip_queries=True, handshake_s=0.5) as ours,
        await Electrum.start(tmp_path) as electrum,
    ):
        mark = electrum.mark
        with pytest.raises(AllAddressesFailed) as failure:
            await ours.manager.connect(NodeKey.generate().node_id, "127.0.0.1", electrum.port)
        (attempt,) = failure.value.attempts
        assert attempt.phase is ConnectPhase.HANDSHAKE
        assert attempt.reason == "Connection timed out"
        await electrum.wait_for(event="handshake failed", since=mark)
        assert await electrum.peers() == []


async def test_electrum_asks_for_a_key_that_is_not_ours(tmp_path: Path) -> None:
    async with our_node(offer_gossip_queries=True) as ours, await Electrum.start(tmp_path) as electrum:
        await electrum.connect(NodeKey.generate().node_id, ours.port)
        ended = await electrum.wait_for(event="closed")
        assert "are you sure this is the right pubkey" in ended["reason"]
        assert (await ours.wait_for_end()).reason.code is CloseCode.HANDSHAKE
        assert ours.events == []


async def test_without_bit_seven_electrum_leaves_and_says_why(tmp_path: Path) -> None:
    """It demands bit 6, which we do not offer either way, so both sides end it."""
    async with our_node() as ours, await Electrum.start(tmp_path) as electrum:
        await electrum.connect(ours.node_id, ours.port)
        assert "GOSSIP_QUERIES" in (await electrum.wait_for(event="closed"))["reason"]
        assert (await ours.wait_for_end()).reason.code is CloseCode.UNSUPPORTED_FEATURE
        assert ours.events == []
