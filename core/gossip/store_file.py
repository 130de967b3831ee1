"""The file itself: appended to, marked, read from, rewritten without what is deleted.

Everything here blocks: call it in a thread. What a kill leaves behind beside the file is `<name>.tmp`, which the next
rewrite replaces.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.gossip.store_format import (
    CURRENT_VERSION,
    FLAG_COMPLETED,
    FLAG_DELETED,
    HEADER,
    STORE_ID_BYTES,
    VERSION_BYTES,
    StoreDamaged,
    encode_record,
    ended,
    store_id,
)
from core.storage.files import PRIVATE_FILE, sync_folder

_OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

Record = tuple[bytes, int]
"""A message and its timestamp: its own for updates and announcements of nodes, the newest update's for a channel's."""


class StoreFile:
    """One open `gossip_store`; OSError from everything when the system refuses."""

    def __init__(self, path: Path, handle: int, length: int) -> None:
        self.path = path
        self._handle = handle
        self.length = length
        """Of what is stored: where the next record goes."""

    @classmethod
    def open(cls, path: Path, length: int | None) -> StoreFile:
        """Open what was walked, `length` bytes long; None makes a new one."""
        if length is None:
            return NewStoreFile(path).commit()
        return cls(path, os.open(path, os.O_RDWR | _OPEN_FLAGS), length)

    def append(self, records: Sequence[Record]) -> list[int]:
        """Store `records`, all at once for whoever reads the file meanwhile; gives where each message begins.

        The first one is marked as completed last, as Core Lightning does with each. When the disk refuses, what it
        took is cut off again.
        """
        content, offsets = bytearray(), []
        for message, timestamp in records:
            offsets.append(self.length + len(content) + HEADER.size)
            content += encode_record(message, timestamp)
        if not content:
            return []
        mark, content[0] = content[0], 0
        try:
            _write_at(self._handle, content, self.length)
            _write_at(self._handle, bytes([mark]), self.length)
        except OSError:
            os.ftruncate(self._handle, self.length)
            raise
        self.length += len(content)
        return offsets

    def mark(self, offset: int, flag: int) -> None:
        """Set `flag` on the record whose message begins at `offset`; its flags change in one byte, so whole."""
        flags, _length, _crc, _timestamp = self._header(offset)
        _write_at(self._handle, bytes([(flags | flag) >> 8]), offset - HEADER.size)

    def unmark(self, offset: int, flag: int) -> None:
        """Take `flag` from the record whose message begins at `offset`."""
        flags, _length, _crc, _timestamp = self._header(offset)
        _write_at(self._handle, bytes([(flags & ~flag) >> 8]), offset - HEADER.size)

    def rewrite(self, offset: int, message: bytes) -> None:
        """Put `message` in the place of the one at `offset`, which is as long; in one write of few bytes.

        A power cut within it leaves a record whose checksum does not fit, which the next start leaves out and tells.
        """
        flags, length, _crc, timestamp = self._header(offset)
        if len(message) != length:
            raise ValueError(f"{len(message)} bytes do not fit in the place of {length}")
        _write_at(self._handle, encode_record(message, timestamp, flags), offset - HEADER.size)

    def read(self, offset: int) -> bytes:
        """The message at `offset`; StoreDamaged when its checksum does not fit any more."""
        _flags, length, crc, timestamp = self._header(offset)
        message = _read_at(self._handle, length, offset)
        if encode_record(message, timestamp)[4:8] != crc.to_bytes(4, "big"):
            raise StoreDamaged(f"record at byte {offset - HEADER.size}: checksum does not match")
        return message

    def read_piece(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end`."""
        return _read_at(self._handle, end - start, start)

    def follower(self, offset: int) -> int | None:
        """Where the next record's message begins; None after the last one."""
        after = offset + int(self._header(offset)[1]) + HEADER.size
        return after if after < self.length else None

    def type(self, offset: int) -> int:
        """Which kind of message begins at `offset`."""
        self._header(offset)
        return int.from_bytes(_read_at(self._handle, 2, offset), "big")

    def is_deleted(self, offset: int) -> bool:
        """Whether the record whose message begins at `offset` is marked so."""
        return bool(self._header(offset)[0] & FLAG_DELETED)

    def identity(self) -> bytes:
        """The 32 bytes of the first record."""
        return self.read(VERSION_BYTES + HEADER.size)[2:]

    def end(self, successor: StoreFile) -> None:
        """Tell those who still have this file open that another one is in its place, as Core Lightning does."""
        self.append([(ended(successor.length, successor.identity()), 0)])

    def sync(self) -> None:
        """Bring everything to the disk."""
        os.fsync(self._handle)

    def close(self) -> None:
        os.close(self._handle)

    def _header(self, offset: int) -> tuple[int, int, int, int]:
        if not VERSION_BYTES + HEADER.size <= offset < self.length:
            raise StoreDamaged(f"no record at byte {offset - HEADER.size}")
        flags, length, crc, timestamp = HEADER.unpack(_read_at(self._handle, HEADER.size, offset - HEADER.size))
        if not flags & FLAG_COMPLETED or offset + length > self.length:
            raise StoreDamaged(f"no record at byte {offset - HEADER.size}")
        return flags, length, crc, timestamp


class NewStoreFile:
    """A file that takes the place of the one at `path` once it is whole: an id of its own, then what is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = temporary_of(path)
        self._temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS
        self._handle = os.open(self._temporary, flags, PRIVATE_FILE)
        self.length = 0
        identity = encode_record(store_id(secrets.token_bytes(STORE_ID_BYTES)), 0)
        self.write(bytes([CURRENT_VERSION]) + identity)

    def write(self, records: bytes) -> None:
        """Whole records, encoded."""
        self.length += _write_at(self._handle, records, self.length)

    def commit(self) -> StoreFile:
        """Take the place, when everything is on the disk: a kill leaves the old file or the new one."""
        os.fsync(self._handle)
        os.close(self._handle)
        os.replace(self._temporary, self._path)
        sync_folder(self._path.parent)
        return StoreFile.open(self._path, self.length)

    def abandon(self) -> None:
        """Leave the old file in its place."""
        os.close(self._handle)
        self._temporary.unlink(missing_ok=True)


def temporary_of(path: Path) -> Path:
    """What is renamed to `path` once it is whole."""
    return path.with_name(path.name + ".tmp")


def write_over(path: Path, changes: Iterable[tuple[int, bytes]], length: int | None = None) -> None:
    """Write each content at its place in the file, cut it to `length`, and bring that to the disk."""
    handle = os.open(path, os.O_RDWR | _OPEN_FLAGS)
    try:
        for offset, content in changes:
            _write_at(handle, content, offset)
        if length is not None:
            os.ftruncate(handle, length)
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_at(handle: int, content: bytes | bytearray, offset: int) -> int:
    os.lseek(handle, offset, os.SEEK_SET)
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[os.write(handle, remaining) :]
    return len(content)


def _read_at(handle: int, length: int, offset: int) -> bytes:
    os.lseek(handle, offset, os.SEEK_SET)
    found = b""
    while len(found) < length:
        part = os.read(handle, length - len(found))
        if not part:
            raise StoreDamaged(f"the file ends at byte {offset + len(found)}")
        found += part
    return found
