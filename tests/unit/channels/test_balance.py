"""What channel records are worth, and decimal numbers as programs compare them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.channels.balance import Balance, balance_of, decimal_text
from core.channels.records import Opener
from core.channels.states import ChannelState
from tests.unit.channels.test_records import RECORD


def test_of_a_channel_that_we_opened_all_is_ours_and_none_of_it_can_be_spent() -> None:
    ours = replace(RECORD, opener=Opener.LOCAL, funding_sat=20_000)
    theirs = replace(ours, opener=Opener.REMOTE)
    closed = replace(ours, state=ChannelState.CLOSED)
    assert balance_of([ours, ours, theirs, closed]) == Balance(0, 40_000_000)


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [(0, 11, "0"), (20_000_000, 11, "0.0002"), (10**11, 11, "1"), (1, 11, "0.00000000001"), (1200, 0, "1200")],
)
def test_amounts_have_no_exponent_and_no_idle_zeros(amount: int, decimals: int, text: str) -> None:
    assert decimal_text(amount, decimals) == text
