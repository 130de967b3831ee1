"""What the channels are worth to us. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from core.channels.records import ChannelRecord, Opener
from core.channels.states import ChannelState


@dataclass(frozen=True, slots=True)
class Balance:
    """In millisatoshi."""

    spendable_msat: int
    unspendable_msat: int


def balance_of(records: Iterable[ChannelRecord]) -> Balance:
    """Of the channels that are not closed.

    A record knows who put the money in and nothing of payments, which cannot be made yet: the channel's whole amount is
    its opener's, and as no channel can be used, none of it can be spent.
    """
    return Balance(0, sum(own_msat(record) for record in records))


def own_msat(record: ChannelRecord) -> int:
    """What of this channel is ours; nothing of a closed one."""
    ours = record.opener is Opener.LOCAL and record.state is not ChannelState.CLOSED
    return record.funding_sat * 1000 if ours else 0


def decimal_text(amount: int, decimals: int) -> str:
    """`amount` over 10 to the `decimals` as a decimal number, without an exponent or idle zeros: `0.0002`, `0`."""
    number = Decimal(amount).scaleb(-decimals)
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
