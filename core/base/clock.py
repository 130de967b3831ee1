"""Time, injected: whoever needs it is given a `Clock`, so that tests never wait for real time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Both clocks and the one way to wait."""

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and deadlines."""

    def time(self) -> float:
        """Seconds since the epoch, for what is stored or shown."""

    async def sleep(self, seconds: float) -> None:
        """Wait; `0` lets the loop turn once."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
