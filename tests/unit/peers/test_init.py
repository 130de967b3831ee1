"""Handshake and init: what each side says first, and which peers are not gone on with (BOLT 1, BOLT 8)."""

from __future__ import annotations

import pytest

from core.base.events import ConnectPhase, Direction, PeerConnected, PeerDisconnected
from core.bolt.address import Address, AddressKind
from core.bolt.features import from_bits
from core.bolt.keys import NodeKey
from core.bolt.messages import ALL_CHANNELS, ErrorMessage, Init, WarningMessage
from core.bolt.networks import NETWORKS
from core.peers.reasons import CloseCode
from core.peers.values import PeerConfig
from tests.support.clock import ManualClock
from tests.support.peers import node, turns, until
from tests.support.raw_peer import RawListener, RawPeer, regtest_init

OURS = bytes.fromhex("20000080a202")
REGTEST = NETWORKS["regtest"].chain_hash


def _connected(a, key=None, **options):
    return RawPeer.dialled(key or NodeKey.generate(), a.node_id, a.host, a.port, **options)


async def test_both_sides_send_init_at_once_without_waiting() -> None:
    async with node() as a, RawListener() as listener, _connected(a) as dialled:
        theirs = await dialled.receive()
        assert theirs is not None
        assert theirs[:2] == b"\x00\x10"
        async with _dialling(a, listener) as accepted:
            assert (await accepted.receive() or b"")[:2] == b"\x00\x10"


async def test_init_offers_our_features_and_our_chain_and_never_an_even_bit() -> None:
    async with node() as a, _connected(a) as peer:
        init = await peer.exchange_init()
    assert (init.global_features, init.features, init.networks) == (b"", OURS, (REGTEST,))


async def test_gossip_queries_are_offered_only_when_configured() -> None:
    async with node(config=PeerConfig(offer_gossip_queries=True)) as a, _connected(a) as peer:
        init = await peer.exchange_init()
    assert init.features == bytes.fromhex("20000080aa82")


async def test_an_incoming_peer_is_told_its_address_and_a_dialled_one_is_not() -> None:
    async with node() as a, RawListener() as listener, _connected(a) as peer:
        init = await peer.exchange_init()
        host, port = peer.writer.get_extra_info("sockname")
        assert init.remote_addr == Address(AddressKind.IPV4, host, port)
        async with _dialling(a, listener) as accepted:
            assert (await accepted.exchange_init()).remote_addr is None


async def test_the_peer_is_there_once_its_init_came() -> None:
    key = NodeKey.generate()
    async with node() as a, _connected(a, key) as peer:
        await peer.receive()
        assert a.manager.peers() == []
        told = Address(AddressKind.IPV4, "8.8.4.4", 4321)
        await peer.send(Init(b"\x00\x02", b"\x20\x00", (REGTEST,), told).encode())
        await until(a.manager.peers)
        (info,) = a.manager.peers()
        assert (info.node_id, info.direction) == (key.node_id, Direction.IN)
        assert info.features == b"\x20\x02"  # both maps OR-ed
        assert info.remote_addr == "8.8.4.4:4321"
        (event,) = a.seen(PeerConnected)
        assert (event.peer_id, event.features, event.remote_addr) == (key.node_id, b"\x20\x02", "8.8.4.4:4321")


async def test_a_remote_address_that_the_world_cannot_reach_is_not_kept() -> None:
    async with node() as a, _connected(a) as peer:
        await peer.exchange_init(Init(b"", b"", (REGTEST,), Address(AddressKind.IPV4, "192.168.1.7", 4321)))
        await until(a.manager.peers)
        assert a.manager.peers()[0].remote_addr is None


@pytest.mark.parametrize("networks", [None, (NETWORKS["bitcoin"].chain_hash, REGTEST)])
async def test_a_list_with_our_chain_or_no_list_is_accepted(networks) -> None:
    async with node() as a, _connected(a) as peer:
        await peer.exchange_init(Init(b"", b"", networks))
        await until(a.manager.peers)


@pytest.mark.parametrize("networks", [(), (NETWORKS["bitcoin"].chain_hash,)])
async def test_no_common_chain_is_told_and_closes(networks) -> None:
    async with node() as a, _connected(a) as peer:
        await peer.exchange_init(Init(b"", b"", networks))
        assert await peer.receive_all() == [WarningMessage(ALL_CHANNELS, b"No common network").encode()]
        await a.closed(CloseCode.NO_COMMON_NETWORK)
        assert a.seen(PeerDisconnected) == []


@pytest.mark.parametrize("where", ["features", "global_features"])
async def test_an_unknown_required_feature_is_named_and_closes(where) -> None:
    init = Init(**{"global_features": b"", "features": b"", "networks": (REGTEST,), where: from_bits([154])})
    async with node() as a, _connected(a) as peer:
        await peer.exchange_init(init)
        (warning,) = await peer.receive_all()
        assert "Unsupported feature 154" in WarningMessage.decode(warning).text
        reason = await a.closed(CloseCode.UNSUPPORTED_FEATURE)
        assert "154" in str(reason)
        assert "BOLT 1" in reason.source


@pytest.mark.parametrize(
    "features", [[0, 8, 12, 14, 44], [22], [155, 201]], ids=["assumed", "even of a pair we offer", "unknown odd"]
)
async def test_features_that_hurt_nobody_are_accepted(features) -> None:
    async with node() as a, _connected(a) as peer:
        await peer.exchange_init(regtest_init(from_bits(features)))
        await until(a.manager.peers)


