"""`listnetworkevents`: what happens to connections, in CLN's shape (25.12)."""

from __future__ import annotations

import socket

import pytest

from core.base.events import ConnectFailed, ConnectPhase, ConnectProgress, EventBus, PeerPinged
from core.peers.errors import AddressAttempt, AllAddressesFailed, DisconnectedDuringConnect
from core.rpc.network_events import NetworkEvents
from tests.support.clock import ManualClock
from tests.support.peers import node as peer_node
from tests.support.peers import until
from tests.unit.rpc.parts import served

SOMEBODY = bytes(32) + b"\x07"


async def test_a_life_of_a_peer_is_listed_in_its_order_and_in_clns_members() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        peer_id = peer.node_id.hex()
        await client.result("connect", [peer_id, "127.0.0.1", peer.port])
        await client.result("ping", [peer_id])
        await client.result("disconnect", [peer_id])
        connect, ping, disconnect = (await client.result("listnetworkevents"))["networkevents"]
        assert list(connect) == list(ping) == ["created_index", "peer_id", "type", "timestamp", "duration_nsec"]
        assert list(disconnect) == ["created_index", "peer_id", "type", "timestamp", "reason", "duration_nsec"]
        rows = (connect, ping, disconnect)
        assert [(row["created_index"], row["type"]) for row in rows] == [(1, "connect"), (2, "ping"), (3, "disconnect")]
        assert {row["peer_id"] for row in rows} == {peer_id}
        assert disconnect["reason"] == "disconnected on request"
        assert all(isinstance(row["timestamp"], int) and 0 < row["duration_nsec"] < 10**10 for row in rows)
        assert connect["duration_nsec"] + ping["duration_nsec"] > ping["duration_nsec"]
        assert disconnect["duration_nsec"] > ping["duration_nsec"]


async def test_an_incoming_connection_has_no_duration_of_a_dial() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        (bound,) = rpc.node.manager.bound
        await peer.manager.connect(rpc.node.node_id, bound.host, bound.port)
        await until(lambda: rpc.node.manager.peer(peer.node_id))
        (row,) = (await client.result("listnetworkevents"))["networkevents"]
        assert list(row) == ["created_index", "peer_id", "type", "timestamp"]


async def test_a_failed_connect_says_why_and_whether_it_was_tried() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with served() as rpc, rpc.client() as client, peer_node() as other:
            await client.error("connect", [other.node_id.hex(), "127.0.0.1", port])
            (row,) = (await client.result("listnetworkevents"))["networkevents"]
            assert (row["type"], row["connect_attempted"]) == ("connect_fail", True)
            assert row["reason"] == (
                f"All addresses failed: 127.0.0.1:{port}: Connection establishment: Connection refused. "
            )
            assert row["duration_nsec"] > 0
            assert list(row)[-1] == "connect_attempted"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_durations_are_those_of_the_monotonic_clock(clock: ManualClock) -> None:
    bus = EventBus()
    log = NetworkEvents(bus, clock)
    bus.publish(ConnectProgress(SOMEBODY, "a", ConnectPhase.DIALLING))
    await clock.advance(1.5)
    bus.publish(ConnectProgress(SOMEBODY, "b", ConnectPhase.DIALLING))
    await clock.advance(0.25)
    bus.publish(ConnectFailed(SOMEBODY, DisconnectedDuringConnect(node_id=SOMEBODY)))
    (event,) = log.since()
    assert (event.duration_nsec, event.connect_attempted) == (1_750_000_000, True)
    log.close()
    bus.publish(PeerPinged(SOMEBODY, 1.0))
    assert len(list(log.since())) == 1


def test_an_address_that_cannot_be_dialled_is_no_attempt(clock: ManualClock) -> None:
    bus = EventBus()
    log = NetworkEvents(bus, clock)
    attempts = (AddressAttempt("x.onion:9735", None, "need a proxy"),)
    bus.publish(ConnectFailed(SOMEBODY, AllAddressesFailed(node_id=SOMEBODY, attempts=attempts)))
    (event,) = log.since()
    assert (event.connect_attempted, event.duration_nsec) == (False, None)
    assert event.reason == "All addresses failed: x.onion:9735: need a proxy. "
    bus.publish(ConnectProgress(SOMEBODY, "a", ConnectPhase.DIALLING))  # of an earlier dial, given up by its caller
    bus.publish(ConnectFailed(SOMEBODY, AllAddressesFailed(node_id=SOMEBODY, attempts=attempts)))
    assert [event.connect_attempted for event in log.since()] == [False, False]


def test_the_oldest_go_and_the_numbers_stay(clock: ManualClock) -> None:
    bus = EventBus()
    log = NetworkEvents(bus, clock, kept=3)
    for number in range(5):
        bus.publish(PeerPinged(SOMEBODY, number))
        bus.publish(ConnectProgress(bytes([number]) * 33, "a", ConnectPhase.DIALLING))
    assert [event.created_index for event in log.since()] == [3, 4, 5]
    assert len(log._dialling) == 3


async def test_the_list_can_be_had_of_one_peer_and_in_pieces() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as other:
        for number in range(6):
            rpc.node.bus.publish(PeerPinged(other.node_id if number % 2 else rpc.node.node_id, 0.001))

        async def indexes(params: object) -> list[int]:
            rows = (await client.result("listnetworkevents", params))["networkevents"]
            return [row["created_index"] for row in rows]

        assert await indexes([]) == [1, 2, 3, 4, 5, 6]
        assert await indexes([other.node_id.hex()]) == [2, 4, 6]
        assert await indexes({"index": "created", "start": 3}) == [3, 4, 5, 6]
        assert await indexes({"index": "created", "start": 3, "limit": 2}) == [3, 4]
        assert await indexes([other.node_id.hex(), "created", 3, 1]) == [4]
        assert await indexes({"limit": 0}) == []
        bad = "invalid token (see logs for details)"
        assert await client.error("listnetworkevents", {"index": "x"}) == (-32602, f"index: unknown index: {bad}")
        assert await client.error("listnetworkevents", ["x"]) == (-32602, f"id: should be a node id: {bad}")
        assert (await client.error("listnetworkevents", {"start": -1}))[0] == -32602


async def test_check_of_sendcustommsg_says_that_a_dialled_peer_is_not_connected_yet() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        rpc.node.channels.states[peer.node_id] = "CHANNELD_NORMAL"
        asked = ["sendcustommsg", peer.node_id.hex(), "8001"]
        assert await client.error("check", asked) == (-32600, "Peer is not connected")
