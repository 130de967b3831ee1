"""A `gossip_store` read and written by the description of its format alone, by nothing of what is tested."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HEADER = struct.Struct(">HHII")
"""flags, length, CRC32C, timestamp."""
DELETED, COMPLETED, DYING = 0x8000, 0x2000, 0x0800
CHANNEL, NODE, UPDATE = 256, 257, 258
AMOUNT, DELETE_CHANNEL, CHANNEL_DYING, STORE_ID = 4101, 4103, 4106, 4107
_FEATURES_AT = 2 + 4 * 64


@dataclass(frozen=True, slots=True)
class Raw:
    """One record; `start` is where its header begins."""

    start: int
    flags: int
    message: bytes

    @property
    def end(self) -> int:
        return self.start + HEADER.size + len(self.message)

    @property
    def kind(self) -> int:
        return int.from_bytes(self.message[:2], "big")

    @property
    def lives(self) -> bool:
        return not self.flags & DELETED


@dataclass(slots=True)
class Facts:
    """What the live records of a store say."""

    channels: set[str] = field(default_factory=set)
    halves: dict[tuple[str, int], int] = field(default_factory=dict)
    """Timestamps of the updates of those channels, by short channel id and direction."""
    nodes: dict[str, int] = field(default_factory=dict)
    """Timestamps of announcements by node id."""


def records(content: bytes) -> list[Raw]:
    """All that are whole, up to the first that is not."""
    found, start = [], 1
    while start + HEADER.size <= len(content):
        flags, length, _crc, _timestamp = HEADER.unpack_from(content, start)
        end = start + HEADER.size + length
        if end > len(content):
            break
        found.append(Raw(start, flags, content[end - length : end]))
        start = end
    return found


def live(content: bytes) -> list[bytes]:
    """Messages that are not deleted, without what a store notes for itself."""
    return [raw.message for raw in records(content) if raw.lives and raw.kind in (CHANNEL, NODE, UPDATE, AMOUNT)]


def gone(before: list[bytes], after: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """What is in `before` alone, and what is in `after` alone, however often."""
    lost, more = Counter(before) - Counter(after), Counter(after) - Counter(before)
    return list(lost.elements()), list(more.elements())


def facts(content: bytes) -> Facts:
    """What a reader of the file may say of the network."""
    found = Facts()
    living = [raw for raw in records(content) if raw.lives]
    found.channels = {scid_of(raw.message) for raw in living if raw.kind == CHANNEL}
    for raw in living:
        if raw.kind == UPDATE and scid_of(raw.message) in found.channels:
            (stamp,) = struct.unpack_from(">I", raw.message, 106)
            found.halves[scid_of(raw.message), raw.message[111] & 1] = stamp
        elif raw.kind == NODE:
            at = 68 + int.from_bytes(raw.message[66:68], "big")
            found.nodes[raw.message[at + 4 : at + 37].hex()] = int.from_bytes(raw.message[at : at + 4], "big")
    return found


def read(path: Path) -> Facts:
    """`facts` of a file."""
    return facts(path.read_bytes())


def scid_of(message: bytes) -> str:
    """Of an announcement of a channel or an update, as people write it."""
    at = 98
    if message[:2] == CHANNEL.to_bytes(2, "big"):
        at = _FEATURES_AT + 2 + int.from_bytes(message[_FEATURES_AT : _FEATURES_AT + 2], "big") + 32
    value = int.from_bytes(message[at : at + 8], "big")
    return f"{value >> 40}x{value >> 16 & 0xFFFFFF}x{value & 0xFFFF}"


def written(version: int, content: list[tuple[bytes, int, int]]) -> bytes:
    """A file as Core Lightning writes it, of messages with their timestamps and flags."""
    out = bytearray([version])
    for message, timestamp, flags in content:
        out += HEADER.pack(flags | COMPLETED, len(message), _crc32c(message, timestamp), timestamp) + message
    return bytes(out)


def _crc32c(data: bytes, value: int) -> int:
    """Castagnoli's checksum, continued from `value`; bit by bit through a table."""
    value ^= 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_row(value) for value in range(256)]
