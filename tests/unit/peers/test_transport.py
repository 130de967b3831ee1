"""The socket's end: what one turn may do, what back-pressure does, and what leaves in one write."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from core.base.clock import SystemClock
from core.bolt.keys import NodeKey
from core.bolt.noise import NoiseConnection, NoiseError
from core.bolt.wire import OutOfRange
from core.peers.budget import LoopBudget
from core.peers.deadlines import Deadlines
from core.peers.errors import NoSuchPeer
from core.peers.limits import Limits
from core.peers.reasons import CloseCode
from core.peers.throttle import Throttle
from core.peers.transport import Transport
from tests.support.clock import ManualClock
from tests.support.peers import node, turns, until
from tests.support.raw_peer import RawPeer

PING = b"\x00\x12\x00\x00\x00\x00"


class Owner:
    """Notes what a transport says."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.messages: list[bytes] = []

    def opened(self) -> None:
        self.log.append("opened")

    def authenticated(self) -> None:
        self.log.append("authenticated")

    def received(self, message: bytes) -> None:
        self.messages.append(message)

    def noise_failed(self, error: NoiseError) -> None:
        self.log.append(error.code)

    def crashed(self, error: Exception) -> None:
        self.log.append(error)

    def not_reading(self) -> None:
        self.log.append("not reading")

    def lost(self, error: BaseException | None) -> None:
        self.log.append("lost")


class FakeSocket(asyncio.Transport):
    """The loop's side of a transport, in the test's hand."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.reading = True
        self.buffered = 0
        self.calls: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return None

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return "close" in self.calls or "abort" in self.calls

    def write_eof(self) -> None:
        self.calls.append("eof")

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


class Hand:
    """The budget's clock; every look at it costs, once `cost` is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cost = 0.0

    def __call__(self) -> float:
        self.now += self.cost
        return self.now


class Pair:
    """A transport past its handshake, with a raw noise connection at the other end."""

    def __init__(self, budget: LoopBudget, throttle: Throttle | None = None) -> None:
        key, theirs = NodeKey.generate(), NodeKey.generate()
        self.budget, self.owner, self.socket = budget, Owner(), FakeSocket()
        noise = NoiseConnection.responder(key)
        self.transport = Transport(noise, self.owner, budget, Limits(), SystemClock(), throttle)
        self.transport.connection_made(self.socket)
        self.peer = NoiseConnection.initiator(theirs, key.node_id)
        self.arrive(self.peer.start())
        self.arrive(self.peer.feed(self.socket.writes.pop()))

    def arrive(self, data: bytes) -> None:
        """The loop reads this."""
        while data:
            room = self.transport.get_buffer(-1)
            chunk, data = data[: len(room)], data[len(room) :]
            room[: len(chunk)] = chunk
            self.transport.buffer_updated(len(chunk))

    def sealed(self, *messages: bytes) -> bytes:
        return b"".join(self.peer.seal(message) for message in messages)


async def _settled(budget: LoopBudget) -> None:
    while budget.waiting:
        await asyncio.sleep(0)
    await asyncio.sleep(0)


def _ample() -> LoopBudget:
    """A budget that nothing spends."""
    return LoopBudget(monotonic=Hand())


async def _tight(count: int) -> tuple[LoopBudget, list[Pair]]:
    """Pairs past their handshakes, and a budget with which about five messages are handled in a turn."""
    hand = Hand()
    budget = LoopBudget(turn_s=0.55, monotonic=hand)
    pairs = [Pair(budget) for _ in range(count)]
    await _fresh(pairs[0])
    hand.cost = 0.1
    return budget, pairs


async def _fresh(pair: Pair) -> None:
    """Past the turn in which the handshake was done."""
    await _settled(pair.budget)
    await asyncio.sleep(0)


async def test_a_reader_stops_between_messages_keeps_its_bytes_and_goes_on_in_later_turns() -> None:
    _, (pair,) = await _tight(1)
    messages = [bytes([number]) * 20 for number in range(20)]
    pair.arrive(pair.sealed(*messages))
    first = len(pair.owner.messages)
    assert 0 < first < 20
    assert not pair.socket.reading
    assert pair.budget.waiting == 1
    await asyncio.sleep(0)
    assert first < len(pair.owner.messages) < 20
    await _settled(pair.budget)
    assert pair.owner.messages == messages
    assert pair.socket.reading


