"""Two connections with Electrum, where a newer incoming one takes the place of what there was: one is left and works.

Electrum 4.3.4 forgets a dial of its own in favour of our connection, but may not end it when it had no socket yet. Then
both stand, the later one is its own dial, and its list of peers is empty once that alone is left: what counts here is
which connections are open by its log, and which of them it answers on.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.base.events import ConnectFailed, ConnectProgress, Direction, PeerConnected
from core.bolt.keys import NodeKey
from core.peers.values import PeerConfig
from tests.counterparts import Electrum
from tests.interop.ours import CUSTOM
from tests.interop.test_duplicates import key_beside
from tests.support.peers import TestNode, node, until
from tests.support.relay import Relay

ROUNDS = 3
WAIT_S = 30.0
CONFIG = PeerConfig(offer_gossip_queries=True)
ours_smaller_or_not = pytest.mark.parametrize("ours_is_smaller", [True, False])


def open_connections(electrum: Electrum, ours: TestNode) -> dict[str, Direction]:
    """Of those that got through the handshake and have not ended: Electrum's name for it, and our direction."""
    peer = ours.node_id.hex()[:10]
    closed = {event["connection"] for event in electrum.seen(event="closed", peer=peer)}
    return {
        event["connection"]: Direction.IN if "@" in event["who"] else Direction.OUT
        for event in electrum.seen(event="handshake", peer=peer)
        if event["connection"] not in closed
    }


async def agree_on_one(ours: TestNode, electrum: Electrum) -> Direction:
    """One is left, the same for both, and messages pass each way; our direction."""
    await until(lambda: len(ours.manager._sessions) == 1 and ours.manager.peers(), WAIT_S)
    (info,) = ours.manager.peers()
    assert info.node_id == electrum.node_id
    await until(lambda: list(open_connections(electrum, ours).values()) == [info.direction], WAIT_S)
    (connection,) = open_connections(electrum, ours)
    since = electrum.mark
    ours.manager.send_custom(electrum.node_id, CUSTOM.to_bytes(2, "big"))
    await electrum.wait_for(event="message", since=since, type=CUSTOM, connection=connection)
    assert await ours.manager.ping(electrum.node_id) == 132
    return info.direction


@ours_smaller_or_not
async def test_simultaneous_connects_leave_one_session(tmp_path: Path, ours_is_smaller: bool) -> None:
    async with await Electrum.start(tmp_path) as electrum:
        for _ in range(ROUNDS):
            key = key_beside(electrum.node_id, smaller=ours_is_smaller)
            async with node(key=key, config=CONFIG, services=True) as ours:
                info, _ = await asyncio.gather(
                    ours.manager.connect(electrum.node_id, "127.0.0.1", electrum.port),
                    electrum.connect(ours.node_id, ours.port),
                )
                assert info.node_id == electrum.node_id
                await agree_on_one(ours, electrum)
                assert ours.seen(ConnectFailed) == []


@ours_smaller_or_not
async def test_our_dial_ends_well_when_electrum_comes_first(tmp_path: Path, ours_is_smaller: bool) -> None:
    """Its act two is held back until its own connection stands: we are told of that one, and drop ours."""
    async with (
        await Electrum.start(tmp_path) as electrum,
        Relay(electrum.port) as relay,
        node(key=key_beside(electrum.node_id, smaller=ours_is_smaller), config=CONFIG, services=True) as ours,
    ):
        relay.back.shut()
        dial = asyncio.create_task(ours.manager.connect(electrum.node_id, "127.0.0.1", relay.port))
        await until(lambda: ours.seen(ConnectProgress))
        await electrum.connect(ours.node_id, ours.port)
        info = await asyncio.wait_for(dial, WAIT_S)
        relay.back.open()
        assert info.direction is Direction.IN
        assert await agree_on_one(ours, electrum) is Direction.IN
        assert [(peer["node_id"], peer["initialized"]) for peer in await electrum.peers()] == [
            (ours.node_id.hex(), True)
        ]
        assert len(ours.seen(PeerConnected)) == 1


@ours_smaller_or_not
async def test_a_dial_of_electrum_that_hangs_gives_way_to_ours(tmp_path: Path, ours_is_smaller: bool) -> None:
    async with (
        await Electrum.start(tmp_path) as electrum,
        node(key=key_beside(electrum.node_id, smaller=ours_is_smaller), config=CONFIG, services=True) as ours,
        Relay(ours.port) as relay,
    ):
        relay.back.shut()
        await electrum.connect(ours.node_id, relay.port)
        await until(lambda: len(ours.manager._sessions) == 1)
        await ours.manager.connect(electrum.node_id, "127.0.0.1", electrum.port)
        relay.back.open()
        await ours.closed()
        assert await agree_on_one(ours, electrum) is Direction.OUT
        assert [(peer["node_id"], peer["initialized"]) for peer in await electrum.peers()] == [
            (ours.node_id.hex(), True)
        ]
        assert len(ours.seen(PeerConnected)) == 1


async def test_electrum_takes_our_new_connection_at_once_after_our_machine_has_crashed(tmp_path: Path) -> None:
    """The old one is not dead for Electrum, but the new one takes its place."""
    key = NodeKey.generate()
    async with (
        await Electrum.start(tmp_path) as electrum,
        node(key=key, config=CONFIG) as crashed,
        node(key=key, config=CONFIG, services=True) as returned,
    ):
        await crashed.manager.connect(electrum.node_id, "127.0.0.1", electrum.port)
        await returned.manager.connect(electrum.node_id, "127.0.0.1", electrum.port)
        await crashed.closed()
        assert await agree_on_one(returned, electrum) is Direction.OUT
        assert returned.seen(ConnectFailed) == []
