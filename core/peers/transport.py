"""The socket's end of a peer: bytes to messages and back, within the loop's budget, with back-pressure both ways."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from operator import length_hint
from typing import Protocol, cast

from core.base.clock import Clock
from core.bolt.noise import SEALING_BYTES, NoiseConnection, NoiseError
from core.bolt.wire import MAX_MESSAGE_BYTES, OutOfRange
from core.peers.budget import LoopBudget
from core.peers.limits import READ_BYTES, Limits
from core.peers.throttle import Throttle

_IN_LINE = 1
"""Not reading: the turn's budget is spent and what was read waits for its turn."""
_PEER_SLOW = 2
"""Not reading: the peer does not read what we send, so it shall not make us send more."""

_HELD = 4
"""Not reading: somebody above still looks at the last message."""

_SPENT = 8
"""Not reading: the peer has brought in more than one peer may, and waits until its budget is full enough again."""

_GOSSIP_FULL = 16
"""Not reading: what the peer told of the network is still to be verified."""

_LATER = _HELD | _SPENT | _GOSSIP_FULL
"""Not reading for reasons that end by themselves."""

FLUSH_BYTES = 64 * 1024
"""Sealed bytes that are written at once instead of with what else this turn brings."""
_OPEN_AT = 32
"""Messages that are decrypted together: it costs less, and the budget, asked after each that is handed over, learns of
their decryption at most a twentieth of a millisecond late."""
_SEAL_AT = 64
"""Messages that are sealed together. Sealing them one by one costs more; more of them would be work that the budget
learns of too late."""
_SEAL_FROM_BYTES = 1024
"""A longer message waits for no other: so what waits is never more than is written at once."""


class TransportOwner(Protocol):
    """Who is told what the socket brings; called in the loop, in order, never after `lost`."""

    def opened(self) -> None:
        """The TCP connection stands; the handshake has begun."""

    def authenticated(self) -> None:
        """The handshake is complete: who the peer is stands in the noise connection, and messages may be sent."""

    def received(self, message: bytes) -> None:
        """One message, its two type bytes included; may be shorter than two bytes."""

    def noise_failed(self, error: NoiseError) -> None:
        """The peer's bytes break BOLT 8; nothing more is read."""

    def crashed(self, error: Exception) -> None:
        """`received` raised what it should not."""

    def not_reading(self) -> None:
        """More is unsent than may be: the peer does not read."""

    def lost(self, error: BaseException | None) -> None:
        """The socket is closed; None when the peer closed it in order or we did."""


