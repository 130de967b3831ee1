"""Tasks by number, as `rpc_task` has them."""

from __future__ import annotations

import asyncio

import pytest

from core.activation.errors import TaskFinished, TaskNotFound
from core.activation.manager import MAX_ENDED_TASKS, TaskHandle, TaskManager
from core.activation.steps import ActivationStep
from core.base.events import Event, EventBus, StepChanged, StepState, TaskChanged, TaskState
from tests.support.clock import ManualClock

STEPS = ("First", "Second")


class Desk:
    """A manager, and all it told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = EventBus()
        self.told: list[Event] = []
        self.bus.subscribe(StepChanged, self.told.append)
        self.bus.subscribe(TaskChanged, self.told.append)
        self.tasks = TaskManager(self.bus, self.clock)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_task_is_there_with_its_first_status_as_soon_as_it_is_started() -> None:
    desk = Desk()
    release = asyncio.Event()
    task_id = desk.tasks.start(lambda _handle: release.wait())
    status = desk.tasks.status(task_id)
    assert (status.state, status.status, status.result) == (TaskState.IN_PROGRESS, "ActivatingCoin", None)
    assert [row.status for row in desk.tasks.steps(task_id)] == list(ActivationStep)
    assert {row.state for row in desk.tasks.steps(task_id)} == {StepState.WAITING}
    assert desk.told[0] == TaskChanged(task_id, TaskState.IN_PROGRESS, None, tuple(ActivationStep))
    release.set()
    await settle()
    assert desk.tasks.status(task_id).result is True


async def test_numbers_begin_at_0_and_are_never_given_twice() -> None:
    desk = Desk()
    assert [desk.tasks.start(lambda _handle: asyncio.sleep(0), STEPS) for _ in range(3)] == [0, 1, 2]
    await settle()
    desk.tasks.forget(2)
    assert desk.tasks.start(lambda _handle: asyncio.sleep(0), STEPS) == 3
    await settle()


async def test_steps_tell_their_state_detail_and_duration() -> None:
    desk = Desk()

    async def work(handle: TaskHandle) -> str:
        with handle.step("First") as step:
            await desk.clock.sleep(1.5)
            step.say("found 3")
        with handle.step("Second"):
            await desk.clock.sleep(2)
            raise OSError("no more")

    task_id = desk.tasks.start(work, STEPS)
    await desk.clock.advance(1.6)
    assert desk.tasks.status(task_id).status == "Second"
    await desk.clock.advance(5)
    first, second = desk.tasks.steps(task_id)
    assert first == StepChanged(task_id, "First", StepState.DONE, detail="found 3", duration_s=1.5)
    assert (second.state, second.duration_s, str(second.error)) == (StepState.FAILED, 2, "no more")
    status = desk.tasks.status(task_id)
    assert (status.state, status.error, status.result) == (TaskState.ERROR, second.error, None)
    assert desk.told[-2:] == [second, TaskChanged(task_id, TaskState.ERROR, second.error, STEPS)]


async def test_progress_is_kept_at_once_and_told_ten_times_a_second_and_at_the_end() -> None:
    desk = Desk()

    async def work(handle: TaskHandle) -> None:
        with handle.step("First") as step:
            for done in range(1, 101):
                await desk.clock.sleep(0.01)
                step.progress(done, 100)

    desk.tasks.start(work, STEPS)
    await desk.clock.advance(2)
    done = [row.done for row in desk.told if isinstance(row, StepChanged) and row.done is not None]
    assert 10 <= len(done) <= 13
    assert done[-2:] == [100, 100], "the last of the progress, and the end of the step"


async def test_a_cancel_returns_once_the_task_has_released_everything_and_the_number_is_gone() -> None:
    desk = Desk()
    released = False

    async def work(handle: TaskHandle) -> None:
        nonlocal released
        with handle.step("First"):
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0)
                released = True

    task_id = desk.tasks.start(work, STEPS)
    await settle()
    cancelling = asyncio.ensure_future(desk.tasks.cancel(task_id))
    again = asyncio.ensure_future(desk.tasks.cancel(task_id))
    await asyncio.sleep(0)
    with pytest.raises(TaskNotFound):
        desk.tasks.status(task_id)
    await cancelling
    await again
    assert released
    assert desk.told[-1] == TaskChanged(task_id, TaskState.CANCELLED, None, STEPS)
    assert desk.tasks.steps(task_id)[0].state is StepState.CANCELLED
    for call in (desk.tasks.cancel(task_id), _status(desk.tasks, task_id)):
        with pytest.raises(TaskNotFound):
            await call


async def _status(tasks: TaskManager, task_id: int) -> None:
    tasks.status(task_id)


async def test_a_task_that_is_cancelled_before_its_first_turn_never_runs() -> None:
    desk = Desk()
    ran: list[int] = []

    async def work(handle: TaskHandle) -> None:
        ran.append(handle.task_id)

    task_id = desk.tasks.start(work, STEPS)
    await desk.tasks.cancel(task_id)
    assert ran == []
    assert desk.told[-1] == TaskChanged(task_id, TaskState.CANCELLED, None, STEPS)


@pytest.mark.parametrize("fails", [False, True])
async def test_an_ended_task_cannot_be_cancelled_and_its_outcome_stands(fails: bool) -> None:
    desk = Desk()

    async def work(_handle: TaskHandle) -> str:
        if fails:
            raise OSError
        return "up"

    task_id = desk.tasks.start(work, STEPS)
    await settle()
    with pytest.raises(TaskFinished) as caught:
        await desk.tasks.cancel(task_id)
    assert caught.value.task_id == task_id
    assert desk.tasks.status(task_id).state is (TaskState.ERROR if fails else TaskState.OK)


async def test_a_task_that_ends_although_it_was_cancelled_is_told_as_ended() -> None:
    desk = Desk()

    async def stubborn(_handle: TaskHandle) -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "up after all"
        raise AssertionError

    task_id = desk.tasks.start(stubborn, STEPS)
    await settle()
    with pytest.raises(TaskFinished):
        await desk.tasks.cancel(task_id)
    assert desk.tasks.status(task_id).result == "up after all"


async def test_an_unknown_or_forgotten_number_is_told() -> None:
    desk = Desk()
    release = asyncio.Event()
    task_id = desk.tasks.start(lambda _handle: release.wait(), STEPS)
    desk.tasks.forget(task_id)
    assert desk.tasks.status(task_id).state is TaskState.IN_PROGRESS, "a running one is not forgotten"
    release.set()
    await settle()
    desk.tasks.forget(task_id)
    for number in (task_id, 99):
        with pytest.raises(TaskNotFound) as caught:
            desk.tasks.forget(number)
        assert caught.value.task_id == number
        with pytest.raises(TaskNotFound):
            desk.tasks.steps(number)
        with pytest.raises(TaskNotFound):
            await desk.tasks.cancel(number)


async def test_ended_tasks_do_not_pile_up() -> None:
    desk = Desk()
    last = 0
    for _ in range(MAX_ENDED_TASKS + 10):
        last = desk.tasks.start(lambda _handle: asyncio.sleep(0), STEPS)
        await settle()
    assert desk.tasks.status(last).state is TaskState.OK
    with pytest.raises(TaskNotFound):
        desk.tasks.status(9)
    assert desk.tasks.status(10).state is TaskState.OK


async def test_closing_cancels_what_runs_and_waits_for_it() -> None:
    desk = Desk()
    running = [desk.tasks.start(lambda _handle: asyncio.Event().wait(), STEPS) for _ in range(3)]
    await settle()
    await desk.tasks.aclose()
    await desk.tasks.aclose()
    for task_id in running:
        with pytest.raises(TaskNotFound):
            desk.tasks.status(task_id)
