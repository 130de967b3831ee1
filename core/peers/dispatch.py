"""One look-up a message: what each known type means to a session that has completed its init."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from core.bolt.messages import ALL_CHANNELS, MAX_ANSWERED_PONG_BYTES, ErrorMessage, WarningMessage
from core.bolt.wire import WireError
from core.peers import gossip_answers, no_channels
from core.peers.reasons import CloseCode, closed_by_them, closed_by_us
from core.peers.throttle import Kind

if TYPE_CHECKING:
    from core.peers.session import Session

Handler = Callable[["Session", bytes], None]
"""Given the session and the whole message, its two type bytes included."""


def answer_ping(session: Session, message: bytes) -> None:
    """BOLT 1, `ping`; written out instead of decoded, since a flood of them must stay cheap."""
    if len(message) < 6 or len(message) < 6 + (message[4] << 8 | message[5]):
        session.malformed(message)
        return
    length = message[2] << 8 | message[3]
    if length < MAX_ANSWERED_PONG_BYTES:  # BOLT 1: from 65532 on MUST ignore
        session.send(b"\x00\x13" + message[2:4] + bytes(length))


def take_pong(session: Session, message: bytes) -> None:
    """BOLT 1, `pong`: one that nobody asked for means nothing."""
    if len(message) < 4 or len(message) < 4 + (message[2] << 8 | message[3]):
        session.malformed(message)
        return
    session.take_pong(message[2] << 8 | message[3])


def take_error(session: Session, message: bytes) -> None:
    """BOLT 1, `error`: about the connection it ends it; for a channel we do not have it MUST be ignored."""
    try:
        error = ErrorMessage.decode(message)
    except WireError:
        session.malformed(message)
        return
    if error.channel_id == ALL_CHANNELS:
        session.close(closed_by_them(CloseCode.PEER_ERROR, session.bounded(error.text)))
    else:
        session.noticed(error)


def take_warning(session: Session, message: bytes) -> None:
    """BOLT 1, `warning`: shown, and nothing follows."""
    try:
        warning = WarningMessage.decode(message)
    except WireError:
        session.malformed(message)
        return
    session.noticed(warning)


def within(kind: Kind, handler: Handler) -> Handler:
    """The handler, for as many as one peer may send; more are ignored and counted."""

    def handle(session: Session, message: bytes) -> None:
        if session.grants(kind):
            handler(session, message)

    return handle


def refuse_second_init(session: Session, message: bytes) -> None:
    """Init is once; CLN's words."""
    session.warn_and_close(
        closed_by_us(CloseCode.SECOND_INIT), f"Unexpected message WIRE_INIT: {session.printable(message)}"
    )


HANDLERS: dict[int, Handler] = {
    **no_channels.handlers(),
    **{type_: within(gossip_answers.kind_of(type_), handler) for type_, handler in gossip_answers.handlers().items()},
    1: take_warning,
    7: gossip_answers.ignore,  # peer_storage: we do not offer to keep anything, and the type is odd
    9: gossip_answers.ignore,
    16: refuse_second_init,
    17: take_error,
    18: answer_ping,
    19: take_pong,
    513: within(Kind.ONION, gossip_answers.ignore),  # onion_message: not offered
}