async def test_a_feature_without_its_dependency_closes() -> None:
    async with node() as a, _connected(a) as peer:
        await peer.exchange_init(regtest_init(from_bits([61])))  # option_simple_close needs option_shutdown_anysegwit
        (warning,) = await peer.receive_all()
        assert WarningMessage.decode(warning).text == "Feature 60 requires feature 26"
        await a.closed(CloseCode.FEATURE_DEPENDENCY)


@pytest.mark.parametrize(
    "init",
    [
        b"\x00\x10\x00",
        b"\x00\x10\x00\x00\x00\x05\x01",
        b"\x00\x10\x00\x00\x00\x00\x02\x00",
        b"\x00\x10\x00\x00\x00\x00\x01\x01\x00",
    ],
    ids=["cut", "short features", "unknown even record", "half a chain hash"],
)
async def test_a_malformed_init_closes_with_a_warning(init) -> None:
    async with node() as a, _connected(a) as peer:
        await peer.send(init)
        messages = await peer.receive_all()
        assert [message[:2] for message in messages] == [b"\x00\x10", b"\x00\x01"]
        await a.closed(CloseCode.MALFORMED)


async def test_unknown_odd_messages_before_init_are_ignored() -> None:
    async with node() as a, _connected(a) as peer:
        await peer.send(b"\x94\x19early", b"\x00\x6fearly", b"", b"\x01")
        await peer.exchange_init()
        await until(a.manager.peers)
        assert a.manager.custom_messages() == []


@pytest.mark.parametrize(
    "message",
    [b"\x00\x12\x00\x01\x00\x00", b"\x00\x07\x00\x00", b"\x94\x18even", b"\x01\x07announcement"],
    ids=["ping", "known odd", "unknown even", "gossip"],
)
async def test_anything_else_before_init_closes(message) -> None:
    async with node() as a, _connected(a) as peer:
        await peer.send(message)
        await peer.receive_all()
        await a.closed(CloseCode.INIT_EXPECTED)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (ErrorMessage(ALL_CHANNELS, b"go away"), CloseCode.PEER_ERROR),
        (WarningMessage(ALL_CHANNELS, b"go away"), CloseCode.PEER_WARNING),
    ],
)
async def test_what_a_peer_says_instead_of_init_is_the_reason(message, code) -> None:
    async with node() as a, _connected(a) as peer:
        await peer.send(message.encode())
        await peer.receive_all()
        reason = await a.closed(code)
        assert (reason.detail, reason.by) == ("go away", "them")


async def test_a_second_init_closes_with_a_warning() -> None:
    async with node() as a, _connected(a) as peer:
        await peer.exchange_init()
        await peer.send(regtest_init().encode())
        (warning,) = await peer.receive_all()
        assert WarningMessage.decode(warning).text.startswith("Unexpected message WIRE_INIT: 0010")
        await a.closed(CloseCode.SECOND_INIT)


@pytest.mark.parametrize("progress", ["nothing sent", "half an act", "no init"])
async def test_handshake_and_init_have_one_deadline_of_60_s_from_the_connection_on(progress) -> None:
    clock = ManualClock()
    async with node(clock=clock) as a, _connected(a, handshake=False) as peer:
        await turns()
        await clock.advance(30)
        if progress == "half an act":
            await peer.send_raw(b"\x00" * 10)
        elif progress == "no init":
            await peer.shake_hands()
            await peer.receive()
        await turns()
        await clock.advance(29.9)
        assert not a.manager.closed_connections
        await clock.advance(0.2)
        await a.closed(CloseCode.TIMEOUT)
        phase = ConnectPhase.INIT if progress == "no init" else ConnectPhase.HANDSHAKE
        assert a.manager.closed_connections[-1].phase is phase


async def test_after_init_the_deadline_is_gone() -> None:
    clock = ManualClock()
    async with node(clock=clock) as a, _connected(a) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        await clock.advance(3600)
        assert await peer.pong_after() == []


async def test_bytes_that_are_no_handshake_close_at_once_and_nothing_is_answered() -> None:
    async with node() as a, _connected(a, handshake=False) as peer:
        await peer.send_raw(b"GET / HTTP/1.1\r\n\r\n" + bytes(50))
        assert await peer.reader.read() == b""
        reason = await a.closed(CloseCode.HANDSHAKE)
        assert (reason.detail, reason.by) == ("ACT1_BAD_VERSION 71", "us")


async def test_a_message_that_does_not_decrypt_ends_the_connection() -> None:
    async with node() as a, _connected(a) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        await peer.send_raw(bytes(40))
        assert await peer.receive() is None
        await a.closed(CloseCode.BAD_TAG)
        assert [event.reason for event in a.seen(PeerDisconnected)] == [a.last_reason()]


def _dialling(a, listener):
    """The node dials the listener; gives the accepted end."""
    import asyncio
    import contextlib

    @contextlib.asynccontextmanager
    async def dial():
        connecting = asyncio.create_task(a.manager.connect(listener.node_id, listener.host, listener.port))
        try:
            yield await listener.accept()
        finally:
            connecting.cancel()
            await asyncio.wait([connecting])

    return dial()
