"""Custom messages and pings that somebody asked for."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import pytest

from core.base.events import CustomMessage, Direction
from core.bolt.keys import NodeKey
from core.peers.errors import (
    CustomMessageSize,
    CustomPeerNotConnected,
    CustomTypeEven,
    CustomTypeInternal,
    NoSuchPeer,
    PeerNotConnected,
    PingPending,
    PingTooLong,
    PongTooLong,
)
from tests.support.clock import ManualClock
from tests.support.peers import node, until
from tests.support.raw_peer import RawListener, RawPeer

VECTORS = Path(__file__).parents[2] / "vectors" / "message_types.csv"
NOBODY = NodeKey.generate().node_id
with VECTORS.open(newline="") as _file:
    _ROWS = [(int(row["type"]), row["name"], row["cln_sendcustommsg"]) for row in csv.DictReader(_file)]
REFUSED = [(type_, name) for type_, name, verdict in _ROWS if verdict == "refused"]
ALLOWED_ODD = [type_ for type_, _, verdict in _ROWS if verdict == "allowed" and type_ % 2]


async def test_a_custom_message_arrives_is_recorded_on_both_sides_and_published() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        a.manager.send_custom(b.node_id, b"\x94\x19hello")
        await until(b.manager.custom_messages)
        (sent,), (received,) = a.manager.custom_messages(), b.manager.custom_messages()
        assert (sent.direction, sent.peer_id, sent.type, sent.payload) == (Direction.OUT, b.node_id, 37913, b"hello")
        assert (received.direction, received.peer_id, received.payload) == (Direction.IN, a.node_id, b"hello")
        assert (a.seen(CustomMessage), b.seen(CustomMessage)) == ([sent], [received])


async def test_messages_arrive_in_the_order_in_which_they_were_sent() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        sizes = [7, 60_000, 0, 3_000, 65_533, 1] * 20
        for number, size in enumerate(sizes):
            a.manager.send_custom(b.node_id, b"\x94\x19" + (number.to_bytes(2, "big") + bytes(size))[:65_533])
        await until(lambda: len(b.manager.custom_messages()) == len(sizes))
        numbers = [int.from_bytes(message.payload[:2], "big") for message in b.manager.custom_messages()]
        assert numbers == list(range(len(sizes)))


@pytest.mark.parametrize("message", [b"", b"\x94", bytes(65_536)])
async def test_the_size_is_checked_first(message: bytes) -> None:
    async with node() as a:
        with pytest.raises(CustomMessageSize):
            a.manager.send_custom(NOBODY, message)


@pytest.mark.parametrize(("type_", "name"), REFUSED)
async def test_types_that_the_node_handles_itself_are_refused_before_the_peer_is_looked_up(type_, name) -> None:
    async with node() as a:
        with pytest.raises(CustomTypeInternal) as caught:
            a.manager.send_custom(NOBODY, type_.to_bytes(2, "big"))
        assert (caught.value.type, caught.value.name) == (type_, name)


@pytest.mark.parametrize("type_", [43108, 260, 32768])
async def test_even_types_are_refused_before_the_peer_is_looked_up(type_: int) -> None:
    async with node() as a:
        with pytest.raises(CustomTypeEven):
            a.manager.send_custom(NOBODY, type_.to_bytes(2, "big"))


@pytest.mark.parametrize("type_", [*ALLOWED_ODD, 32769, 11])
async def test_every_other_odd_type_is_a_matter_of_the_peer(type_: int) -> None:
    async with node() as a:
        with pytest.raises(NoSuchPeer):
            a.manager.send_custom(NOBODY, type_.to_bytes(2, "big"))


async def test_a_known_peer_that_is_not_connected() -> None:
    async with node() as a, RawListener() as listener:
        a.channels.states[NOBODY] = "CHANNELD_NORMAL"
        with pytest.raises(CustomPeerNotConnected):
            a.manager.send_custom(NOBODY, b"\x94\x19")
        dial = asyncio.create_task(a.manager.connect(listener.node_id, listener.host, listener.port))
        await listener.accept(handshake=False)
        with pytest.raises(CustomPeerNotConnected):
            a.manager.send_custom(listener.node_id, b"\x94\x19")
        dial.cancel()
        await asyncio.wait([dial])


async def test_messages_after_a_cursor() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        for number in range(5):
            a.manager.send_custom(b.node_id, b"\x94\x19" + bytes([number]))
        cursors = [message.cursor for message in a.manager.custom_messages()]
        assert cursors == [1, 2, 3, 4, 5]
        assert [message.cursor for message in a.manager.custom_messages(after=3)] == [4, 5]
        assert a.manager.custom_messages(after=5) == a.manager.custom_messages(after=99) == []


@pytest.mark.parametrize(("length", "pong_bytes", "total"), [(128, 128, 132), (0, 0, 4), (65_529, 65_531, 65_535)])
async def test_a_ping_gives_the_length_of_the_whole_pong(length: int, pong_bytes: int, total: int) -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        assert await a.manager.ping(b.node_id, length, pong_bytes) == total
        info = a.manager.peer(b.node_id)
        assert info is not None and info.latency_s is not None


@pytest.mark.parametrize("pong_bytes", [65_532, 65_535])
async def test_a_ping_that_must_not_be_answered_gives_zero_at_once(pong_bytes: int) -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        assert await a.manager.ping(b.node_id, 0, pong_bytes) == 0


async def test_what_a_ping_cannot_be() -> None:
    async with node() as a:
        with pytest.raises(PingTooLong):
            await a.manager.ping(NOBODY, 65_530)
        with pytest.raises(PongTooLong):
            await a.manager.ping(NOBODY, 0, 65_536)
        with pytest.raises(PeerNotConnected):
            await a.manager.ping(NOBODY)


async def test_one_ping_at_a_time_and_its_end_with_the_peer() -> None:
    async with node() as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        node_id = a.manager.peers()[0].node_id
        first = asyncio.create_task(a.manager.ping(node_id))
        assert (await peer.receive() or b"")[:4] == b"\x00\x12\x00\x80"
        with pytest.raises(PingPending):
            await a.manager.ping(node_id)
        await peer.send(b"\x00\x13\x00\x05" + bytes(5))  # a pong of another length answers nothing
        await peer.pong_after()
        assert not first.done()
        await peer.close()
        with pytest.raises(PeerNotConnected):
            await first


async def test_a_cancelled_ping_makes_room_for_the_next() -> None:
    clock = ManualClock()
    async with node(clock=clock) as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        node_id = a.manager.peers()[0].node_id
        first = asyncio.create_task(a.manager.ping(node_id))
        await peer.receive()
        first.cancel()
        await asyncio.wait([first])
        second = asyncio.create_task(a.manager.ping(node_id, 0, 9))
        await peer.receive()
        await clock.advance(0.25)
        await peer.send(b"\x00\x13\x00\x09" + bytes(9))
        assert await second == 13
        assert a.manager.peers()[0].latency_s == 0.25
        await peer.close()


async def test_totals_count_what_passed_also_of_peers_that_are_gone() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        for _ in range(10):
            a.manager.send_custom(b.node_id, b"\x94\x19" + bytes(100))
        await until(lambda: len(b.manager.custom_messages()) == 10)
        await a.manager.disconnect(b.node_id)
        await b.closed()
        assert a.manager.messages_out == 11  # init and ten
        assert b.manager.messages_in == 11
        assert a.manager.bytes_out == b.manager.bytes_in > 10 * 100
        assert b.manager.bytes_out == a.manager.bytes_in > 0


async def test_a_cursor_that_no_message_will_ever_have() -> None:
    async with node() as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await peer.send(b"\x80\x01x")
        await until(a.manager.custom_messages)
        assert a.manager.custom_messages(after=2**64 - 1) == []
