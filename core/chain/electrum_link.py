"""One connection to one Electrum server: socket, TLS, certificate, requests with deadlines, the tips it tells of."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiorpcx import JSONRPC, JSONRPCConnection, JSONRPCv2, Notification, RPCError, RPCSession
from aiorpcx.framing import NewlineFramer
from aiorpcx.jsonrpc import ProtocolError
from aiorpcx.rawsocket import ConnectionLostError, RSTransport
from aiorpcx.session import SessionKind

from core import __version__
from core.base.clock import Clock
from core.base.finish import finish
from core.chain.electrum_protocol import VERSIONS, BadAnswer, ElectrumServer, TipClaim, read_tip
from core.chain.errors import CertificateChanged, ServerLied, ServerRefused, ServerStalled, ServerUnreachable
from core.chain.pins import BY_AUTHORITY, PinStore, fingerprint

Dial = Callable[[str, int], Awaitable[socket.socket]]
"""How a connected socket comes about where a proxy stands between."""
CONNECT_S = 15.0
"""How long connection and TLS may take; a proxy may be slow."""
REQUEST_S = 15.0
"""How long one answer may take."""
LONGEST_MESSAGE = 2_000_000
"""Bytes: 2,016 headers in hex, or a transaction of 1 MB. One that is longer ends the connection."""
MOST_UNREAD = 4 * LONGEST_MESSAGE
"""Bytes that may have come and not been looked at; more ends the connection."""
LOST = "the connection was lost"
_LONGEST_TEXT = 300
"""Characters of a server's own words that are kept."""
_CLOSE_S = 1.0
T = TypeVar("T")


class _Pieces(asyncio.Queue[bytes]):
    """What came from the socket, with its size."""

    size_bytes = 0

    def _put(self, item: bytes) -> None:
        self.size_bytes += len(item)
        super()._put(item)

    def _get(self) -> bytes:
        item = super()._get()
        self.size_bytes -= len(item)
        return item


class _Framer(NewlineFramer):  # type: ignore[misc]  # no types
    """Ends the connection at a message that is too long, and at more messages than we can follow."""

    def __init__(self) -> None:
        super().__init__(LONGEST_MESSAGE)
        self.fault = ""
        self.queue = _Pieces()
        self.received_bytes = self._received

    def _received(self, piece: bytes) -> None:
        self.queue.put_nowait(piece)
        if self.queue.size_bytes > MOST_UNREAD and not self.fault:
            self.fault = f"sent {MOST_UNREAD} bytes faster than they could be read"
            self.fail(ConnectionLostError())

    async def receive_message(self) -> bytes:
        await asyncio.sleep(0)  # thousands of short ones may have come in one piece: the loop has its turn between them
        try:
            message: bytes = await super().receive_message()
        except MemoryError:
            self.fault = f"sent a message of more than {LONGEST_MESSAGE} bytes"
            raise ConnectionLostError from None
        return message


class _JsonRpc(JSONRPCv2):  # type: ignore[misc]  # no types
    @classmethod
    def _message_to_payload(cls, message: bytes) -> Any:
        try:
            return super()._message_to_payload(message)
        except RecursionError:
            raise cls._error(cls.PARSE_ERROR, "nested too deep", True, None) from None


class _Session(RPCSession):  # type: ignore[misc]  # no types
    """Keeps the newest tip that the server told of, unread; whatever else it sends is refused."""

    sent_request_timeout = 3600.0
    """Not its to measure: deadlines are kept here, by our own clock."""

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        self.told: Any = None
        self.changed = asyncio.Event()
        self.lost = asyncio.Event()
        self.framer = _Framer()

    def default_framer(self) -> _Framer:
        return self.framer

    def default_connection(self) -> Any:
        return JSONRPCConnection(_JsonRpc)

    async def handle_request(self, request: Any) -> None:
        if isinstance(request, Notification) and request.method == "blockchain.headers.subscribe" and request.args:
            self.told = request.args[0]
            self.changed.set()
        elif not isinstance(request, Notification):
            raise RPCError(JSONRPC.METHOD_NOT_FOUND, "nothing is served here")

    async def abort(self) -> None:
        # asyncio of early 3.11 releases fails where a TLS connection that is gone already is aborted.
        with contextlib.suppress(AttributeError):
            await super().abort()

    async def connection_lost(self) -> None:
        self.lost.set()
        await super().connection_lost()
        await self.abort()


