"""The addresses where peers can reach us."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

from core.bolt.address import Address, AddressError, AddressKind, parse_literal, split_host_port
from core.peers.errors import ListenFailed
from core.peers.reasons import os_words

_BACKLOG = 64
_ACCEPT_TURNS = 3
_ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - only when the user wrote an empty host


class Listeners:
    """Listening sockets, opened together or not at all."""

    def __init__(self, default_port: int) -> None:
        self._default_port = default_port
        self._servers: list[asyncio.Server] = []
        self.bound: tuple[Address, ...] = ()

    async def open(
        self, binds: Sequence[str], make_protocol: Callable[[], asyncio.BaseProtocol]
    ) -> tuple[Address, ...]:
        """Listen on each `HOST:PORT` (port 0 picks one); ListenFailed, and nothing stays open, when one fails."""
        opened: list[asyncio.Server] = []
        try:
            for bind in binds:
                opened.append(await self._open_one(bind, make_protocol))  # noqa: PERF401 - what is open must be known
        except BaseException:
            for server in opened:
                server.close()
            raise
        self._servers += opened
        self.bound += tuple(
            Address.from_socket_name(listening.getsockname()) for server in opened for listening in server.sockets
        )
        return self.bound

    async def aclose(self) -> None:
        """Accept nobody more; connections that are there stay."""
        servers, self._servers, self.bound = self._servers, [], ()
        loop = asyncio.get_running_loop()
        for server in servers:
            for listening in server.sockets:
                with contextlib.suppress(NotImplementedError):  # the proactor has no readers
                    loop.remove_reader(listening.fileno())
        # A connection accepted a moment ago has to become a transport before its server closes: asyncio would leave
        # it open otherwise (python/cpython 3.11, `Server._attach`).
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        for server in servers:
            server.close()

    async def _open_one(self, bind: str, make_protocol: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
        address = self._parse(bind)
        family = socket.AF_INET6 if address.kind is AddressKind.IPV6 else socket.AF_INET
        # With the protocol named, asyncio knows what it accepts for TCP and sets TCP_NODELAY.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                # Windows: SO_REUSEADDR there would let another program take the port away from us.
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if address.kind is AddressKind.IPV6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.setblocking(False)
            listening.bind((address.host, address.port))
            return await asyncio.get_running_loop().create_server(make_protocol, sock=listening, backlog=_BACKLOG)
        except OSError as error:
            listening.close()
            raise ListenFailed(address=str(address), errno=error.errno, reason=os_words(error)) from error
        except BaseException:
            with contextlib.suppress(OSError):
                listening.close()
            raise

    def _parse(self, bind: str) -> Address:
        try:
            # Port 0 is for listening alone, so the address parser does not know it.
            host, port = (bind[:-2], 0) if bind.endswith(":0") else split_host_port(bind)
            host = host.removeprefix("[").removesuffix("]")
            address = parse_literal(host or _ALL_INTERFACES, self._default_port if port is None else port)
        except AddressError as error:
            raise ListenFailed(address=bind, errno=None, reason=error.reason) from None
        if address is None or address.kind not in (AddressKind.IPV4, AddressKind.IPV6):
            raise ListenFailed(address=bind, errno=None, reason="only an IP address can be listened on")
        return address
