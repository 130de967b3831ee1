"""One daemon thread for calls that block: a keyring's prompt, scrypt, an import that takes long.

A pool would do harm here: two prompts at once wedge gnome-keyring, and a pool's threads are waited for at exit, however
long a person leaves a prompt open.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self, TypeVar

T = TypeVar("T")
STOP_WAIT_S = 1.0


class Worker:
    """Runs jobs one after another, in the order they were given, on a thread that is started by the first."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._ended: Future[None] | None = None
        self._closed = False

    async def run(self, job: Callable[[], T]) -> T:
        """The job's result, or what it raised.

        A job whose caller was cancelled is skipped if it has not begun; if it has, it runs to its end and the answer
        is discarded. A job should give secrets as `Secret`, never as text, since asyncio shows results in its logs.
        RuntimeError once closed.
        """
        if self._closed:
            raise RuntimeError(f"worker {self._name} is closed")
        future: Future[T] = Future()
        self._jobs.put((future, job))
        if self._ended is None:
            self._ended = Future()
            self._ended.set_running_or_notify_cancel()  # so that no impatient waiter can cancel it
            threading.Thread(target=self._serve, args=(self._ended,), name=self._name, daemon=True).start()
        return await asyncio.wrap_future(future)

    def _serve(self, ended: Future[None]) -> None:
        while (entry := self._jobs.get()) is not None:
            _work(*entry)
            del entry  # nothing that the job closed over stays alive while waiting for the next
        ended.set_result(None)

    async def aclose(self, timeout_s: float = STOP_WAIT_S) -> bool:
        """Give up what has not begun and wait for the thread; False when it is still held by its job.

        It is a daemon, so then it ends with the process.
        """
        self._closed = True
        # Without waiting: the thread takes jobs too, and may have had the last one.
        with contextlib.suppress(queue.Empty):
            while True:
                if (entry := self._jobs.get_nowait()) is not None:
                    entry[0].cancel()
        if self._ended is None:
            return True
        self._jobs.put(None)
        waiter = asyncio.wrap_future(self._ended)
        await asyncio.wait({waiter}, timeout=timeout_s)
        done = waiter.done()
        waiter.cancel()
        return done

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()


def _work(future: Future[Any], job: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = job()
    except BaseException as error:  # noqa: BLE001 - handed to who waits for it
        future.set_exception(error)
    else:
        future.set_result(result)