class ElectrumLink:
    """A server that answered `server.version`. Every request raises a subtype of ServerFailed when it fails."""

    def __init__(self, server: ElectrumServer, session: _Session, clock: Clock) -> None:
        self.server = server
        self._session = session
        self._clock = clock

    @classmethod
    async def open(cls, server: ElectrumServer, clock: Clock, pins: PinStore, dial: Dial | None) -> ElectrumLink:
        """Connect, check the certificate, agree on the protocol. Raises ServerFailed, ProfileUnusable (the pins)."""
        session = await _within(clock, CONNECT_S, _connect(server, pins, dial), str(server))
        link = cls(server, session, clock)
        try:
            await link.request("server.version", f"Leyden {__version__}", list(VERSIONS))
        except BaseException:
            await link.aclose()
            raise
        return link

    @property
    def is_lost(self) -> bool:
        return self._session.lost.is_set() or bool(self._session.is_closing())

    async def request(self, method: str, *params: Any) -> Any:
        """The server's answer, unread."""
        name = str(self.server)
        if self.is_lost:
            raise ServerUnreachable(server=name, reason=LOST)
        try:
            return await _within(self._clock, REQUEST_S, self._session.send_request(method, params), name)
        except RPCError as error:
            raise ServerRefused(server=name, reason=_theirs(error.message)) from None
        except ServerUnreachable:
            raise ServerUnreachable(server=name, reason=self._session.framer.fault or LOST) from None
        except ProtocolError as error:
            raise ServerLied(server=name, reason=_theirs(error.message)) from None

    async def ask(self, read: Callable[..., T], method: str, *params: Any, bounds: tuple[Any, ...] = ()) -> T:
        """The server's answer, read by `read(answer, *bounds)`; ServerLied when it cannot be."""
        answer = await self.request(method, *params)
        return self.judge(lambda: read(answer, *bounds))

    def judge(self, check: Callable[[], T]) -> T:
        """What `check` gives; ServerLied with its text when it raises BadAnswer."""
        try:
            return check()
        except BadAnswer as error:
            raise ServerLied(server=str(self.server), reason=str(error)) from None

    async def subscribe(self) -> TipClaim:
        """The server's tip, now; later ones come by `next_tip`."""
        return await self.ask(read_tip, "blockchain.headers.subscribe")

    async def next_tip(self, quiet_s: float) -> TipClaim | None:
        """The next tip that the server tells of, the newest if there are several; None after `quiet_s` without one.

        Raises ServerUnreachable when the connection goes, ServerLied.
        """
        session = self._session
        waits = [asyncio.ensure_future(event.wait()) for event in (session.changed, session.lost)]
        timer = asyncio.ensure_future(self._clock.sleep(quiet_s))
        try:
            await asyncio.wait([*waits, timer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(*waits, timer)
        if session.lost.is_set():
            raise ServerUnreachable(server=str(self.server), reason=LOST)
        if not session.changed.is_set():
            return None
        session.changed.clear()
        return self.judge(lambda: read_tip(session.told))

    async def aclose(self) -> None:
        """The connection is gone when this returns."""
        await finish(_drop(self._session))


async def _connect(server: ElectrumServer, pins: PinStore, dial: Dial | None) -> _Session:
    """A session whose certificate, with TLS, is one that we trust."""
    if not server.tls:
        return await _open(server, None, dial)
    pin = pins.get(server.host, server.port)
    if isinstance(pin, bytes):
        return await _pinned(server, pin, pins, dial)
    try:
        session = await _open(server, await asyncio.to_thread(_by_authority), dial)
    except ssl.SSLCertVerificationError as error:
        if pin == BY_AUTHORITY:
            reason = f"its certificate, once signed by an authority, is not any more: {error.verify_message}"
            raise ServerUnreachable(server=str(server), reason=reason) from None
    else:
        return await _remembering(session, server, BY_AUTHORITY, pins)
    session = await _open(server, await asyncio.to_thread(_unverified), dial)
    return await _remembering(session, server, _fingerprint(session), pins)


async def _pinned(server: ElectrumServer, pin: bytes, pins: PinStore, dial: Dial | None) -> _Session:
    """The certificate of the first use, or one of an authority since; CertificateChanged otherwise."""
    session = await _open(server, await asyncio.to_thread(_unverified), dial)
    found = _fingerprint(session)
    if found == pin:
        return session
    await finish(_drop(session))
    try:
        session = await _open(server, await asyncio.to_thread(_by_authority), dial)
    except ssl.SSLCertVerificationError:
        raise CertificateChanged(host=server.host, port=server.port, expected=pin, found=found) from None
    return await _remembering(session, server, BY_AUTHORITY, pins)


async def _remembering(session: _Session, server: ElectrumServer, pin: bytes | str, pins: PinStore) -> _Session:
    try:
        await pins.remember(server.host, server.port, pin)
    except BaseException:
        await finish(_drop(session))
        raise
    return session


async def _open(server: ElectrumServer, context: ssl.SSLContext | None, dial: Dial | None) -> _Session:
    """Nothing is sent but TLS's own. Raises ssl.SSLCertVerificationError, ServerUnreachable."""
    loop = asyncio.get_running_loop()
    name = server.host if context is not None else None
    made: list[RSTransport] = []

    def protocol() -> RSTransport:
        made.append(RSTransport(_Session, None, SessionKind.CLIENT))
        return made[0]

    try:
        if dial is None:
            await loop.create_connection(protocol, server.host, server.port, ssl=context, server_hostname=name)
        else:
            sock = await dial(server.host, server.port)
            await loop.create_connection(protocol, sock=sock, ssl=context, server_hostname=name)
    except ssl.SSLCertVerificationError:
        raise
    except OSError as error:
        raise ServerUnreachable(server=str(server), reason=_plain(error)) from None
    session: _Session = made[0].session
    return session


def _plain(error: OSError) -> str:
    """The system's words for what went wrong; asyncio's own name addresses besides."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'it broke off'}"
    if error.errno is not None and error.errno in errno.errorcode and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error) or "the connection broke off"


def _by_authority() -> ssl.SSLContext:
    """Reads the system's authorities, some 20 ms."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _unverified() -> ssl.SSLContext:
    """For a certificate that is held against what is remembered, by us."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _fingerprint(session: _Session) -> bytes:
    connection = session.transport._asyncio_transport.get_extra_info("ssl_object")
    return fingerprint(connection.getpeercert(binary_form=True))


async def _drop(session: _Session) -> None:
    await session.abort()
    await session.close(force_after=_CLOSE_S)


async def _within(clock: Clock, seconds: float, work: Awaitable[T], server: str) -> T:
    """`work`, ServerStalled when it takes longer, ServerUnreachable when the connection goes meanwhile."""
    task: asyncio.Future[T] = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    both: list[asyncio.Future[Any]] = [task, timer]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ServerStalled(server=server, timeout_s=seconds)
        if task.cancelled():  # what is under way when a connection goes, aiorpcx cancels
            raise ServerUnreachable(server=server, reason=LOST)
        return task.result()
    finally:
        await _cancel(*both)


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await finish(_all_done(tasks))


async def _all_done(tasks: tuple[asyncio.Future[Any], ...]) -> None:
    await asyncio.wait(tasks)
    for task in tasks:
        with contextlib.suppress(BaseException):
            task.exception()


def _theirs(text: Any) -> str:
    return str(text)[:_LONGEST_TEXT]
