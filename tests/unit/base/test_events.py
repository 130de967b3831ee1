"""The bus: who hears what, and what a bad listener cannot break."""

from __future__ import annotations

import asyncio
from typing import Any

from core.base.clock import SystemClock
from core.base.errors import LeydenError, all_error_types
from core.base.events import EventBus, NodeState, NodeStateChanged, TaskChanged, TaskState
from tests.support.clock import ManualClock

RUNNING = NodeStateChanged(NodeState.RUNNING)


def test_a_listener_hears_its_kind_alone_until_it_leaves() -> None:
    bus, heard = EventBus(), list[object]()
    subscription = bus.subscribe(NodeStateChanged, heard.append)
    bus.publish(RUNNING)
    bus.publish(TaskChanged(1, TaskState.OK))
    subscription.close()
    subscription.close()
    bus.publish(RUNNING)
    assert heard == [RUNNING]


def test_listeners_are_called_in_order_and_may_leave_while_called() -> None:
    bus, heard = EventBus(), list[str]()

    def first(_event: NodeStateChanged) -> None:
        heard.append("first")
        leaving.close()

    leaving = bus.subscribe(NodeStateChanged, first)
    bus.subscribe(NodeStateChanged, lambda _event: heard.append("second"))
    bus.publish(RUNNING)
    bus.publish(RUNNING)
    assert heard == ["first", "second", "second"]


async def test_a_listener_that_raises_is_reported_and_the_next_still_hears() -> None:
    bus, heard, reported = EventBus(), list[object](), list[Any]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))

    def bad(_event: NodeStateChanged) -> None:
        raise ValueError("bad listener")

    bus.subscribe(NodeStateChanged, bad)
    bus.subscribe(NodeStateChanged, heard.append)
    bus.publish(RUNNING)
    assert heard == [RUNNING]
    assert [type(error) for error in reported] == [ValueError]


def test_errors_keep_their_facts_and_leaves_are_listed_once() -> None:
    class Branch(LeydenError):
        pass

    class Leaf(Branch):
        pass

    error = Leaf(port=9735)
    assert error.facts == {"port": 9735}
    assert str(error) == "Leaf(port=9735)"
    assert list(all_error_types(Branch)) == [Leaf]


def test_a_type_above_others_is_listed_when_it_is_raised_itself() -> None:
    class Unclear(LeydenError):
        also_raised = True

    class Clear(Unclear):
        pass

    assert list(all_error_types(Unclear)) == [Unclear, Clear]


async def test_the_manual_clock_wakes_sleepers_in_order_of_their_deadlines() -> None:
    clock, woken = ManualClock(), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    start = clock.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 5))
        group.create_task(sleeper("early", 2))
        await clock.advance(4)
        assert woken == [("early", start + 2)]
        await clock.advance(4)
    assert woken == [("early", start + 2), ("late", start + 5)]


async def test_the_system_clock_tells_both_times() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.time() > 1_700_000_000
