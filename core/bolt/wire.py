"""Fundamental types of the wire: BigSize, truncated and signed integers, TLV streams, short channel ids (BOLT 1)."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

MAX_MESSAGE_BYTES = 65_535
"""A message with its two type bytes (BOLT 8: the length is a u16)."""

_MAX_U64 = 2**64 - 1
_MAX_SCID_DIGITS = 8
"""Of 2^24-1."""


class WireError(Exception):
    """Bytes that do not say what they should."""


class Truncated(WireError):
    """The data ends before the field does."""


class NotCanonical(WireError):
    """A number is not in its shortest form."""


class OutOfRange(WireError):
    """A value does not fit the field it is meant for."""


class TlvOrder(WireError):
    """Records are not in strictly ascending order of their type."""


class UnknownEvenTlv(WireError):
    """A record that we do not know and must not ignore."""

    def __init__(self, type_: int) -> None:
        super().__init__(f"unknown even TLV type {type_}")
        self.type = type_


class TrailingBytes(WireError):
    """A field of fixed content is longer than its content."""


class Reader:
    """Takes fields off the front of a message; every method raises `Truncated` when too little is left."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self._data = data
        self._offset = offset

    @property
    def remaining(self) -> int:
        """Bytes not yet taken."""
        return len(self._data) - self._offset

    def take(self, count: int) -> bytes:
        end = self._offset + count
        if end > len(self._data):
            raise Truncated(f"{count} bytes wanted, {self.remaining} left")
        chunk = self._data[self._offset : end]
        self._offset = end
        return chunk

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def bigsize(self) -> int:
        value, self._offset = decode_bigsize(self._data, self._offset)
        return value

    def rest(self) -> bytes:
        return self.take(self.remaining)

    def finish(self) -> None:
        """`TrailingBytes` unless all was taken."""
        if self.remaining:
            raise TrailingBytes(f"{self.remaining} bytes too many")


def encode_bigsize(value: int) -> bytes:
    """BigSize of 0 to 2^64-1 in its shortest form (BOLT 1, Appendix A)."""
    if not 0 <= value <= _MAX_U64:
        raise OutOfRange(f"{value} is no BigSize")
    if value < 0xFD:
        return value.to_bytes(1, "big")
    if value < 0x1_0000:
        return b"\xfd" + value.to_bytes(2, "big")
    if value < 0x1_0000_0000:
        return b"\xfe" + value.to_bytes(4, "big")
    return b"\xff" + value.to_bytes(8, "big")


def decode_bigsize(data: bytes, offset: int = 0) -> tuple[int, int]:
    """The number at `offset` and the offset after it. BOLT 1: a decoder MUST refuse what is not minimal."""
    if offset >= len(data):
        raise Truncated("BigSize expected, nothing left")
    first = data[offset]
    offset += 1
    if first < 0xFD:
        return first, offset
    width = 1 << (first - 0xFC)
    end = offset + width
    if end > len(data):
        raise Truncated(f"BigSize of {width} bytes, {len(data) - offset} left")
    value = int.from_bytes(data[offset:end], "big")
    smallest = 0xFD if width == 2 else 1 << (4 * width)
    if value < smallest:
        raise NotCanonical("decoded bigsize is not canonical")
    return value, end


def encode_truncated(value: int, max_bytes: int) -> bytes:
    """tu16, tu32 or tu64 (`max_bytes` 2, 4, 8): big-endian without leading zero bytes; zero is empty."""
    if not 0 <= value < 1 << (8 * max_bytes):
        raise OutOfRange(f"{value} does not fit {max_bytes} bytes")
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode_truncated(data: bytes, max_bytes: int) -> int:
    """The whole of `data` as a truncated integer of at most `max_bytes`."""
    if len(data) > max_bytes:
        raise OutOfRange(f"{len(data)} bytes for an integer of at most {max_bytes}")
    if data[:1] == b"\x00":
        raise NotCanonical("truncated integer with a leading zero byte")
    return int.from_bytes(data, "big")


def encode_signed(value: int) -> bytes:
    """Two's complement in the least of 1, 2, 4 or 8 bytes (BOLT 1, Appendix D)."""
    for width in (1, 2, 4, 8):
        limit = 1 << (8 * width - 1)
        if -limit <= value < limit:
            return value.to_bytes(width, "big", signed=True)
    raise OutOfRange(f"{value} does not fit 64 bits")


def decode_signed(data: bytes) -> int:
    """The whole of `data` as a minimally encoded signed integer."""
    if len(data) not in (1, 2, 4, 8):
        raise OutOfRange(f"a signed integer has 1, 2, 4 or 8 bytes, not {len(data)}")
    value = int.from_bytes(data, "big", signed=True)
    if encode_signed(value) != data:
        raise NotCanonical("signed integer is not in its shortest form")
    return value


def parse_tlv_stream(data: bytes, known: Container[int] = ()) -> dict[int, bytes]:
    """All records of a stream, ours and foreign odd ones, by type in ascending order.

    BOLT 1: MUST refuse types out of order or repeated, non-minimal numbers, truncated records, and even types that
    are not in `known`. What stands inside a known record is the caller's to check.
    """
    records: dict[int, bytes] = {}
    offset, previous = 0, -1
    while offset < len(data):
        type_, offset = decode_bigsize(data, offset)
        if type_ <= previous:
            raise TlvOrder(f"TLV type {type_} after {previous}")
        if type_ % 2 == 0 and type_ not in known:
            raise UnknownEvenTlv(type_)
        length, offset = decode_bigsize(data, offset)
        end = offset + length
        if end > len(data):
            raise Truncated(f"TLV {type_} of {length} bytes, {len(data) - offset} left")
        records[type_] = data[offset:end]
        offset, previous = end, type_
    return records


def encode_tlv_stream(records: Mapping[int, bytes]) -> bytes:
    """The stream of `records`, whatever their order in the mapping."""
    return b"".join(
        encode_bigsize(type_) + encode_bigsize(len(records[type_])) + records[type_] for type_ in sorted(records)
    )


def _is_number(text: str) -> bool:
    """Decimal digits, and no more than the widest part of a short channel id has."""
    return text.isascii() and text.isdigit() and len(text) <= _MAX_SCID_DIGITS


class ShortChannelId(NamedTuple):
    """Where a channel's funding output stands: block height, transaction index, output index (BOLT 7)."""

    block: int
    transaction: int
    output: int

    @classmethod
    def from_int(cls, value: int) -> ShortChannelId:
        """From the u64 of the wire."""
        if not 0 <= value <= _MAX_U64:
            raise OutOfRange(f"{value} is no short channel id")
        return cls(value >> 40, value >> 16 & 0xFFFFFF, value & 0xFFFF)

    @classmethod
    def parse(cls, text: str) -> ShortChannelId:
        """From the `539268x845x1` form."""
        parts = text.split("x")
        if len(parts) != 3 or not all(_is_number(part) for part in parts):
            raise OutOfRange(f"{text!r} is not of the form BLOCKxTRANSACTIONxOUTPUT")
        scid = cls(*(int(part) for part in parts))
        if scid.block > 0xFFFFFF or scid.transaction > 0xFFFFFF or scid.output > 0xFFFF:
            raise OutOfRange(f"{text!r} has a part beyond its field")
        return scid

    def __int__(self) -> int:
        return self.block << 40 | self.transaction << 16 | self.output

    def __str__(self) -> str:
        return f"{self.block}x{self.transaction}x{self.output}"
