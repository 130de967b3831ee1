"""LDK 0.1 and our core, each dialling the other. A message counts when LDK's own log holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.base.events import ConnectPhase, Direction, PeerConnected
from core.bolt.keys import NodeKey
from core.peers.errors import AllAddressesFailed
from core.peers.reasons import CloseCode
from tests.counterparts import Ldk
from tests.interop.ours import CUSTOM, FEATURES, PAST_ROTATION, REGTEST, OurNode, number, our_node

LDK_FEATURES = "08a0000a0aa2a2"


@asynccontextmanager
async def connected(folder: Path, *, ldk_dials: bool) -> AsyncIterator[tuple[OurNode, Ldk]]:
    """Both, with a session that each of them reported."""
    async with our_node() as ours, await Ldk.start(folder) as ldk:
        if ldk_dials:
            await ldk.connect(ours.node_id, ours.port)
        else:
            await ours.manager.connect(ldk.node_id, "127.0.0.1", ldk.port)
        await ours.wait_for(PeerConnected)
        await ldk.wait_for(event="init", node_id=ours.node_id.hex())
        yield ours, ldk


both_ways = pytest.mark.parametrize("ldk_dials", [False, True], ids=["we dial", "LDK dials"])


@both_ways
async def test_handshake_and_init(tmp_path: Path, ldk_dials: bool) -> None:
    async with connected(tmp_path, ldk_dials=ldk_dials) as (ours, ldk):
        assert ldk.seen(event="handshake", node_id=ours.node_id.hex())
        (init,) = ldk.seen(event="init")
        assert init["features"] == FEATURES
        assert init["networks"] == [REGTEST.chain_hash.hex()]
        assert init["inbound"] is not ldk_dials
        connected_event = await ours.wait_for(PeerConnected)
        assert connected_event.peer_id == ldk.node_id
        assert connected_event.features.hex() == LDK_FEATURES
        assert connected_event.direction is (Direction.IN if ldk_dials else Direction.OUT)


@both_ways
async def test_each_side_answers_the_others_ping(tmp_path: Path, ldk_dials: bool) -> None:
    async with connected(tmp_path, ldk_dials=ldk_dials) as (ours, ldk):
        assert await ours.manager.ping(ldk.node_id, 128, 1000) == 1004
        await ldk.wait_for(event="log", text=lambda text: "Received message Ping(Ping { ponglen: 1000" in text)
        await ldk.command("ping")
        await ldk.wait_for(event="log", text=lambda text: text.startswith("Received message Pong"))


@both_ways
async def test_custom_messages_of_every_size_pass_both_ways(tmp_path: Path, ldk_dials: bool) -> None:
    async with connected(tmp_path, ldk_dials=ldk_dials) as (ours, ldk):
        for payload in (b"", b"x", bytes(range(256)) * 8, b"\xa5" * 65_533):
            ours.send(ldk.node_id, CUSTOM, payload)
            await ldk.wait_for(event="message", node_id=ours.node_id.hex(), type=CUSTOM, payload=payload.hex())
            await ldk.send(ours.node_id, CUSTOM + 2, payload)
            await ours.wait_for_payload(CUSTOM + 2, payload)


async def test_keys_rotate_past_three_thousand_messages_both_ways(tmp_path: Path) -> None:
    async with connected(tmp_path, ldk_dials=False) as (ours, ldk):
        for count in range(PAST_ROTATION):
            ours.send(ldk.node_id, CUSTOM, number(count))
        await ldk.command("send_many", node_id=ours.node_id.hex(), type=CUSTOM, count=PAST_ROTATION)
        await ldk.wait_for(event="message", payload=number(PAST_ROTATION - 1).hex())
        await ours.wait_for_payload(CUSTOM, number(PAST_ROTATION - 1))
        expected = [number(count) for count in range(PAST_ROTATION)]
        assert [bytes.fromhex(event["payload"]) for event in ldk.seen(event="message")] == expected
        assert ours.received(CUSTOM) == expected


@both_ways
async def test_we_disconnect_and_ldk_sees_the_end(tmp_path: Path, ldk_dials: bool) -> None:
    async with connected(tmp_path, ldk_dials=ldk_dials) as (ours, ldk):
        await ours.manager.disconnect(ldk.node_id)
        assert ours.manager.peers() == []
        await ldk.wait_for(event="disconnected", node_id=ours.node_id.hex())
        assert (await ldk.wait_for(event="socket closed"))["closed_by"] == "peer"


@both_ways
async def test_ldk_disconnects_and_we_see_the_end(tmp_path: Path, ldk_dials: bool) -> None:
    async with connected(tmp_path, ldk_dials=ldk_dials) as (ours, ldk):
        await ldk.disconnect(ours.node_id)
        assert (await ours.wait_for_disconnect(ldk.node_id)).code is CloseCode.PEER_CLOSED


async def test_an_even_custom_message_ends_the_session_with_a_warning_that_ldk_reads(tmp_path: Path) -> None:
    async with connected(tmp_path, ldk_dials=True) as (ours, ldk):
        await ldk.send(ours.node_id, CUSTOM + 1, b"must be understood")
        assert (await ours.wait_for_disconnect(ldk.node_id)).code is CloseCode.UNKNOWN_EVEN
        await ldk.wait_for(event="log", text=lambda text: text.startswith("Received message Warning"))
        await ldk.wait_for(event="disconnected")


async def test_ldk_does_not_know_the_key_we_ask_for(tmp_path: Path) -> None:
    async with our_node() as ours, await Ldk.start(tmp_path) as ldk:
        with pytest.raises(AllAddressesFailed) as failure:
            await ours.manager.connect(NodeKey.generate().node_id, "127.0.0.1", ldk.port)
        (attempt,) = failure.value.attempts
        assert attempt.address == f"127.0.0.1:{ldk.port}"
        assert attempt.phase is ConnectPhase.HANDSHAKE
        assert attempt.reason == "peer closed connection (wrong key?)"
        assert (await ldk.wait_for(event="socket closed"))["closed_by"] == "LDK"
        assert not ldk.seen(event="handshake")
        assert ours.manager.peers() == []


async def test_ldk_asks_for_a_key_that_is_not_ours(tmp_path: Path) -> None:
    async with our_node() as ours, await Ldk.start(tmp_path) as ldk:
        await ldk.connect(NodeKey.generate().node_id, ours.port)
        assert (await ldk.wait_for(event="socket closed"))["closed_by"] == "peer"
        assert not ldk.seen(event="handshake")
        assert (await ours.wait_for_end()).reason.code is CloseCode.HANDSHAKE
        assert ours.events == []
