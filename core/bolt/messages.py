"""BOLT 1 messages as values. `encode` and `decode` carry the two type bytes; decode raises `WireError` alone."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import ClassVar, Self

from core.bolt.address import Address, AddressKind
from core.bolt.features import combine
from core.bolt.wire import MAX_MESSAGE_BYTES, OutOfRange, Reader, Truncated, encode_tlv_stream, parse_tlv_stream

ALL_CHANNELS = bytes(32)
"""As a channel id: the connection as a whole, or no channel in particular (BOLT 1)."""
MAX_ANSWERED_PONG_BYTES = 65_532
"""BOLT 1: a ping that asks for this many or more MUST be ignored."""
MAX_PING_IGNORED_BYTES = MAX_MESSAGE_BYTES - 6
MAX_STORAGE_BYTES = 65_531

_NETWORKS_TLV = 1
_REMOTE_ADDR_TLV = 3
_CHAIN_HASH_BYTES = 32


def message_type(message: bytes) -> int:
    """The first two bytes; Truncated when there are none."""
    if len(message) < 2:
        raise Truncated("a message has at least its two type bytes")
    return message[0] << 8 | message[1]


def reader_of(message: bytes, expected_type: int) -> Reader:
    """Stands after the type; OutOfRange when it is another one."""
    type_ = message_type(message)
    if type_ != expected_type:
        raise OutOfRange(f"type {type_} where {expected_type} was expected")
    return Reader(message, 2)


def sized(data: bytes) -> bytes:
    """Behind its length as a u16; OutOfRange when that does not hold it."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise OutOfRange(f"a field has at most {MAX_MESSAGE_BYTES} bytes, not {len(data)}")
    return len(data).to_bytes(2, "big") + data


def sized_from(reader: Reader) -> bytes:
    """A field that stands behind its length as a u16."""
    return reader.take(reader.u16())


@dataclass(frozen=True, slots=True)
class Init:
    """The first message of each side: what it can do and on which chains (BOLT 1, `init`)."""

    TYPE: ClassVar[int] = 16

    global_features: bytes
    features: bytes
    networks: tuple[bytes, ...] | None = None
    """Chain hashes of 32 bytes; None when the record is absent, which means any chain."""
    remote_addr: Address | None = None
    """How the sender sees us; None when absent or of a kind we do not know."""

    @property
    def all_features(self) -> bytes:
        """Both maps OR-ed (BOLT 1: MUST)."""
        return combine(self.global_features, self.features)

    def encode(self) -> bytes:
        records = {}
        if self.networks is not None:
            records[_NETWORKS_TLV] = b"".join(self.networks)
        if self.remote_addr is not None:
            records[_REMOTE_ADDR_TLV] = _encode_ip(self.remote_addr)
        return (
            self.TYPE.to_bytes(2, "big")
            + sized(self.global_features)
            + sized(self.features)
            + encode_tlv_stream(records)
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """BOLT 1: an invalid extension stream MUST close the connection, so it is a WireError here."""
        reader = reader_of(message, cls.TYPE)
        global_features, features = sized_from(reader), sized_from(reader)
        records = parse_tlv_stream(reader.rest())
        networks = records.get(_NETWORKS_TLV)
        if networks is not None and len(networks) % _CHAIN_HASH_BYTES:
            raise Truncated(f"networks of {len(networks)} bytes are not whole chain hashes")
        remote = records.get(_REMOTE_ADDR_TLV)
        return cls(
            global_features,
            features,
            None
            if networks is None
            else tuple(networks[at : at + _CHAIN_HASH_BYTES] for at in range(0, len(networks), _CHAIN_HASH_BYTES)),
            None if remote is None else _decode_ip(remote),
        )


def _encode_ip(address: Address) -> bytes:
    """An address descriptor of type 1 or 2 (BOLT 7)."""
    kind = 1 if address.kind is AddressKind.IPV4 else 2
    return kind.to_bytes(1, "big") + ipaddress.ip_address(address.host).packed + address.port.to_bytes(2, "big")


def _decode_ip(descriptor: bytes) -> Address | None:
    """None for kinds other than IPv4 and IPv6: nothing is done with them."""
    match descriptor[:1], len(descriptor):
        case (b"\x01", 7):
            kind = AddressKind.IPV4
        case (b"\x02", 19):
            kind = AddressKind.IPV6
        case _:
            return None
    ip = ipaddress.ip_address(descriptor[1:-2])
    return Address(kind, str(ip), int.from_bytes(descriptor[-2:], "big"))


@dataclass(frozen=True, slots=True)
class _Text:
    """What `error` and `warning` share."""

    TYPE: ClassVar[int]

    channel_id: bytes
    """32 bytes, `ALL_CHANNELS` when it is about the connection."""
    data: bytes

    def encode(self) -> bytes:
        return self.TYPE.to_bytes(2, "big") + self.channel_id + sized(self.data)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        reader = reader_of(message, cls.TYPE)
        return cls(reader.take(32), sized_from(reader))

    @property
    def text(self) -> str:
        """BOLT 1: only printable ASCII (32 to 126) may be shown as it is; everything else as hex."""
        if all(32 <= byte <= 126 for byte in self.data):
            return self.data.decode("ascii")
        return self.data.hex()


@dataclass(frozen=True, slots=True)
class ErrorMessage(_Text):
    """Fails a channel, or with `ALL_CHANNELS` every channel with the sender (BOLT 1, `error`)."""

    TYPE: ClassVar[int] = 17


@dataclass(frozen=True, slots=True)
class WarningMessage(_Text):
    """Says that something was wrong; fails nothing (BOLT 1, `warning`)."""

    TYPE: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a pong of `num_pong_bytes` (BOLT 1, `ping`)."""

    TYPE: ClassVar[int] = 18

    num_pong_bytes: int
    ignored: bytes = b""

    def encode(self) -> bytes:
        return b"\x00\x12" + self.num_pong_bytes.to_bytes(2, "big") + sized(self.ignored)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        reader = reader_of(message, cls.TYPE)
        return cls(reader.u16(), sized_from(reader))


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a ping; what it holds means nothing (BOLT 1, `pong`)."""

    TYPE: ClassVar[int] = 19

    ignored: bytes = b""

    def encode(self) -> bytes:
        return b"\x00\x13" + sized(self.ignored)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        return cls(sized_from(reader_of(message, cls.TYPE)))


@dataclass(frozen=True, slots=True)
class _Blob:
    """What the two peer storage messages share."""

    TYPE: ClassVar[int]

    blob: bytes
    """At most 65,531 bytes."""

    def encode(self) -> bytes:
        if len(self.blob) > MAX_STORAGE_BYTES:
            raise OutOfRange(f"a stored blob has at most {MAX_STORAGE_BYTES} bytes, not {len(self.blob)}")
        return self.TYPE.to_bytes(2, "big") + sized(self.blob)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        return cls(sized_from(reader_of(message, cls.TYPE)))


@dataclass(frozen=True, slots=True)
class PeerStorage(_Blob):
    """Asks the peer to keep a blob for us (BOLT 1, `peer_storage`)."""

    TYPE: ClassVar[int] = 7


@dataclass(frozen=True, slots=True)
class PeerStorageRetrieval(_Blob):
    """Gives back what was kept (BOLT 1, `peer_storage_retrieval`)."""

    TYPE: ClassVar[int] = 9
