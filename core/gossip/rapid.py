"""Rapid gossip sync: the snapshot of a network as LDK's servers make it, versions 1 and 2, read in pieces.

Pure. Nothing in a snapshot is signed, so nothing in it is believed: each count is bounded before anything is made of
it, and each entry takes bytes, so what a hostile one costs is bounded by its size.
(lightning-rapid-gossip-sync: README.md and src/processing.rs.)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.bolt.addresses import Descriptor, encode_descriptors
from core.bolt.wire import Reader, WireError

PREFIX = b"LDK"
MAX_BYTES = 32 << 20
"""Ten times what all of mainnet took in 2024."""
MAX_NODES = 200_000
MAX_CHANNELS = 500_000
MAX_UPDATES = 2 * MAX_CHANNELS
"""Of each some ten times what mainnet has, as LDK bounds them."""
INCREMENTAL = 0x80
"""Of an update's flags: fields that are not there are as they were, and not the snapshot's defaults."""
FIELDS = (
    ("cltv_expiry_delta", 0x40, "H"),
    ("htlc_minimum_msat", 0x20, "Q"),
    ("fee_base_msat", 0x10, "I"),
    ("fee_proportional_millionths", 0x08, "I"),
    ("htlc_maximum_msat", 0x04, "Q"),
)
"""In their order: name, the flag that says it is there, and its type."""
ANNOUNCED = np.dtype(
    [("short_channel_id", np.uint64), ("node_1", np.int32), ("node_2", np.int32), ("capacity_sat", np.uint64)]
)
"""A channel; its ends are places in `node_ids`, its capacity 0 where nobody told."""
UPDATE = np.dtype(
    [
        ("short_channel_id", np.uint64),
        ("flags", np.uint8),
        ("cltv_expiry_delta", np.uint16),
        ("htlc_minimum_msat", np.uint64),
        ("fee_base_msat", np.uint32),
        ("fee_proportional_millionths", np.uint32),
        ("htlc_maximum_msat", np.uint64),
    ]
)
"""One direction of a channel. Of an incremental one, fields whose flag is not set mean nothing."""

_AT_ONCE = 512
"""Entries read between two turns: about 1 ms."""
_ADDITIONAL, _REMINDER, _ADDRESSES, _PARITY = 0x80, 0x40, 0x04, 0x03
_OWN_FEATURES = 7
_MORE_NODE_2 = 1 << 63
_LONG = 0xFFFF
_LAST_SCID = 2**64 - 1

Step = Generator[None, None, None]


class BadSnapshot(Exception):
    """The bytes are no snapshot that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class NodeDetail:
    """What a snapshot says of a node beside its id; a reminder alone says nothing new."""

    node: int
    """Its place in `node_ids`."""
    features: bytes | None
    """None: as before."""
    addresses: bytes | None
    """Descriptors of BOLT 7's types; None: as before."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it, unverified."""

    chain_hash: bytes
    latest_seen: int
    """When the server last heard something, in seconds since the epoch; what to ask it for next time."""
    node_ids: list[bytes]
    details: list[NodeDetail]
    announced: NDArray[Any]
    """`ANNOUNCED`, ascending."""
    features: dict[int, bytes]
    """A channel's, by its place in `announced`, where it has any."""
    updates: NDArray[Any]
    """`UPDATE`, ascending."""

    @property
    def is_incremental(self) -> bool:
        """Whether it builds upon an earlier one."""
        return bool((self.updates["flags"] & INCREMENTAL).any())


def read_snapshot(data: bytes) -> Generator[None, None, Snapshot]:
    """The snapshot, after a piece a turn. Raises BadSnapshot."""
    try:
        return (yield from _Parser(data).read())
    except WireError as error:
        raise BadSnapshot(str(error)) from None


