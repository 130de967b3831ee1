"""Bounds on a balance that nobody sees, and what the doubt about it costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gossip.liquidity import FORGOTTEN_S, HALF_LIFE_S, IMPOSSIBLE_MSAT, LiquidityBounds, penalty_msat

NOW = 1_770_000_000.0
CAPACITY = 5_000_000
AMOUNTS = st.integers(0, CAPACITY)


def bounds(lower: int, upper: int) -> LiquidityBounds:
    return LiquidityBounds(lower, upper, NOW)


@pytest.mark.parametrize(
    ("known", "amount", "price"),
    [
        (bounds(0, 999_999), 0, 0),
        (bounds(0, 999_999), 1_000_000, IMPOSSIBLE_MSAT),
        (bounds(0, 999_999), 4_000_000, IMPOSSIBLE_MSAT),
        (bounds(0, 999_999), 900_000, 27_414),  # One chance in ten instead of 82 in a hundred.
        (bounds(800_000, 999_999), 900_000, 6_445),  # One in two.
        (bounds(800_000, 999_999), 800_000, 0),
        (bounds(0, 9), 9, 30_000),  # One in ten instead of certain.
        (bounds(800_000, CAPACITY), 900_000, 0),  # Likelier than usual costs nothing, and gives nothing.
        (bounds(0, CAPACITY), CAPACITY, 0),
        (bounds(0, 0), 1, IMPOSSIBLE_MSAT),
        (bounds(0, 0), CAPACITY, IMPOSSIBLE_MSAT),
        (bounds(0, 0), CAPACITY + 1, 0),  # The capacity was wrong, so what stands on it is.
    ],
)
def test_the_price_of_a_doubt(known: LiquidityBounds, amount: int, price: int) -> None:
    assert penalty_msat(known, amount, CAPACITY, NOW) == price


def test_a_channel_without_a_capacity_has_no_price() -> None:
    assert penalty_msat(bounds(0, 0), 1, 0, NOW) == 0


def test_bounds_give_way_by_halves_and_as_far_into_the_past_as_into_the_future() -> None:
    known = bounds(1_000_000, 2_000_000)
    for moment in (NOW + HALF_LIFE_S, NOW - HALF_LIFE_S):
        assert known.at(moment, CAPACITY) == LiquidityBounds(500_000, 3_500_000, moment)
    later = NOW + 2 * HALF_LIFE_S
    assert known.at(later, CAPACITY) == LiquidityBounds(250_000, 4_250_000, later)
    assert known.at(NOW, 1_500_000) == bounds(1_000_000, 1_500_000)
    assert known.at(NOW, 500_000) == bounds(500_000, 500_000)


def test_what_is_forgotten_has_no_price() -> None:
    known = bounds(0, 9)
    assert penalty_msat(known, CAPACITY, CAPACITY, NOW + FORGOTTEN_S - 1) == IMPOSSIBLE_MSAT
    for moment in (NOW + FORGOTTEN_S, NOW - FORGOTTEN_S):
        assert penalty_msat(known, CAPACITY, CAPACITY, moment) == 0


def test_what_proves_a_bound_wrong_lifts_it() -> None:
    assert bounds(600, 900).failed(600) == bounds(0, 599)
    assert bounds(600, 900).failed(601) == bounds(600, 600)
    assert bounds(600, 900).failed(901) == bounds(600, 900)
    assert bounds(600, 900).passed(901, CAPACITY) == bounds(901, CAPACITY)
    assert bounds(600, 900).passed(900, CAPACITY) == bounds(900, 900)
    assert bounds(0, CAPACITY).failed(0) == bounds(0, 0)
    assert bounds(600, 900).passed(599, CAPACITY) == bounds(600, 900)
    assert bounds(600, 900).moved(-700, CAPACITY) == bounds(0, 200)
    assert bounds(600, 900).moved(CAPACITY - 700, CAPACITY) == bounds(CAPACITY - 100, CAPACITY)


@given(AMOUNTS, st.lists(st.tuples(st.sampled_from(["try", "send", "get"]), AMOUNTS, st.floats(0, 1e6)), max_size=12))
def test_a_balance_that_answers_truly_is_always_between_its_bounds(
    balance: int, steps: list[tuple[str, int, float]]
) -> None:
    known, now = LiquidityBounds.unknown(CAPACITY, NOW), NOW
    for step, amount, later in steps:
        known, now = known.at(now + later, CAPACITY), now + later
        if step == "get" and amount <= CAPACITY - balance:
            known, balance = known.moved(amount, CAPACITY), balance + amount
        elif amount > balance:
            known = known.failed(amount)
        else:
            known = known.passed(amount, CAPACITY)
            if step == "send":
                known, balance = known.moved(-amount, CAPACITY), balance - amount
        assert 0 <= known.lower_msat <= balance <= known.upper_msat <= CAPACITY
        assert penalty_msat(known, balance, CAPACITY, now) < IMPOSSIBLE_MSAT
        assert penalty_msat(known, known.lower_msat, CAPACITY, now) == 0
