"""Queries of BOLT 7 and their answers: which channels there are, and please send these.

Lists of short channel ids are u64 numbers as on the wire (`ShortChannelId.from_int` shows one): a message holds up to
8,000. Encoding 0 alone is spoken; 1, which was zlib, MUST NOT be used.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from core.bolt.gossip import CHAIN_HASH_BYTES, bounded, exact, pack
from core.bolt.messages import reader_of, sized, sized_from
from core.bolt.wire import (
    MAX_MESSAGE_BYTES,
    OutOfRange,
    Reader,
    Truncated,
    WireError,
    encode_bigsize,
    encode_tlv_stream,
    parse_tlv_stream,
)

WANT_ANNOUNCEMENT, WANT_UPDATE_1, WANT_UPDATE_2, WANT_NODE_1, WANT_NODE_2 = 1, 2, 4, 8, 16
"""Bits of a query flag."""
WANT_TIMESTAMPS, WANT_CHECKSUMS = 1, 2
"""Bits of a query option."""

_QUERY_FLAGS_TLV = 1
_QUERY_OPTION_TLV = 1
_TIMESTAMPS_TLV = 1
_CHECKSUMS_TLV = 3
_PLAIN = b"\x00"
_ID_BYTES = 8
_PAIR_BYTES = 8
_REPLY_BYTES = 2 + CHAIN_HASH_BYTES + 4 + 4 + 1 + 2 + 1
"""Of `reply_channel_range` without ids and records."""
_QUERY_BYTES = 2 + CHAIN_HASH_BYTES + 2 + 1
_RECORD_BYTES = 1 + 3
"""Type and length of a record as long as such lists are."""
_RANGE = struct.Struct(">II")

Pair = tuple[int, int]
"""What node 1 and node 2 said; 0 where one said nothing."""


class UnknownEncoding(WireError):
    """A list is in an encoding that we do not speak. BOLT 7: a warning may be sent; nothing else is wrong."""

    def __init__(self, encoding: int) -> None:
        super().__init__(f"encoding {encoding} where only 0 (plain) is spoken")
        self.encoding = encoding


class CountMismatch(WireError):
    """A record does not have one entry for each short channel id."""


def most_ids_in_query(*, flags: bool) -> int:
    """How many short channel ids one `query_short_channel_ids` holds, with a flag of one byte each or without."""
    return _most(_QUERY_BYTES, _RECORD_BYTES + 1 if flags else 0, 1 if flags else 0)


def most_ids_in_reply(*, timestamps: bool, checksums: bool) -> int:
    """How many short channel ids one `reply_channel_range` holds beside the records asked for."""
    fixed = (_RECORD_BYTES + 1 if timestamps else 0) + (_RECORD_BYTES if checksums else 0)
    return _most(_REPLY_BYTES, fixed, _PAIR_BYTES * (timestamps + checksums))


def _most(message_bytes: int, record_bytes: int, bytes_an_id: int) -> int:
    return (MAX_MESSAGE_BYTES - message_bytes - record_bytes) // (_ID_BYTES + bytes_an_id)


def _encoded_ids(ids: Sequence[int]) -> bytes:
    """BOLT 7: in ascending order; OutOfRange otherwise, since peers refuse it."""
    if any(later <= earlier for earlier, later in itertools.pairwise(ids)):
        raise OutOfRange("short channel ids are to be ascending")
    return sized(_PLAIN + pack(struct.Struct(f">{len(ids)}Q"), *ids))


def _plain(encoded: bytes) -> bytes:
    """What stands behind the encoding byte. No byte at all is an empty list: CLN and LND take it for one too."""
    if encoded and encoded[:1] != _PLAIN:
        raise UnknownEncoding(encoded[0])
    return encoded[1:]


def _ids(encoded: bytes) -> tuple[int, ...]:
    """In the order they came, which is not looked at."""
    body = _plain(encoded)
    if len(body) % _ID_BYTES:
        raise Truncated(f"{len(body)} bytes are no whole short channel ids")
    return struct.unpack(f">{len(body) // _ID_BYTES}Q", body)


def _pairs(body: bytes, count: int, what: str) -> tuple[Pair, ...]:
    if len(body) != count * _PAIR_BYTES:
        raise CountMismatch(f"{len(body)} bytes of {what} for {count} short channel ids")
    return tuple(_RANGE.iter_unpack(body))


def _encoded_pairs(pairs: Sequence[Pair], count: int, what: str) -> bytes:
    if len(pairs) != count:
        raise CountMismatch(f"{len(pairs)} {what} for {count} short channel ids")
    return b"".join(pack(_RANGE, *pair) for pair in pairs)


def _flags(encoded: bytes, count: int) -> tuple[int, ...]:
    body = _plain(encoded)
    if len(body) == count and not any(byte >= 0xFD for byte in body):
        return tuple(body)
    reader = Reader(body)
    flags: list[int] = []
    while reader.remaining:
        flags.append(reader.bigsize())
    if len(flags) != count:
        raise CountMismatch(f"{len(flags)} query flags for {count} short channel ids")
    return tuple(flags)


@dataclass(frozen=True, slots=True)
class QueryShortChannelIds:
    """Asks for what is known of these channels (BOLT 7, `query_short_channel_ids`)."""

    TYPE: ClassVar[int] = 261

    chain_hash: bytes
    short_channel_ids: tuple[int, ...]
    query_flags: tuple[int, ...] | None = None
    """What is wanted of each (WANT_...); None for everything."""

    def encode(self) -> bytes:
        records = {}
        if self.query_flags is not None:
            if len(self.query_flags) != len(self.short_channel_ids):
                raise CountMismatch(
                    f"{len(self.query_flags)} query flags for {len(self.short_channel_ids)} short channel ids"
                )
            records[_QUERY_FLAGS_TLV] = _PLAIN + b"".join(map(encode_bigsize, self.query_flags))
        return bounded(
            self.TYPE.to_bytes(2, "big")
            + exact(self.chain_hash, CHAIN_HASH_BYTES)
            + _encoded_ids(self.short_channel_ids)
            + encode_tlv_stream(records)
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Also UnknownEncoding and CountMismatch, for which BOLT 7 asks no more than a warning."""
        reader = reader_of(message, cls.TYPE)
        chain_hash, encoded = reader.take(CHAIN_HASH_BYTES), sized_from(reader)
        flags = parse_tlv_stream(reader.rest()).get(_QUERY_FLAGS_TLV)
        ids = _ids(encoded)
        return cls(chain_hash, ids, None if flags is None else _flags(flags, len(ids)))