class _Parser:
    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise BadSnapshot(f"has more than {MAX_BYTES} bytes")
        self._reader = Reader(data)
        self._version = 0
        self._node_ids: list[bytes] = []
        self._details: list[NodeDetail] = []
        self._features: dict[int, bytes] = {}

    def read(self) -> Generator[None, None, Snapshot]:
        reader = self._reader
        if reader.take(len(PREFIX)) != PREFIX:
            raise BadSnapshot("does not begin as a snapshot does")
        self._version = reader.u8()
        if self._version not in (1, 2):
            raise BadSnapshot(f"version {self._version} is not known")
        chain_hash, latest_seen = reader.take(32), reader.u32()
        defaults = [self._blob() for _ in range(reader.u8())] if self._version == 2 else []
        yield from self._read_nodes(self._count(MAX_NODES, "nodes"), defaults)
        announced = yield from self._rows(self._count(MAX_CHANNELS, "channels"), ANNOUNCED, self._read_channels)
        updates = yield from self._rows(self._count(MAX_UPDATES, "updates"), UPDATE, self._read_updates)
        return Snapshot(chain_hash, latest_seen, self._node_ids, self._details, announced, self._features, updates)

    def _count(self, most: int, of: str) -> int:
        count = self._reader.u32()
        if count > most:
            raise BadSnapshot(f"claims to have {count} {of}, and {most} is the most that is read")
        return count

    def _blob(self) -> bytes:
        """Bytes behind their number: two bytes, and eight more where that is not enough."""
        length = self._reader.u16()
        return self._reader.take(length if length < _LONG else length + self._reader.u64())

    def _rows(self, count: int, dtype: np.dtype[Any], read: Callable[[int], Iterator[tuple[int, ...]]]) -> Any:
        """An array of what `read` gives, made piece by piece."""
        pieces = [np.zeros(0, dtype)]
        piece: list[tuple[int, ...]] = []
        for row in read(count):
            piece.append(row)
            if len(piece) == _AT_ONCE:
                pieces.append(np.array(piece, dtype))
                piece = []
                yield
        pieces.append(np.array(piece, dtype))
        return np.concatenate(pieces)

    # -- nodes

    def _read_nodes(self, count: int, defaults: list[bytes]) -> Step:
        for node in range(count):
            if self._version == 1:
                self._add_node(self._reader.take(33))
            else:
                self._read_detailed(node, defaults)
            if node % _AT_ONCE == _AT_ONCE - 1:
                yield

    def _add_node(self, node_id: bytes) -> None:
        if node_id[0] not in (2, 3):
            raise BadSnapshot("a node id is no public key")
        self._node_ids.append(node_id)

    def _read_detailed(self, node: int, defaults: list[bytes]) -> None:
        """The first byte of a key has flags beside its parity."""
        reader = self._reader
        raw = reader.take(33)
        flags, kind = raw[0], raw[0] >> 3 & 7
        self._add_node(bytes([flags & _PARITY]) + raw[1:])
        addresses = self._read_addresses() if flags & _ADDRESSES else None
        features = None
        if kind == _OWN_FEATURES:
            features = self._blob()
        elif kind > len(defaults):
            raise BadSnapshot(f"default features {kind} of {len(defaults)}")
        elif kind:
            features = defaults[kind - 1]
        if flags & _REMINDER or kind or addresses is not None:
            self._details.append(NodeDetail(node, features, addresses))
        if flags & _ADDITIONAL:
            self._blob()

    def _read_addresses(self) -> bytes:
        """Those of types that we know: an unknown one hides all that follow it in an announcement."""
        reader = self._reader
        found = []
        for _ in range(reader.u8()):
            raw = reader.take(reader.u8())
            descriptor = Descriptor(raw[0], raw[1:]) if raw else None
            if descriptor is not None and descriptor.is_known:
                found.append(descriptor)
        return encode_descriptors(found)

    # -- channels

    def _next_scid(self, before: int) -> int:
        scid = before + self._reader.bigsize()
        if scid > _LAST_SCID:
            raise BadSnapshot("a short channel id is beyond the last")
        return scid

    def _read_channels(self, count: int) -> Iterator[tuple[int, ...]]:
        reader, nodes, scid = self._reader, len(self._node_ids), 0
        for number in range(count):
            features = self._blob()
            scid = self._next_scid(scid)
            node_1, node_2, capacity = reader.bigsize(), reader.bigsize(), 0
            if node_2 & _MORE_NODE_2:
                node_2 ^= _MORE_NODE_2
                if self._version == 2:
                    capacity = Reader(self._blob()).bigsize()
            if max(node_1, node_2) >= nodes:
                raise BadSnapshot(f"node {max(node_1, node_2)} of {nodes}")
            if features:
                self._features[number] = features
            yield scid, node_1, node_2, capacity

    def _read_updates(self, count: int) -> Iterator[tuple[int, ...]]:
        if not count:
            return
        reader, scid, direction = self._reader, 0, -1
        defaults = tuple(_fields_of(0x7C).unpack(reader.take(_fields_of(0x7C).size)))
        shapes = {flags: _fields_of(flags) for flags in range(0, 0x80, 4)}
        for _ in range(count):
            before, scid = scid, self._next_scid(scid)
            flags = reader.u8()
            again = scid == before and flags & 1 == direction
            direction = flags & 1
            if again and self._version == 2:
                self._blob()  # of a later time: more about the same update
                continue
            shape = shapes[flags & 0x7C]
            told = iter(shape.unpack(reader.take(shape.size)))
            fields = (
                next(told) if flags & there else default
                for (_name, there, _type), default in zip(FIELDS, defaults, strict=True)
            )
            yield scid, flags, *fields


def _fields_of(flags: int) -> Struct:
    """What of an update's fields these flags announce."""
    return Struct(">" + "".join(type_ for _name, there, type_ in FIELDS if flags & there))
