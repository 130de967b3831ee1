"""`sendcustommsg` and `listcustommsgs`: raw protocol messages."""

from __future__ import annotations

from core.base.events import CustomMessage, Direction
from core.bolt.wire import MAX_MESSAGE_BYTES
from core.rpc.commands.base import Command, Context, Json
from core.rpc.params import BadParam, Param, Scope, decimal, node_id, optional, whole_number
from core.rpc.tokens import Token

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
LIST_LIMIT = 1_000
LIST_PAYLOAD_BYTES = 1 << 20
"""A list is cut when its payloads add up to more, so that one request never holds the loop for long."""


def _message(token: Token, _scope: Scope) -> bytes:
    """A whole message with its type. CLN takes bad hex for an empty message and dies of it; we say what it meant to."""
    text = token.text
    if len(text) % 2 or not _HEX_DIGITS.issuperset(text):
        raise BadParam("should be a hex value")
    if not 2 <= len(text) // 2 <= MAX_MESSAGE_BYTES:
        raise BadParam(f"should be a hex value of 2 to {MAX_MESSAGE_BYTES} bytes")
    return bytes.fromhex(text)


def _check_custom(context: Context, *, node_id: bytes, msg: bytes) -> None:
    context.node.peers.check_custom(node_id, msg)


def _sendcustommsg(context: Context, *, node_id: bytes, msg: bytes) -> Json:
    context.node.peers.send_custom(node_id, msg)
    return {"status": "Message sent to connectd for delivery"}


SENDCUSTOMMSG = Command(
    "sendcustommsg",
    "utility",
    "Send the message {msg} (hex, its 2-byte type included; an odd type that the node does not handle itself) to the "
    "peer {node_id}",
    _sendcustommsg,
    (Param("node_id", node_id), Param("msg", _message)),
    verify=_check_custom,
)


def message_hex(message: CustomMessage) -> str:
    """The whole message, its type included, as CLN's `custommsg` has it."""
    return message.type.to_bytes(2, "big").hex() + message.payload.hex()


def _limit(token: Token, _scope: Scope) -> int:
    number = decimal(token.text)
    if number is None or not 0 < number <= LIST_LIMIT:
        raise BadParam(f"should be between 1 and {LIST_LIMIT}")
    return number


def _listcustommsgs(context: Context, *, after: int, limit: int) -> Json:
    found: list[Json] = []
    size = 0
    for message in context.node.peers.custom_messages(after):
        if message.direction is not Direction.IN:
            continue
        size += len(message.payload)
        if found and (len(found) == limit or size > LIST_PAYLOAD_BYTES):
            break
        found.append(
            {
                "cursor": message.cursor,
                "time": round(message.time, 3),
                "peer_id": message.peer_id.hex(),
                "payload": message_hex(message),
                "type": message.type,
            }
        )
    return {"custommsgs": found}


LISTCUSTOMMSGS = Command(
    "listcustommsgs",
    "utility",
    "Leyden's own: the custom messages that peers sent, newest last, those with a cursor above {after} (default 0). "
    f"At most {{limit}} (default {LIST_LIMIT}) and 1 MiB of payload at a time: ask again after the last cursor. "
    "payload is the whole message in hex with its 2-byte type, as in CLN's custommsg; type is that type as a number; "
    "time is in seconds since 1970",
    _listcustommsgs,
    (optional("after", whole_number, default=0), optional("limit", _limit, default=LIST_LIMIT)),
)
