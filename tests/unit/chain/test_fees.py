"""Three estimates, or a floor that is called one."""

from __future__ import annotations

import asyncio

import pytest

from core.base.events import EventBus
from core.chain.errors import ChainUnavailable
from core.chain.fees import FeeEstimates, estimate_fees
from core.chain.regtest import RegtestChain
from tests.support.chains import FeeChain
from tests.support.clock import ManualClock


async def test_a_source_without_fees_gives_the_floor_and_says_so() -> None:
    fees = await estimate_fees(RegtestChain(None, EventBus(), ManualClock()))
    assert fees == FeeEstimates(253, 253, 253, floor_only=True)
    assert str(fees) == "no estimates from this chain source: the floor, 253 sat/kw"


async def test_a_source_with_fees_is_asked_for_background_normal_and_high_priority() -> None:
    chain = FeeChain(lambda blocks: {12: 4000, 6: 8001, 1: 40_000}[blocks])
    fees = await estimate_fees(chain)
    assert chain.asked == [12, 6, 1]
    assert fees == FeeEstimates(1000, 2001, 10_000, floor_only=False)
    assert str(fees) == "background 1000, normal 2001, high priority 10000 sat/kw"


@pytest.mark.parametrize("estimate", [None, -1, 0, 999, 1000])
async def test_an_estimate_at_or_below_the_relay_floor_is_the_floor(estimate: int | None) -> None:
    fees = await estimate_fees(FeeChain(lambda _blocks: estimate))
    assert fees.normal_sat_per_kw == 253
    assert fees.floor_only is (estimate is None)


async def test_a_dead_source_gives_no_floor_either() -> None:
    closed = RegtestChain(None, EventBus(), ManualClock())
    await closed.aclose()
    dead = FeeChain()
    dead.dead = "the server hung up"
    for chain in (closed, dead):
        with pytest.raises(ChainUnavailable):
            await estimate_fees(chain)


async def test_the_three_are_asked_at_once_and_none_is_left_when_one_fails() -> None:
    class Together(FeeChain):
        """Answers once all three are under way."""

        under_way, all_there = 0, asyncio.Event()

        async def fee_estimate(self, target_blocks: int) -> int | None:
            self.under_way += 1
            if self.under_way == 3:
                self.all_there.set()
            await self.all_there.wait()
            if target_blocks == 6:
                raise ChainUnavailable(reason="hung up")
            await asyncio.Event().wait()
            return None

    before = asyncio.all_tasks()
    with pytest.raises(ChainUnavailable, match="hung up"):
        await estimate_fees(Together())
    assert asyncio.all_tasks() == before