@dataclass(frozen=True, slots=True)
class ReplyShortChannelIdsEnd:
    """All that was known has been sent (BOLT 7, `reply_short_channel_ids_end`)."""

    TYPE: ClassVar[int] = 262

    chain_hash: bytes
    full_information: bool
    """False when the sender does not keep up with this chain."""

    def encode(self) -> bytes:
        return self.TYPE.to_bytes(2, "big") + exact(self.chain_hash, CHAIN_HASH_BYTES) + bytes([self.full_information])

    @classmethod
    def decode(cls, message: bytes) -> Self:
        reader = reader_of(message, cls.TYPE)
        return cls(reader.take(CHAIN_HASH_BYTES), bool(reader.u8()))


@dataclass(frozen=True, slots=True)
class QueryChannelRange:
    """Asks which channels were funded in a range of blocks (BOLT 7, `query_channel_range`)."""

    TYPE: ClassVar[int] = 263

    chain_hash: bytes
    first_blocknum: int
    number_of_blocks: int
    query_option: int | None = None
    """WANT_TIMESTAMPS and WANT_CHECKSUMS; None when the record is absent."""

    @property
    def end_blocknum(self) -> int:
        """The block after the last; may be beyond what a u32 holds."""
        return self.first_blocknum + self.number_of_blocks

    def wants(self, bit: int) -> bool:
        """WANT_TIMESTAMPS or WANT_CHECKSUMS."""
        return bool((self.query_option or 0) & bit)

    def encode(self) -> bytes:
        records = {} if self.query_option is None else {_QUERY_OPTION_TLV: encode_bigsize(self.query_option)}
        return (
            self.TYPE.to_bytes(2, "big")
            + exact(self.chain_hash, CHAIN_HASH_BYTES)
            + pack(_RANGE, self.first_blocknum, self.number_of_blocks)
            + encode_tlv_stream(records)
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        reader = reader_of(message, cls.TYPE)
        chain_hash, first, number = reader.take(CHAIN_HASH_BYTES), reader.u32(), reader.u32()
        record = parse_tlv_stream(reader.rest()).get(_QUERY_OPTION_TLV)
        if record is None:
            return cls(chain_hash, first, number)
        option = Reader(record)
        flags = option.bigsize()
        option.finish()
        return cls(chain_hash, first, number, flags)


@dataclass(frozen=True, slots=True)
class ReplyChannelRange:
    """One part of the answer to `query_channel_range` (BOLT 7, `reply_channel_range`)."""

    TYPE: ClassVar[int] = 264

    chain_hash: bytes
    first_blocknum: int
    number_of_blocks: int
    sync_complete: bool
    """BOLT 7: false when more is to follow. Older nodes meant by it that they keep up with the chain."""
    short_channel_ids: tuple[int, ...]
    timestamps: tuple[Pair, ...] | None = None
    """Of the latest update of each node, for each id."""
    checksums: tuple[Pair, ...] | None = None
    """`update_checksum` of the same updates."""

    @property
    def end_blocknum(self) -> int:
        """The block after the last; may be beyond what a u32 holds."""
        return self.first_blocknum + self.number_of_blocks

    def encode(self) -> bytes:
        count = len(self.short_channel_ids)
        records = {}
        if self.timestamps is not None:
            records[_TIMESTAMPS_TLV] = _PLAIN + _encoded_pairs(self.timestamps, count, "timestamps")
        if self.checksums is not None:
            records[_CHECKSUMS_TLV] = _encoded_pairs(self.checksums, count, "checksums")
        return bounded(
            self.TYPE.to_bytes(2, "big")
            + exact(self.chain_hash, CHAIN_HASH_BYTES)
            + pack(_RANGE, self.first_blocknum, self.number_of_blocks)
            + bytes([self.sync_complete])
            + _encoded_ids(self.short_channel_ids)
            + encode_tlv_stream(records)
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Also UnknownEncoding and CountMismatch."""
        reader = reader_of(message, cls.TYPE)
        chain_hash, first, number, complete = reader.take(CHAIN_HASH_BYTES), reader.u32(), reader.u32(), reader.u8()
        ids = _ids(sized_from(reader))
        records = parse_tlv_stream(reader.rest())
        timestamps, checksums = records.get(_TIMESTAMPS_TLV), records.get(_CHECKSUMS_TLV)
        return cls(
            chain_hash,
            first,
            number,
            bool(complete),
            ids,
            None if timestamps is None else _pairs(_plain(timestamps), len(ids), "timestamps"),
            None if checksums is None else _pairs(checksums, len(ids), "checksums"),
        )


def range_end(message: bytes) -> int:
    """`ReplyChannelRange.end_blocknum` of one, without reading its list. Truncated when it is too short for that."""
    reader = reader_of(message, ReplyChannelRange.TYPE)
    reader.take(CHAIN_HASH_BYTES)
    return reader.u32() + reader.u32()


@dataclass(frozen=True, slots=True)
class GossipTimestampFilter:
    """Asks for gossip of this range of timestamps from now on (BOLT 7, `gossip_timestamp_filter`)."""

    TYPE: ClassVar[int] = 265

    chain_hash: bytes
    first_timestamp: int
    timestamp_range: int
    """Seconds."""

    def lets_through(self, timestamp: int) -> bool:
        return self.first_timestamp <= timestamp < self.first_timestamp + self.timestamp_range

    def encode(self) -> bytes:
        return (
            self.TYPE.to_bytes(2, "big")
            + exact(self.chain_hash, CHAIN_HASH_BYTES)
            + pack(_RANGE, self.first_timestamp, self.timestamp_range)
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        reader = reader_of(message, cls.TYPE)
        return cls(reader.take(CHAIN_HASH_BYTES), reader.u32(), reader.u32())
