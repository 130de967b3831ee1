"""The ways in which a dial fails, each made to happen on loopback (CLN's connectd.c, 401 and 402)."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from core.bolt.keys import NodeKey
from tests.acceptance.program import InstalledLeyden
from tests.support.raw_peer import RawListener

SILENCE_S = 75.0
"""CLN gives a handshake 60 s."""
_ONION = "a" * 55 + "d.onion"
_Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Failure = tuple[str, dict[str, Any], dict[str, Any]]
"""What was done, CLN's error, ours."""


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(50)
    writer.close()


async def _resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(50)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _talks_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(50)
    writer.write(b"\x00" + b"\x77" * 49)
    await reader.read()
    writer.close()


async def _says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


_HANDSHAKES: tuple[tuple[str, _Serve, str], ...] = (
    ("peer closes in the handshake", _closes, "peer closed connection (wrong key?)"),
    ("peer resets in the handshake", _resets, "Connection reset by peer"),
    ("peer answers act one wrongly", _talks_nonsense, "Protocol error"),
    ("peer stays silent for 60 s", _says_nothing, "Connection timed out"),
)


def all_failed(*parts: str) -> dict[str, Any]:
    return {"code": 401, "message": "All addresses failed: " + "".join(f"{part}. " for part in parts)}


async def ask_connect(leyden: InstalledLeyden, *params: Any) -> dict[str, Any]:
    """The error; over a connection of its own, with time for the slowest."""
    reader, writer = await asyncio.open_unix_connection(str(leyden.socket), limit=1 << 20)
    try:
        writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "connect", "params": params}).encode())
        async with asyncio.timeout(SILENCE_S):
            reply = json.loads(await reader.readuntil(b"\n\n"))
    finally:
        writer.close()
        await writer.wait_closed()
    return dict(reply.get("error", reply))


async def connect_failures(leyden: InstalledLeyden) -> AsyncIterator[Failure]:
    """All of them; the silent peer is awaited last."""
    async with AsyncExitStack() as stack:
        asked: list[tuple[str, dict[str, Any], asyncio.Task[dict[str, Any]]]] = []
        for situation, serve, reason in _HANDSHAKES:
            server = await stack.enter_async_context(await asyncio.start_server(serve, "127.0.0.1", 0))
            where = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            uri = f"{NodeKey.generate().node_id.hex()}@{where}"
            asked.append(
                (
                    f"connect {uri} ({situation})",
                    all_failed(f"{where}: Cryptographic handshake: {reason}"),
                    asyncio.create_task(ask_connect(leyden, uri)),
                )
            )
        yield await _closed_in_init(leyden)
        yield await _disconnected(leyden)
        yield await _ourselves(leyden)
        stranger = NodeKey.generate().node_id.hex()
        yield (
            f"connect {stranger}@{_ONION}:9735 (no proxy)",
            all_failed(f"{_ONION}:9735: need a proxy"),
            await ask_connect(leyden, f"{stranger}@{_ONION}:9735"),
        )
        missing = "/nowhere/at/all"
        yield (
            f"connect {stranger} {missing} (no such socket)",
            all_failed(f"{missing}: Connection establishment: No such file or directory"),
            await ask_connect(leyden, stranger, missing),
        )
        for situation, theirs, task in asked:
            yield situation, theirs, await task


async def _closed_in_init(leyden: InstalledLeyden) -> Failure:
    async with RawListener() as peer:
        where = f"127.0.0.1:{peer.port}"
        uri = f"{peer.node_id.hex()}@{where}"
        asking = asyncio.create_task(ask_connect(leyden, uri))
        await (await peer.accept()).close()
        theirs = all_failed(f"{where}: Exchanging init messages: peer closed connection")
        return f"connect {uri} (peer closes instead of its init)", theirs, await asking


async def _disconnected(leyden: InstalledLeyden) -> Failure:
    async with RawListener() as peer:
        uri = f"{peer.node_id.hex()}@127.0.0.1:{peer.port}"
        asking = asyncio.create_task(ask_connect(leyden, uri))
        await peer.accept(handshake=False)
        await leyden.call("disconnect", peer.node_id.hex())
        theirs = {"code": 402, "message": "disconnected during connection"}
        return f"connect {uri} (and disconnect meanwhile)", theirs, await asking


async def _ourselves(leyden: InstalledLeyden) -> Failure:
    info = await leyden.call("getinfo")
    uri = f"{info['id']}@127.0.0.1:{info['binding'][0]['port']}"
    theirs = {"code": 402, "message": "disconnected during connection"}
    return f"connect {uri} (our own id)", theirs, await ask_connect(leyden, uri)
