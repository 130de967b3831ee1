"""What one peer may bring in: token buckets, pauses in reading, and budgets for what is dear to handle."""

from __future__ import annotations

import struct
from contextlib import AbstractAsyncContextManager

import pytest

from core.bolt.keys import NodeKey
from core.peers.reasons import CloseCode, closed_by_us
from core.peers.throttle import Bucket
from tests.support.clock import ManualClock
from tests.support.peers import TestNode, node, turns, until
from tests.support.raw_peer import RawPeer

PING = b"\x00\x12" + struct.pack(">HH", 0, 0)
WIRE_BYTES = 18 + 6 + 16
"""Of such a ping: its header, itself and its tag."""
ONION = b"\x02\x01" + bytes(100)
QUERY = b"\x01\x07" + bytes(32 + 4 + 4)
FILTERED = b"\x01\x00" + bytes(430)
"""A `channel_announcement` with nothing in it."""


def _dialled(a: TestNode) -> AbstractAsyncContextManager[RawPeer]:
    return RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port)


def test_a_bucket_gives_what_it_holds_and_fills_at_its_rate_up_to_its_burst() -> None:
    bucket = Bucket(10.0, 4.0, 100.0)
    assert [bucket.take(1, 100.0) for _ in range(5)] == [True] * 4 + [False]
    assert not bucket.take(1, 100.05)
    assert bucket.take(1, 100.11)
    assert [bucket.take(1, 500.0) for _ in range(5)] == [True] * 4 + [False]


def test_a_bucket_tells_how_long_a_debt_lasts() -> None:
    bucket = Bucket(10.0, 4.0, 100.0)
    assert bucket.owe(4, 100.0) == 0.0
    assert bucket.owe(5, 100.0) == pytest.approx(0.5)
    assert bucket.owe(0, 100.4) == pytest.approx(0.1)
    assert bucket.owe(0, 100.6) == 0.0


@pytest.mark.parametrize(
    "limits",
    [{"in_bytes_burst": 8_000.0, "in_bytes_s": 4_000.0}, {"in_messages_burst": 200.0, "in_messages_s": 100.0}],
    ids=["bytes", "messages"],
)
async def test_a_flood_is_read_as_fast_as_the_limit_and_no_faster(limits: dict[str, float]) -> None:
    clock = ManualClock()
    async with node(clock=clock, **limits) as a, _dialled(a) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        flood = b"".join(peer.noise.seal(PING) for _ in range(4_000))
        peer.writer.write(flood)
        (session,) = a.manager._sessions
        await until(lambda: session.transport._pauses)
        await turns(500)
        before = session.transport.messages_in
        assert before < 1_000, "the pause keeps what was not read in the peer's own buffers"
        await turns(500)
        assert session.transport.messages_in == before
        for _ in range(100):
            await clock.advance(0.5)
            await turns(100)
        # 50 s at 100 messages a second and the burst: the whole flood, and every ping was answered.
        await until(lambda: session.transport.messages_in >= 4_000)
        await peer.pong_after()


async def test_a_flood_does_not_keep_other_peers_from_being_heard() -> None:
    clock = ManualClock()
    async with (
        node(clock=clock, in_bytes_burst=8_000.0, in_bytes_s=1.0) as a,
        _dialled(a) as flooder,
        _dialled(a) as other,
    ):
        await flooder.exchange_init()
        await other.exchange_init()
        flooder.writer.write(b"".join(flooder.noise.seal(PING) for _ in range(10_000)))
        await until(lambda: any(session.transport._pauses for session in a.manager._sessions))
        await other.pong_after()
        assert len(a.manager.peers()) == 2


async def test_a_pause_is_long_enough_that_a_flood_is_no_flood_of_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    async with (
        node(clock=clock, in_bytes_burst=8_000.0, in_bytes_s=1_000_000.0) as a,
        _dialled(a) as peer,
    ):
        await peer.exchange_init()
        await until(a.manager.peers)
        deadlines, asked = a.manager._deadlines, []
        real = deadlines.after
        monkeypatch.setattr(deadlines, "after", lambda s, do: (asked.append(s), real(s, do))[1])
        peer.writer.write(b"".join(peer.noise.seal(PING) for _ in range(10_000)))
        for _ in range(10):
            await turns(100)
            await clock.advance(0.01)
        assert len(asked) == 1
        assert asked == [pytest.approx(0.1)]


async def test_a_paused_peer_that_disconnects_leaves_nothing_behind() -> None:
    clock = ManualClock()
    async with node(clock=clock, in_bytes_burst=8_000.0, in_bytes_s=1_000.0) as a:
        async with _dialled(a) as peer:
            await peer.exchange_init()
            await until(a.manager.peers)
            peer.writer.write(b"".join(peer.noise.seal(PING) for _ in range(1_000)))
            (session,) = a.manager._sessions
            await until(lambda: session.transport._pauses)
            session.abort(closed_by_us(CloseCode.REQUESTED))
            await until(lambda: not a.manager._sessions)
        assert all(deadline.action is None for _, _, deadline in a.manager._deadlines._heap)


@pytest.mark.parametrize(
    ("message", "burst"),
    [(ONION, "onion_messages_burst"), (FILTERED, "gossip_burst"), (QUERY, "queries_burst")],
    ids=["onion messages", "gossip", "queries"],
)
async def test_what_is_beyond_its_budget_is_ignored_and_counted(message: bytes, burst: str) -> None:
    clock = ManualClock()
    async with (
        node(clock=clock, **{burst: 4.0, "onion_messages_s": 4.0, "gossip_s": 4.0, "queries_s": 4.0}) as a,
        _dialled(a) as peer,
    ):
        await peer.exchange_init()
        await peer.send(*[message] * 10)
        answers = await peer.pong_after()
        assert len(answers) == (4 if message == QUERY else 0)
        assert a.manager.peers()[0].messages_ignored == 6
        await clock.advance(0.5)
        await peer.send(*[message] * 3)
        await peer.pong_after()
        assert a.manager.peers()[0].messages_ignored == 7


async def test_budgets_are_a_peers_own() -> None:
    async with (
        node(clock=ManualClock()) as a,
        _dialled(a) as one,
        _dialled(a) as other,
    ):
        for peer in (one, other):
            await peer.exchange_init()
        await one.send(*[ONION] * 5)
        await one.pong_after()
        await other.send(*[ONION] * 4)
        await other.pong_after()
        assert sorted(peer.messages_ignored for peer in a.manager.peers()) == [0, 1]
