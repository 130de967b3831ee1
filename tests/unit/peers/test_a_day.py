"""Two managers for a day of a clock under the test's hand: pings, no false hang-up, patience with who is away."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from core.base.events import ConnectFailed, CustomMessage, Direction, PeerConnected, PeerDisconnected
from tests.support.clock import ManualClock
from tests.support.peers import TestNode, node, until

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
CUSTOM = (40_001).to_bytes(2, "big")
KEY_SERVES = 500
"""Messages in one direction, BOLT 8."""
BACKOFF_S = (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300)
A_NIGHT = 100
"""Dials, at 300 s and a little more each."""
STEP_S = 0.05
LOOK_S = 1
"""The services look once a second, so everything happens up to that much later."""


@contextlib.asynccontextmanager
async def pair(clock: ManualClock, *, both_watch: bool = False) -> AsyncIterator[tuple[TestNode, TestNode]]:
    """The first has dialled the second and keeps it."""
    async with node(clock=clock, services=True) as a, node(clock=clock, services=both_watch) as b:
        await a.connect_to(b)
        yield a, b


async def pass_time(clock: ManualClock, seconds: int, *between: TestNode) -> None:
    """Second by second; what was sent has arrived everywhere before the next one."""
    for _ in range(seconds):
        before = [one.manager.messages_out for one in between]
        await clock.advance(1)
        if [one.manager.messages_out for one in between] != before:
            await until(lambda: not any(s.pings.probe_unanswered for one in between for s in one.manager._sessions))


def quiet(a: TestNode, b: TestNode) -> bool:
    """All that either sent the other has taken."""
    return a.manager.messages_out == b.manager.messages_in and b.manager.messages_out == a.manager.messages_in


async def test_a_silent_day_costs_some_pings_and_no_connection() -> None:
    """Each ping falls 60 to 105 s after the last message, so a day has 823 to 1,440, each with its pong."""
    clock = ManualClock()
    async with pair(clock) as (a, b):
        first = a.manager.messages_out
        await pass_time(clock, DAY_S, a, b)
        pings = a.manager.messages_out - first
        assert DAY_S / (105 + LOOK_S) <= pings <= DAY_S / 60
        assert pings > KEY_SERVES
        assert a.manager.messages_in == b.manager.messages_out
        for one, direction in ((a, Direction.OUT), (b, Direction.IN)):
            (info,) = one.manager.peers()
            assert info.direction is direction
            assert len(one.seen(PeerConnected)) == 1
            assert one.seen(PeerDisconnected) == []
            assert list(one.manager.closed_connections) == []


async def test_a_busy_day_passes_many_keys_and_needs_no_ping() -> None:
    """A message each way every 50 s: nobody is silent for 60 s, and each direction uses four keys."""
    clock = ManualClock()
    async with pair(clock, both_watch=True) as (a, b):
        before = a.manager.messages_out
        sent = 0
        for _ in range(DAY_S // 50):
            for one, other in ((a, b), (b, a)):
                one.manager.send_custom(other.node_id, CUSTOM + sent.to_bytes(8, "big"))
            sent += 1
            await until(lambda: quiet(a, b))
            await clock.advance(50)
        assert sent > 3 * KEY_SERVES
        assert a.manager.messages_out - before == sent
        for one in (a, b):
            came = [event.payload for event in one.seen(CustomMessage) if event.direction is Direction.IN]
            assert came == [count.to_bytes(8, "big") for count in range(sent)]
            assert one.seen(PeerDisconnected) == []


async def absences(a: TestNode, clock: ManualClock, count: int) -> list[float]:
    """The wait before each of the next so many dials, as it was planned; all of them fail, none before its time."""
    waits: list[float] = []
    while len(waits) < count:
        failed = len(a.seen(ConnectFailed))
        wait = a.manager.reconnects_in_s(peer_of(a))
        assert wait is not None
        waits.append(wait)
        await clock.advance(wait - 0.001)
        assert (a.manager.reconnects_in_s(peer_of(a)), len(a.seen(ConnectFailed))) == (pytest.approx(0.001), failed)
        due_at = clock.monotonic() + 0.001
        while len(a.seen(ConnectFailed)) == failed:
            if a.manager.reconnects_in_s(peer_of(a)) is None:  # it dials
                await until(lambda failed=failed: len(a.seen(ConnectFailed)) > failed)  # type: ignore[misc]
            else:
                await clock.advance(STEP_S)
        await until(lambda: a.manager.reconnects_in_s(peer_of(a)) is not None)
        assert clock.monotonic() - due_at <= LOOK_S + STEP_S
    return waits


def peer_of(a: TestNode) -> bytes:
    """The one peer that it has had."""
    return a.seen(PeerConnected)[0].peer_id


def assert_backs_off(waits: list[float]) -> None:
    """Each wait is the next of the sequence and up to 1 s more by chance; we look at it up to a step later."""
    for wait, expected in zip(waits, BACKOFF_S, strict=False):
        assert expected - STEP_S <= wait <= expected + 1, waits
    assert len({round(wait % 1, 1) for wait in waits}) > 2, "no chance in it"


async def lose(a: TestNode, b: TestNode) -> None:
    """The peer goes away, its port with it."""
    gone = len(a.seen(PeerDisconnected))
    await b.manager.aclose(flush_timeout_s=0)
    await until(lambda: len(a.seen(PeerDisconnected)) > gone)


async def test_a_peer_that_is_away_is_dialled_after_1_2_4_and_so_on_up_to_300_s() -> None:
    clock = ManualClock()
    async with pair(clock) as (a, b):
        await lose(a, b)
        assert_backs_off(await absences(a, clock, len(BACKOFF_S)))
        assert len(a.seen(ConnectFailed)) == len(BACKOFF_S)
        night = await absences(a, clock, A_NIGHT)
        assert all(300 - STEP_S <= wait <= 301 for wait in night)
        assert sum(night) > 8 * HOUR_S


async def return_for(a: TestNode, clock: ManualClock, key_of: TestNode, seconds: int) -> None:
    """The peer is there again on the same port, for so long, and leaves."""
    async with node(clock=clock, key=key_of.key, listen=False) as back:
        met = len(a.seen(PeerConnected))
        await back.manager.listen([f"127.0.0.1:{key_of.port}"])
        while len(a.seen(PeerConnected)) == met:
            await clock.advance(1)
            if a.manager.reconnects_in_s(key_of.node_id) is None:  # it dials
                await until(lambda: len(a.seen(PeerConnected)) > met)
        await pass_time(clock, seconds, a, back)
        await lose(a, back)


async def test_300_s_of_connection_start_the_wait_anew_and_less_does_not() -> None:
    clock = ManualClock()
    async with pair(clock) as (a, b):
        await lose(a, b)
        await absences(a, clock, 4)
        await return_for(a, clock, b, 290)
        assert 32 <= (a.manager.reconnects_in_s(b.node_id) or 0) <= 33
        await return_for(a, clock, b, 301)
        assert 1 <= (a.manager.reconnects_in_s(b.node_id) or 0) <= 2
        assert_backs_off(await absences(a, clock, 5))
