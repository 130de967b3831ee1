"""What a peer can make us spend: lines of the log, and places for connections."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from core.bolt.address import Address, AddressKind
from core.bolt.features import LEYDEN_FEATURES
from core.bolt.keys import NodeKey
from core.bolt.messages import WarningMessage
from core.peers.crowd import least_useful
from core.peers.events import PeerNotice
from core.peers.init_rules import MAX_FEATURES_BYTES
from core.peers.reasons import CloseCode
from core.peers.session import Session
from tests.support.clock import ManualClock
from tests.support.peers import TestNode, node, until
from tests.support.raw_peer import RawPeer, regtest_init


async def test_a_flood_of_warnings_fills_no_log_and_is_told_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with node() as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await peer.send(*[WarningMessage(bytes([1] * 32), b"again").encode()] * 200)
        await peer.pong_after()
        assert len(a.seen(PeerNotice)) == 200
    lines = [record.getMessage() for record in caplog.records if record.name == "core.peers.session"]
    assert sum("says: again" in line for line in lines) == 20
    assert lines[20].endswith("from here on is not logged")
    assert len(lines) == 21


async def _joined(stack: contextlib.AsyncExitStack, a: TestNode, key: NodeKey | None = None) -> RawPeer:
    """A peer that has come in and is known."""
    key = key or NodeKey.generate()
    peer = await stack.enter_async_context(RawPeer.dialled(key, a.node_id, a.host, a.port))
    await peer.exchange_init()
    await peer.pong_after()
    return peer


async def test_of_more_incoming_peers_than_there_may_be_the_longest_silent_leaves() -> None:
    clock = ManualClock()
    keys = [NodeKey.generate() for _ in range(4)]
    async with node(clock=clock, incoming=3) as a, contextlib.AsyncExitStack() as stack:
        peers = [await _joined(stack, a, key) for key in keys[:3]]
        await clock.advance(180.0)
        for peer in (peers[0], peers[2]):
            await peer.pong_after()
        await _joined(stack, a, keys[3])
        assert await peers[1].receive_all() == []
        await a.closed(CloseCode.CROWDED_OUT)
        assert {peer.node_id for peer in a.manager.peers()} == {keys[at].node_id for at in (0, 2, 3)}


async def test_of_equally_silent_ones_the_one_that_said_least_leaves() -> None:
    keys = [NodeKey.generate() for _ in range(3)]
    async with node(clock=ManualClock(), incoming=2) as a, contextlib.AsyncExitStack() as stack:
        one = await _joined(stack, a, keys[0])
        await _joined(stack, a, keys[1])
        await one.pong_after()
        newest = await stack.enter_async_context(RawPeer.dialled(keys[2], a.node_id, a.host, a.port))
        await newest.exchange_init()
        assert await newest.receive_all() == []
        await a.closed(CloseCode.CROWDED_OUT)
        assert {peer.node_id for peer in a.manager.peers()} == {keys[0].node_id, keys[1].node_id}


async def test_a_peer_with_a_channel_and_one_we_dialled_before_never_leave() -> None:
    clock = ManualClock()
    with_channel, stranger, newest = (NodeKey.generate() for _ in range(3))
    async with node() as b, node(clock=clock, incoming=2) as a, contextlib.AsyncExitStack() as stack:
        await a.manager.connect(b.node_id, b.host, b.port)
        await until(lambda: b.manager.peer(a.node_id))
        a.manager._reconnector.keep(b.node_id, Address(AddressKind.IPV4, b.host, b.port))
        await b.manager.disconnect(a.node_id)
        await until(lambda: not a.manager.peers())
        a.channels.states[with_channel.node_id] = "CHANNELD_NORMAL"
        await b.manager.connect(a.node_id, a.host, a.port)
        await until(a.manager.peers)
        await _joined(stack, a, with_channel)
        await clock.advance(180.0)
        alone = await stack.enter_async_context(RawPeer.dialled(stranger, a.node_id, a.host, a.port))
        await alone.exchange_init()
        assert await alone.receive_all() == []
        await a.closed(CloseCode.CROWDED_OUT, count=2)
        assert {peer.node_id for peer in a.manager.peers()} == {b.node_id, with_channel.node_id}
        a.channels.states[newest.node_id] = "CHANNELD_NORMAL"
        await _joined(stack, a, newest)
        assert len(a.manager.peers()) == 3, "whoever has a channel comes in however many there are"


async def test_peers_that_we_dialled_do_not_count() -> None:
    async with node() as b, node() as c, node(incoming=1) as a, contextlib.AsyncExitStack() as stack:
        await _joined(stack, a)
        await a.connect_to(b)
        await a.connect_to(c)
        assert len(a.manager.peers()) == 3


async def test_strangers_without_an_init_drive_no_peer_out() -> None:
    async with node(incoming=2, unauthenticated=3) as a, contextlib.AsyncExitStack() as stack:
        peers = [await _joined(stack, a) for _ in range(2)]
        for _ in range(10):
            await stack.enter_async_context(
                RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port, handshake=False)
            )
        await a.closed(CloseCode.REFUSED, count=7)
        for peer in peers:
            await peer.pong_after()
        assert len(a.manager.peers()) == 2


def _session(host: str, said: int, heard_at: float) -> Session:
    """As much of a session as usefulness looks at."""
    made = SimpleNamespace(
        peer_id=host.encode(),
        address=Address(AddressKind.IPV6 if ":" in host else AddressKind.IPV4, host, 1),
        heard_at=heard_at,
        connected_at=0.0,
        transport=SimpleNamespace(messages_in=said),
    )
    return cast(Session, made)


def test_one_host_with_many_node_ids_drives_out_nobody_but_itself() -> None:
    silent = _session("10.0.0.1", said=1, heard_at=0.0)
    crowd = [_session("10.0.0.2", said=100 + number, heard_at=1000.0) for number in range(5)]
    assert least_useful([silent, *crowd], keep=lambda _: False, now=1000.0) is crowd[0]
    assert least_useful([silent, *crowd], keep=lambda peer_id: peer_id == b"10.0.0.2", now=1000.0) is silent
    assert least_useful([silent], keep=lambda _: True, now=1000.0) is None


def test_a_stranger_with_a_network_of_addresses_drives_out_nobody_but_himself() -> None:
    honest = _session("2001:db8:1::1", said=1, heard_at=900.0)
    crowd = [_session(f"2001:db8:2:{number:x}::1", said=100, heard_at=1000.0) for number in range(5)]
    assert least_useful([honest, *crowd], keep=lambda _: False, now=1000.0) in crowd


def test_who_has_only_not_been_pinged_yet_is_as_useful_as_one_who_talks() -> None:
    honest = _session("10.0.0.1", said=50, heard_at=900.0)
    talker = _session("10.0.0.2", said=10, heard_at=1005.0)
    assert least_useful([honest, talker], keep=lambda _: False, now=1005.0) is talker


@pytest.mark.parametrize(("length", "accepted"), [(MAX_FEATURES_BYTES, True), (MAX_FEATURES_BYTES + 1, False)])
async def test_an_init_with_endless_features_is_not_kept(length: int, accepted: bool) -> None:
    features = bytes([0x80]).ljust(length - len(LEYDEN_FEATURES), b"\0") + LEYDEN_FEATURES
    async with node() as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init(replace(regtest_init(), features=features))
        if accepted:
            await until(a.manager.peers)
        else:
            (warning,) = await peer.receive_all()
            assert WarningMessage.decode(warning).text == f"Invalid init: features of {length} bytes"
            await a.closed(CloseCode.MALFORMED)
