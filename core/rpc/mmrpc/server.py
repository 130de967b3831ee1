"""The HTTP surface on loopback: any path but the event stream's takes mmrpc."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from core.base.finish import finish
from core.base.setting_faults import parse_ip_and_port
from core.base.settings import SettingInvalid, Settings
from core.rpc.mmrpc.base import Context, Handler, MmError
from core.rpc.mmrpc.desk import Desk, Reply
from core.rpc.mmrpc.envelope import legacy_failure
from core.rpc.mmrpc.events import EventStreams, IdInUse, TooManyStreams
from core.rpc.mmrpc.face import MmNode
from core.rpc.mmrpc.guard import Attempts, RpcPassword, page_fault, password_fault
from core.rpc.mmrpc.json_text import JsonFault, dump, parse
from core.rpc.mmrpc.methods import LEGACY, METHODS
from core.wallet.errors import PassphraseFileUnsafe
from core.wallet.passphrase import read_passphrase_file

MAX_BODY_BYTES = 1 << 16
BODY_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 64
"""Open at once; one more takes the place of the oldest that has not sent a whole request."""
LINGER_S = 1.0
"""How long what a refused client still sends is thrown away, so that it reads the refusal."""
SHUTDOWN_S = 1.0
EVENT_PATH = "/event-stream"
USERPASS_HEADER = "Userpass"
"""Of the event stream's request: the password; a page of the web cannot send it unasked."""
_quiet = logging.getLogger(f"{__name__}.http")
# aiohttp's own lines about requests would quote their headers, the password among them.
_quiet.disabled = True


class MmrpcServer:
    """Serves one node. `start` makes it; `aclose` leaves no socket, task or connection."""

    def __init__(
        self,
        node: MmNode,
        password: RpcPassword,
        origins: Sequence[str],
        methods: Mapping[str, Handler] = METHODS,
        legacy: Mapping[str, Handler] = LEGACY,
    ) -> None:
        self._origins = frozenset(origins)
        self._streams = EventStreams(node, node.bus)
        self._desk = Desk(Context(node, self._streams.watch), password, methods, legacy)
        self._web = _BoundedServer(
            self._handle,
            access_log=None,
            logger=_quiet,
            handler_cancellation=True,  # who left an event stream frees its id
            auto_decompress=False,  # a small body would become a large one
            lingering_time=LINGER_S,
            max_field_size=8190,
        )
        self._listener: asyncio.Server | None = None
        self._running: set[asyncio.Task[Reply]] = set()

    @classmethod
    async def start(cls, node: MmNode) -> MmrpcServer:
        """As the node's settings say. Raises SettingInvalid: the password, its file or the address cannot be used."""
        settings = node.settings
        server = cls(node, _read_password(settings), settings.mmrpc_origin)
        try:
            await server.listen(*parse_ip_and_port(settings.mmrpc))
        except OSError as error:
            await finish(server.aclose())
            reason = f"cannot listen there: {os.strerror(error.errno) if error.errno else error}"
            raise _refuse(settings, "mmrpc", reason) from None
        return server

    async def listen(self, host: str, port: int) -> None:
        """Port 0 picks one. Raises OSError."""
        self._listener = await asyncio.get_running_loop().create_server(self._web, host, port)

    @property
    def port(self) -> int:
        """Where it listens; 0 when it does not."""
        sockets = self._listener.sockets if self._listener is not None else ()
        return int(sockets[0].getsockname()[1]) if sockets else 0

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._web.connections)

    @property
    def streams(self) -> int:
        """How many event streams are open."""
        return len(self._streams)

    @property
    def attempts(self) -> Attempts:
        """Of guessing the password, and who is banned for it."""
        return self._desk.attempts

    async def aclose(self) -> None:
        """Stop accepting, end the streams, give up what runs."""
        if self._listener is not None:
            self._listener.close()
        self._streams.close()
        running = tuple(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await self._web.shutdown(SHUTDOWN_S)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = request.headers
        hosts = headers.getall("Host", [])
        sent = headers.getall("Origin", [])
        fault = page_fault(hosts[0] if len(hosts) == 1 else None, self._origins, sent, headers.get("Sec-Fetch-Site"))
        if fault is not None:
            refusal = _response(Reply(HTTPStatus.FORBIDDEN, legacy_failure(fault)))
            refusal.force_close()  # its body was not read
            return refusal
        shared = {"Access-Control-Allow-Origin": sent[0], "Vary": "Origin"} if sent else {}
        if request.method == "OPTIONS":
            return web.Response(headers=shared | _PREFLIGHT)
        if request.path == EVENT_PATH and request.method == "GET":
            return await self._stream(request, shared)
        return await self._call(request, shared)

    async def _call(self, request: web.BaseRequest, shared: Mapping[str, str]) -> web.Response:
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _read_body(request)
        except TimeoutError:
            body = None
        if body is None:
            refusal = _response(Reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, legacy_failure(_TOO_LONG)), shared)
            refusal.force_close()
            return refusal
        try:
            value = parse(body)
        except JsonFault as fault:
            return _response(Reply(HTTPStatus.INTERNAL_SERVER_ERROR, legacy_failure(str(fault))), shared)
        if request.method != "POST":
            words = "rpc:244] Only POST requests are supported!"
            return _response(Reply(HTTPStatus.INTERNAL_SERVER_ERROR, legacy_failure(words)), shared)
        with self._web.answering(request.protocol):
            return _response(await self._answer(value, _client(request)), shared)

    async def _answer(self, value: object, address: str) -> Reply:
        """The reply; what was begun goes on when its client leaves, and ends with the node."""
        task = asyncio.create_task(self._desk.answer(value, address), name="mmrpc")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _stream(self, request: web.BaseRequest, shared: Mapping[str, str]) -> web.StreamResponse:
        try:
            self._desk.check(request.headers.get(USERPASS_HEADER), _client(request))
            with self._web.answering(request.protocol), self._streams.open(_client_id(request)) as stream:
                response = web.StreamResponse(headers={**shared, "Content-Type": "text/event-stream"} | _PRIVATE)
                await response.prepare(request)
                with contextlib.suppress(ConnectionError):
                    while (frame := await stream.frames.get()) is not None:
                        await response.write(frame)
                return response
        except MmError as refused:
            return _response(Reply(refused.status, legacy_failure(refused.text)), shared)
        except IdInUse:
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR, text="ID already in use", headers=shared)
        except TooManyStreams:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text="Too many event streams", headers=shared)


