"""CLN's own client, byte for byte: what it sends, in the pieces it sends it, and the buffers it reads into.

lightning-cli.c enables notifications first and reads that reply into 100 bytes until an empty line; only then it sends
the command, with spaces where no other client has any, and reads until a whole object with its id came.
"""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import node as peer_node
from tests.unit.rpc.parts import served

PID = 4194304
"""The longest that Linux gives."""
BUFFER = 100


class _LightningCli:
    """Blocking, as the original; runs in a thread."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(5)
        self._socket.connect(str(path))

    def run(self, method: str, written: str, *, filter_: str | None = None) -> dict[str, Any]:
        """`written` is the parameters as it writes them."""
        with self._socket:
            self._enable_notifications()
            request_id = f"cli:{method}#{PID}"
            wanted = f'"filter": {filter_}, ' if filter_ else ""
            head = f'{{ "jsonrpc" : "2.0", "method" : "{method}", "id" : "{request_id}", '
            self._socket.sendall(f'{head}{wanted}"params" :{written} }}'.encode())
            received = b""
            while not received.endswith(b"\n\n"):
                chunk = self._socket.recv(1000)
                assert chunk, "closed instead of a reply"
                received += chunk
            reply: dict[str, Any] = json.loads(received)
            assert reply["id"] == request_id
            assert ("result" in reply) != ("error" in reply)
            return reply

    def _enable_notifications(self) -> None:
        self._socket.sendall(
            (
                '{ "jsonrpc" : "2.0", "method" : "notifications", '
                f'"id" : "cli:notifications#{PID}", "params" : {{ "enable" : true }} }}'
            ).encode()
        )
        held = b""
        while not held.endswith(b"\n\n"):
            assert len(held) < BUFFER, "Reading enable response"
            held += self._socket.recv(BUFFER - len(held))
        assert json.loads(held)["result"] == {}


async def _cli(path: Path, method: str, written: str, *, filter_: str | None = None) -> dict[str, Any]:
    return await asyncio.to_thread(lambda: _LightningCli(path).run(method, written, filter_=filter_))


async def test_its_commands_are_answered_by_position_by_name_and_with_a_filter() -> None:
    async with served() as rpc, peer_node() as peer:
        uri = f"{peer.node_id.hex()}@127.0.0.1:{peer.port}"
        found = await _cli(rpc.path, "connect", f'[ "{uri}"]')
        assert found["result"]["id"] == peer.node_id.hex()
        found = await _cli(rpc.path, "listpeers", "[ ]", filter_='{"peers":[{"id":true}]}')
        assert found["result"] == {"peers": [{"id": peer.node_id.hex()}]}
        found = await _cli(rpc.path, "ping", f'{{ "id" : "{peer.node_id.hex()}", "len" : 0, "pongbytes" : 0 }}')
        assert found["result"] == {"totlen": 4}
        found = await _cli(rpc.path, "sendcustommsg", f'[ "{peer.node_id.hex()}", "9c41ff"]')
        assert found["result"] == {"status": "Message sent to connectd for delivery"}
        found = await _cli(rpc.path, "disconnect", f'[ "{peer.node_id.hex()}", true]')
        assert found["result"] == {}


@pytest.mark.parametrize("active", [True, False])
async def test_every_command_answers_it_also_while_the_node_is_being_activated(active: bool) -> None:
    async with served(active=active) as rpc:
        rows = (await _cli(rpc.path, "help", "[ ]"))["result"]["help"]
        for name in [row["command"].split()[0] for row in rows]:
            reply = await _cli(rpc.path, name, "[ ]")
            assert reply.get("error", {}).get("code") != -32603, reply


async def test_its_id_for_a_strange_method_comes_back() -> None:
    async with served() as rpc:
        reply = await _cli(rpc.path, "weirdmethod!", "[ ]")
        assert reply["error"] == {"code": -32601, "message": "Unknown command 'weirdmethod!'"}
