"""Announcements of BOLT 7 as values, what their signatures sign, and the checksum of an update.

`decode` takes and `encode` gives the whole message with its type. Decoding keeps every byte that a signature covers, so
`encode` of what was decoded is the message again. Points and signatures are not looked at here: that is the verifier's.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import google_crc32c

from core.bolt.address import Address
from core.bolt.addresses import Descriptor, decode_descriptors, encode_descriptors, may_be_forwarded, usable
from core.bolt.messages import message_type, reader_of, sized, sized_from
from core.bolt.wire import MAX_MESSAGE_BYTES, OutOfRange, Reader, ShortChannelId, Truncated

CHAIN_HASH_BYTES = 32
SIGNATURE_BYTES = 64
POINT_BYTES = 33
ALIAS_BYTES = 32
COLOR_BYTES = 3

_TYPE_BYTES = 2
_SIGNED_FROM = _TYPE_BYTES + SIGNATURE_BYTES
"""Where what an update or a node announcement signs begins."""
_CHANNEL_SIGNED_FROM = _TYPE_BYTES + 4 * SIGNATURE_BYTES

_UPDATE = struct.Struct(">H64s32sQIBBHQIIQ")
_UPDATE_TIMESTAMP = slice(_SIGNED_FROM + CHAIN_HASH_BYTES + 8, _SIGNED_FROM + CHAIN_HASH_BYTES + 12)


class SignedPart(NamedTuple):
    """What makes an announcement genuine: each signature is over the digest and by its key."""

    digest: bytes
    """SHA256d of all that follows the signatures, 32 bytes."""
    checks: tuple[tuple[bytes, bytes], ...]
    """Compact signature (64 bytes) and compressed key (33 bytes), neither looked at."""


def exact(value: bytes, size: int) -> bytes:
    """`value` for a field of `size` bytes; OutOfRange when it has another length."""
    if len(value) != size:
        raise OutOfRange(f"{len(value)} bytes for a field of {size}")
    return value


def bounded(message: bytes) -> bytes:
    """`message` when it fits the transport; OutOfRange otherwise."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise OutOfRange(f"a message has at most {MAX_MESSAGE_BYTES} bytes, not {len(message)}")
    return message


def pack(layout: struct.Struct, *values: Any) -> bytes:
    """OutOfRange for a number that does not fit its field. Lengths of bytes are the caller's to check (`exact`)."""
    try:
        return layout.pack(*values)
    except struct.error as error:
        raise OutOfRange(str(error)) from None


