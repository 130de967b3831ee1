"""The three fee estimates that activation asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from core.chain.source import Capability, ChainSource, FeeSource

FLOOR_SAT_PER_KVB = 1000
"""The least that nodes relay; what is said of an estimate at or below it is this floor."""
FLOOR_SAT_PER_KW = 253
"""The same per 1000 weight units, rounded up so that it is never below the relay floor (BOLT 2)."""


@dataclass(frozen=True, slots=True)
class FeeEstimates:
    """Fee rates in satoshi per 1000 weight units, in the order in which they are asked for."""

    background_sat_per_kw: int
    normal_sat_per_kw: int
    high_priority_sat_per_kw: int
    floor_only: bool
    """The source gave no estimate at all: all three are the floor, and that is how they must be shown."""

    def __str__(self) -> str:
        """A plain fact for the step's row."""
        if self.floor_only:
            return f"no estimates from this chain source: the floor, {FLOOR_SAT_PER_KW} sat/kw"
        return (
            f"background {self.background_sat_per_kw}, normal {self.normal_sat_per_kw},"
            f" high priority {self.high_priority_sat_per_kw} sat/kw"
        )


async def estimate_fees(
    source: ChainSource, background: int = 12, normal: int = 6, high_priority: int = 1
) -> FeeEstimates:
    """Ask for each urgency by its blocks until confirmation; without `fees`, the floor of a source that answers.

    Raises ChainUnavailable.
    """
    if Capability.FEES not in source.capabilities:
        await source.tip()
        return FeeEstimates(FLOOR_SAT_PER_KW, FLOOR_SAT_PER_KW, FLOOR_SAT_PER_KW, floor_only=True)
    fees = cast(FeeSource, source)
    found = await _each(fees, (background, normal, high_priority))
    slow, middle, fast = (_per_kw(sat_per_kvb) for sat_per_kvb in found)
    return FeeEstimates(slow, middle, fast, floor_only=all(sat_per_kvb is None for sat_per_kvb in found))


async def _each(source: FeeSource, targets: Sequence[int]) -> list[int | None]:
    """Asked in this order and all at once: a server may hold back each small answer for a second (ElectrumX does)."""
    asked = [asyncio.ensure_future(source.fee_estimate(blocks)) for blocks in targets]
    try:
        return await asyncio.gather(*asked)
    finally:
        for each in asked:
            each.cancel()
        await asyncio.wait(asked)


def _per_kw(sat_per_kvb: int | None) -> int:
    if sat_per_kvb is None or sat_per_kvb <= FLOOR_SAT_PER_KVB:
        return FLOOR_SAT_PER_KW
    return -(-sat_per_kvb // 4)
