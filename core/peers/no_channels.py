"""What a node without channels answers to messages about channels.

BOLT 1: whoever receives an `error` fails the channel it names, and with it may lose money to a peer that merely
restored an old backup or mistook us for another. So an `error` goes out only where no channel can exist yet: to an
offer to open one, with the temporary id of that offer. Every other message is answered with a `warning`, which fails
nothing (BOLT 1, `warning`), and the connection stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.bolt.messages import ErrorMessage, WarningMessage
from core.bolt.types import MESSAGE_TYPES

if TYPE_CHECKING:
    from core.peers.dispatch import Handler
    from core.peers.session import Session

_CHANNEL_ID_BYTES = 32
_OPENERS = {32: 2 + 32, 64: 2 + 32}
"""`open_channel` and `open_channel2`: the temporary channel id comes after the chain hash (BOLT 2)."""

_ABOUT_A_CHANNEL = (2, 259)
"""`stfu` and `announcement_signatures`, which stand in other groups of the table and begin with a channel id too."""


def types_about_channels() -> list[int]:
    """Every type of the BOLTs (and CLN's two) that is about a channel, openers included."""
    groups = ("channel", "commitment")
    named = [
        info.type for info in MESSAGE_TYPES.values() if info.group in groups and not info.spec_ref.startswith("LND")
    ]
    return sorted([*named, *_ABOUT_A_CHANNEL])


def refuse_open(session: Session, message: bytes) -> None:
    """BOLT 2: the receiver of an offer MAY fail the channel; nothing exists that could be lost."""
    at = _OPENERS[message[0] << 8 | message[1]]
    temporary_id = message[at : at + _CHANNEL_ID_BYTES]
    if len(temporary_id) < _CHANNEL_ID_BYTES:
        session.malformed(message)
        return
    session.send(ErrorMessage(temporary_id, b"This node does not open channels").encode())


def warn_no_channel(session: Session, message: bytes) -> None:
    """Say that we know no such channel, and leave it at that."""
    channel_id = message[2 : 2 + _CHANNEL_ID_BYTES]
    if len(channel_id) < _CHANNEL_ID_BYTES:
        session.malformed(message)
        return
    name = MESSAGE_TYPES[message[0] << 8 | message[1]].name
    session.send(WarningMessage(channel_id, f"Unknown channel for {name}: nothing is failed".encode()).encode())


def handlers() -> dict[int, Handler]:
    """For the dispatch table."""
    return {type_: refuse_open if type_ in _OPENERS else warn_no_channel for type_ in types_about_channels()}
