"""The unix socket `lightning-rpc`, where CLN's clients look for it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import cast

from core.base.descriptors import file_limit
from core.rpc.commands import COMMANDS
from core.rpc.commands.base import Command, Json
from core.rpc.connection import Connection
from core.rpc.dispatch import Dispatcher
from core.rpc.errors import LIGHTNINGD
from core.rpc.face import NodeFace
from core.rpc.framing import encode_error
from core.rpc.network_events import NetworkEvents
from core.rpc.notifications import Notifications
from core.rpc.requests import NO_ID

SOCKET_MODE = 0o600
BACKLOG = 1024
"""Clients that may knock at the same moment."""
ACCEPTS_A_TURN = 16
"""Of those, what one turn of the loop lets in."""
MAX_CLIENTS = 1200
"""At once; a quarter of the file descriptors where that is less, so that clients never take those of the peers."""
REFUSALS_AT_ONCE = 64
REFUSAL_S = 1.0
"""How long a refused client may take to notice."""
_REFUSAL = encode_error(NO_ID, LIGHTNINGD, "Too many clients")
"""Below 100 bytes, as `lightning-cli` wants it of its first reply."""
CLOSE_TIMEOUT_S = 1.0
"""How long clients may take to fetch their last replies when the node stops."""


class RpcServer:
    """Serves one node's commands. `start` makes it; `aclose` leaves no socket, task or connection."""

    def __init__(self, node: NodeFace, commands: Mapping[str, Command]) -> None:
        self._network_events = NetworkEvents(node.bus, node.clock)
        self._dispatcher = Dispatcher(node, self._network_events, commands)
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Future[None]] = set()
        self._listener: _UnixListener | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self._refusals: set[_Refusal] = set()
        self._max_clients = min(MAX_CLIENTS, file_limit() // 4)
        self._notifications = Notifications(node.bus, self._somebody_listens, self._notify, self._notify_activation)

    @classmethod
    async def start(cls, node: NodeFace, path: Path, commands: Mapping[str, Command] = COMMANDS) -> RpcServer:
        """Serve at `path`, where nothing may lie and whose folder only its owner may enter. OSError when it fails."""
        server = cls(node, commands)
        try:
            server._listener = await _UnixListener.open(path, server._connect)
        except BaseException:
            server._hear_no_more()
            raise
        return server

    async def aclose(self) -> None:
        """Stop accepting, give up what runs, let clients fetch their last replies, close."""
        self._hear_no_more()
        if self._listener is not None:
            self._listener.close()
        for refusal in tuple(self._refusals):
            refusal.abort()
        for connection in tuple(self._connections):
            connection.finish()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._empty.wait()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.abort()
            await self._empty.wait()
        if self._listener is not None:
            await self._listener.wait_closed()

    def _hear_no_more(self) -> None:
        self._notifications.close()
        self._network_events.close()

    def _connect(self) -> Connection | _Refusal:
        if len(self._connections) >= self._max_clients:
            return _Refusal(self._refusals)
        connection = Connection(self._dispatcher, self._spawn, self._disconnected)
        self._connections.add(connection)
        self._empty.clear()
        return connection

    def _disconnected(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _spawn(self, work: Awaitable[None]) -> None:
        """Run a command that waits; it goes on when its client leaves, and ends with the node."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _somebody_listens(self) -> bool:
        return any(connection.notifications for connection in self._connections)

    def _notify_activation(self, progress: Json) -> None:
        for connection in tuple(self._connections):
            connection.notify_activation(progress)

    def _notify(self, notification: bytes) -> None:
        for connection in tuple(self._connections):
            connection.notify(notification)


class _Refusal(asyncio.Protocol):
    """A client that is one too many: it is told so, and what it says is not heard."""

    def __init__(self, all_of_them: set[_Refusal]) -> None:
        self._all = all_of_them
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._all) >= REFUSALS_AT_ONCE:
            self._transport.abort()
            return
        self._all.add(self)
        self._timer = asyncio.get_running_loop().call_later(REFUSAL_S, self.abort)
        self._transport.write(_REFUSAL)
        self._transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


class _UnixListener:
    """The bound socket file; where there are no unix sockets another listener takes its place."""

    def __init__(self, path: Path, inode: int, server: asyncio.Server) -> None:
        self._path = path
        self._inode = inode
        self._server = server

    @classmethod
    async def open(cls, path: Path, factory: Callable[[], asyncio.Protocol]) -> _UnixListener:
        """Bind, make private, and only then listen: until then nobody can connect, whatever the umask was."""
        if sys.platform == "win32":
            raise OSError(errno.EAFNOSUPPORT, "there are no unix sockets here")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.setblocking(False)
            listening.bind(os.fspath(path))
            os.chmod(path, SOCKET_MODE)
            inode = os.stat(path).st_ino
            # What asyncio calls the backlog is also how many it lets in at once.
            loop = asyncio.get_running_loop()
            server = await loop.create_unix_server(factory, sock=listening, backlog=ACCEPTS_A_TURN)
            listening.listen(BACKLOG)
        except BaseException:
            listening.close()
            raise
        return cls(path, inode, server)

    def close(self) -> None:
        """Accept no more and remove the file, if it is still ours."""
        self._server.close()
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)

    async def wait_closed(self) -> None:
        await self._server.wait_closed()