_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class ChannelAnnouncement:
    """A channel with proof of who owns it (BOLT 7, `channel_announcement`)."""

    TYPE: ClassVar[int] = 256

    node_signature_1: bytes
    node_signature_2: bytes
    bitcoin_signature_1: bytes
    bitcoin_signature_2: bytes
    features: bytes
    chain_hash: bytes
    short_channel_id: ShortChannelId
    node_id_1: bytes
    """The lesser of the two (BOLT 7); not checked here."""
    node_id_2: bytes
    bitcoin_key_1: bytes
    bitcoin_key_2: bytes
    rest: bytes = b""
    """Fields of a later specification: signed, kept, not read."""

    def encode(self) -> bytes:
        signatures = (
            self.node_signature_1,
            self.node_signature_2,
            self.bitcoin_signature_1,
            self.bitcoin_signature_2,
        )
        keys = (self.node_id_1, self.node_id_2, self.bitcoin_key_1, self.bitcoin_key_2)
        return bounded(
            self.TYPE.to_bytes(2, "big")
            + b"".join(exact(signature, SIGNATURE_BYTES) for signature in signatures)
            + sized(self.features)
            + exact(self.chain_hash, CHAIN_HASH_BYTES)
            + pack(_U64, int(self.short_channel_id))
            + b"".join(exact(key, POINT_BYTES) for key in keys)
            + self.rest
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        reader = reader_of(message, cls.TYPE)
        take = reader.take
        return cls(
            take(SIGNATURE_BYTES),
            take(SIGNATURE_BYTES),
            take(SIGNATURE_BYTES),
            take(SIGNATURE_BYTES),
            sized_from(reader),
            take(CHAIN_HASH_BYTES),
            ShortChannelId.from_int(reader.u64()),
            take(POINT_BYTES),
            take(POINT_BYTES),
            take(POINT_BYTES),
            take(POINT_BYTES),
            reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class NodeAnnouncement:
    """What a node says of itself (BOLT 7, `node_announcement`); nobody vouches for any of it."""

    TYPE: ClassVar[int] = 257

    signature: bytes
    features: bytes
    timestamp: int
    """Seconds since 1970 by custom; only its order counts."""
    node_id: bytes
    rgb_color: bytes
    """Red, green, blue."""
    alias: bytes
    """32 bytes as they came: meant to be UTF-8 with zeros behind, and never to be shown unexamined."""
    addresses: tuple[Descriptor, ...] = ()
    rest: bytes = b""
    """Fields of a later specification: signed, kept, not read."""

    @property
    def usable_addresses(self) -> tuple[Address, ...]:
        """Those that can be dialled."""
        return usable(self.addresses)

    @property
    def may_be_forwarded(self) -> bool:
        """False when BOLT 7 forbids to pass it on."""
        return may_be_forwarded(self.addresses)

    def encode(self) -> bytes:
        return bounded(
            self.TYPE.to_bytes(2, "big")
            + exact(self.signature, SIGNATURE_BYTES)
            + sized(self.features)
            + pack(_U32, self.timestamp)
            + exact(self.node_id, POINT_BYTES)
            + exact(self.rgb_color, COLOR_BYTES)
            + exact(self.alias, ALIAS_BYTES)
            + sized(encode_descriptors(self.addresses))
            + self.rest
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        reader = reader_of(message, cls.TYPE)
        return cls(
            reader.take(SIGNATURE_BYTES),
            sized_from(reader),
            reader.u32(),
            reader.take(POINT_BYTES),
            reader.take(COLOR_BYTES),
            reader.take(ALIAS_BYTES),
            decode_descriptors(sized_from(reader)),
            reader.rest(),
        )


@dataclass(frozen=True, slots=True)
class ChannelUpdate:
    """On what terms one end forwards through its channel (BOLT 7, `channel_update`)."""

    TYPE: ClassVar[int] = 258

    signature: bytes
    chain_hash: bytes
    short_channel_id: ShortChannelId
    timestamp: int
    """Seconds since 1970."""
    message_flags: int
    channel_flags: int
    cltv_expiry_delta: int
    """Blocks."""
    htlc_minimum_msat: int
    fee_base_msat: int
    fee_proportional_millionths: int
    htlc_maximum_msat: int
    rest: bytes = b""
    """Fields of a later specification: signed, kept, not read."""

    @property
    def direction(self) -> int:
        """0 when `node_id_1` of the announcement speaks, 1 for `node_id_2`."""
        return self.channel_flags & 1

    @property
    def disabled(self) -> bool:
        return bool(self.channel_flags & 2)

    @property
    def dont_forward(self) -> bool:
        """Meant for us alone: BOLT 7 forbids to pass it on."""
        return bool(self.message_flags & 2)

    def encode(self) -> bytes:
        return bounded(
            pack(
                _UPDATE,
                self.TYPE,
                exact(self.signature, SIGNATURE_BYTES),
                exact(self.chain_hash, CHAIN_HASH_BYTES),
                int(self.short_channel_id),
                self.timestamp,
                self.message_flags,
                self.channel_flags,
                self.cltv_expiry_delta,
                self.htlc_minimum_msat,
                self.fee_base_msat,
                self.fee_proportional_millionths,
                self.htlc_maximum_msat,
            )
            + self.rest
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        type_ = message_type(message)
        if type_ != cls.TYPE:
            raise OutOfRange(f"type {type_} where {cls.TYPE} was expected")
        if len(message) < _UPDATE.size:
            raise Truncated(f"an update has at least {_UPDATE.size} bytes, not {len(message)}")
        _, signature, chain_hash, scid, timestamp, flags, more_flags, delta, minimum, base, proportional, maximum = (
            _UPDATE.unpack_from(message)
        )
        return cls(
            signature,
            chain_hash,
            ShortChannelId.from_int(scid),
            timestamp,
            flags,
            more_flags,
            delta,
            minimum,
            base,
            proportional,
            maximum,
            message[_UPDATE.size :],
        )


@dataclass(frozen=True, slots=True)
class AnnouncementSignatures:
    """One end's half of a channel announcement (BOLT 7, `announcement_signatures`)."""

    TYPE: ClassVar[int] = 259

    channel_id: bytes
    """32 bytes."""
    short_channel_id: ShortChannelId
    node_signature: bytes
    bitcoin_signature: bytes

    def encode(self) -> bytes:
        return (
            self.TYPE.to_bytes(2, "big")
            + exact(self.channel_id, 32)
            + pack(_U64, int(self.short_channel_id))
            + exact(self.node_signature, SIGNATURE_BYTES)
            + exact(self.bitcoin_signature, SIGNATURE_BYTES)
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        reader = reader_of(message, cls.TYPE)
        return cls(
            reader.take(32),
            ShortChannelId.from_int(reader.u64()),
            reader.take(SIGNATURE_BYTES),
            reader.take(SIGNATURE_BYTES),
        )


def signed_part(message: bytes, signer: bytes | None = None) -> SignedPart:
    """What must be verified of a `channel_announcement`, `node_announcement` or `channel_update`.

    An update does not name who signed it: `signer` is the id of the announcement's node 1 or 2, by the update's
    direction; ValueError when it is missing, as for a type that bears no signature. Truncated when the message is too
    short for its signatures and keys. Nothing else of it is read.
    """
    match message_type(message):
        case ChannelAnnouncement.TYPE:
            return SignedPart(_digest(message, _CHANNEL_SIGNED_FROM), _channel_checks(message))
        case NodeAnnouncement.TYPE:
            reader = Reader(message, _TYPE_BYTES)
            signature = reader.take(SIGNATURE_BYTES)
            reader.take(reader.u16() + 4)  # features, timestamp
            return SignedPart(_digest(message, _SIGNED_FROM), ((signature, reader.take(POINT_BYTES)),))
        case ChannelUpdate.TYPE:
            if signer is None:
                raise ValueError("an update does not say who signed it")
            if len(message) < _SIGNED_FROM:
                raise Truncated(f"no signature ends after {len(message)} bytes")
            return SignedPart(_digest(message, _SIGNED_FROM), ((message[_TYPE_BYTES:_SIGNED_FROM], signer),))
        case other:
            raise ValueError(f"a message of type {other} bears no signature")


def _channel_checks(message: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Both nodes, then both keys of the funding output."""
    features = int.from_bytes(message[_CHANNEL_SIGNED_FROM : _CHANNEL_SIGNED_FROM + 2], "big")
    keys = _CHANNEL_SIGNED_FROM + 2 + features + CHAIN_HASH_BYTES + 8
    if len(message) < keys + 4 * POINT_BYTES:
        raise Truncated(f"a channel announcement has at least {keys + 4 * POINT_BYTES} bytes, not {len(message)}")
    signatures = range(_TYPE_BYTES, _CHANNEL_SIGNED_FROM, SIGNATURE_BYTES)
    return tuple(
        [
            (message[at : at + SIGNATURE_BYTES], message[key : key + POINT_BYTES])
            for at, key in zip(signatures, range(keys, keys + 4 * POINT_BYTES, POINT_BYTES), strict=True)
        ]
    )


def _digest(message: bytes, start: int) -> bytes:
    return hashlib.sha256(hashlib.sha256(message[start:]).digest()).digest()


def update_checksum(message: bytes) -> int:
    """CRC-32C of an encoded `channel_update` without type, signature and timestamp (BOLT 7, `checksums_tlv`).

    Two updates with the same checksum say the same. Truncated when `message` is too short to be one.
    """
    if len(message) < _UPDATE_TIMESTAMP.stop:
        raise Truncated(f"no update ends after {len(message)} bytes")
    before: int = google_crc32c.value(message[_SIGNED_FROM : _UPDATE_TIMESTAMP.start])
    checksum: int = google_crc32c.extend(before, message[_UPDATE_TIMESTAMP.stop :])
    return checksum
