"""The loop's budget: one for all, in order, and no work when it is spent."""

from __future__ import annotations

import asyncio

from core.peers.budget import LoopBudget


class Hand:
    """A clock that work moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Worker:
    """Steps of a known cost; notes which worker did what in which turn."""

    def __init__(self, name: str, steps: int, cost_s: float, budget: LoopBudget, hand: Hand, log: list[str]) -> None:
        self.name, self.steps, self.cost_s = name, steps, cost_s
        self.budget, self.hand, self.log = budget, hand, log

    def drain(self) -> bool:
        while self.steps:
            self.steps -= 1
            self.hand.now += self.cost_s
            self.log.append(self.name)
            if self.budget.spent():
                return self.steps > 0
        return False


async def _turn() -> None:
    await asyncio.sleep(0)


def _made(turn_s: float = 0.004) -> tuple[LoopBudget, Hand, list[str]]:
    hand = Hand()
    return LoopBudget(turn_s=turn_s, monotonic=hand), hand, []


async def test_a_turn_ends_when_the_budget_is_spent_and_a_new_one_begins_after_the_loop_turned() -> None:
    budget, hand, _ = _made()
    assert budget.begin()
    hand.now += 0.003
    assert not budget.spent()
    assert budget.begin()
    hand.now += 0.001
    assert budget.spent()
    assert not budget.begin()
    await _turn()
    assert budget.begin()
    budget.close()


async def test_all_who_wait_share_one_budget_so_a_turn_is_bounded_whatever_their_number() -> None:
    budget, hand, log = _made(turn_s=0.004)
    budget.begin()
    for number in range(200):
        budget.wait(Worker(str(number), 10, 0.001, budget, hand, log))
    worked = []
    for _ in range(50):
        before = len(log)
        await _turn()
        worked.append(len(log) - before)
    assert set(worked) == {4}
    budget.close()


async def test_the_line_is_served_round_robin() -> None:
    budget, hand, log = _made(turn_s=0.002)
    budget.begin()
    for name in "abc":
        budget.wait(Worker(name, 4, 0.001, budget, hand, log))
    for _ in range(6):
        await _turn()
    assert "".join(log) == "aabbccaabbcc"
    budget.close()


async def test_several_short_ones_fit_into_one_turn() -> None:
    budget, hand, log = _made(turn_s=0.004)
    budget.begin()
    for name in "abcdef":
        budget.wait(Worker(name, 1, 0.001, budget, hand, log))
    await _turn()
    assert "".join(log) == "abcd"
    await _turn()
    assert "".join(log) == "abcdef"
    budget.close()


async def test_who_joins_during_a_turn_waits_for_the_next() -> None:
    budget, hand, log = _made(turn_s=1.0)

    class Joins(Worker):
        def drain(self) -> bool:
            budget.wait(Worker("late", 1, 0.001, budget, hand, log))
            return super().drain()

    budget.begin()
    budget.wait(Joins("early", 1, 0.001, budget, hand, log))
    await _turn()
    assert log == ["early"]
    await _turn()
    assert log == ["early", "late"]
    budget.close()


async def test_who_leaves_the_line_is_not_called() -> None:
    budget, hand, log = _made()
    staying, leaving = (Worker(name, 1, 0.001, budget, hand, log) for name in ("staying", "leaving"))
    budget.wait(leaving)
    budget.wait(staying)
    budget.leave(leaving)
    budget.leave(leaving)
    await _turn()
    assert log == ["staying"]
    assert budget.waiting == 0
    budget.close()


async def test_even_a_step_longer_than_the_budget_gets_its_turn() -> None:
    budget, hand, log = _made(turn_s=0.004)
    budget.wait(Worker("slow", 3, 0.050, budget, hand, log))
    for _ in range(3):
        await _turn()
    assert log == ["slow"] * 3
    budget.close()


async def test_nothing_is_scheduled_while_nothing_happens() -> None:
    budget, _, _ = _made()
    loop = asyncio.get_running_loop()
    scheduled = 0
    call_soon = loop.call_soon

    def counting(*args: object, **kwargs: object) -> asyncio.Handle:
        nonlocal scheduled
        scheduled += 1
        return call_soon(*args, **kwargs)  # type: ignore[arg-type]

    budget.begin()
    await _turn()
    await _turn()
    loop.call_soon = counting  # type: ignore[method-assign, assignment]
    try:
        for _ in range(10):
            await _turn()
    finally:
        loop.call_soon = call_soon  # type: ignore[method-assign]
    # what ten turns of a bare coroutine need, and nothing of the budget's
    assert scheduled == 10


async def test_a_worker_that_fails_does_not_stop_the_line() -> None:
    budget, hand, log = _made()
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))

    class Fails(Worker):
        def drain(self) -> bool:
            raise RuntimeError("broken")

    budget.wait(Fails("broken", 1, 0.001, budget, hand, log))
    budget.wait(Worker("next", 1, 0.001, budget, hand, log))
    await _turn()
    await _turn()
    assert log == ["next"]
    assert len(reported) == 1
    budget.close()