class Transport(asyncio.BufferedProtocol):
    """One connection's bytes.

    What is sent within one turn of the loop leaves in one write, in order; a header never leaves without its body.
    """

    __slots__ = (
        "_budget",
        "_clock",
        "_closing",
        "_delivering",
        "_eof",
        "_flush_handle",
        "_held",
        "_limits",
        "_loop",
        "_may_send",
        "_more_is_there",
        "_opened",
        "_out",
        "_out_bytes",
        "_owner",
        "_paid_for",
        "_pauses",
        "_sealed",
        "_socket",
        "_throttle",
        "_waiting",
        "_writable",
        "bytes_in",
        "bytes_out",
        "last_message_at",
        "messages_in",
        "noise",
    )

    def __init__(
        self,
        noise: NoiseConnection,
        owner: TransportOwner,
        budget: LoopBudget,
        limits: Limits,
        clock: Clock,
        throttle: Throttle | None = None,
    ) -> None:
        """Without a throttle the peer may bring in as much as the loop's budget lets it."""
        self.noise = noise
        self.last_message_at = 0.0
        """Monotonic time at which messages were last handed over; 0 before the first."""
        self._clock = clock
        self.bytes_in = self.bytes_out = self.messages_in = 0
        self._owner = owner
        self._budget = budget
        self._limits = limits
        self._throttle = throttle
        self._paid_for = 0
        self._loop: asyncio.AbstractEventLoop
        """There from the moment the connection stands."""
        self._socket: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._sealed = 0
        """How many messages were sealed."""
        self._opened: Iterator[bytes] = iter(())
        """Decrypted and not yet handed over."""
        self._out: list[bytes | bytearray] = []
        self._out_bytes = 0
        self._flush_handle: asyncio.Handle | None = None
        self._held = b""
        self._pauses = 0
        self._writable: asyncio.Future[None] | None = None
        self._delivering = self._closing = self._eof = False
        self._may_send = False
        """The handshake is complete and nobody has closed."""
        self._more_is_there = False
        """The last read was full, so the next may be a large one: a peer that sends little never holds much memory."""

    # -- what the session uses

    @property
    def messages_out(self) -> int:
        """How many were sent."""
        return self._sealed + len(self._waiting)

    @property
    def unsent_bytes(self) -> int:
        """Sent and not yet taken by the operating system."""
        waiting = sum(map(len, self._waiting)) + SEALING_BYTES * len(self._waiting)
        return waiting + self._out_bytes + (self._socket.get_write_buffer_size() if self._socket else 0)

    @property
    def peer_is_slow(self) -> bool:
        """Unsent bytes are above the high water: who can wait with sending should await `writable`."""
        return bool(self._pauses & _PEER_SLOW)

    async def writable(self) -> None:
        """Wait until unsent bytes are below the low water, or the connection has ended."""
        if self.peer_is_slow:
            if self._writable is None:
                self._writable = self._loop.create_future()
            await asyncio.shield(self._writable)

    def peer_name(self) -> object:
        """What the socket says of the other end; None when it has no name."""
        return self._socket.get_extra_info("peername") if self._socket else None

    def send(self, message: bytes) -> None:
        """Seal a message and send it within this turn; without effect before the handshake is complete and
        once closing. OutOfRange when it is too long."""
        if not self._may_send:
            return
        size = len(message)
        if size > MAX_MESSAGE_BYTES:
            raise OutOfRange(f"a message has at most {MAX_MESSAGE_BYTES} bytes, not {size}")
        waiting = self._waiting
        waiting.append(message)
        count = len(waiting)
        if count == 1 and self._flush_handle is None and not self._delivering:
            self._flush_handle = self._loop.call_soon(self._flush)
        if count >= _SEAL_AT or size > _SEAL_FROM_BYTES:
            self._seal()
            if self._out_bytes >= FLUSH_BYTES:
                self._flush()

    def hold(self) -> None:
        """Hand over no further message until `release`."""
        if not self._closing:
            self._pause(_HELD)

    def release(self) -> None:
        """Go on with what was read before `hold` and has come since."""
        self._go_on(_HELD)

    def hold_for_gossip(self, held: bool) -> None:
        """The same as `hold` and `release` for another reason: the one does not end the other."""
        if not held:
            self._go_on(_GOSSIP_FULL)
        elif not self._closing:
            self._pause(_GOSSIP_FULL)

    def close(self) -> None:
        """Send what is queued, then say goodbye; what still comes is read and thrown away until the peer closes too.

        A plain close with unread bytes would reset the connection, and the peer might never see our last message. The
        owner bounds the wait with `abort`.
        """
        if self._closing:
            return
        self._flush()
        self._end_sending()
        self._leave_line()
        self._end_throttle()
        if self._socket is None:
            return
        if self._eof:
            self._socket.close()
            return
        self._pauses = 0
        self._socket.resume_reading()
        if not self._socket.is_closing():
            try:
                self._socket.write_eof()
            except OSError:  # the peer reset it meanwhile: nobody is left to say goodbye to
                self._socket.abort()

    def abort(self) -> None:
        """Close at once; what is queued is lost."""
        self._end_sending()
        self._leave_line()
        self._end_throttle()
        if self._socket is not None:
            self._socket.abort()

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = cast(asyncio.Transport, transport)
        if self._closing:
            self._socket.abort()
            return
        self._socket.set_write_buffer_limits(self._limits.write_high_bytes, self._limits.write_low_bytes)
        act_one = self.noise.start()
        if act_one:
            self._write(act_one)
        self._owner.opened()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._budget.buffer(self.noise, flood=self._more_is_there)

    def buffer_updated(self, nbytes: int) -> None:
        self.bytes_in += nbytes
        if self._closing:
            return
        throttle = self._throttle
        if throttle is not None:
            self._pay(nbytes, throttle)
        self._more_is_there = nbytes >= READ_BYTES and self.noise.handshake_complete
        if throttle is not None and self._more_is_there:
            self._more_is_there = throttle.is_ample
        data = self._budget.read_buffer[:nbytes]
        may_work = self._budget.begin()
        if not self.noise.handshake_complete:
            if not may_work:
                # Acts cost a tenth of a millisecond and more each: they wait in line like messages.
                self._held += data
                self._stand_in_line()
                return
            self._shake_hands(data)
        else:
            self.noise.feed(data)
        if self._pauses:
            return  # over its throttle, or a loop that read more than we asked for (Windows): its turn comes
        if not may_work or self._deliver():
            self._stand_in_line()

    def eof_received(self) -> bool:
        """Stay half open while messages that came before the end still wait for their turn."""
        self._eof = True
        return bool(self._pauses & (_IN_LINE | _LATER)) and not self._closing

    def pause_writing(self) -> None:
        self._pause(_PEER_SLOW)

    def resume_writing(self) -> None:
        self._release_writers()
        if not self._pauses & _PEER_SLOW:
            return
        if not self._pauses & _IN_LINE and self._has_message:
            self._stand_in_line()
        self._resume(_PEER_SLOW)

    def connection_lost(self, error: BaseException | None) -> None:
        self._leave_line()
        self._end_throttle()
        if not self._closing and self._has_message:
            # Bounded by one read and one message: what the peer said last is worth hearing.
            self._pauses = 0
            self._socket = None
            self._deliver(to_the_end=True)
        self._end_sending()
        self._socket = None
        self._release_writers()
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        self._owner.lost(error)

    # -- what the budget calls

    def drain(self) -> bool:
        """Our turn in the line (`budget.Drain`)."""
        self._pauses &= ~_IN_LINE
        if self._held:
            held, self._held = self._held, b""
            self._shake_hands(held)
        if self._deliver():
            self._pauses |= _IN_LINE
            return True
        if self._eof:
            if self._socket is not None and not self._pauses & _LATER:
                self._socket.close()
        else:
            self._pauses |= _IN_LINE
            self._resume(_IN_LINE)
        return False

    # -- inside

    @property
    def _has_message(self) -> bool:
        """Whether handing over could get further."""
        return length_hint(self._opened) > 0 or self.noise.has_message

    def _end_sending(self) -> None:
        self._closing, self._may_send = True, False

    def _shake_hands(self, data: bytes | memoryview) -> None:
        try:
            answer = self.noise.feed(data)
        except NoiseError as error:
            self._owner.noise_failed(error)
            return
        if answer:
            self._out.append(answer)
        if self.noise.handshake_complete:
            # Act three and our init leave in one write.
            self._may_send = not self._closing
            self._owner.authenticated()
        self._flush()

    def _deliver(self, *, to_the_end: bool = False) -> bool:
        """Hand over messages until none is whole or the budget is spent; True in the latter case, when more is left."""
        received, now, ends = self._owner.received, self._budget.monotonic, self._budget.ends
        if to_the_end:
            ends = math.inf
        taken = length_hint(self._opened)
        stopped = self._pauses or self._closing
        self._delivering = True
        try:
            while not stopped:
                for message in self._opened:
                    received(message)
                    if self._pauses or self._closing:
                        return False
                    if now() >= ends:
                        return self._has_message
                opened = self.noise.open_some(_OPEN_AT)
                if not opened:
                    return False
                taken += len(opened)
                self._opened = iter(opened)
        except NoiseError as error:
            self._owner.noise_failed(error)
        except Exception as error:  # noqa: BLE001 - a fault in a handler ends this peer, never the loop
            self._owner.crashed(error)
        finally:
            self._delivering = False
            count = taken - length_hint(self._opened)
            self.messages_in += count
            if count:
                self.last_message_at = self._clock.monotonic()
            if self._waiting or self._out:
                self._flush()
        return False

    def _write(self, data: bytes | bytearray) -> None:
        link = self._socket
        if link is None or self._closing or link.is_closing():
            return
        link.write(data)
        self.bytes_out += len(data)
        if self.peer_is_slow and link.get_write_buffer_size() > self._limits.write_max_bytes:
            self._owner.not_reading()

    def _flush(self) -> None:
        """Write what was sealed since the last time, in one piece."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        if self._waiting:
            self._seal()
        out = self._out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._out_bytes = 0
        self._write(data)

    def _seal(self) -> None:
        """Seal what waits; nothing is sealed before its place among what is written is certain."""
        pieces = self.noise.seal_all(self._waiting)
        self._out += pieces
        self._out_bytes += sum(map(len, pieces))
        self._sealed += len(self._waiting)
        self._waiting.clear()

    def _pay(self, size: int, throttle: Throttle) -> None:
        """For a read of so many bytes, and for the messages handed over since the last one."""
        count = self.messages_in - self._paid_for
        self._paid_for = self.messages_in
        if throttle.spent(size, count, self._refilled):
            self._pause(_SPENT)

    def _refilled(self) -> None:
        self._go_on(_SPENT)

    def _end_throttle(self) -> None:
        if self._throttle is not None:
            self._throttle.end()

    def _go_on(self, why: int) -> None:
        """The reason for a pause is gone: what was read before it and has come since takes its turn."""
        if self._closing or not self._pauses & why:
            return
        if not self._pauses & _IN_LINE and self._has_message:
            self._stand_in_line()
        self._resume(why)
        if self._eof and not self._pauses and self._socket is not None:
            self._socket.close()

    def _stand_in_line(self) -> None:
        if not self._pauses & _IN_LINE and not self._closing:
            self._pause(_IN_LINE)
            self._budget.wait(self)

    def _leave_line(self) -> None:
        if self._pauses & _IN_LINE:
            self._budget.leave(self)

    def _pause(self, why: int) -> None:
        if not self._pauses and self._socket is not None and not self._eof:
            self._socket.pause_reading()
        self._pauses |= why

    def _resume(self, why: int) -> None:
        before, self._pauses = self._pauses, self._pauses & ~why
        if before and not self._pauses and self._socket is not None and not self._eof:
            self._socket.resume_reading()

    def _release_writers(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None
