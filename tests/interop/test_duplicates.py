"""Two connections with LDK, which keeps the older one and closes the newer: one is left, and both know which."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.base.events import ConnectFailed, ConnectPhase, ConnectProgress, Direction, PeerConnected, PeerDisconnected
from core.bolt.keys import NodeKey
from core.peers.values import SavedPeer
from tests.counterparts import Ldk
from tests.interop.ours import CUSTOM
from tests.support.peers import TestNode, node, until
from tests.support.relay import Relay

ROUNDS = 8
WAIT_S = 30.0


async def agree_on_one(ours: TestNode, ldk: Ldk) -> Direction:
    """One session is left, its direction is the same in our list and LDK's, and messages pass; our direction.

    LDK may take a dial that we have given up out of its backlog late: a moment with one socket is not the last one,
    the socket of the session we kept is.
    """
    await until(lambda: len(ours.manager._sessions) == 1 and ours.manager.peers(), WAIT_S)
    (info,) = ours.manager.peers()
    inbound_at_ldk = info.direction is Direction.OUT
    await until(lambda: [event["inbound"] for event in open_sockets(ldk)] == [inbound_at_ldk], WAIT_S)
    (listed,) = (await ldk.command("peers"))["peers"]
    assert (listed["node_id"], info.node_id) == (ours.node_id.hex(), ldk.node_id)
    assert bool(listed["inbound"]) is inbound_at_ldk
    since, payload = ldk.mark, ldk.mark.to_bytes(8, "big")
    ours.manager.send_custom(ldk.node_id, CUSTOM.to_bytes(2, "big") + payload)
    await ldk.wait_for(event="message", since=since, payload=payload.hex())
    assert await ours.manager.ping(ldk.node_id) == 132
    return info.direction


def open_sockets(ldk: Ldk) -> list[dict[str, object]]:
    """Connections that LDK has opened and not closed, by its own log."""
    closed = {event["connection"] for event in ldk.seen(event="socket closed")}
    return [event for event in ldk.seen(event="socket open") if event["connection"] not in closed]


async def test_simultaneous_connects_leave_one_session(tmp_path: Path) -> None:
    async with await Ldk.start(tmp_path) as ldk:
        for _ in range(ROUNDS):
            async with node(services=True) as ours:
                info, _ = await asyncio.gather(
                    ours.manager.connect(ldk.node_id, "127.0.0.1", ldk.port), ldk.connect(ours.node_id, ours.port)
                )
                assert info.node_id == ldk.node_id
                await agree_on_one(ours, ldk)
                assert ours.seen(PeerDisconnected) == []
                assert ours.seen(ConnectFailed) == []
            await until(lambda: not open_sockets(ldk), WAIT_S)


@pytest.mark.parametrize("ours_is_smaller", [True, False])
async def test_ldk_keeps_the_connection_it_dialled_and_our_later_dial_ends_well(
    tmp_path: Path, ours_is_smaller: bool
) -> None:
    """Our act three reaches LDK when the other connection stands: it closes ours, and we are told of the other."""
    async with (
        await Ldk.start(tmp_path) as ldk,
        Relay(ldk.port) as relay,
        node(key=key_beside(ldk.node_id, smaller=ours_is_smaller), services=True) as ours,
    ):
        relay.back.shut()
        dial = asyncio.create_task(ours.manager.connect(ldk.node_id, "127.0.0.1", relay.port))
        await until(lambda: ours.seen(ConnectProgress) and len(open_sockets(ldk)) == 1)
        await ldk.connect(ours.node_id, ours.port)
        await ldk.wait_for(event="init", node_id=ours.node_id.hex(), inbound=False)
        relay.back.open()
        info = await asyncio.wait_for(dial, WAIT_S)
        assert info.direction is Direction.IN
        assert await agree_on_one(ours, ldk) is Direction.IN
        assert (len(ours.seen(PeerConnected)), ours.seen(PeerDisconnected)) == (1, [])


@pytest.mark.parametrize("ours_is_smaller", [True, False])
async def test_ldk_keeps_the_connection_we_dialled_and_closes_its_own_later_one(
    tmp_path: Path, ours_is_smaller: bool
) -> None:
    async with (
        await Ldk.start(tmp_path) as ldk,
        node(key=key_beside(ldk.node_id, smaller=ours_is_smaller), services=True) as ours,
        Relay(ours.port) as relay,
    ):
        relay.back.shut()
        await ldk.connect(ours.node_id, relay.port)
        await until(lambda: len(ours.manager._sessions) == 1)
        await ours.manager.connect(ldk.node_id, "127.0.0.1", ldk.port)
        await ldk.wait_for(event="init", node_id=ours.node_id.hex(), inbound=True)
        relay.back.open()
        await ours.closed()
        assert await agree_on_one(ours, ldk) is Direction.OUT
        assert (len(ours.seen(PeerConnected)), ours.seen(PeerDisconnected)) == (1, [])


async def test_a_connection_that_ldk_keeps_for_one_we_no_longer_have_delays_us_but_does_not_lose_the_peer(
    tmp_path: Path,
) -> None:
    """As after a crash of our machine: until LDK sees that the old connection is dead it refuses every new one."""
    key = NodeKey.generate()
    async with await Ldk.start(tmp_path) as ldk, node(key=key, services=True) as returned:
        async with node(key=key) as crashed:
            info = await crashed.manager.connect(ldk.node_id, "127.0.0.1", ldk.port)
            returned.manager.reconnect_saved([SavedPeer(ldk.node_id, (info.address,))])
            await until(lambda: len(returned.seen(ConnectFailed)) >= 2, WAIT_S)
            for failure in returned.seen(ConnectFailed):
                (attempt,) = failure.error.attempts  # type: ignore[attr-defined]
                assert attempt.phase is ConnectPhase.INIT, attempt
            assert [peer.node_id for peer in crashed.manager.peers()] == [ldk.node_id]
            assert (returned.manager.reconnects_in_s(ldk.node_id) or 0) > 0
        await until(returned.manager.peers, WAIT_S)
        assert await agree_on_one(returned, ldk) is Direction.OUT


def key_beside(node_id: bytes, *, smaller: bool) -> NodeKey:
    """A key whose node id comes before the other, or after it."""
    while True:
        key = NodeKey.generate()
        if (key.node_id < node_id) is smaller:
            return key
