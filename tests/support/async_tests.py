"""Runs `async def test_*`: each on a fresh loop, with a bounded wait, and red when it leaves a task behind.

A plain asyncio loop by default; `@pytest.mark.qt_loop` takes `gui.loop.LeydenLoop` instead. pytest-asyncio is not
used, since it would bring a loop of its own to the Qt tests.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

DEFAULT_WAIT_S = 80.0
"""How long an async test may take, unless `@pytest.mark.timeout(seconds)` says otherwise."""

SETTLE_TURNS = 20
"""Turns of the loop that cancelled tasks and closed transports get to finish in."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Take coroutine functions; leave everything else to pytest."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names if name in pyfuncitem.funcargs}
    trouble: list[str] = []
    with asyncio.Runner(loop_factory=_loop_factory(pyfuncitem)) as runner:
        runner.get_loop().set_exception_handler(lambda _loop, context: trouble.append(_words(context)))
        runner.run(_bounded(pyfuncitem.obj, arguments, _wait_s(pyfuncitem), trouble))
    if trouble:
        pytest.fail("the test left its loop unclean:\n  " + "\n  ".join(trouble), pytrace=False)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test on Qt's loop needs the one QApplication, which pytest-qt makes."""
    if item.get_closest_marker("qt_loop") and isinstance(item, pytest.Function) and "qapp" not in item.fixturenames:
        item.fixturenames.append("qapp")


def _loop_factory(item: pytest.Function) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not item.get_closest_marker("qt_loop"):
        return None
    application = item.funcargs["qapp"]
    from gui.loop import LeydenLoop

    # Closing a test's last window would stop the loop under the test.
    application.setQuitOnLastWindowClosed(False)
    return lambda: LeydenLoop(application)


def _wait_s(item: pytest.Function) -> float:
    """A little less than the marker's timeout, so that the test fails with its own traceback first."""
    marker = item.get_closest_marker("timeout")
    if marker is None:
        return DEFAULT_WAIT_S
    return max(1.0, float(marker.args[0] if marker.args else marker.kwargs["timeout"]) - 2.0)


async def _bounded(test: Callable[..., Any], arguments: dict[str, Any], wait_s: float, trouble: list[str]) -> None:
    async with asyncio.timeout(wait_s):
        await test(**arguments)
    for _ in range(SETTLE_TURNS):
        if not _others():
            return
        await asyncio.sleep(0)
    trouble.extend(f"task left running: {task!r}" for task in _others())


def _others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]


def _words(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context.get('message')}" + (f": {error!r}" if error is not None else "")
