"""How much money is likely on one side of a channel: bounds that payments teach, and the price of the doubt.

The thought is LDK's (ProbabilisticScorer in lightning/src/routing/scoring.rs): between two bounds every balance is
equally likely, and what was learned is forgotten by halves, until nothing but the capacity is known again. Pure;
amounts in millisatoshi, moments in seconds since the epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

HALF_LIFE_S = 6 * 3600
"""In so long half of what a payment taught is forgotten (LDK's `liquidity_offset_half_life`)."""
FORGOTTEN_S = 20 * HALF_LIFE_S
"""After so long a millionth is left, and a bound is worth nothing."""
IMPOSSIBLE_MSAT = 100_000_000_000
"""What using a channel costs that is thought not to have the money: a bitcoin, as LDK has it. Not a refusal: when there
is no other way, it is tried."""
TENFOLD_MSAT = 30_000
"""What a tenfold lower chance of success costs (LDK's `liquidity_penalty_multiplier_msat`)."""


@dataclass(frozen=True, slots=True)
class LiquidityBounds:
    """What is known of one direction of a channel."""

    lower_msat: int
    """So much was there."""
    upper_msat: int
    """More was not; the capacity where that is not known."""
    learned_at: float

    @classmethod
    def unknown(cls, capacity_msat: int, now: float) -> LiquidityBounds:
        """Anything between nothing and the capacity."""
        return cls(0, capacity_msat, now)

    def at(self, now: float, capacity_msat: int) -> LiquidityBounds:
        """What is left of it: both bounds give way to 0 and the capacity by halves.

        A moment in the future, from a clock that was set, is as far away as one in the past.
        """
        kept = 0.5 ** (abs(now - self.learned_at) / HALF_LIFE_S)
        upper = capacity_msat - int(max(0, capacity_msat - self.upper_msat) * kept)
        return LiquidityBounds(min(int(self.lower_msat * kept), upper), upper, now)

    def failed(self, amount_msat: int) -> LiquidityBounds:
        """So much did not pass. Where it was thought to be there, that was wrong."""
        lower = self.lower_msat if self.lower_msat < amount_msat else 0
        return LiquidityBounds(lower, min(self.upper_msat, max(0, amount_msat - 1)), self.learned_at)

    def passed(self, amount_msat: int, capacity_msat: int) -> LiquidityBounds:
        """So much passed and came back: a payment that failed further on, or a probe."""
        upper = self.upper_msat if amount_msat <= self.upper_msat else capacity_msat
        return LiquidityBounds(min(max(self.lower_msat, amount_msat), upper), upper, self.learned_at)

    def moved(self, amount_msat: int, capacity_msat: int) -> LiquidityBounds:
        """So much came to this side for good; below zero, it left."""
        return LiquidityBounds(
            max(0, min(self.lower_msat + amount_msat, capacity_msat)),
            max(0, min(self.upper_msat + amount_msat, capacity_msat)),
            self.learned_at,
        )


def penalty_msat(known: LiquidityBounds, amount_msat: int, capacity_msat: int, now: float) -> int:
    """What sending `amount_msat` costs beyond a direction of which nothing is known, in millisatoshi.

    With lower and upper as they are `now`: nothing up to the lower, as good as impossible beyond the upper, and between
    them TENFOLD_MSAT * log10(usual / chance), at least 0. The chance is the share of the possible balances that is
    enough: (upper - amount + 1) / (upper - lower + 1); usual is (capacity - amount + 1) / (capacity + 1). So what is
    forgotten costs nothing.
    """
    if abs(now - known.learned_at) >= FORGOTTEN_S:
        return 0
    bounds = known.at(now, capacity_msat)
    if amount_msat <= bounds.lower_msat or amount_msat > capacity_msat:
        return 0
    if amount_msat > bounds.upper_msat:
        return IMPOSSIBLE_MSAT
    chance = (bounds.upper_msat - amount_msat + 1) / (bounds.upper_msat - bounds.lower_msat + 1)
    usual = (capacity_msat - amount_msat + 1) / (capacity_msat + 1)
    return max(0, round(TENFOLD_MSAT * math.log10(usual / chance)))
