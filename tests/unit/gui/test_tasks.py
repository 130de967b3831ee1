"""gui.tasks: what a window starts ends with it, and no outcome is lost."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import QTimer

from gui.tasks import TasksClosed, WindowTasks

pytestmark = pytest.mark.qt_loop


async def fail(text: str) -> None:
    await asyncio.sleep(0)
    raise ValueError(text)


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        ended.append("ended")


async def test_a_slot_starts_a_coroutine_and_hears_its_result() -> None:
    tasks = WindowTasks()
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    QTimer.singleShot(0, lambda: tasks.start(asyncio.sleep(0.001, "result"), done=heard.set_result))
    assert await heard == "result"
    assert len(tasks) == 0


async def test_an_error_goes_to_its_callback() -> None:
    tasks = WindowTasks()
    heard: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    tasks.start(fail("no such peer"), failed=heard.set_result)
    assert str(await heard) == "no such peer"


async def test_an_error_that_nobody_waits_for_and_one_in_a_callback_reach_the_loops_handler() -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    told: list[str] = []
    loop.set_exception_handler(lambda _loop, context: told.append(str(context["exception"])))

    def broken(_result: object) -> None:
        raise RuntimeError("in the callback")

    tasks = WindowTasks()
    tasks.start(fail("unheard"))
    tasks.start(asyncio.sleep(0), done=broken)
    while len(told) < 2:
        await asyncio.sleep(0.001)
    loop.set_exception_handler(before)
    assert sorted(told) == ["in the callback", "unheard"]
    assert len(tasks) == 0


async def test_close_cancels_everything_waits_for_it_and_calls_nobody() -> None:
    tasks = WindowTasks()
    ended: list[str] = []
    called: list[object] = []

    async def stubborn() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0.005)
            ended.append("ended late")
        return "a result after all"

    tasks.start(forever(ended), done=called.append, failed=called.append)
    tasks.start(stubborn(), done=called.append)
    await asyncio.sleep(0)
    await tasks.aclose()
    assert sorted(ended) == ["ended", "ended late"]
    assert (called, len(tasks)) == ([], 0)
    with pytest.raises(TasksClosed):
        tasks.start(asyncio.sleep(0))


async def test_a_task_of_the_window_may_close_it() -> None:
    tasks = WindowTasks()
    ended: list[str] = []
    tasks.start(forever(ended))
    closing = tasks.start(tasks.aclose())
    await closing
    assert ended == ["ended"]


async def test_a_cancelled_task_calls_nobody_and_leaves_the_others() -> None:
    tasks = WindowTasks()
    called: list[object] = []
    ended: list[str] = []
    task = tasks.start(forever(ended), done=called.append, failed=called.append)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    tasks.cancel_all()
    result = tasks.start(asyncio.sleep(0, "fine"), done=called.append)
    await result
    await asyncio.sleep(0)
    assert (called, ended) == (["fine"], ["ended"])
