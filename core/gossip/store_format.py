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

CHANNEL_ANNOUNCEMENT = 256
NODE_ANNOUNCEMENT = 257
CHANNEL_UPDATE = 258


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


def check_version(byte: int) -> int:
    """Give the minor version; StoreDamaged when the format cannot be walked."""
    major, minor = byte >> 5, byte & 0x1F
    if major != 0 or minor < OLDEST_MINOR:
        raise StoreDamaged(f"version {major}.{minor} is not known")
    return minor


class StoreParser:
    """Takes the file in pieces, in order; checks and counts the records in them.

    Only what an interrupted write can leave is tolerated: one last record that is cut short, not marked as completed
    or wrong in itself. After the last piece `torn_bytes` is its length.
    """

    def __init__(self) -> None:
        self.version: int | None = None
        """Minor version; None before the first byte."""
        self.counts = StoreCounts()
        self._buffer = b""

    @property
    def torn_bytes(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Raises StoreDamaged at the first broken record that has others behind it."""
        self._buffer += data
        start = 0
        if self.version is None and self._buffer:
            self.version = check_version(self._buffer[0])
            start = VERSION_BYTES
        while (length := self._take(start)) is not None:
            start += length
        self.counts.bytes += start
        self._buffer = self._buffer[start:]

    def _take(self, start: int) -> int | None:
        """Count the record at `start` of the buffer and give its length; None until it is there as a whole."""
        if len(self._buffer) - start < HEADER.size:
            return None
        flags, length, crc, timestamp = HEADER.unpack_from(self._buffer, start)
        end: int = start + HEADER.size + length
        if end > len(self._buffer):
            return None
        message = self._buffer[start + HEADER.size : end]
        problem = self._problem(flags, crc, timestamp, message)
        if problem is None:
            self.counts.add(int.from_bytes(message[:2], "big"), deleted=bool(flags & FLAG_DELETED))
            return end - start
        if end < len(self._buffer):
            raise StoreDamaged(f"record at byte {self.counts.bytes + start}: {problem}")
        return None

    def _problem(self, flags: int, crc: int, timestamp: int, message: bytes) -> str | None:
        if not flags & FLAG_COMPLETED and (self.version or 0) >= FIRST_WITH_COMPLETED:
            return "not marked as completed"
        if flags & FLAG_DELETED:  # nobody reads it any more; CLN does not check it either
            return None
        if len(message) < 2:
            return "no message type"
        return None if checksum(timestamp, message) == crc else "checksum does not match"