async def test_what_arrives_in_a_turn_that_others_have_spent_waits_untouched() -> None:
    budget, (busy, late) = await _tight(2)
    busy.arrive(busy.sealed(*[b"\x00\x01"] * 20))
    late.arrive(late.sealed(b"\x00\x01"))
    assert busy.owner.messages and not late.owner.messages
    assert budget.waiting == 2
    await _settled(budget)
    assert len(late.owner.messages) == 1


async def test_a_read_takes_8_kb_and_more_only_of_a_message_that_is_known_to_be_longer() -> None:
    pair = Pair(_ample())
    await _fresh(pair)
    assert len(pair.transport.get_buffer(-1)) == 8 * 1024
    sealed = pair.sealed(bytes(60_000))
    pair.arrive(sealed[:1_000])
    assert len(pair.transport.get_buffer(-1)) == 64 * 1024
    pair.arrive(sealed[1_000:20_000])
    assert len(pair.transport.get_buffer(-1)) == 256 * 1024
    pair.arrive(sealed[20_000:-8_000])
    pair.arrive(sealed[-8_000:-100])
    assert len(pair.transport.get_buffer(-1)) == 8 * 1024
    pair.arrive(sealed[-100:])
    assert [len(message) for message in pair.owner.messages] == [60_000]


async def test_after_a_full_read_the_next_is_large_until_one_was_not_full() -> None:
    pair = Pair(_ample())
    await _fresh(pair)
    flood = pair.sealed(*[bytes(400)] * 20)
    assert len(flood) > 8 * 1024
    pair.arrive(flood[: 8 * 1024])
    assert len(pair.transport.get_buffer(-1)) == 64 * 1024
    pair.arrive(flood[8 * 1024 :])
    assert len(pair.transport.get_buffer(-1)) == 8 * 1024
    assert len(pair.owner.messages) == 20


async def test_no_read_is_large_when_the_allowance_is_half_gone() -> None:
    clock = ManualClock()
    limits = Limits(in_messages_burst=10.0, in_messages_s=1.0)
    pair = Pair(_ample(), Throttle(limits, Deadlines(clock), clock))
    await _fresh(pair)
    flood = pair.sealed(*[bytes(1_300)] * 14)
    pair.arrive(flood[: 8 * 1024])
    assert len(pair.transport.get_buffer(-1)) == 64 * 1024
    pair.arrive(flood[8 * 1024 : 16 * 1024])  # pays for the six messages of the read before
    assert len(pair.transport.get_buffer(-1)) == 8 * 1024


async def test_no_read_is_large_while_many_wait_in_line() -> None:
    budget, pairs = await _tight(20)
    flood = [pair.sealed(*[bytes(1_300)] * 14)[: 8 * 1024] for pair in pairs]
    for pair, bytes_ in zip(pairs, flood, strict=True):
        pair.arrive(bytes_)
    assert budget.waiting > 16
    assert {len(pair.transport.get_buffer(-1)) for pair in pairs} == {8 * 1024}


async def test_with_many_readers_a_turn_stays_bounded_and_each_gets_its_share() -> None:
    budget, pairs = await _tight(50)
    for pair in pairs:
        pair.arrive(pair.sealed(*[b"\x00\x01"] * 10))
    paused = [pair for pair in pairs if not pair.socket.reading]
    assert len(paused) >= 49
    done = 0
    while budget.waiting:
        before = sum(len(pair.owner.messages) for pair in pairs)
        await asyncio.sleep(0)
        done = sum(len(pair.owner.messages) for pair in pairs)
        assert done - before <= 6
        if done <= 250:
            assert max(len(pair.owner.messages) for pair in pairs) <= 10
    assert done == 500
    assert all(pair.socket.reading for pair in pairs)


