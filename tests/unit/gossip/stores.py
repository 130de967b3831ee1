"""Making `gossip_store` files as Core Lightning writes them."""

from __future__ import annotations

import random
import struct

from core.gossip.store_format import (
    CHANNEL_AMOUNT,
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    CURRENT_VERSION,
    FLAG_COMPLETED,
    FLAG_DELETED,
    HEADER,
    NODE_ANNOUNCEMENT,
    STORE_ID,
    channel_amount,
    encode_record,
)

VERSION = bytes([CURRENT_VERSION])


def message(message_type: int, size: int, fill: bytes = b"x") -> bytes:
    return message_type.to_bytes(2, "big") + fill * size


def record(message_type: int, size: int = 100, timestamp: int = 1_700_000_000, flags: int = FLAG_COMPLETED) -> bytes:
    return encode_record(message(message_type, size), timestamp, flags)


def store(channels: int) -> bytes:
    """A store with its id, and for each channel the announcement, its amount, two updates and one node."""
    one = (
        record(CHANNEL_ANNOUNCEMENT, 430)
        + record(CHANNEL_AMOUNT, 8)
        + record(CHANNEL_UPDATE, 136) * 2
        + record(NODE_ANNOUNCEMENT, 150)
    )
    return VERSION + record(STORE_ID, 32, timestamp=0) + one * channels


CHAIN = bytes(range(32))


def announcement(scid: int, ones: int = 1, twos: int = 2, features: bytes = b"") -> bytes:
    """A channel's announcement between two numbered nodes; the signatures are noise."""
    noise = random.Random(scid).randbytes(4 * 64)
    ends = node_id(ones) + node_id(twos)
    return (
        struct.pack(">H", CHANNEL_ANNOUNCEMENT) + noise + struct.pack(">H", len(features)) + features
        + CHAIN + struct.pack(">Q", scid) + ends + ends
    )  # fmt: skip


def update(scid: int, direction: int, timestamp: int = 1_700_000_000) -> bytes:
    """One direction's fees."""
    noise = random.Random(scid * 2 + direction).randbytes(64)
    facts = struct.pack(">QIBBHQIIQ", scid, timestamp, 1, direction, 40, 1, 1000, scid % 500, 10**9)
    return struct.pack(">H", CHANNEL_UPDATE) + noise + CHAIN + facts


def node(number: int, timestamp: int = 1_700_000_000) -> bytes:
    """A node's announcement, with one address."""
    noise = random.Random(number).randbytes(64)
    alias = f"node {number}".encode().ljust(32, b"\0")
    address = bytes([1, 127, 0, 0, 1, 0x26, 0x07])
    return (
        struct.pack(">H", NODE_ANNOUNCEMENT) + noise + struct.pack(">HI", 0, timestamp) + node_id(number)
        + bytes(3) + alias + struct.pack(">H", len(address)) + address
    )  # fmt: skip


def node_id(number: int) -> bytes:
    return b"\x02" + number.to_bytes(32, "big")


def network(seed: int, channels: int) -> list[tuple[bytes, int]]:
    """Records as they come in: channels with their amounts, both updates, nodes."""
    chance = random.Random(seed)
    nodes = max(2, channels // 3)
    records: list[tuple[bytes, int]] = []
    announced: set[int] = set()
    for scid in range(1, channels + 1):
        ones, twos = sorted(chance.sample(range(nodes), 2))
        stamp = 1_700_000_000 + chance.randrange(10**6)
        records.append((announcement(scid, ones, twos, chance.choice([b"", b"\x01"])), stamp))
        records.append((channel_amount(chance.randrange(10**8)), 0))
        records += [(update(scid, direction, stamp), stamp) for direction in (0, 1)]
        if ones not in announced:
            announced.add(ones)
            records.append((node(ones, stamp), stamp))
    return records


def walked(content: bytes) -> list[tuple[int, bytes]]:
    """Flags and message of every record of a file that is whole, read without what is tested here."""
    found, start = [], 1
    while start < len(content):
        flags, length, _crc, _timestamp = HEADER.unpack_from(content, start)
        start += HEADER.size + length
        found.append((flags, content[start - length : start]))
    assert start == len(content)
    return found


def live(content: bytes) -> list[bytes]:
    """The messages that are not deleted, the store's id left out."""
    return [
        each for flags, each in walked(content) if not flags & FLAG_DELETED and each[:2] != STORE_ID.to_bytes(2, "big")
    ]
