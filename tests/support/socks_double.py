"""A SOCKS5 proxy on loopback that keeps what it was asked, and a guard that keeps what went past it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest

from core.bolt.address import Address
from core.peers.proxy import ProxyConfig

_SUCCESS = b"\x05\x00\x00\x01" + bytes(6)


@dataclass(frozen=True)
class Asked:
    """One CONNECT."""

    credentials: tuple[str, str] | None
    kind: int
    """ATYP: 1 IPv4, 3 name, 4 IPv6."""
    host: str
    port: int


@dataclass
class SocksDouble:
    """Leads every destination to `target`; without one it answers `reply`, or never when that is None."""

    target: Address | None = None
    reply: int | None = 5
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    open_streams: int = 0

    def config(self, *, always: bool = False) -> ProxyConfig:
        return ProxyConfig("127.0.0.1", self.port, always)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_streams += 1
        try:
            self.asked.append(await _negotiate(reader, writer))
            if self.target is not None:
                await self._relay(reader, writer, self.target)
            elif self.reply is not None:
                writer.write(bytes([5, self.reply]) + _SUCCESS[2:])
            else:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self.open_streams -= 1
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Address) -> None:
        far_reader, far_writer = await asyncio.open_connection(target.host, target.port)
        try:
            writer.write(_SUCCESS)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, far_writer))
                group.create_task(_copy(far_reader, writer))
        finally:
            far_writer.close()


async def _negotiate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked:
    _, count = await reader.readexactly(2)
    credentials = None
    if 2 in await reader.readexactly(count):
        writer.write(b"\x05\x02")
        await reader.readexactly(1)
        user, password = await _text(reader), await _text(reader)
        credentials = (user, password)
        writer.write(b"\x01\x00")
    else:
        writer.write(b"\x05\x00")
    _, _, _, kind = await reader.readexactly(4)
    if kind == 3:
        host = await _text(reader)
    else:
        host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
    return Asked(credentials, kind, host, int.from_bytes(await reader.readexactly(2), "big"))


async def _text(reader: asyncio.StreamReader) -> str:
    (length,) = await reader.readexactly(1)
    return (await reader.readexactly(length)).decode()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def socks_double(target: Address | None = None, reply: int | None = 5) -> AsyncIterator[SocksDouble]:
    """A proxy that runs; every stream is closed at the end."""
    double = SocksDouble(target, reply)
    streams: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        streams.add(asyncio.create_task(double.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        server.close()
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)


@dataclass
class PastProxy:
    """What this process tried by itself."""

    resolved: list[str] = field(default_factory=list)
    connected: list[tuple[str, int]] = field(default_factory=list)
    listened: list[object] = field(default_factory=list)


class _GuardedSocket(socket.socket):
    seen: PastProxy

    def connect(self, address: object) -> None:
        if isinstance(address, tuple):
            self.seen.connected.append((address[0], address[1]))
        super().connect(address)  # type: ignore[arg-type]

    def listen(self, backlog: int = 128) -> None:
        self.seen.listened.append(self.getsockname())
        super().listen(backlog)


@contextlib.contextmanager
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[PastProxy]:
    """Keep each look-up of a name, each connect and each listen in this process; the double's own ones included."""
    seen = PastProxy()
    look_up = socket.getaddrinfo

    def recording(host: object, *args: object, **options: object) -> object:
        text = host.decode() if isinstance(host, bytes) else str(host)
        try:
            ipaddress.ip_address(text)
        except ValueError:
            seen.resolved.append(text)
        return look_up(host, *args, **options)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(_GuardedSocket, "seen", seen, raising=False)
        patch.setattr(socket, "socket", _GuardedSocket)
        patch.setattr(socket, "getaddrinfo", recording)
        yield seen
