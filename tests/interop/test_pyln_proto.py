"""pyln-proto and our core, each dialling the other. A message counts when pyln-proto's own log holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.base.events import ConnectPhase, Direction, PeerConnected
from core.bolt.keys import NodeKey
from core.bolt.messages import Init
from core.peers.errors import AllAddressesFailed
from core.peers.reasons import CloseCode
from tests.counterparts import CommandFailed, PylnPeer
from tests.interop.ours import CUSTOM, FEATURES, PAST_ROTATION, REGTEST, OurNode, number, our_node

INIT, PING, PONG, WARNING = 16, 18, 19, 1
both_ways = pytest.mark.parametrize("pyln_dials", [False, True], ids=["we dial", "pyln dials"])


@asynccontextmanager
async def connected(folder: Path, *options: str, pyln_dials: bool) -> AsyncIterator[tuple[OurNode, PylnPeer]]:
    """Both, with a session; pyln-proto has our init in its log."""
    async with our_node() as ours, await PylnPeer.start(folder, *options) as pyln:
        if pyln_dials:
            await pyln.connect(ours.node_id, ours.port)
        else:
            await ours.manager.connect(pyln.node_id, "127.0.0.1", pyln.port)
        await ours.wait_for(PeerConnected)
        await pyln.wait_for(event="message", type=INIT)
        yield ours, pyln


@both_ways
async def test_handshake_and_init(tmp_path: Path, pyln_dials: bool) -> None:
    async with connected(tmp_path, "--features", "a2", pyln_dials=pyln_dials) as (ours, pyln):
        (handshake,) = pyln.seen(event="handshake")
        assert handshake["node_id"] == ours.node_id.hex()
        (init,) = pyln.seen(event="message")
        assert init["type"] == INIT
        decoded = Init.decode(INIT.to_bytes(2, "big") + bytes.fromhex(init["payload"]))
        assert decoded.features.hex() == FEATURES
        assert decoded.networks == (REGTEST.chain_hash,)
        connected_event = await ours.wait_for(PeerConnected)
        assert connected_event.peer_id == pyln.node_id
        assert connected_event.features.hex() == "a2"
        assert connected_event.direction is (Direction.IN if pyln_dials else Direction.OUT)


@both_ways
async def test_each_side_answers_the_others_ping(tmp_path: Path, pyln_dials: bool) -> None:
    async with connected(tmp_path, pyln_dials=pyln_dials) as (ours, pyln):
        assert await ours.manager.ping(pyln.node_id, 100, 65_531) == 65_535
        ping = await pyln.wait_for(event="message", type=PING)
        assert ping["payload"] == (65_531).to_bytes(2, "big").hex() + (100).to_bytes(2, "big").hex() + "00" * 100
        await pyln.command("ping", num_pong_bytes=7, length=3)
        pong = await pyln.wait_for(event="message", type=PONG)
        assert pong["payload"] == "0007" + "00" * 7


@both_ways
async def test_custom_messages_of_every_size_pass_both_ways(tmp_path: Path, pyln_dials: bool) -> None:
    async with connected(tmp_path, pyln_dials=pyln_dials) as (ours, pyln):
        for payload in (b"", b"x", bytes(range(256)) * 8, b"\xa5" * 65_533):
            ours.send(pyln.node_id, CUSTOM, payload)
            await pyln.wait_for(event="message", type=CUSTOM, payload=payload.hex())
            await pyln.send((CUSTOM + 2).to_bytes(2, "big") + payload)
            await ours.wait_for_payload(CUSTOM + 2, payload)


@both_ways
async def test_keys_rotate_past_three_thousand_messages_both_ways(tmp_path: Path, pyln_dials: bool) -> None:
    async with connected(tmp_path, pyln_dials=pyln_dials) as (ours, pyln):
        for count in range(PAST_ROTATION):
            ours.send(pyln.node_id, CUSTOM, number(count))
        await pyln.command("send_many", type=CUSTOM, count=PAST_ROTATION)
        await pyln.wait_for(event="message", payload=number(PAST_ROTATION - 1).hex())
        await ours.wait_for_payload(CUSTOM, number(PAST_ROTATION - 1))
        expected = [number(count) for count in range(PAST_ROTATION)]
        assert [bytes.fromhex(event["payload"]) for event in pyln.seen(event="message", type=CUSTOM)] == expected
        assert ours.received(CUSTOM) == expected


@both_ways
async def test_we_disconnect_and_pyln_reads_the_end_of_the_stream(tmp_path: Path, pyln_dials: bool) -> None:
    async with connected(tmp_path, pyln_dials=pyln_dials) as (ours, pyln):
        await ours.manager.disconnect(pyln.node_id)
        assert ours.manager.peers() == []
        assert (await pyln.wait_for(event="closed"))["reason"].endswith("18 != 0")  # nothing, where a header was due


@both_ways
async def test_pyln_disconnects_and_we_see_the_end(tmp_path: Path, pyln_dials: bool) -> None:
    async with connected(tmp_path, pyln_dials=pyln_dials) as (ours, pyln):
        await pyln.command("disconnect")
        assert (await ours.wait_for_disconnect(pyln.node_id)).code is CloseCode.PEER_CLOSED


async def test_we_ask_pyln_for_a_key_it_does_not_have(tmp_path: Path) -> None:
    """pyln-proto checks no tag in act one and goes on, so it is our side that finds out, at act two."""
    async with our_node() as ours, await PylnPeer.start(tmp_path) as pyln:
        with pytest.raises(AllAddressesFailed) as failure:
            await ours.manager.connect(NodeKey.generate().node_id, "127.0.0.1", pyln.port)
        (attempt,) = failure.value.attempts
        assert attempt.phase is ConnectPhase.HANDSHAKE
        assert "ACT2_BAD_TAG" in (await ours.wait_for_end()).reason.detail
        await pyln.wait_for(event="handshake failed", inbound=True)
        assert not pyln.seen(event="handshake")
        assert ours.manager.peers() == []


async def test_pyln_asks_us_for_a_key_that_is_not_ours(tmp_path: Path) -> None:
    """BOLT 8, act one: a bad tag MUST end the connection with no further message."""
    async with our_node() as ours, await PylnPeer.start(tmp_path) as pyln:
        with pytest.raises(CommandFailed, match="50 != 0"):
            await pyln.connect(NodeKey.generate().node_id, ours.port)
        end = await ours.wait_for_end()
        assert end.reason.code is CloseCode.HANDSHAKE
        assert "ACT1_BAD_TAG" in end.reason.detail
        assert ours.events == []


async def test_a_forged_byte_ends_the_session(tmp_path: Path) -> None:
    async with connected(tmp_path, pyln_dials=True) as (ours, pyln):
        await pyln.command("send_bytes", bytes="00" * 18)
        assert (await ours.wait_for_disconnect(pyln.node_id)).code is CloseCode.BAD_TAG
        await pyln.wait_for(event="closed")


async def test_an_even_message_ends_the_session_with_a_warning(tmp_path: Path) -> None:
    async with connected(tmp_path, pyln_dials=True) as (ours, pyln):
        await pyln.send((CUSTOM + 1).to_bytes(2, "big"))
        await pyln.wait_for(event="message", type=WARNING)
        await pyln.wait_for(event="closed")
        assert (await ours.wait_for_disconnect(pyln.node_id)).code is CloseCode.UNKNOWN_EVEN


async def test_a_chain_that_is_not_ours_ends_the_attempt(tmp_path: Path) -> None:
    async with our_node() as ours, await PylnPeer.start(tmp_path, "--networks", "11" * 32) as pyln:
        with pytest.raises(AllAddressesFailed) as failure:
            await ours.manager.connect(pyln.node_id, "127.0.0.1", pyln.port)
        (attempt,) = failure.value.attempts
        assert attempt.phase is ConnectPhase.INIT
        await pyln.wait_for(event="closed")
        assert ours.manager.peers() == []


async def test_a_feature_that_we_lack_ends_the_attempt_with_a_warning_that_names_it(tmp_path: Path) -> None:
    async with our_node() as ours, await PylnPeer.start(tmp_path, "--features", "01" + "00" * 25) as pyln:
        with pytest.raises(AllAddressesFailed):
            await ours.manager.connect(pyln.node_id, "127.0.0.1", pyln.port)
        warning = await pyln.wait_for(event="message", type=WARNING)
        assert b"200" in bytes.fromhex(warning["payload"])
