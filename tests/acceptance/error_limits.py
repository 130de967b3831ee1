"""Failures of `connect` that need a node of another kind: behind a proxy, without names, without descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil

from core.bolt.keys import NodeKey
from tests.acceptance.error_failures import Failure, all_failed, ask_connect
from tests.acceptance.program import PROGRAMS, InstalledLeyden, ProgramFailed
from tests.counterparts import PylnPeer
from tests.support.peers import until
from tests.support.socks_double import socks_double

ONION = "a" * 55 + "d.onion"
LONGEST_NAME = ".".join(["a" * 63] * 4)
"""255 characters: a name in writing, but more than a look-up can carry, so it ends without asking anybody."""
REPLIES = {
    1: "general SOCKS server failure",
    2: "connection not allowed by ruleset",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
    9: "unknown error: 9",
}
"""Of SOCKS5, in CLN's words (tor.c:41)."""
DESCRIPTORS = 64


class FewDescriptors(InstalledLeyden):
    """It may hold so many files and sockets, and no more."""

    program = ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}", str(PROGRAMS / "leyden"))


async def limit_failures(folder: Path) -> AsyncIterator[Failure]:
    """All of them, each with a node of its own."""
    async for failure in _names(folder / "names"):
        yield failure
    async for failure in _by_proxy(folder / "proxy"):
        yield failure
    async for failure in _without_descriptors(folder / "few"):
        yield failure


def _stranger() -> str:
    return NodeKey.generate().node_id.hex()


def _not_valid(host: str, reason: str) -> dict[str, Any]:
    return {"code": -1, "message": f"Host {host}:19846 not valid: {reason}"}


async def _names(folder: Path) -> AsyncIterator[Failure]:
    async with await InstalledLeyden.start(folder / "looks up") as leyden:
        where = f"{LONGEST_NAME}:19846"
        yield (
            f"connect {_stranger()} dns:NAME (of 255 characters)",
            all_failed(f"{where}: getaddrinfo error 'Name or service not known'"),
            await ask_connect(leyden, _stranger(), f"dns:{LONGEST_NAME}"),
        )
        yield (
            f"connect {_stranger()} NAME (of 255 characters)",
            _not_valid(LONGEST_NAME, "Name or service not known"),
            await ask_connect(leyden, _stranger(), LONGEST_NAME),
        )
        long = f"{'a.' * 127}aa"
        yield (
            f"connect {_stranger()} dns:NAME (of 256 characters)",
            _not_valid(f"dns:{long}", "DNS address too long"),
            await ask_connect(leyden, _stranger(), f"dns:{long}"),
        )
    async with await InstalledLeyden.start(folder / "does not", "--disable-dns") as leyden:
        yield (
            f"connect {_stranger()} dns:localhost.example (--disable-dns)",
            all_failed("localhost.example:19846: dns disabled"),
            await ask_connect(leyden, _stranger(), "dns:localhost.example"),
        )


async def _by_proxy(folder: Path) -> AsyncIterator[Failure]:
    async with socks_double() as proxy:
        at = f"127.0.0.1:{proxy.port}"
        async with await InstalledLeyden.start(folder, "--proxy", at, "--always-use-proxy") as leyden:
            where = f"{ONION}:9735"
            for reply, words in REPLIES.items():
                proxy.reply = reply
                said = f"Error connecting to {ONION}: Tor server reply: {words}"
                yield (
                    f"connect {_stranger()} {where} (the proxy's reply is {reply})",
                    all_failed(said, f"{where}: Connection establishment: Connection refused"),
                    await ask_connect(leyden, _stranger(), where),
                )
            asked = len(proxy.asked)
            assert asked == len(REPLIES), asked
            for name, reason in (("a." * 127 + "aa", "Name too long"), ("a b", "Error parsing hostname")):
                yield (
                    f"connect {_stranger()} NAME (--always-use-proxy: {reason})",
                    _not_valid(name, reason),
                    await ask_connect(leyden, _stranger(), name),
                )
            assert len(proxy.asked) == asked
    async with await InstalledLeyden.start(folder / "gone", "--proxy", at) as leyden:
        yield (
            f"connect {_stranger()} {where} (no proxy listens there)",
            all_failed(f"{where}: Connection establishment: Connection refused"),
            await ask_connect(leyden, _stranger(), where),
        )


async def _without_descriptors(folder: Path) -> AsyncIterator[Failure]:
    """A client that is connected already asks; when descriptors are free again the node is as before."""
    async with await PylnPeer.start(folder / "pyln") as pyln, await FewDescriptors.start(folder / "leyden") as leyden:
        process, uri = psutil.Process(leyden.pid), f"{pyln.node_id.hex()}@127.0.0.1:{pyln.port}"
        asking = await asyncio.open_unix_connection(str(leyden.socket))
        before = process.num_fds()
        idle = [await asyncio.open_unix_connection(str(leyden.socket)) for _ in range(DESCRIPTORS)]
        try:
            await until(lambda: process.num_fds() >= DESCRIPTORS)
            idle.append(await asyncio.open_connection("127.0.0.1", leyden.port))  # a peer that cannot be let in
            yield (
                f"connect {uri} (no descriptor is left)",
                all_failed(f"127.0.0.1:{pyln.port}: Connection establishment: Terminated due to too many connections"),
                await _ask(*asking, uri),
            )
        finally:
            for _, writer in idle:
                writer.close()
            for _, writer in idle:
                await writer.wait_closed()
        await until(lambda: process.num_fds() <= before + 1)
        assert (await _ask(*asking, uri))["id"] == pyln.node_id.hex()
        asking[1].close()
        await _let_in(leyden)
        await leyden.call("disconnect", pyln.node_id.hex())
        await pyln.connect(leyden.node_id, leyden.port)
        await pyln.wait_for(event="message", type=16, count=2)
        assert not leyden.errors(), leyden.errors()


async def _let_in(leyden: InstalledLeyden) -> None:
    """Until the dead connections that were never accepted have come and gone; they count as clients for a moment."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(ProgramFailed):
                await leyden.call("getinfo")
                return


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uri: str) -> dict[str, Any]:
    writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "connect", "params": [uri]}).encode())
    async with asyncio.timeout(30):
        reply = json.loads(await reader.readuntil(b"\n\n"))
    return dict(reply.get("error") or reply["result"])
