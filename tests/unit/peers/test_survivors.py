"""More than one connection with a peer: exactly one survives, and both ends agree which (BOLT 1)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from core.base.events import ConnectPhase, ConnectProgress, Direction, PeerConnected, PeerDisconnected
from core.bolt.keys import NodeKey
from core.peers.reasons import CloseCode, closed_by_us
from tests.support.clock import ManualClock
from tests.support.peers import TestNode, node, turns, two_keys, until
from tests.support.raw_peer import RawListener, RawPeer
from tests.support.relay import Gate, Relay


def _codes(a: TestNode) -> list[CloseCode]:
    return [closed.reason.code for closed in a.manager.closed_connections]


@pytest.mark.parametrize("ours_is_smaller", [True, False])
async def test_a_newer_connection_replaces_the_older_only_once_its_init_is_there(ours_is_smaller: bool) -> None:
    smaller, larger = two_keys()
    ours, key = (smaller, larger) if ours_is_smaller else (larger, smaller)
    async with node(key=ours) as a, RawPeer.dialled(key, a.node_id, a.host, a.port) as older:
        await older.exchange_init()
        await until(a.manager.peers)
        async with RawPeer.dialled(key, a.node_id, a.host, a.port) as newer:
            await newer.receive()
            assert await older.pong_after() == []
            await newer.send_init()
            assert await older.receive() is None
            assert await newer.pong_after() == []
            assert len(a.manager.peers()) == 1
            await a.closed(CloseCode.REPLACED)
        kinds = [type(event) for event in a.events]
        assert kinds[:3] == [PeerConnected, PeerDisconnected, PeerConnected]


async def test_a_newer_connection_that_never_completes_leaves_the_older_alone() -> None:
    key = NodeKey.generate()
    async with node() as a, RawPeer.dialled(key, a.node_id, a.host, a.port) as older:
        await older.exchange_init()
        async with RawPeer.dialled(key, a.node_id, a.host, a.port) as newer:
            await newer.receive()
        await a.closed(CloseCode.PEER_CLOSED)
        assert await older.pong_after() == []
        assert a.seen(PeerDisconnected) == []


@pytest.mark.parametrize("ours_is_smaller", [True, False])
async def test_a_peer_that_comes_back_while_we_hold_a_dead_connection_is_taken_at_once(ours_is_smaller: bool) -> None:
    """We dialled it; it restarted without our noticing, and dials us."""
    smaller, larger = two_keys()
    ours, theirs = (smaller, larger) if ours_is_smaller else (larger, smaller)
    clock = ManualClock()
    async with node(key=ours, clock=clock) as a, RawListener(theirs) as listener:
        dial = asyncio.create_task(a.manager.connect(listener.node_id, listener.host, listener.port))
        dead = await listener.accept()
        await dead.exchange_init()
        await dial
        async with RawPeer.dialled(theirs, a.node_id, a.host, a.port) as alive:
            await alive.exchange_init()
            await until(lambda: [peer.direction for peer in a.manager.peers()] == [Direction.IN])
            assert await alive.pong_after() == []
            await clock.advance(7)
            await until(lambda: _codes(a) == [CloseCode.REPLACED])
            assert await alive.pong_after() == []


async def test_a_connection_that_was_ending_anyway_keeps_its_own_reason_when_the_peer_comes_back() -> None:
    key = NodeKey.generate()
    async with node() as a, RawPeer.dialled(key, a.node_id, a.host, a.port) as older:
        await older.exchange_init()
        await until(a.manager.peers)
        (session,) = a.manager._sessions
        session.close(closed_by_us(CloseCode.PING_UNANSWERED))
        async with RawPeer.dialled(key, a.node_id, a.host, a.port) as newer:
            await newer.exchange_init()
            assert await newer.pong_after() == []
            assert [event.reason.code for event in a.seen(PeerDisconnected)] == [CloseCode.PING_UNANSWERED]
            await older.close()
            await a.closed(CloseCode.PING_UNANSWERED)


@dataclass
class Crossing:
    """Two nodes with a connection from each to the other, every direction of which can be held back."""

    small: TestNode
    large: TestNode
    by_small: Relay
    """Carries what the node with the smaller id dials."""
    by_large: Relay

    def gates(self) -> dict[str, Gate]:
        return {
            "small dials, to large": self.by_small.forth,
            "small dials, to small": self.by_small.back,
            "large dials, to small": self.by_large.forth,
            "large dials, to large": self.by_large.back,
        }

    def settled(self) -> bool:
        """Both have exactly one connection, it is the same one, and no other is open."""
        ends = [(self.small, self.large), (self.large, self.small)]
        infos = [one.manager.peer(other.node_id) for one, other in ends]
        return (
            None not in infos
            and {info.direction for info in infos if info} == {Direction.IN, Direction.OUT}
            and all(len(one.manager._sessions) == 1 for one, _ in ends)
        )


@contextlib.asynccontextmanager
async def crossing() -> AsyncIterator[Crossing]:
    small_key, large_key = two_keys()
    clock = ManualClock()
    async with (
        node(key=small_key, clock=clock) as small,
        node(key=large_key, clock=clock) as large,
        Relay(large.port) as by_small,
        Relay(small.port) as by_large,
    ):
        yield Crossing(small, large, by_small, by_large)


GATES = ("small dials, to large", "small dials, to small", "large dials, to small", "large dials, to large")


@pytest.mark.parametrize("order", list(itertools.permutations(GATES)), ids="|".join)
async def test_two_nodes_that_dial_each_other_at_once_settle_on_one_whatever_arrives_first(
    order: tuple[str, ...],
) -> None:
    async with crossing() as both:
        small, large = both.small, both.large
        dials = await _both_in_the_init_phase(both)
        gates = both.gates()
        for name in order:
            gates[name].open()
            await asyncio.sleep(0.005)
        infos = await asyncio.wait_for(asyncio.gather(*dials), 30)
        await until(both.settled)
        assert [info.node_id for info in infos] == [large.node_id, small.node_id]
        assert await small.manager.ping(large.node_id) == 132
        assert await large.manager.ping(small.node_id) == 132
        for each in (small, large):
            told = [event for event in each.events if isinstance(event, PeerConnected | PeerDisconnected)]
            kinds = [type(event) for event in told]
            assert kinds == [PeerConnected, PeerDisconnected] * (len(kinds) // 2) + [PeerConnected], told


async def _both_in_the_init_phase(both: Crossing) -> list[asyncio.Task[object]]:
    """Both dials have done act two, and nothing that either sends from there on has arrived."""
    small, large = both.small, both.large
    # Act one may pass both ways, act two is held back until both nodes have sent it.
    both.by_small.back.shut()
    both.by_large.back.shut()
    dials: list[asyncio.Task[object]] = [
        asyncio.create_task(small.manager.connect(large.node_id, "127.0.0.1", both.by_small.port)),
        asyncio.create_task(large.manager.connect(small.node_id, "127.0.0.1", both.by_large.port)),
    ]
    await until(lambda: all(len(each.manager._sessions) == 2 for each in (small, large)))
    await until(lambda: all(session.transport.noise.act == 2 for session in _incoming(both)))
    await asyncio.sleep(0.005)
    both.by_small.forth.shut()
    both.by_large.forth.shut()
    both.by_small.back.open()
    both.by_large.back.open()
    await until(lambda: all(len(each.seen(ConnectProgress)) == 3 for each in (small, large)))
    # Act three and init of both wait at the shut gates; the responders have sent nothing yet. Hold that back too.
    both.by_small.back.shut()
    both.by_large.back.shut()
    return dials


def _incoming(both: Crossing) -> list[object]:
    return [
        session
        for each in (both.small, both.large)
        for session in each.manager._sessions
        if session.direction is Direction.IN
    ]


async def test_of_two_dials_of_one_peer_only_one_gets_past_the_handshake() -> None:
    """Else the inits of both could cross, and each end would close the one that the other keeps."""
    async with node() as a, node() as b, Relay(b.port) as first, Relay(b.port) as second:
        relays = (first, second)
        for relay in relays:
            relay.back.shut()
        dials = [asyncio.create_task(a.manager.connect(b.node_id, "127.0.0.1", relay.port)) for relay in relays]
        await until(lambda: [session.transport.noise.act for session in b.manager._sessions] == [2, 2])
        for relay in relays:
            relay.forth.shut()
            relay.back.open()
        await a.closed(CloseCode.DUPLICATE)
        assert a.manager.closed_connections[0].phase is ConnectPhase.HANDSHAKE
        for relay in (second, first):
            relay.forth.open()
        await asyncio.wait_for(asyncio.gather(*dials), 30)
        await until(lambda: len(a.manager._sessions) == len(b.manager._sessions) == 1)
        assert await a.manager.ping(b.node_id) == 132
        assert await b.manager.ping(a.node_id) == 132
        assert len(b.seen(PeerConnected)) == 1


async def test_a_peer_that_returns_while_it_is_being_disconnected_was_disconnected_on_request() -> None:
    key = NodeKey.generate()
    async with node() as a, RawPeer.dialled(key, a.node_id, a.host, a.port) as older:
        await older.exchange_init()
        await until(a.manager.peers)
        gone = asyncio.create_task(a.manager.disconnect(key.node_id))
        await turns()
        async with RawPeer.dialled(key, a.node_id, a.host, a.port) as newer:
            await newer.exchange_init()
            await until(lambda: len(a.seen(PeerConnected)) == 2)
            assert [event.reason.code for event in a.seen(PeerDisconnected)] == [CloseCode.REQUESTED]
            await older.close()
            await gone
            assert await newer.pong_after() == []


async def test_two_nodes_dialling_each_other_without_any_help_settle() -> None:
    for _ in range(20):
        async with node() as a, node() as b:
            await asyncio.gather(
                a.manager.connect(b.node_id, b.host, b.port), b.manager.connect(a.node_id, a.host, a.port)
            )
            await until(lambda: len(a.manager._sessions) == len(b.manager._sessions) == 1)
            assert await a.manager.ping(b.node_id) == 132
            assert await b.manager.ping(a.node_id) == 132
            await turns()


async def test_disconnect_ends_every_connection_with_the_peer() -> None:
    smaller, larger = two_keys()
    async with node(key=larger) as a, RawListener(smaller) as listener:
        dial = asyncio.create_task(a.manager.connect(listener.node_id, listener.host, listener.port))
        first = await listener.accept()
        await first.exchange_init()
        await dial
        async with RawPeer.dialled(smaller, a.node_id, a.host, a.port) as second:
            await second.exchange_init()
            await until(lambda: len(a.seen(PeerConnected)) == 2)
            gone = asyncio.create_task(a.manager.disconnect(listener.node_id))
            assert await first.receive() is None
            assert await second.receive() is None
            await first.close()
            await second.close()
            await gone
            assert a.manager._sessions == set()
            assert len(a.seen(PeerDisconnected)) == 2
