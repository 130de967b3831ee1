"""One budget of time a turn of the loop, shared by everything that works through peers' bytes.

Qt serves every ready socket before it paints or fires a timer, so a bound on each reader is no bound on their sum. Here
all of them draw on the same few milliseconds. Who runs out stops between two messages, keeps its bytes, stops reading
its socket and waits in line; the line moves on in the next turn, which one `call_soon` begins. In Leyden's loop that is
a timer of zero length, so Qt has painted in between.

A turn lasts from the first work after a `call_soon` to the next one. Nothing is scheduled while nothing happens.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from core.bolt.noise import NoiseConnection
from core.peers.limits import FLOODS, READ_BYTES, READ_MORE_BYTES, READ_MOST_BYTES, TURN_S


class Drain(Protocol):
    """Work that can be left between two steps and taken up again."""

    def drain(self) -> bool:
        """Do at least one step, stop when `LoopBudget.spent()`; True when that is why it stopped and more is left."""


class LoopBudget:
    """The turn's budget and the line of those who wait for the next."""

    __slots__ = ("_handle", "_larger", "_line", "_small", "_turn_s", "ends", "monotonic", "read_buffer")

    def __init__(self, *, turn_s: float = TURN_S, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._turn_s = turn_s
        self.monotonic = monotonic
        """The clock of `ends`."""
        self._line: deque[Drain] = deque()
        self._handle: asyncio.Handle | None = None
        self.ends = 0.0
        """When this turn's time is used up; stays while work goes on without giving the loop back."""
        self.read_buffer = memoryview(bytearray(READ_MOST_BYTES))
        """What every transport reads into: the loop fills it and hands it over in one step, so one serves all."""
        self._small, self._larger = self.read_buffer[:READ_BYTES], self.read_buffer[:READ_MORE_BYTES]

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    def buffer(self, noise: NoiseConnection, *, flood: bool) -> memoryview:
        """The beginning of `read_buffer`, as much of it as one read may fill.

        `flood` when the last read was full and more of it is welcome.
        """
        if flood and len(self._line) < FLOODS:
            return self.read_buffer if noise.under_way > READ_BYTES else self._larger
        return self._larger if noise.missing > READ_BYTES else self._small

    def begin(self) -> bool:
        """Called by who has something to do; starts a turn when none runs. False when this turn is spent already."""
        if self._handle is None:
            self._start_turn()
            return True
        return self.monotonic() < self.ends

    def spent(self) -> bool:
        """Whether this turn's time is used up; asked between messages."""
        return self.monotonic() >= self.ends

    def wait(self, drain: Drain) -> None:
        """Stand in line for the next turn; `drain.drain()` is called when it comes. Once only until then."""
        self._line.append(drain)
        if self._handle is None:
            self._start_turn()

    def leave(self, drain: Drain) -> None:
        """Stand in line no more; nothing happens when it did not."""
        if drain in self._line:
            self._line.remove(drain)

    def close(self) -> None:
        """Forget the line and the turn; for the end of the node."""
        self._line.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _start_turn(self) -> None:
        self.ends = self.monotonic() + self._turn_s
        self._handle = asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._handle = None
        if not self._line:
            return
        self._start_turn()
        # Whoever is put in line from here on waits for the turn after this one.
        for _ in range(len(self._line)):
            if not self._line:
                return
            drain = self._line.popleft()
            if drain.drain():
                self._line.append(drain)
            if self.spent():
                return
