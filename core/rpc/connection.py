"""One client of the socket: its requests in, its replies and notifications out, in bounded room."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from core.base.errors import LeydenError
from core.rpc.commands.base import Json
from core.rpc.dispatch import Dispatcher
from core.rpc.errors import INTERNAL_ERROR, INVALID_REQUEST, RpcError, to_rpc_error
from core.rpc.framing import Malformed, RequestSplitter, encode_about, encode_error, encode_result
from core.rpc.listing import Rows
from core.rpc.requests import NO_ID, Refused, read_request
from core.rpc.tokens import Token

logger = logging.getLogger(__name__)

REQUESTS_A_TURN = 16
"""A client that sends thousands at once must not hold the loop; the rest waits for the next turn."""
PENDING_REQUESTS = 100
"""Requests of one client that may wait for their result at the same time; then it is not read until one is done."""
QUIET_S = 0.05
"""Notifications wait this long and go out together, and never while a request is under way: pyln-client takes whatever
comes first for the reply, so nothing may come between its `notifications` and the reply to its next request."""
PIECES_A_TURN = 4
"""Of a long reply, each some 60 KB: what a client takes at once at most."""
STALL_S = 60.0
"""A client that takes nothing of its replies for so long is dropped: it holds its place and what waits for it."""
_PYLN = '+notify-enable"'
"""How pyln-client ends the id of its `notifications`. Of what comes before a reply it knows `message` alone, and takes
a `progress` for the reply."""
HELD_NOTIFICATION_BYTES = 1 << 20
"""Notifications that wait for a client; beyond this the oldest are dropped."""


class Connection(asyncio.Protocol):
    """Replies come as each command ends; a command starts in the order in which its request came."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        spawn: Callable[[Awaitable[None]], None],
        gone: Callable[[Connection], None],
    ) -> None:
        """`spawn` owns what must be awaited, beyond the life of this connection; `gone` is told of its end."""
        self._dispatcher = dispatcher
        self._spawn = spawn
        self._gone = gone
        self._splitter = RequestSplitter()
        self._transport: asyncio.Transport | None = None
        self._pending = 0
        self._writable = True
        self._reading = True
        self._finished = False
        """No request will be read any more; the connection ends with its last reply."""
        self._turn: asyncio.Handle | None = None
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._flush_timer: asyncio.TimerHandle | None = None
        self._notified_by: str | None = None
        """The id of the request that asked for notifications; None when there is none in force."""
        self._dropped = 0
        self._stall_timer: asyncio.TimerHandle | None = None
        self._unsent: deque[bytes] = deque()
        """A long reply, and what must come behind it."""
        self._pump_turn: asyncio.Handle | None = None
        self._listing = asyncio.Lock()
        """Held while a long list is made: one at a time."""

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._finished:
            self._splitter.feed(data)
            self._work()

    def eof_received(self) -> bool:
        """The client sends no more; what it asked for is still answered.

        We only read when everything read before is taken, so no request is left behind.
        """
        self._finished = True
        return self._pending > 0 or bool(self._unsent)

    def pause_writing(self) -> None:
        """The client does not read its replies: take no further request of it."""
        self._writable = False
        self._stall_timer = asyncio.get_running_loop().call_later(STALL_S, self._stalled)
        self._adjust_reading()

    def resume_writing(self) -> None:
        self._writable = True
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        self._pump_soon()  # not now: the transport does not bear being closed in here
        self._next_turn()
        self._flush_later()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._finished = True
        self._unsent.clear()
        for timer in (self._turn, self._flush_timer, self._stall_timer, self._pump_turn):
            if timer is not None:
                timer.cancel()
        self._gone(self)

    def _stalled(self) -> None:
        logger.warning("an RPC client is dropped: it has taken nothing of its replies for %.0f s", STALL_S)
        self.abort()

    # -- requests

    def _work(self) -> None:
        """Take what has come, a bounded number a turn."""
        for _ in range(REQUESTS_A_TURN):
            if not self._can_take() or not self._take():
                self._adjust_reading()
                return
        self._next_turn()

    def _can_take(self) -> bool:
        return self._writable and self._pending < PENDING_REQUESTS and not self._finished

    def _next_turn(self) -> None:
        if self._turn is None and self._transport is not None:
            self._turn = asyncio.get_running_loop().call_soon(self._begin_turn)
        self._adjust_reading()

    def _begin_turn(self) -> None:
        self._turn = None
        self._work()
        self._flush_later()

    def _adjust_reading(self) -> None:
        """Read exactly while there is nothing left to do with what was read."""
        wanted = self._turn is None and self._can_take()
        if self._transport is not None and wanted is not self._reading and not self._transport.is_closing():
            self._reading = wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    def _take(self) -> bool:
        """Begin the next request; False when none is whole."""
        try:
            members = self._splitter.next()
        except Malformed as error:
            self._write(encode_error(NO_ID, INVALID_REQUEST, str(error)))
            self.finish()
            return False
        if members is None:
            return False
        self._begin(members)
        return True

    def _begin(self, members: list[tuple[Token, Token]]) -> None:
        try:
            request = read_request(members)
        except Refused as refused:
            self._write(_error_reply(refused.id, refused.error))
            return
        try:
            result = self._dispatcher.run(request, self)
            if inspect.isawaitable(result) or isinstance(result, Rows):
                self._pending += 1
                self._spawn(self._answer(request.id, result))
                return
            reply = encode_result(request.id, result)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the client gets an answer
            reply = _error_reply(request.id, error)
        self._write(reply)

    async def _answer(self, request_id: str, result: Awaitable[Json] | Rows) -> None:
        reply: list[bytes] = []
        try:
            if isinstance(result, Rows):
                async with self._listing:
                    reply = await result.encoded(request_id)
            else:
                reply = [encode_result(request_id, await result)]
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the client gets an answer
            reply = [_error_reply(request_id, error)]
        finally:
            self._answered(reply)

    def _answered(self, reply: list[bytes]) -> None:
        self._pending -= 1
        if len(reply) > 1:
            self._unsent.extend(reply)
            self._pump_soon()
        elif reply:
            self._write(reply[0])
        if self._finished:
            self.finish()
        else:
            self._next_turn()
            self._flush_later()

    def finish(self) -> None:
        """Read no more, and leave once nothing is owed."""
        self._finished = True
        self._adjust_reading()
        if self._pending == 0 and not self._unsent and self._transport is not None:
            self._transport.close()

    def _pump(self) -> None:
        """Hand on as much of a long reply as the client takes, in turns: the transport would copy all of it at once."""
        self._pump_turn = None
        if self._transport is None or self._transport.is_closing():
            self._unsent.clear()
            return
        for _ in range(PIECES_A_TURN):
            if self._unsent and self._writable:
                self._transport.write(self._unsent.popleft())
        if not self._unsent:
            if self._finished:
                self.finish()
        elif self._writable:
            self._pump_soon()

    def _pump_soon(self) -> None:
        if self._unsent and self._pump_turn is None:
            self._pump_turn = asyncio.get_running_loop().call_soon(self._pump)

    def _write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent.append(data)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # -- notifications

    @property
    def notifications(self) -> bool:
        """Whether the client asked to be told of what happens."""
        return self._notified_by is not None

    def enable_notifications(self, enable: bool, request_id: str) -> None:
        """As the client's request of that id asks."""
        self._notified_by = request_id if enable else None

    def tell_progress(self, request_id: str, number: int, total: int, words: str) -> None:
        """A request of the client that takes long has come to stage `number` of `total`; skipped while it reads not."""
        if self._notified_by is None or not self._writable:
            return
        if self._notified_by.endswith(_PYLN):
            self._write(encode_about(request_id, "message", {"level": "info", "message": words}))
        else:
            self._write(encode_about(request_id, "progress", {"num": number, "total": total}))

    def notify_activation(self, progress: Mapping[str, Any]) -> None:
        """How far activation is, as progress of the request that asked for notifications."""
        if self._notified_by is not None:
            self.notify(encode_about(self._notified_by, "progress", progress))

    def notify(self, notification: bytes) -> None:
        """Tell the client when it is convenient, if it asked to be told."""
        if not self.notifications or self._finished:
            return
        self._held.append(notification)
        self._held_bytes += len(notification)
        while self._held_bytes > HELD_NOTIFICATION_BYTES:
            self._held_bytes -= len(self._held.popleft())
            self._dropped += 1
        self._flush_later()

    def _flush_later(self) -> None:
        if self._held and self._flush_timer is None and self._transport is not None:
            self._flush_timer = asyncio.get_running_loop().call_later(QUIET_S, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        if self._pending or not self._writable or self._turn is not None:
            return  # whoever ends that calls _flush_later
        if self._dropped:
            logger.warning("a client was not told of %d events: it did not read in time", self._dropped)
        if self.notifications:
            self._write(b"".join(self._held))
        self._held.clear()
        self._held_bytes = self._dropped = 0

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


def _error_reply(request_id: str, error: Exception) -> bytes:
    if isinstance(error, LeydenError):
        error = to_rpc_error(error)
    if not isinstance(error, RpcError):
        # An error of ours: the crash handler gets it, the client no traceback.
        asyncio.get_running_loop().call_exception_handler({"message": "an RPC command failed", "exception": error})
        error = RpcError(INTERNAL_ERROR, f"Internal error: {type(error).__name__}")
    return encode_error(request_id, error.code, error.message, error.data)
