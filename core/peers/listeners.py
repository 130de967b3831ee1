"""The addresses where peers can reach us."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Sequence

from core.bolt.address import Address, AddressError, AddressKind, parse_literal, split_host_port
from core.peers.errors import ListenFailed
from core.peers.reasons import os_words

_BACKLOG = 64
_ACCEPT_TURNS = 3
_LISTENED = (AddressKind.IPV4, AddressKind.IPV6, AddressKind.LOCAL)
_EVERY_IPV4 = "0.0.0.0"  # noqa: S104 - only when who asked wrote an empty host
_EVERY_IPV6 = "::"
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
"""What a system without IPv6 says."""


class Listeners:
    """Listening sockets, opened together or not at all."""

    def __init__(self, default_port: int) -> None:
        self._default_port = default_port
        self._servers: list[asyncio.Server] = []
        self._files: list[_SocketFile] = []
        self.bound: tuple[Address, ...] = ()

    async def open(
        self, binds: Sequence[str], make_protocol: Callable[[], asyncio.BaseProtocol]
    ) -> tuple[Address, ...]:
        """Listen on each `HOST:PORT` (port 0 picks one) or `/PATH`, which is its owner's alone.

        `:PORT` is every address of this computer, IPv6 included where there is any. ListenFailed, and nothing stays
        open, when one fails.
        """
        opened: list[asyncio.Server] = []
        files: list[_SocketFile] = []
        try:
            for bind in binds:
                address = self._parse(bind)
                if address.kind is AddressKind.LOCAL:
                    opened.append(await _open_local(address, make_protocol, files))
                else:
                    opened.append(await _open_ip(address, make_protocol))
                    if not bind.rpartition(":")[0]:
                        opened += await _open_every_ipv6(opened[-1], make_protocol)
        except BaseException:
            for server in opened:
                server.close()
            for file in files:
                file.remove()
            raise
        self._servers += opened
        self._files += files
        self.bound += tuple(_address_of(listening) for server in opened for listening in server.sockets)
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
        files, self._files = self._files, []
        for file in files:
            file.remove()

    def _parse(self, bind: str) -> Address:
        try:
            # Port 0 is for listening alone, so the address parser does not know it.
            is_path = bind.startswith("/")
            host, port = (bind, 0) if is_path else (bind[:-2], 0) if bind.endswith(":0") else split_host_port(bind)
            host = host.removeprefix("[").removesuffix("]")
            address = parse_literal(host or _EVERY_IPV4, self._default_port if port is None else port)
        except AddressError as error:
            raise ListenFailed(address=bind, errno=None, reason=error.reason) from None
        if address is None or address.kind not in _LISTENED:
            reason = "only an IP address or a local socket can be listened on"
            raise ListenFailed(address=bind, errno=None, reason=reason)
        if address.kind is AddressKind.LOCAL and not hasattr(socket, "AF_UNIX"):
            raise ListenFailed(address=bind, errno=None, reason="this system has no local sockets")
        return address


class _SocketFile:
    """What stands at the path of a local socket that we bound."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = self._look()

    def remove(self) -> None:
        """Unless somebody has put something else there."""
        with contextlib.suppress(OSError):
            if self._look() == self._identity:
                os.unlink(self._path)

    def _look(self) -> tuple[int, int]:
        found = os.lstat(self._path)
        return found.st_dev, found.st_ino


async def _open_local(
    address: Address, make_protocol: Callable[[], asyncio.BaseProtocol], files: list[_SocketFile]
) -> asyncio.Server:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        _remove_stale(address.host)
        listening.bind(address.host)
        files.append(_SocketFile(address.host))
        # Nobody can connect before `listen`, so there is no moment at which others could.
        os.chmod(address.host, stat.S_IRUSR | stat.S_IWUSR)
        server = await asyncio.get_running_loop().create_unix_server(
            make_protocol, sock=listening, backlog=_BACKLOG, start_serving=False
        )
        return await _serving(server)
    except OSError as error:
        listening.close()
        raise ListenFailed(address=str(address), errno=error.errno, reason=os_words(error)) from error
    except BaseException:
        listening.close()
        raise


def _remove_stale(path: str) -> None:
    """Take away a socket on which nobody listens any more; OSError when somebody does, or it is no socket."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        if stat.S_ISSOCK(found.st_mode) and asking.connect_ex(path) == errno.ECONNREFUSED:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


async def _open_ip(address: Address, make_protocol: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
    family = socket.AF_INET6 if address.kind is AddressKind.IPV6 else socket.AF_INET
    try:
        # With the protocol named, asyncio knows what it accepts for TCP and sets TCP_NODELAY.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise ListenFailed(address=str(address), errno=error.errno, reason=os_words(error)) from error
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
        server = await asyncio.get_running_loop().create_server(
            make_protocol, sock=listening, backlog=_BACKLOG, start_serving=False
        )
        return await _serving(server)
    except OSError as error:
        listening.close()
        raise ListenFailed(address=str(address), errno=error.errno, reason=os_words(error)) from error
    except BaseException:
        with contextlib.suppress(OSError):
            listening.close()
        raise


async def _serving(server: asyncio.Server) -> asyncio.Server:
    """Begin to accept; whoever is cancelled meanwhile has the socket taken out of the loop before it is closed.

    A descriptor closed without that stays registered, and the next one of that number, any connection's, cannot be.
    """
    try:
        await server.start_serving()
    except BaseException:
        server.close()
        raise
    return server


async def _open_every_ipv6(
    ipv4: asyncio.Server, make_protocol: Callable[[], asyncio.BaseProtocol]
) -> list[asyncio.Server]:
    """Beside `ipv4`, at its port; nothing on a system without IPv6."""
    port = ipv4.sockets[0].getsockname()[1]
    try:
        return [await _open_ip(Address(AddressKind.IPV6, _EVERY_IPV6, port), make_protocol)]
    except ListenFailed as failed:
        if failed.errno in _NO_IPV6:
            return []
        raise


def _address_of(listening: socket.socket) -> Address:
    name = listening.getsockname()
    return Address(AddressKind.LOCAL, name, 0) if isinstance(name, str) else Address.from_socket_name(name)
