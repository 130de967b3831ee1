"""Work that runs to its end whoever is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from core.base.finish import finish


async def test_work_gives_its_result_and_its_error() -> None:
    async def fail() -> None:
        raise KeyError

    assert await finish(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(KeyError):
        await finish(fail())


async def test_a_caller_that_is_cancelled_again_and_again_still_waits_for_the_end() -> None:
    release, ended = asyncio.Event(), False

    async def work() -> None:
        nonlocal ended
        await release.wait()
        ended = True

    caller = asyncio.ensure_future(finish(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended


async def test_an_error_of_the_work_wins_over_the_cancellation() -> None:
    release = asyncio.Event()

    async def work() -> None:
        await release.wait()
        raise KeyError

    caller = asyncio.ensure_future(finish(work()))
    await asyncio.sleep(0)
    caller.cancel()
    release.set()
    with pytest.raises(KeyError):
        await caller
