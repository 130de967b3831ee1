"""Deadlines on the injected clock: one sleeping task for all of them, none while there are none."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Callable

from core.base.clock import Clock


class Deadline:
    """Something to do at a moment, unless cancelled before."""

    __slots__ = ("action", "at")

    def __init__(self, at: float, action: Callable[[], None]) -> None:
        self.at = at
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Do nothing then, and let go of what the action holds."""
        self.action = None


class Deadlines:
    """Keeps deadlines in order and sleeps until the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Deadline]] = []
        self._order = itertools.count()
        self._sleeper: asyncio.Task[None] | None = None
        self._wakes_at = 0.0

    def after(self, seconds: float, action: Callable[[], None]) -> Deadline:
        """Call `action` in the loop after so many seconds of the clock."""
        deadline = Deadline(self._clock.monotonic() + seconds, action)
        heapq.heappush(self._heap, (deadline.at, next(self._order), deadline))
        if self._sleeper is None:
            self._sleeper = asyncio.create_task(self._run(), name="peer deadlines")
        elif deadline.at < self._wakes_at:
            self._sleeper.cancel()
            self._sleeper = asyncio.create_task(self._run(), name="peer deadlines")
        return deadline

    async def aclose(self) -> None:
        """Forget them all."""
        self._heap.clear()
        if self._sleeper is not None:
            self._sleeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sleeper
            self._sleeper = None

    async def _run(self) -> None:
        heap = self._heap
        while heap:
            at, _, deadline = heap[0]
            if deadline.action is None:
                heapq.heappop(heap)
                continue
            self._wakes_at = at
            wait_s = at - self._clock.monotonic()
            if wait_s > 0:
                await self._clock.sleep(wait_s)
                continue
            heapq.heappop(heap)
            action, deadline.action = deadline.action, None
            try:
                action()
            except Exception as error:  # noqa: BLE001 - one fault must not stop the others' deadlines
                asyncio.get_running_loop().call_exception_handler({"message": "deadline failed", "exception": error})
        self._sleeper = None
