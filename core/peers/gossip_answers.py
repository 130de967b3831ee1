"""Gossip messages go to who keeps the graph. Without one announcements pass by, queries are answered with nothing.

BOLT 7 makes the query messages part of every node, whatever bit 7 says: the receiver of `query_channel_range` MUST
respond, and the answer to `query_short_channel_ids` MUST end with `reply_short_channel_ids_end`. A peer that never
hears back may wait for ever. Both answers say that we do not keep up with the chain (`sync_complete` and
`full_information` 0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.bolt.wire import Reader, WireError
from core.peers.throttle import Kind

if TYPE_CHECKING:
    from core.peers.dispatch import Handler
    from core.peers.session import Session

_REPLY_SHORT_CHANNEL_IDS_END = b"\x01\x06"
_REPLY_CHANNEL_RANGE = b"\x01\x08"
_CHAIN_HASH_BYTES = 32
_NO_SHORT_CHANNEL_IDS = b"\x00\x01\x00"
"""One byte of encoding (0, plain) and no ids."""


_SHORTEST = {256: 432, 257: 142, 258: 138, 262: 35, 264: 45}
"""Bytes of each message that is not served yet when all its lists are empty, its type included (BOLT 7)."""


def ignore(_session: Session, _message: bytes) -> None:
    """Nothing to do with it yet."""


def look_at_length(session: Session, message: bytes) -> None:
    """Nothing to do with it yet. BOLT 1: a known message with insufficient length MUST close the connection."""
    if len(message) < _SHORTEST[message[0] << 8 | message[1]]:
        session.malformed(message)


def answer_short_channel_ids(session: Session, message: bytes) -> None:
    """BOLT 7: without current information for the chain MUST set `full_information` to 0."""
    try:
        reader = Reader(message, 2)
        chain_hash = reader.take(_CHAIN_HASH_BYTES)
        reader.take(reader.u16())
    except WireError:
        session.malformed(message)
        return
    session.send(_REPLY_SHORT_CHANNEL_IDS_END + chain_hash + b"\x00")


def answer_channel_range(session: Session, message: bytes) -> None:
    """BOLT 7: MUST respond; without current information for the chain `sync_complete` is 0."""
    try:
        reader = Reader(message, 2)
        range_asked = reader.take(_CHAIN_HASH_BYTES + 4 + 4)
    except WireError:
        session.malformed(message)
        return
    session.send(_REPLY_CHANNEL_RANGE + range_asked + b"\x00" + _NO_SHORT_CHANNEL_IDS)


def accept_filter(session: Session, message: bytes) -> None:
    """A filter for what we will send: nothing, so any filter is kept to."""
    if len(message) < 2 + _CHAIN_HASH_BYTES + 4 + 4:
        session.malformed(message)


def kind_of(type_: int) -> Kind:
    """Whose budget a message of BOLT 7 counts for: what asks for an answer is dearer."""
    return Kind.QUERY if type_ in (261, 263, 265) else Kind.GOSSIP


def handlers() -> dict[int, Handler]:
    """For the dispatch table: types 256 to 265 (BOLT 7), `announcement_signatures` apart."""
    without_graph: dict[int, Handler] = {
        **dict.fromkeys(_SHORTEST, look_at_length),
        261: answer_short_channel_ids,
        263: answer_channel_range,
        265: accept_filter,
    }
    return {type_: _handed_over(handler) for type_, handler in without_graph.items()}


def _handed_over(without_graph: Handler) -> Handler:
    def handle(session: Session, message: bytes) -> None:
        if not session.take_gossip(message):
            without_graph(session, message)

    return handle
