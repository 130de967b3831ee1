"""The one thread for what blocks."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any

import pytest

from core.wallet.worker import Worker


async def test_jobs_run_in_order_on_one_daemon_thread() -> None:
    seen: list[tuple[int, threading.Thread]] = []
    async with Worker("w") as worker:
        await asyncio.gather(*(worker.run(lambda n=n: seen.append((n, threading.current_thread()))) for n in range(9)))
    assert [number for number, _ in seen] == list(range(9))
    threads = {thread for _, thread in seen}
    assert len(threads) == 1
    assert threads.pop().daemon


async def test_no_thread_is_started_before_the_first_job() -> None:
    before = set(threading.enumerate())
    worker = Worker("w")
    assert set(threading.enumerate()) == before
    assert await worker.aclose()


async def test_what_a_job_raises_reaches_who_asked() -> None:
    async with Worker("w") as worker:
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0)
        assert await worker.run(lambda: 7) == 7


async def test_a_job_cancelled_before_it_began_never_runs() -> None:
    release, ran = threading.Event(), threading.Event()
    async with Worker("w") as worker:
        first = asyncio.ensure_future(worker.run(release.wait))
        second = asyncio.ensure_future(worker.run(ran.set))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second  # the job is given up once its caller has the cancellation, and the thread goes on only then
        release.set()
        await first
        await worker.run(lambda: None)
    assert not ran.is_set()


async def test_the_answer_of_a_cancelled_job_is_discarded() -> None:
    began, release = threading.Event(), threading.Event()

    def job() -> str:
        began.set()
        release.wait()
        return "late"

    async with Worker("w") as worker:
        task = asyncio.ensure_future(worker.run(job))
        await asyncio.to_thread(began.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        assert await worker.run(lambda: "next") == "next"


async def test_closing_goes_on_when_the_thread_takes_the_job_it_was_about_to_give_up() -> None:
    class Raced(queue.SimpleQueue[Any]):
        def empty(self) -> bool:
            """As it was a moment ago: the thread has taken the last one meanwhile."""
            return False

    worker = Worker("w")
    worker._jobs = Raced()
    await worker.run(lambda: None)
    closing = threading.Thread(target=lambda: asyncio.run(_close(worker)), daemon=True)
    closing.start()
    await asyncio.to_thread(closing.join, 5)
    assert not closing.is_alive()


async def _close(worker: Worker) -> None:
    assert await worker.aclose()


async def test_closing_waits_a_bounded_time_and_gives_up_what_waits() -> None:
    release = threading.Event()
    worker = Worker("w")
    held = asyncio.ensure_future(worker.run(release.wait))
    waiting = asyncio.ensure_future(worker.run(lambda: None))
    await asyncio.sleep(0)
    assert await worker.aclose(timeout_s=0.05) is False
    assert waiting.done() or (await asyncio.wait({waiting}, timeout=1))[0]
    assert waiting.cancelled()
    release.set()
    assert await held
    assert await worker.aclose()
    with pytest.raises(RuntimeError):
        await worker.run(lambda: None)
