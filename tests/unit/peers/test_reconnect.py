"""Saved peers come back (CLN: 1 s doubling to 300 s, 0 to 1 s more, anew after 300 s of connection)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.base.events import ConnectFailed, PeerConnected
from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.peers.errors import AllAddressesFailed
from core.peers.limits import DEFAULT_LIMITS
from core.peers.manager import PeerConfig
from core.peers.reconnect import Reconnector
from core.peers.values import SavedPeer
from tests.support.clock import ManualClock
from tests.support.peers import node, turns, until
from tests.support.relay import Relay

ADDRESS = Address(AddressKind.IPV4, "127.0.0.1", 9735)
PEER = NodeKey.generate().node_id


class Dials:
    """A dial that fails, or succeeds when told to."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.at: list[float] = []
        self.addresses: list[Sequence[Address]] = []
        self.succeed = False

    async def __call__(self, node_id: bytes, addresses: Sequence[Address]) -> None:
        self.at.append(self.clock.monotonic())
        self.addresses.append(addresses)
        if not self.succeed:
            raise AllAddressesFailed(node_id=node_id, attempts=())


async def _run(reconnector: Reconnector, clock: ManualClock, seconds: float) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(int(seconds * 4)):
            reconnector.look(group)
            await clock.advance(0.25)


def _made() -> tuple[Reconnector, Dials, ManualClock]:
    clock = ManualClock()
    dials = Dials(clock)
    return Reconnector(dials, clock, DEFAULT_LIMITS, random.Random(7)), dials, clock


def _waits(dials: Dials) -> list[float]:
    return [later - earlier for earlier, later in zip(dials.at, dials.at[1:], strict=False)]


async def test_the_wait_doubles_up_to_300_s_with_a_jitter_of_up_to_a_second() -> None:
    reconnector, dials, clock = _made()
    reconnector.start(PEER, [ADDRESS])
    await _run(reconnector, clock, 1_500)
    waits = _waits(dials)
    for wait, expected in zip(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300], strict=False):
        assert expected <= wait <= expected + 1.25
    assert len({wait % 1 for wait in waits}) > 1


async def test_a_lost_peer_is_dialled_again_and_a_long_connection_starts_the_wait_anew() -> None:
    reconnector, dials, clock = _made()
    reconnector.start(PEER, [ADDRESS])
    await _run(reconnector, clock, 20)
    dials.succeed = True
    await _run(reconnector, clock, 20)
    count = len(dials.at)
    reconnector.connected(PEER)
    await _run(reconnector, clock, 400)
    assert len(dials.at) == count
    reconnector.lost(PEER, connected_for_s=299)
    assert (reconnector.due_in_s(PEER) or 0) > 8
    reconnector.lost(PEER, connected_for_s=301)
    assert (reconnector.due_in_s(PEER) or 9) <= 2


async def test_waking_up_forgets_the_waits() -> None:
    reconnector, dials, clock = _made()
    reconnector.start(PEER, [ADDRESS])
    await _run(reconnector, clock, 100)
    count = len(dials.at)
    reconnector.hurry()
    await _run(reconnector, clock, 0.25)
    assert len(dials.at) == count + 1


async def test_a_peer_at_rest_is_left_alone_until_it_is_connected_again() -> None:
    reconnector, dials, clock = _made()
    reconnector.start(PEER, [ADDRESS])
    reconnector.rest(PEER)
    reconnector.lost(PEER, 1)
    await _run(reconnector, clock, 50)
    assert dials.at == []
    other = replace(ADDRESS, port=1)
    reconnector.keep(PEER, other)
    reconnector.lost(PEER, 1)
    await _run(reconnector, clock, 3)
    assert dials.addresses[0] == (other, ADDRESS)


async def test_a_bounded_number_is_dialled_at_once() -> None:
    clock = ManualClock()
    under_way = 0

    async def hangs(_node_id: bytes, _addresses: Sequence[Address]) -> None:
        nonlocal under_way
        under_way += 1
        await clock.sleep(5)

    reconnector = Reconnector(hangs, clock, DEFAULT_LIMITS, random.Random(7))
    for _ in range(25):
        reconnector.start(NodeKey.generate().node_id, [ADDRESS])
    async with asyncio.TaskGroup() as group:
        reconnector.look(group)
        reconnector.look(group)
        await clock.advance(1)
        assert under_way == 10
        await clock.advance(5)
        reconnector.look(group)
        await clock.advance(6)
        assert under_way == 20