async def test_handshakes_wait_in_line_too_when_the_turn_is_spent() -> None:
    hand = Hand()
    hand.cost = 0.1
    budget = LoopBudget(turn_s=0.05, monotonic=hand)
    owner, link, key = Owner(), FakeSocket(), NodeKey.generate()
    transport = Transport(NoiseConnection.responder(key), owner, budget, Limits(), SystemClock())
    transport.connection_made(link)
    budget.begin()
    act_one = NoiseConnection.initiator(NodeKey.generate(), key.node_id).start()
    transport.get_buffer(-1)[: len(act_one)] = act_one
    transport.buffer_updated(len(act_one))
    assert link.writes == [] and not link.reading
    await _settled(budget)
    assert len(link.writes) == 1 and link.reading


async def test_what_is_sent_in_one_turn_leaves_in_one_write_in_order() -> None:
    pair = Pair(_ample())
    pair.socket.writes.clear()
    for number in range(10):
        pair.transport.send(bytes([0, number]))
    assert pair.socket.writes == []
    await asyncio.sleep(0)
    (written,) = pair.socket.writes
    pair.peer.feed(written)
    assert [pair.peer.next_message() for _ in range(10)] == [bytes([0, number]) for number in range(10)]


async def test_a_message_alone_is_one_write_header_and_body() -> None:
    pair = Pair(_ample())
    pair.socket.writes.clear()
    pair.transport.send(bytes(100))
    await asyncio.sleep(0)
    assert [len(data) for data in pair.socket.writes] == [2 + 16 + 100 + 16]


async def test_big_messages_do_not_pile_up_before_they_are_written() -> None:
    pair = Pair(_ample())
    pair.socket.writes.clear()
    for _ in range(5):
        pair.transport.send(bytes(65_535))
    assert len(pair.socket.writes) == 5


async def test_a_message_that_is_too_long_is_refused_where_it_is_sent_and_the_others_go_out() -> None:
    pair = Pair(_ample())
    pair.socket.writes.clear()
    pair.transport.send(b"\x00\x01")
    with pytest.raises(OutOfRange):
        pair.transport.send(bytes(65_536))
    await asyncio.sleep(0)
    pair.peer.feed(b"".join(pair.socket.writes))
    assert pair.peer.next_message() == b"\x00\x01"


async def test_nothing_is_queued_before_the_handshake_is_complete() -> None:
    transport = Transport(NoiseConnection.responder(NodeKey.generate()), Owner(), _ample(), Limits(), SystemClock())
    transport.connection_made(FakeSocket())
    transport.send(b"\x00\x01")
    assert transport.unsent_bytes == 0


async def test_a_peer_that_does_not_read_is_not_read_either_until_it_does() -> None:
    pair = Pair(_ample())
    await _fresh(pair)
    pair.transport.pause_writing()
    assert not pair.socket.reading and pair.transport.peer_is_slow
    waiting = asyncio.create_task(pair.transport.writable())
    await turns()
    assert not waiting.done()
    pair.transport.resume_writing()
    await waiting
    assert pair.socket.reading and not pair.transport.peer_is_slow


async def test_messages_already_read_wait_while_the_peer_does_not_read() -> None:
    pair = Pair(_ample())
    await _fresh(pair)
    owner, transport = pair.owner, pair.transport

    def received(message: bytes) -> None:
        owner.messages.append(message)
        if len(owner.messages) == 3:
            transport.pause_writing()

    owner.received = received  # type: ignore[method-assign]
    pair.arrive(pair.sealed(*[b"\x00\x01"] * 10))
    await turns()
    assert len(owner.messages) == 3
    transport.resume_writing()
    assert not pair.socket.reading
    await _settled(pair.budget)
    assert len(owner.messages) == 10
    assert pair.socket.reading


async def test_too_much_unsent_is_told() -> None:
    pair = Pair(_ample())
    pair.transport.pause_writing()
    pair.socket.buffered = Limits().write_max_bytes
    pair.transport.send(bytes(65_535))
    assert "not reading" not in pair.owner.log
    pair.socket.buffered += 1
    pair.transport.send(bytes(65_535))
    assert "not reading" in pair.owner.log


