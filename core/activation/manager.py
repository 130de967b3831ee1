"""Tasks by number: start, look at, cancel, forget (the semantics of Komodo DeFi Framework's `rpc_task`)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from core.activation.errors import TaskFinished, TaskNotFound
from core.activation.steps import ActivationStep, Step
from core.base.clock import Clock
from core.base.events import EventBus, StepChanged, StepState, TaskChanged, TaskState

MAX_ENDED_TASKS = 64
"""Of tasks that nobody forgot; the oldest ended ones go first."""


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """A task at one moment."""

    task_id: int
    state: TaskState
    status: str
    """Name of the step that it is at, or ended in."""
    details: str
    """That step's plain fact, empty when there is none."""
    error: BaseException | None
    """Set exactly when the state is ERROR: the step's own."""
    result: object
    """What the task gave, when the state is OK."""


class TaskHandle:
    """What the code of a task gets: its number, and where its steps report to."""

    def __init__(self, task_id: int, statuses: Sequence[str], bus: EventBus, clock: Clock) -> None:
        self.task_id = task_id
        self.status = statuses[0]
        self.rows = {status: StepChanged(task_id, status, StepState.WAITING) for status in statuses}
        """The last word on each step, in order."""
        self._bus = bus
        self._clock = clock

    def step(self, status: str) -> Step:
        """Begin one of the steps that were announced at the start."""
        self.status = status
        return Step(self.rows[status], self._clock, self.publish)

    def publish(self, row: StepChanged) -> None:
        """Keep the row for those who come late, and tell the others."""
        self.rows[row.status] = row
        self._bus.publish(row)


@dataclass(slots=True)
class _Entry:
    handle: TaskHandle
    state: TaskState = TaskState.IN_PROGRESS
    cancelling: bool = False
    error: BaseException | None = None
    result: object = None
    task: asyncio.Task[object] | None = field(default=None)


class TaskManager:
    """All tasks of the process; their numbers begin at 0 and are not kept across restarts."""

    def __init__(self, bus: EventBus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._ids = itertools.count()
        self._entries: dict[int, _Entry] = {}

    def start(
        self,
        make: Callable[[TaskHandle], Awaitable[object]],
        statuses: Sequence[str] = tuple(ActivationStep),
    ) -> int:
        """Start what `make` gives; `statuses` are its steps in order, all shown as waiting from now on."""
        handle = TaskHandle(next(self._ids), statuses, self._bus, self._clock)
        entry = _Entry(handle)
        self._entries[handle.task_id] = entry
        self._bus.publish(TaskChanged(handle.task_id, TaskState.IN_PROGRESS, None, tuple(handle.rows)))
        for row in handle.rows.values():
            self._bus.publish(row)

        async def run() -> object:
            return await make(handle)

        entry.task = asyncio.create_task(run(), name=f"task {handle.task_id}")
        entry.task.add_done_callback(partial(self._ended, entry))
        return handle.task_id

    def status(self, task_id: int) -> TaskStatus:
        """Raises TaskNotFound, also for a task that was cancelled or is being cancelled."""
        entry = self._find(task_id)
        if entry.cancelling or entry.state is TaskState.CANCELLED:
            raise TaskNotFound(task_id=task_id)
        handle = entry.handle
        details = handle.rows[handle.status].detail
        return TaskStatus(task_id, entry.state, handle.status, details, entry.error, entry.result)

    def steps(self, task_id: int) -> tuple[StepChanged, ...]:
        """The last word on each step, in order; of cancelled tasks too. Raises TaskNotFound."""
        return tuple(self._find(task_id).handle.rows.values())

    def is_cancelling(self, task_id: int) -> bool:
        """Whether it was asked to stop and has not released everything yet; False for what is no task."""
        entry = self._entries.get(task_id)
        return entry is not None and entry.cancelling

    async def cancel(self, task_id: int) -> None:
        """Stop a task; returns once everything that it held is released. A second call waits with the first.

        Raises TaskNotFound, TaskFinished (it ended before the cancellation reached it; its result stands).
        """
        entry = self._find(task_id)
        if entry.state is TaskState.CANCELLED:
            raise TaskNotFound(task_id=task_id)
        if entry.state is not TaskState.IN_PROGRESS or entry.task is None:
            raise TaskFinished(task_id=task_id)
        if not entry.cancelling:
            entry.cancelling = True
            entry.task.cancel()
        await asyncio.wait([entry.task])
        if not entry.task.cancelled():
            raise TaskFinished(task_id=task_id)

    def forget(self, task_id: int) -> None:
        """Drop an ended task; a running one stays. Raises TaskNotFound."""
        if self._find(task_id).state is not TaskState.IN_PROGRESS:
            del self._entries[task_id]

    async def aclose(self) -> None:
        """Cancel what is running and wait until it has released everything."""
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None and not entry.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _find(self, task_id: int) -> _Entry:
        entry = self._entries.get(task_id)
        if entry is None:
            raise TaskNotFound(task_id=task_id)
        return entry

    def _ended(self, entry: _Entry, task: asyncio.Task[object]) -> None:
        entry.cancelling = False
        if task.cancelled():
            entry.state = TaskState.CANCELLED
        elif (error := task.exception()) is not None:
            entry.state, entry.error = TaskState.ERROR, error
        else:
            entry.state, entry.result = TaskState.OK, task.result()
        self._bus.publish(TaskChanged(entry.handle.task_id, entry.state, entry.error, tuple(entry.handle.rows)))
        ended = [number for number, entry in self._entries.items() if entry.state is not TaskState.IN_PROGRESS]
        for number in ended[:-MAX_ENDED_TASKS]:
            del self._entries[number]
