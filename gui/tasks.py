"""Coroutines that a window has started: owned, so that none is lost, none outlives it and no error goes unseen.

A Qt slot cannot await. It calls `start`, returns at once, and hears the outcome in a callback:

    self._tasks.start(node.peers.connect(node_id), done=self._show_peer, failed=self._show_error)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class TasksClosed(RuntimeError):
    """`start` after `aclose`: whoever owns the tasks is going away."""


class WindowTasks:
    """The tasks of one window or view.

    A callback comes in the loop's next turn after the end, and never once the owner is closing: what it would touch
    may be gone by then. A cancelled task calls neither. An error without `failed`, and one raised by a callback, goes
    to the loop's exception handler.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(
        self,
        coroutine: Coroutine[Any, Any, T],
        *,
        done: Callable[[T], object] | None = None,
        failed: Callable[[Exception], object] | None = None,
        name: str | None = None,
    ) -> asyncio.Task[T]:
        """Run `coroutine` now. The task may be cancelled; awaiting it is for other coroutines, not for slots.

        Raises `TasksClosed` after `aclose` has begun.
        """
        if self._closing:
            coroutine.close()
            raise TasksClosed(name or repr(coroutine))
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, done, failed))
        return task

    def cancel_all(self) -> None:
        """Ask every task to stop, without waiting; new ones may be started."""
        for task in tuple(self._tasks):
            task.cancel()

    async def aclose(self) -> None:
        """Cancel everything and wait until it has ended. No callback comes from now on."""
        self._closing = True
        current = asyncio.current_task()
        while others := [task for task in self._tasks if task is not current]:
            for task in others:
                task.cancel()
            await asyncio.wait(others)

    def _ended(
        self,
        task: asyncio.Task[T],
        done: Callable[[T], object] | None,
        failed: Callable[[Exception], object] | None,
    ) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            if failed is None or self._closing:
                self._report(task, error)
            else:
                failed(error)
        elif error is None and done is not None and not self._closing:
            done(task.result())

    def _report(self, task: asyncio.Task[Any], error: Exception) -> None:
        task.get_loop().call_exception_handler(
            {"message": f"{task.get_name()} failed", "exception": error, "task": task}
        )