async def test_saved_peers_are_dialled_and_come_back_when_they_are_lost() -> None:
    clock = ManualClock()
    async with node(clock=clock, services=True) as a, node() as b:
        assert b.address is not None
        a.manager.reconnect_saved([SavedPeer(b.node_id, (b.address,)), SavedPeer(a.node_id, (b.address,))])
        await clock.advance(1)
        await until(a.manager.peers)
        await b.manager.disconnect(a.node_id)
        await until(lambda: not a.manager.peers())
        assert (a.manager.reconnects_in_s(b.node_id) or 0) > 0
        for _ in range(4):
            await clock.advance(1)
        await until(a.manager.peers)
        assert len(a.seen(PeerConnected)) == 2
        assert a.seen(ConnectFailed) == []


async def test_what_the_user_disconnected_stays_away() -> None:
    clock = ManualClock()
    async with node(clock=clock, services=True) as a, node() as b:
        await a.connect_to(b)
        await a.manager.disconnect(b.node_id)
        for _ in range(400):
            await clock.advance(1)
        assert a.manager.reconnects_in_s(b.node_id) is None
        assert len(a.seen(PeerConnected)) == 1


async def test_a_peer_that_was_connected_by_hand_comes_back_too_and_an_incoming_one_is_not_chased() -> None:
    clock = ManualClock()
    async with node(clock=clock, services=True) as a, node(clock=clock, services=True) as b:
        await a.connect_to(b)
        (session,) = b.manager._sessions
        session.transport.abort()
        await until(lambda: not a.manager.peers())
        assert a.manager.reconnects_in_s(b.node_id) is not None
        assert b.manager.reconnects_in_s(a.node_id) is None


async def test_reconnecting_can_be_switched_off() -> None:
    clock = ManualClock()
    async with node(clock=clock, services=True, config=PeerConfig(reconnect=False)) as a, node() as b:
        assert b.address is not None
        a.manager.reconnect_saved([SavedPeer(b.node_id, (b.address,))])
        await clock.advance(5)
        assert a.manager.reconnects_in_s(b.node_id) is None
        await a.connect_to(b)
        (session,) = b.manager._sessions
        session.transport.abort()
        await until(lambda: not a.manager.peers())
        assert a.manager.reconnects_in_s(b.node_id) is None


@pytest.mark.parametrize("what", ["peer", "address"])
async def test_a_peer_that_is_forgotten_while_we_dial_it_by_ourselves_is_not_saved_again(what: str) -> None:
    key, address_alone = NodeKey.generate(), what == "address"
    async with node(key=key) as peer, Relay(peer.port) as relay, node(services=True) as ours:
        address = Address(AddressKind.IPV4, "127.0.0.1", relay.port)
        await ours.book.remember(key.node_id, address)
        relay.back.shut()
        ours.manager.reconnect_saved([SavedPeer(key.node_id, (address,))])
        await until(lambda: ours.manager.is_known(key.node_id) and peer.manager._sessions)
        await ours.manager.saved.forget(key.node_id, address if address_alone else None)
        await until(lambda: not ours.manager.is_known(key.node_id))
        relay.back.open()
        await peer.closed()
        assert not ours.seen(PeerConnected)
        assert ours.manager.saved.next_attempt_in_s(key.node_id) is None
        assert not ours.book.kept.get(key.node_id)


async def test_an_address_that_is_forgotten_while_we_dial_it_leaves_the_others_to_be_dialled_at_once() -> None:
    key = NodeKey.generate()
    async with node(key=key) as peer, Relay(peer.port) as relay, node(services=True) as ours:
        dead = Address(AddressKind.IPV4, "127.0.0.1", relay.port)
        living = Address(AddressKind.IPV4, "127.0.0.1", peer.port)
        for address in (dead, living):
            await ours.book.remember(key.node_id, address)
        relay.back.shut()
        ours.manager.reconnect_saved([SavedPeer(key.node_id, (dead, living))])
        await until(lambda: ours.manager.is_known(key.node_id) and peer.manager._sessions)
        await ours.manager.saved.forget(key.node_id, dead)
        await until(lambda: ours.seen(PeerConnected))
        assert ours.book.kept[key.node_id] == [living]


async def test_somebody_who_waits_for_the_same_peer_goes_on_when_it_is_forgotten() -> None:
    key = NodeKey.generate()
    async with node(key=key) as peer, Relay(peer.port) as relay, node(services=True) as ours:
        address = Address(AddressKind.IPV4, "127.0.0.1", relay.port)
        await ours.book.remember(key.node_id, address)
        relay.back.shut()
        ours.manager.reconnect_saved([SavedPeer(key.node_id, (address,))])
        await until(lambda: ours.manager.is_known(key.node_id))
        asked = asyncio.create_task(ours.manager.connect(key.node_id, "127.0.0.1", relay.port))
        await turns()
        await ours.manager.saved.forget(key.node_id)
        relay.back.open()
        assert (await asked).node_id == key.node_id
