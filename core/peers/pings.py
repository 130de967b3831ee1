"""Pings of ours that wait for their pong: the watch's own and one asked for, never mixed up."""

from __future__ import annotations

import asyncio

from core.base.clock import Clock


class Pings:
    """Per session; knows nothing of the socket."""

    __slots__ = ("_asked", "_asked_at", "_asked_bytes", "_clock", "_probe_at", "latency_s")

    PROBE_PONG_BYTES = 1
    """What the watch asks for, as CLN does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._probe_at: float | None = None
        self._asked: asyncio.Future[int] | None = None
        self._asked_bytes = 0
        self._asked_at = 0.0
        self.latency_s: float | None = None
        """Of the last ping that was answered."""

    @property
    def probe_unanswered(self) -> bool:
        """The watch's last ping still waits."""
        return self._probe_at is not None

    @property
    def asked_pending(self) -> bool:
        """Somebody waits for an asked-for ping."""
        return self._asked is not None

    def probe_sent(self) -> None:
        """The watch has sent its ping."""
        self._probe_at = self._clock.monotonic()

    def asked_sent(self, pong_bytes: int) -> asyncio.Future[int]:
        """An asked-for ping was sent; the future gives the length of its pong's content. Cancelling it is enough."""
        self._asked = asyncio.get_running_loop().create_future()
        self._asked_bytes = pong_bytes
        self._asked_at = self._clock.monotonic()
        self._asked.add_done_callback(self._forget_asked)
        return self._asked

    def answered(self, length: int) -> float | None:
        """A pong came; the seconds that it took. None when its length fits no ping of ours: it is ignored (CLN)."""
        if self._asked is not None and length == self._asked_bytes and not self._asked.done():
            self.latency_s = self._clock.monotonic() - self._asked_at
            self._asked.set_result(length)
            self._asked = None
            return self.latency_s
        if self._probe_at is not None and length == self.PROBE_PONG_BYTES:
            self.latency_s = self._clock.monotonic() - self._probe_at
            self._probe_at = None
            return self.latency_s
        return None

    def end(self, error: BaseException) -> None:
        """The session is over; whoever waits is told `error`."""
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(error)

    def _forget_asked(self, future: asyncio.Future[int]) -> None:
        if self._asked is future:
            self._asked = None
