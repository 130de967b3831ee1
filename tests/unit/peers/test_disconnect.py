"""`disconnect` and the end of the manager."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import pytest

from core.base.events import PeerConnected, PeerDisconnected
from core.bolt.features import from_bits
from core.bolt.keys import NodeKey
from core.bolt.messages import Init
from core.bolt.networks import NETWORKS
from core.peers.errors import PeerHasChannel, PeerNotConnected, UnknownPeer
from core.peers.reasons import CloseCode
from tests.support.clock import ManualClock
from tests.support.peers import node, turns, until
from tests.support.raw_peer import RawListener, RawPeer


async def test_disconnect_returns_once_the_peer_is_gone() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        await a.manager.disconnect(b.node_id)
        assert a.manager.peers() == []
        (event,) = a.seen(PeerDisconnected)
        assert (event.peer_id, event.reason.code, event.reason.by) == (b.node_id, CloseCode.REQUESTED, "us")
        reason = await b.closed(CloseCode.PEER_CLOSED)
        assert reason.by == "them"
        with pytest.raises(UnknownPeer):
            await a.manager.disconnect(b.node_id)


async def test_an_unknown_peer() -> None:
    async with node() as a:
        with pytest.raises(UnknownPeer):
            await a.manager.disconnect(NodeKey.generate().node_id)


async def test_a_peer_with_an_active_channel_is_kept_unless_forced() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        a.channels.states[b.node_id] = "CHANNELD_NORMAL"
        with pytest.raises(PeerHasChannel) as caught:
            await a.manager.disconnect(b.node_id)
        assert caught.value.state == "CHANNELD_NORMAL"
        assert a.manager.peers()
        await a.manager.disconnect(b.node_id, force=True)
        with pytest.raises(PeerNotConnected):
            await a.manager.disconnect(b.node_id)


async def test_what_was_queued_before_a_disconnect_still_arrives() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        for number in range(500):
            a.manager.send_custom(b.node_id, b"\x94\x19" + number.to_bytes(2, "big") * 200)
        await a.manager.disconnect(b.node_id)
        await b.closed()
        assert len(b.manager.custom_messages()) == 500


async def test_the_last_words_arrive_although_the_peer_keeps_sending() -> None:
    """A close with unread bytes would be a reset, and the warning would be lost."""
    async with node() as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await peer.send(b"\x94\x18even", *(b"\x00\x12\x00\x00\x00\x00" for _ in range(20_000)))
        (warning,) = await peer.receive_all()
        assert warning[:2] == b"\x00\x01"


async def test_a_peer_that_does_not_read_has_five_seconds() -> None:
    clock = ManualClock()
    async with node(clock=clock) as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        peer.writer.transport.pause_reading()
        (info,) = a.manager.peers()
        (session,) = a.manager._sessions
        while session.transport.unsent_bytes < 1_000_000:
            a.manager.send_custom(info.node_id, b"\x94\x19" + bytes(60_000))
        disconnecting = asyncio.create_task(a.manager.disconnect(info.node_id))
        await turns()
        await clock.advance(4.9)
        assert not disconnecting.done()
        await clock.advance(0.2)
        await asyncio.wait_for(disconnecting, 30)


async def test_a_peer_that_keeps_its_side_open_is_waited_for_one_second() -> None:
    clock = ManualClock()
    async with node(clock=clock) as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        (info,) = a.manager.peers()
        peer.writer.transport.pause_reading()
        disconnecting = asyncio.create_task(a.manager.disconnect(info.node_id))
        await turns()
        await clock.advance(0.9)
        assert not disconnecting.done()
        await clock.advance(0.2)
        await asyncio.wait_for(disconnecting, 30)


async def test_closing_leaves_no_task_and_no_socket_and_tells_why() -> None:
    tasks = asyncio.all_tasks()
    async with node() as a, node() as b:
        await a.connect_to(b)
        await a.manager.aclose()
        assert a.manager.bound == ()
        assert [event.reason.code for event in a.seen(PeerDisconnected)] == [CloseCode.SHUTDOWN]
        await b.manager.aclose()
        assert asyncio.all_tasks() == tasks
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(a.host, a.port)


async def test_closing_waits_for_a_peer_that_does_not_read_only_as_long_as_it_is_told() -> None:
    clock = ManualClock()
    async with node(clock=clock) as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        peer.writer.transport.pause_reading()
        closing = asyncio.create_task(a.manager.aclose(flush_timeout_s=0.5))
        await turns()
        assert not closing.done()
        await clock.advance(0.6)
        await asyncio.wait_for(closing, 30)


@pytest.mark.parametrize("turns_before", range(-6, 6))
async def test_a_connection_that_is_being_accepted_while_the_node_stops_is_not_left_open(turns_before: int) -> None:
    """It arrives so many turns before the stop begins, or after it when negative."""
    async with node() as a:
        stopping = asyncio.create_task(a.manager.aclose()) if turns_before < 0 else None
        await turns(-turns_before)
        with contextlib.suppress(ConnectionError), socket.create_connection((a.host, a.port)):
            await turns(turns_before)
            await (stopping or a.manager.aclose())
        if stopping:
            await stopping
        assert a.manager._sessions == set()


async def test_a_peer_that_reset_the_connection_a_moment_ago_is_gone_without_a_fault() -> None:
    """The warning finds a socket that is closed already, so there is no end of stream left to write."""
    async with node() as a:
        async with RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
            await peer.receive()
            required = Init(b"", from_bits([200]), (NETWORKS["regtest"].chain_hash,))
            # Sent and closed before the loop turns again: the node reads the init of a peer that has gone.
            os.write(peer.writer.get_extra_info("socket").fileno(), peer.noise.seal(required.encode()))
            peer.writer.transport.abort()
        await a.closed(CloseCode.UNSUPPORTED_FEATURE)


async def test_disconnect_ends_what_our_own_dial_left_behind() -> None:
    """The peer came by itself while our dial of it was exchanging inits, which goes on after the dial is settled."""
    async with node() as a, RawListener() as listener:
        dial = asyncio.create_task(a.manager.connect(listener.node_id, listener.host, listener.port))
        unfinished = await listener.accept()
        await unfinished.receive()
        async with RawPeer.dialled(listener.key, a.node_id, a.host, a.port) as peer:
            await peer.exchange_init()
            await dial
            gone = asyncio.create_task(a.manager.disconnect(listener.node_id))
            assert await peer.receive() is None
            await gone
        assert await unfinished.receive() is None
        assert a.manager._sessions == set()
        assert len(a.seen(PeerConnected)) == 1
