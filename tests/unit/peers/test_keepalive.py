"""Pings of ours: on silence, and after the clock has jumped."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from core.base.events import PeerDisconnected
from core.bolt.keys import NodeKey
from core.peers.reasons import CloseCode
from tests.support.clock import ManualClock
from tests.support.peers import TestNode, node, until
from tests.support.raw_peer import RawPeer

OUR_PING = b"\x00\x12\x00\x01\x00\x00"
PONG = b"\x00\x13\x00\x01\x00"


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[tuple[TestNode, RawPeer, ManualClock]]:
    clock = ManualClock()
    async with (
        node(clock=clock, services=True) as a,
        RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer,
    ):
        await peer.exchange_init()
        await until(a.manager.peers)
        yield a, peer, clock


async def _seconds(clock: ManualClock, seconds: int) -> None:
    for _ in range(seconds):
        await clock.advance(1)


async def _until_something_is_sent(a: TestNode, clock: ManualClock, within_s: int) -> int:
    """Seconds until the node sends its next message, or closes."""
    before = a.manager.messages_out
    for second in range(within_s):
        if a.manager.messages_out > before or a.manager.closed_connections:
            return second
        await clock.advance(1)
    raise AssertionError(f"nothing in {within_s} s")


async def test_silence_is_asked_about_after_60_to_105_s_and_a_pong_is_enough() -> None:
    async with watched() as (a, peer, clock):
        await _seconds(clock, 59)
        assert await peer.pong_after() == []  # which is also their last message
        for _ in range(4):
            silent_for = await _until_something_is_sent(a, clock, 106)
            assert 60 <= silent_for <= 105
            assert await peer.receive() == OUR_PING
            await clock.advance(0.25)
            await peer.send(PONG)
            assert await peer.pong_after() == []
            assert 0.25 <= (a.manager.peers()[0].latency_s or 0) < 1.25


async def test_a_peer_that_talks_is_not_pinged() -> None:
    async with watched() as (_, peer, clock):
        for _ in range(10):
            await _seconds(clock, 40)
            assert await peer.pong_after() == []


async def test_a_ping_unanswered_at_the_next_look_ends_the_connection() -> None:
    async with watched() as (a, peer, clock):
        await _until_something_is_sent(a, clock, 106)
        assert await peer.receive() == OUR_PING
        await _seconds(clock, 14)
        assert not a.seen(PeerDisconnected)
        await _seconds(clock, 32)
        assert await peer.receive() is None
        await peer.close()
        reason = await a.closed(CloseCode.PING_UNANSWERED)
        assert reason.detail == "Last ping unreturned: hanging up"


@pytest.mark.parametrize("jump_s", [3600, -3600])
async def test_after_a_jump_of_the_clock_everyone_is_asked_and_the_silent_leave_after_ten_seconds(jump_s: int) -> None:
    async with (
        watched() as (a, silent, clock),
        RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as alive,
    ):
        await alive.exchange_init()
        await until(lambda: len(a.manager.peers()) == 2)
        clock.jump_wall(jump_s)
        await _seconds(clock, 1)
        assert await silent.receive() == OUR_PING
        assert await alive.receive() == OUR_PING
        await alive.send(PONG)
        assert await alive.pong_after() == []
        await _seconds(clock, 11)
        assert await silent.receive() is None
        await silent.close()
        reason = await a.closed(CloseCode.PING_UNANSWERED)
        assert "clock" in reason.detail
        assert await alive.pong_after() == []


async def test_small_corrections_of_the_clock_are_no_jump() -> None:
    async with watched() as (_, peer, clock):
        for _ in range(5):
            clock.jump_wall(5)
            await _seconds(clock, 2)
        assert await peer.pong_after() == []
