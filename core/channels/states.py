"""Channel states by Core Lightning's names (lightningd/channel_state.h)."""

from __future__ import annotations

from enum import StrEnum


class ChannelState(StrEnum):
    """Where a channel is in its life."""

    DUALOPEND_OPEN_INIT = "DUALOPEND_OPEN_INIT"
    DUALOPEND_OPEN_COMMIT_READY = "DUALOPEND_OPEN_COMMIT_READY"
    DUALOPEND_OPEN_COMMITTED = "DUALOPEND_OPEN_COMMITTED"
    DUALOPEND_AWAITING_LOCKIN = "DUALOPEND_AWAITING_LOCKIN"
    CHANNELD_AWAITING_LOCKIN = "CHANNELD_AWAITING_LOCKIN"
    CHANNELD_NORMAL = "CHANNELD_NORMAL"
    CHANNELD_AWAITING_SPLICE = "CHANNELD_AWAITING_SPLICE"
    CHANNELD_SHUTTING_DOWN = "CHANNELD_SHUTTING_DOWN"
    CLOSINGD_SIGEXCHANGE = "CLOSINGD_SIGEXCHANGE"
    CLOSINGD_COMPLETE = "CLOSINGD_COMPLETE"
    AWAITING_UNILATERAL = "AWAITING_UNILATERAL"
    FUNDING_SPEND_SEEN = "FUNDING_SPEND_SEEN"
    ONCHAIN = "ONCHAIN"
    CLOSED = "CLOSED"


ACTIVE_STATES = frozenset(
    {
        ChannelState.DUALOPEND_OPEN_COMMIT_READY,
        ChannelState.DUALOPEND_OPEN_COMMITTED,
        ChannelState.DUALOPEND_AWAITING_LOCKIN,
        ChannelState.CHANNELD_AWAITING_LOCKIN,
        ChannelState.CHANNELD_NORMAL,
        ChannelState.CHANNELD_AWAITING_SPLICE,
        ChannelState.CHANNELD_SHUTTING_DOWN,
        ChannelState.CLOSINGD_SIGEXCHANGE,
    }
)
"""In these the two sides have to talk (CLN's `channel_state_wants_peercomms`), so `disconnect` wants `force`."""