async def test_after_close_nothing_is_delivered_and_nothing_sent() -> None:
    pair = Pair(_ample())
    await _fresh(pair)
    pair.socket.writes.clear()
    pair.transport.send(b"\x00\x01last")
    pair.transport.close()
    pair.transport.send(b"\x00\x01late")
    pair.arrive(pair.sealed(b"\x00\x01ignored"))
    await turns()
    assert len(pair.socket.writes) == 1 and pair.socket.calls == ["eof"]
    assert pair.owner.messages == []
    assert pair.socket.reading  # so that the peer's end is seen
    assert pair.transport.messages_out == 1


async def test_closing_within_a_turn_that_is_spent_leaves_the_line() -> None:
    _, (pair,) = await _tight(1)
    pair.arrive(pair.sealed(*[b"\x00\x01"] * 20))
    assert pair.budget.waiting == 1
    count = len(pair.owner.messages)
    pair.transport.close()
    assert pair.budget.waiting == 0
    await turns()
    assert len(pair.owner.messages) == count
    assert pair.socket.reading


async def test_the_end_of_the_stream_waits_for_messages_in_line() -> None:
    _, (pair,) = await _tight(1)
    pair.arrive(pair.sealed(*[b"\x00\x01"] * 20))
    assert pair.transport.eof_received()
    assert pair.socket.calls == []
    await _settled(pair.budget)
    assert len(pair.owner.messages) == 20
    assert pair.socket.calls == ["close"]


async def test_messages_in_line_are_heard_when_the_connection_breaks() -> None:
    _, (pair,) = await _tight(1)
    pair.arrive(pair.sealed(*[b"\x00\x01"] * 20))
    pair.transport.connection_lost(ConnectionResetError())
    assert len(pair.owner.messages) == 20
    assert pair.owner.log[-1] == "lost"
    await turns()
    assert pair.budget.waiting == 0


async def test_whoever_waits_to_write_is_released_by_the_end() -> None:
    pair = Pair(_ample())
    pair.transport.pause_writing()
    waiting = asyncio.create_task(pair.transport.writable())
    await turns()
    pair.transport.connection_lost(None)
    await asyncio.wait_for(waiting, 30)


@contextlib.asynccontextmanager
async def _not_reading(**limits: object) -> AsyncIterator[tuple[object, RawPeer]]:
    async with node(**limits) as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        peer.writer.transport.pause_reading()
        yield a, peer
        peer.writer.transport.abort()


async def test_pings_that_ask_for_much_without_reading_make_us_stop_reading_not_grow() -> None:
    async with _not_reading() as (a, peer):
        flood = b"".join(peer.noise.seal(b"\x00\x12\xff\xf0\x00\x00") for _ in range(4_000))
        peer.writer.write(flood)  # 4,000 pings that ask for 262 MB
        (session,) = a.manager._sessions
        await until(lambda: session.transport.peer_is_slow)
        await asyncio.sleep(0.05)
        assert session.transport.unsent_bytes < 400_000
        assert session.transport.messages_in < 4_000


async def test_a_peer_that_does_not_read_what_we_send_is_dropped_at_a_bound_and_the_others_never_notice() -> None:
    async with (
        _not_reading(write_max_bytes=1_000_000) as (a, _),
        RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as other,
    ):
        await other.exchange_init()
        await until(lambda: len(a.manager.peers()) == 2)
        victim = a.manager.peers()[0].node_id
        highest = 0
        while a.manager.peer(victim):
            with contextlib.suppress(NoSuchPeer):  # its end has begun
                a.manager.send_custom(victim, b"\x94\x19" + bytes(60_000))
            highest = max(highest, *(session.transport.unsent_bytes for session in a.manager._sessions))
            await asyncio.sleep(0)
        await a.closed(CloseCode.NOT_READING)
        assert highest < 1_200_000
        assert await other.pong_after() == []


async def test_a_peer_that_stops_reading_for_a_minute_is_dropped() -> None:
    clock = ManualClock()
    async with _not_reading(clock=clock, services=True) as (a, _):
        (session,) = a.manager._sessions
        while not session.transport.peer_is_slow:
            a.manager.send_custom(session.peer_id, b"\x94\x19" + bytes(60_000))
        await clock.advance(59)
        assert not a.manager.closed_connections
        await clock.advance(4)
        await a.closed(CloseCode.NOT_READING)
