"""The statuses of activation, and how the code of a step tells how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self

from core.base.clock import Clock
from core.base.events import StepChanged, StepState

PROGRESS_INTERVAL_S = 0.1
"""Progress within this time of the last told one is noted and not told."""


class ActivationStep(StrEnum):
    """The eight statuses of `task::enable_lightning`, in order."""

    ACTIVATING_COIN = "ActivatingCoin"
    GETTING_FEES = "GettingFeesFromRPC"
    READING_GRAPH = "ReadingNetworkGraphFromFile"
    CHANNEL_MANAGER = "InitializingChannelManager"
    PEER_MANAGER = "InitializingPeerManager"
    READING_SCORER = "ReadingScorerFromFile"
    BACKGROUND = "InitializingBackgroundProcessor"
    READING_ADDRESSES = "ReadingChannelsAddressesFromFile"


PLATFORM_COIN = "PlatformCoin"
"""What the window and a headless start do before the eight; over HTTP it has calls of its own."""
OWN_START = (PLATFORM_COIN, *ActivationStep)
"""The statuses of an activation that the node begins by itself, in order."""


class Step:
    """A running step, as a context manager: how its block ends is how the step ends."""

    def __init__(self, row: StepChanged, clock: Clock, publish: Callable[[StepChanged], None]) -> None:
        self._row = row
        self._clock = clock
        self._publish = publish
        self._began = 0.0
        self._told = 0.0

    def say(self, detail: str) -> None:
        """Give the plain fact that stands beneath the row when the step ends."""
        self._row = replace(self._row, detail=detail)

    def progress(self, done: int, total: int) -> None:
        """Tell how far it is; only what is really known."""
        self._row = replace(self._row, done=done, total=total)
        now = self._clock.monotonic()
        if done == total or now - self._told >= PROGRESS_INTERVAL_S:
            self._told = now
            self._publish(self._row)

    def __enter__(self) -> Self:
        self._began = self._clock.monotonic()
        self._told = self._began
        self._row = replace(self._row, state=StepState.RUNNING)
        self._publish(self._row)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        duration_s = self._clock.monotonic() - self._began
        if error is None:
            row = replace(self._row, state=StepState.DONE, duration_s=duration_s)
        elif isinstance(error, asyncio.CancelledError):
            row = replace(self._row, state=StepState.CANCELLED, duration_s=duration_s)
        else:
            row = replace(self._row, state=StepState.FAILED, duration_s=duration_s, error=error)
        self._publish(row)


class StepReporter(Protocol):
    """Whom the steps report to."""

    def step(self, status: str) -> Step:
        """Begin a step: `with report.step(...) as step:`."""
