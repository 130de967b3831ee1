"""What the node and its verification workers say to each other; pure, and all that both have to know.

Asked: a frame of u32 length and that many bytes of records. A record: kind (u8), length (u16), body. A body is a
message; the signer's key and a message (the length is the message's); or a digest and for each check a compact
signature and a key. Answered: u16 count and as many verdicts of one byte, in order; count 0 once, as the sign of being
ready. Big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple, TypeAlias

from core.bolt.gossip import POINT_BYTES, SIGNATURE_BYTES, SignedPart, signed_part
from core.bolt.wire import MAX_MESSAGE_BYTES, WireError
from core.gossip.limits import BATCH_BYTES, BATCH_RECORDS

LENGTH = struct.Struct(">I")
COUNT = struct.Struct(">H")
_RECORD = struct.Struct(">BH")
_MESSAGE, _WITH_SIGNER, _PART = range(3)
_DIGEST_BYTES = 32
_CHECK_BYTES = SIGNATURE_BYTES + POINT_BYTES


class Verdict(Enum):
    """What became of a record; true when every signature is genuine."""

    VALID = 0
    WRONG_SIGNATURE = 1
    """A signature is not over this content by this key. High-S ones count as such (BIP 146), as in CLN."""
    BAD_KEY = 2
    """A key is no point of the curve."""
    MALFORMED = 3
    """Too short for its signatures and keys, of a type without any, or an update whose signer was not given."""

    def __bool__(self) -> bool:
        return self is Verdict.VALID


_VERDICTS = tuple(sorted(Verdict, key=lambda verdict: verdict.value))


class SignedBy(NamedTuple):
    """A message that does not name its signer: a `channel_update`."""

    message: bytes
    signer: bytes
    """Id of the announcement's node 1 or 2, by the update's direction; 33 bytes."""


Record: TypeAlias = bytes | SignedBy | SignedPart
"""A whole message with its type; an update with its signer; or what `signed_part` gave."""


def frames(batch: Sequence[Record]) -> Iterator[tuple[int, bytes]]:
    """`batch` in frames of a bounded size with the number of records in each.

    ValueError for a message that no transport carries, and a signer that is not 33 bytes long.
    """
    pieces: list[bytes] = []
    size = 0
    for record in batch:
        piece = _encode(record)
        if pieces and (size + len(piece) > BATCH_BYTES or len(pieces) == BATCH_RECORDS):
            yield len(pieces), LENGTH.pack(size) + b"".join(pieces)
            pieces, size = [], 0
        pieces.append(piece)
        size += len(piece)
    if pieces:
        yield len(pieces), LENGTH.pack(size) + b"".join(pieces)


def _encode(record: Record) -> bytes:
    if isinstance(record, bytes):
        return _head(_MESSAGE, record) + record
    if isinstance(record, SignedBy):
        message, signer = record
        if len(signer) != POINT_BYTES:
            raise ValueError(f"a signer of {len(signer)} bytes")
        return _head(_WITH_SIGNER, message) + signer + message
    body = record.digest + b"".join([signature + key for signature, key in record.checks])
    return _head(_PART, body) + body


def _head(kind: int, body: bytes) -> bytes:
    if len(body) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a record of {len(body)} bytes")
    return _RECORD.pack(kind, len(body))


def parts(body: bytes) -> Iterator[SignedPart | None]:
    """What is to be verified of each record of a frame; None for one that is malformed."""
    offset = 0
    while offset < len(body):
        kind, length = _RECORD.unpack_from(body, offset)
        offset += _RECORD.size
        signer = None
        if kind == _WITH_SIGNER:
            signer = body[offset : offset + POINT_BYTES]
            offset += POINT_BYTES
        content = body[offset : offset + length]
        offset += length
        yield _split(content) if kind == _PART else _signed(content, signer)


def _signed(message: bytes, signer: bytes | None) -> SignedPart | None:
    try:
        return signed_part(message, signer)
    except (WireError, ValueError):
        return None


def _split(content: bytes) -> SignedPart | None:
    """Without any check there would be nothing that could be wrong, so that is malformed too."""
    if len(content) <= _DIGEST_BYTES or (len(content) - _DIGEST_BYTES) % _CHECK_BYTES:
        return None
    checks = tuple(
        (content[start : start + SIGNATURE_BYTES], content[start + SIGNATURE_BYTES : start + _CHECK_BYTES])
        for start in range(_DIGEST_BYTES, len(content), _CHECK_BYTES)
    )
    return SignedPart(content[:_DIGEST_BYTES], checks)


def answer(verdicts: Sequence[Verdict]) -> bytes:
    """The worker's answer to one frame; without verdicts, that it is ready."""
    return COUNT.pack(len(verdicts)) + bytes([verdict.value for verdict in verdicts])


def read_verdicts(data: bytes) -> list[Verdict]:
    """The verdicts of an answer without its count. ValueError for a byte that is none."""
    try:
        return [_VERDICTS[value] for value in data]
    except IndexError:
        raise ValueError("a verdict that is none") from None
