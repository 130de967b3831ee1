"""Peers that we dialled come back by themselves: a program that was killed, and one that hung up."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.base.events import ConnectFailed, Direction, PeerConnected
from core.peers.reasons import CloseCode
from tests.counterparts import Ldk, PylnPeer
from tests.interop.ours import CUSTOM, OurNode, our_node

FIXED_PORT_OF_NODE = """
const net = require('node:net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (_port, ...more) { return listen.call(this, %s, ...more); };
"""
FIXED_PORT_OF_PYTHON = """
import runpy, socket, sys
create = socket.create_server
socket.create_server = lambda address, **options: create((address[0], %s), **options)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class LdkAt(Ldk):
    """`start(folder, port)`: with the seed it always has, where it listened before."""

    def _command_line(self, *args: str) -> Sequence[str]:
        fixed = self.folder / "port.cjs"
        fixed.write_text(FIXED_PORT_OF_NODE % args[0])
        node, *rest = super()._command_line()
        return [node, "--require", str(fixed), *rest]


class PylnAt(PylnPeer):
    """The same of pyln-proto."""

    def _command_line(self, *args: str) -> Sequence[str]:
        python, safe_path, *rest = super()._command_line()
        return [python, safe_path, "-c", FIXED_PORT_OF_PYTHON % args[0], *rest]


Peer = Ldk | PylnPeer
both_peers = pytest.mark.parametrize("kind", [LdkAt, PylnAt], ids=["LDK", "pyln-proto"])


@asynccontextmanager
async def dialled(kind: type[LdkAt] | type[PylnAt], folder: Path) -> AsyncIterator[tuple[OurNode, Peer]]:
    """A peer that we dialled, and therefore keep."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with our_node() as ours, await kind.start(folder, str(port)) as peer:
        assert peer.port == port
        await ours.manager.connect(peer.node_id, "127.0.0.1", port)
        await ours.wait_for(PeerConnected)
        yield ours, peer


async def talks(ours: OurNode, peer: Peer, payload: bytes) -> None:
    """A message passes each way."""
    ours.send(peer.node_id, CUSTOM, payload)
    await peer.wait_for(event="message", type=CUSTOM, payload=payload.hex())
    if isinstance(peer, Ldk):
        await peer.send(ours.node_id, CUSTOM + 2, payload)
    else:
        await peer.send((CUSTOM + 2).to_bytes(2, "big") + payload)
    await ours.wait_for_payload(CUSTOM + 2, payload)


@both_peers
async def test_a_killed_peer_is_dialled_until_it_is_there_again(
    tmp_path: Path, kind: type[LdkAt] | type[PylnAt]
) -> None:
    async with dialled(kind, tmp_path / "first") as (ours, first):
        await talks(ours, first, b"before")
        os.kill(first.pid, signal.SIGKILL)
        assert await first.ended() == -signal.SIGKILL
        assert (await ours.wait_for_disconnect(first.node_id)).code in {CloseCode.PEER_CLOSED, CloseCode.NETWORK}
        refused = await ours.wait_for(ConnectFailed)
        assert refused.peer_id == first.node_id

        async with await kind.start(tmp_path / "second", str(first.port)) as second:
            assert (second.node_id, second.port) == (first.node_id, first.port)
            again = await ours.wait_for(PeerConnected, count=2)
            assert (again.peer_id, again.direction) == (first.node_id, Direction.OUT)
            await talks(ours, second, b"after")
            assert [peer.node_id for peer in ours.manager.peers()] == [first.node_id]


@both_peers
async def test_a_peer_that_hangs_up_is_dialled_again(tmp_path: Path, kind: type[LdkAt] | type[PylnAt]) -> None:
    async with dialled(kind, tmp_path) as (ours, peer):
        await peer.disconnect(ours.node_id)
        assert (await ours.wait_for_disconnect(peer.node_id)).code is CloseCode.PEER_CLOSED
        again = await ours.wait_for(PeerConnected, count=2)
        assert (again.peer_id, again.direction) == (peer.node_id, Direction.OUT)
        await talks(ours, peer, b"after hanging up")
        assert len(ours.manager.peers()) == 1


@both_peers
async def test_a_peer_that_we_disconnected_is_kept_again_once_we_connect_again(
    tmp_path: Path, kind: type[LdkAt] | type[PylnAt]
) -> None:
    async with dialled(kind, tmp_path) as (ours, peer):
        await ours.manager.disconnect(peer.node_id)
        assert ours.manager.reconnects_in_s(peer.node_id) is None
        await ours.manager.connect(peer.node_id, "127.0.0.1", peer.port)
        await peer.disconnect(ours.node_id)
        await ours.wait_for(PeerConnected, count=3)
        await talks(ours, peer, b"kept again")