class _BoundedServer(web.Server):
    """Lets go of a connection when there is one too many, so that silent ones never keep the owner's out."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._answering: set[RequestHandler] = set()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) <= MAX_CONNECTIONS:
            return
        # Oldest first. What was aborted in this turn of the loop still stands among them.
        silent = (each for each in self.connections if each not in self._answering and _is_open(each))
        surplus = next(silent, handler).transport
        if surplus is not None:
            surplus.abort()

    @contextlib.contextmanager
    def answering(self, handler: RequestHandler) -> Iterator[None]:
        """Meanwhile this connection is kept: what it sent was a whole request."""
        self._answering.add(handler)
        try:
            yield
        finally:
            self._answering.discard(handler)


def _is_open(handler: RequestHandler) -> bool:
    return handler.transport is not None and not handler.transport.is_closing()


_TOO_LONG = f"A body has at most {MAX_BODY_BYTES} bytes, and comes within {BODY_TIMEOUT_S:g} s"
_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, GET, OPTIONS",
    "Access-Control-Allow-Headers": f"Content-Type, {USERPASS_HEADER}",
}


def _response(reply: Reply, shared: Mapping[str, str] | None = None) -> web.Response:
    headers = dict(shared or {}) | _PRIVATE
    return web.Response(status=reply.status, body=dump(reply.body), content_type="application/json", headers=headers)


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """None when it is too long; then the rest was not read."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    while piece := await request.content.readany():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _client(request: web.BaseRequest) -> str:
    """Whose attempts are counted: all of 127.0.0.0/8 is one computer, and any of its users may send from all of it."""
    address = request.remote or ""
    return "127.0.0.1" if address.startswith("127.") else address


def _client_id(request: web.BaseRequest) -> int:
    """As upstream: what is no unsigned integer is 0."""
    text = request.query.get("id", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _read_password(settings: Settings) -> RpcPassword:
    path = settings.rpc_password_file
    if path is None:
        raise _refuse(settings, "mmrpc", "it needs --rpc-password-file")
    try:
        password = read_passphrase_file(path).to_bytes()
    except PassphraseFileUnsafe as error:
        raise _refuse(settings, "rpc-password-file", error.reason) from None
    fault = password_fault(password.decode())
    if fault is not None:
        raise _refuse(settings, "rpc-password-file", f"the password in it is too weak: {fault}")
    return RpcPassword(password)


def _refuse(settings: Settings, name: str, reason: str) -> SettingInvalid:
    return SettingInvalid(name=name, value=str(settings.value(name)), reason=reason, origin=settings.origin(name))
