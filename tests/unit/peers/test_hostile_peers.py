"""What a peer can make us spend: lines of the log, and places for connections."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace

import pytest

from core.bolt.features import LEYDEN_FEATURES
from core.bolt.keys import NodeKey
from core.bolt.messages import WarningMessage
from core.peers.events import PeerNotice
from core.peers.init_rules import MAX_FEATURES_BYTES
from core.peers.reasons import CloseCode
from tests.support.peers import node, until
from tests.support.raw_peer import RawPeer, regtest_init


async def test_a_flood_of_warnings_fills_no_log_and_is_told_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with node() as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await peer.send(*[WarningMessage(bytes([1] * 32), b"again").encode()] * 200)
        await peer.pong_after()
        assert len(a.seen(PeerNotice)) == 200
    lines = [record.getMessage() for record in caplog.records if record.name == "core.peers.session"]
    assert sum("says: again" in line for line in lines) == 20
    assert lines[20].endswith("from here on is not logged")
    assert len(lines) == 21


async def test_established_peers_are_bounded_too_and_leave_room_again() -> None:
    async with node(incoming=3) as a, contextlib.AsyncExitStack() as stack:
        peers = []
        for _ in range(3):
            peer = await stack.enter_async_context(RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port))
            await peer.exchange_init()
            peers.append(peer)
        await until(lambda: len(a.manager.peers()) == 3)
        with pytest.raises(ConnectionError):
            async with RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port):
                pass
        await a.closed(CloseCode.REFUSED)
        async with node() as b:
            await a.connect_to(b)
        peers[0].writer.close()
        await until(lambda: len(a.manager.peers()) == 2)
        async with RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
            await peer.exchange_init()


@pytest.mark.parametrize(("length", "accepted"), [(MAX_FEATURES_BYTES, True), (MAX_FEATURES_BYTES + 1, False)])
async def test_an_init_with_endless_features_is_not_kept(length: int, accepted: bool) -> None:
    features = bytes([0x80]).ljust(length - len(LEYDEN_FEATURES), b"\0") + LEYDEN_FEATURES
    async with node() as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init(replace(regtest_init(), features=features))
        if accepted:
            await until(a.manager.peers)
        else:
            (warning,) = await peer.receive_all()
            assert WarningMessage.decode(warning).text == f"Invalid init: features of {length} bytes"
            await a.closed(CloseCode.MALFORMED)
