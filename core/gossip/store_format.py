"""Core Lightning's `gossip_store` as bytes: records, flags, and what is counted while walking them. Pure.

Current is version 16 (common/gossip_store.h, gossipd/gossip_store.c). The top three bits of the first byte change only
with an incompatible format, so any minor version of major 0 from 9 on can be walked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import google_crc32c

CURRENT_VERSION = 16
OLDEST_MINOR = 9
"""Older ones have another record header."""
FIRST_WITH_COMPLETED = 15
VERSION_BYTES = 1
HEADER = struct.Struct(">HHII")
"""flags, length of the message, CRC32C, timestamp."""

FLAG_DELETED = 0x8000
FLAG_COMPLETED = 0x2000
FLAG_ZOMBIE = 0x1000
"""Up to version 13."""
FLAG_DYING = 0x0800

CHANNEL_ANNOUNCEMENT = 256
NODE_ANNOUNCEMENT = 257
CHANNEL_UPDATE = 258
CHANNEL_AMOUNT = 4101
"""Capacity in sat (u64) of the announcement right before it."""
PRIVATE_UPDATE = 4102
DELETE_CHANNEL = 4103
"""A channel is gone (u64 short channel id): its records before this one count no more."""
PRIVATE_CHANNEL = 4104
ENDED = 4105
"""The last record of a file that was compacted: how long the new one is (u64), its id."""
CHANNEL_DYING = 4106
"""The funding output was spent: short channel id (u64), and the height (u32) at which the channel is forgotten."""
STORE_ID = 4107
"""32 random bytes, the first record."""
STORE_ID_BYTES = 32

MAX_MESSAGE_BYTES = 0xFFFF
MIN_MESSAGE_BYTES = 2
"""Its type."""


class StoreDamaged(Exception):
    """The bytes break the format in a way that no interrupted write explains; the text says how and where."""


@dataclass(slots=True)
class StoreCounts:
    """What a store holds; deleted records are counted as that alone."""

    records: int = 0
    channels: int = 0
    channel_updates: int = 0
    nodes: int = 0
    other: int = 0
    """CLN's own notes: capacities, closed channels, the store's id."""
    deleted: int = 0
    bytes: int = 0
    """Up to the end of the last complete record, version byte included."""

    def add(self, message_type: int, *, deleted: bool) -> None:
        self.records += 1
        if deleted:
            self.deleted += 1
        elif message_type == CHANNEL_ANNOUNCEMENT:
            self.channels += 1
        elif message_type == CHANNEL_UPDATE:
            self.channel_updates += 1
        elif message_type == NODE_ANNOUNCEMENT:
            self.nodes += 1
        else:
            self.other += 1


def checksum(timestamp: int, message: bytes) -> int:
    """CRC32C over the message, continued from the timestamp as if that were the checksum so far."""
    value: int = google_crc32c.extend(timestamp, message)
    return value


def encode_record(message: bytes, timestamp: int, flags: int = FLAG_COMPLETED) -> bytes:
    """Header and message."""
    return HEADER.pack(flags, len(message), checksum(timestamp, message), timestamp) + message


def channel_amount(capacity_sat: int) -> bytes:
    """Goes right behind its channel's announcement."""
    return struct.pack(">HQ", CHANNEL_AMOUNT, capacity_sat)


def delete_channel(short_channel_id: int) -> bytes:
    """Goes into the store before the channel's records are marked as deleted."""
    return struct.pack(">HQ", DELETE_CHANNEL, short_channel_id)


def channel_dying(short_channel_id: int, deadline: int) -> bytes:
    """`deadline` is the height at which the channel is forgotten, as Core Lightning has it."""
    return struct.pack(">HQI", CHANNEL_DYING, short_channel_id, deadline)


def store_id(identity: bytes) -> bytes:
    """`identity` are 32 random bytes, new with each file."""
    return struct.pack(">H", STORE_ID) + identity


def ended(length: int, identity: bytes) -> bytes:
    """`length` and `identity` are those of the file that took this one's place."""
    return struct.pack(">HQ", ENDED, length) + identity


def check_version(byte: int) -> int:
    """Give the minor version; StoreDamaged when the format cannot be walked."""
    major, minor = byte >> 5, byte & 0x1F
    if major != 0 or minor < OLDEST_MINOR:
        raise StoreDamaged(f"version {major}.{minor} is not known")
    return minor
