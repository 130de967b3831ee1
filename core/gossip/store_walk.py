"""Walking `gossip_store` in pieces: which records are in it, and what can be done about those that are damaged. Pure.

A record whose content is damaged is left out and the walk goes on behind it. One whose length is damaged gets its
true length back from its checksum. Nothing is ever looked for in the middle of what cannot be walked: a message may
hold bytes that look like records, and nobody has verified those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from core.gossip.store_format import (
    CURRENT_VERSION,
    FIRST_WITH_COMPLETED,
    FLAG_COMPLETED,
    FLAG_DELETED,
    HEADER,
    MAX_MESSAGE_BYTES,
    MIN_MESSAGE_BYTES,
    VERSION_BYTES,
    StoreDamaged,
    check_version,
)

_LOOKAHEAD = 2 * (HEADER.size + MAX_MESSAGE_BYTES)
"""Enough to judge a record: itself, and the one behind it."""
_NEXT = re.compile(rb"[\x20\x28\xa0\xa8]\x00")
"""How the header of a completed record begins."""
_MAX_HOPS = 64
MAX_DAMAGED = 1000
"""Damaged records in one file before the rest of it is given up."""

_HEAD = np.dtype([("flags", ">u2"), ("length", ">u2"), ("crc", ">u4"), ("timestamp", ">u4"), ("type", ">u2")])


class Batch:
    """The records of one piece, in columns; deleted ones too."""

    __slots__ = ("buffer", "flags", "length", "offset", "start", "timestamp", "type")

    def __init__(self, buffer: bytes, base: int, starts: list[int]) -> None:
        self.buffer = buffer
        """What the records lie in."""
        self.start = np.array(starts, dtype=np.int64)
        """Where in `buffer` each message begins."""
        self.offset = (self.start + base).astype(np.uint64)
        """The same in the file: behind the record's header, as Core Lightning counts."""
        bytes_ = np.frombuffer(buffer, dtype=np.uint8)
        heads = bytes_[self.start[:, None] + np.arange(-HEADER.size, MIN_MESSAGE_BYTES)].view(_HEAD)[:, 0]
        self.flags = heads["flags"].astype(np.uint16)
        self.length = heads["length"].astype(np.uint16)
        self.timestamp = heads["timestamp"].astype(np.uint32)
        self.type = heads["type"].astype(np.uint16)

    def __len__(self) -> int:
        return len(self.start)

    @property
    def live(self) -> NDArray[np.bool_]:
        """Which are not marked as deleted."""
        live: NDArray[np.bool_] = (self.flags & FLAG_DELETED) == 0
        return live

    def message(self, number: int) -> bytes:
        """The message of the record with that number in this batch."""
        start = int(self.start[number])
        return self.buffer[start : start + int(self.length[number])]


def numbers_at(buffer: bytes, positions: NDArray[np.int64], dtype: str) -> NDArray[np.uint64]:
    """Read a big-endian number (`">u8"`, `">u2"`...) at each position of `buffer`."""
    kind = np.dtype(dtype)
    bytes_ = np.frombuffer(buffer, dtype=np.uint8)
    found: NDArray[np.uint64] = bytes_[positions[:, None] + np.arange(kind.itemsize)].view(kind)[:, 0].astype(np.uint64)
    return found


@dataclass(frozen=True, slots=True)
class Repair:
    """Bytes that belong at `offset` of the file."""

    offset: int
    content: bytes


class Walker:
    """Takes the file in pieces, in order, and gives the records of each."""

    def __init__(self) -> None:
        self.version: int | None = None
        """Minor version; None before the first byte. The current one when the byte itself is damaged."""
        self.lost_records = 0
        """Damaged ones that were left out."""
        self.lost_bytes = 0
        """Their length, with headers."""
        self.all_read = True
        """Whether no record in the middle is unreadable, since now or since an earlier time."""
        self.mended = 0
        """Records that are whole but for their header, and the version byte."""
        self.repairs: list[Repair] = []
        """With these the file is as it was walked."""
        self.problem: str | None = None
        """The first damage, in words."""
        self.end = 0
        """Where in the file the last record ends that was walked."""
        self.torn = False
        """What lies behind `end` is one record that an interrupted write explains."""
        self.version_damaged = False
        """What was walked then was a store of the current version, if any record was."""
        self._given_up = False
        self._buffer = b""
        self._base = 0
        self._last = False

    @property
    def size(self) -> int:
        """Of the file, as far as it was fed."""
        return self._base + len(self._buffer)

    def feed(self, data: bytes, *, last: bool = False) -> Batch:
        """Walk on; `last` when nothing follows."""
        self._buffer += data
        self._last = last
        if self._given_up:
            return self._batch(0, [])
        start = 0
        starts: list[int] = []
        if self.version is None and self._buffer:
            self._read_version()
            start = VERSION_BYTES
        start = self._run(start, starts)
        while start < len(self._buffer) and (last or len(self._buffer) - start >= _LOOKAHEAD):
            after = self._mend(start, starts)
            if after is None:
                self._give_up(start)
                break
            start = self._run(after, starts)
        return self._batch(start, starts)

    def _batch(self, start: int, starts: list[int]) -> Batch:
        batch = Batch(self._buffer[:start], self._base, starts)
        if self._given_up:
            self._base += len(self._buffer)
            self._buffer = b""
        else:
            self._base += start
            self._buffer = self._buffer[start:]
            self.end = self._base
        return batch

    def _read_version(self) -> None:
        try:
            self.version = check_version(self._buffer[0])
        except StoreDamaged as error:
            self.version = CURRENT_VERSION
            self.version_damaged = True
            self._note(str(error))
            self._repair(0, bytes([CURRENT_VERSION]))

    def _run(self, start: int, starts: list[int]) -> int:
        """Walk whole records from `start`; gives where the first one begins that is not."""
        buffer, size, base = self._buffer, len(self._buffer), HEADER.size
        unpack, extend, append = HEADER.unpack_from, google_crc32c.extend, starts.append
        completed = self._completed
        while size - start >= base:
            flags, length, crc, timestamp = unpack(buffer, start)
            message = start + base
            end = message + length
            if end > size or length < MIN_MESSAGE_BYTES or flags & completed != completed:
                break
            if extend(timestamp, buffer[message:end]) != crc:
                break
            append(message)
            start = end
        return start

    @property
    def _completed(self) -> int:
        return FLAG_COMPLETED if (self.version or 0) >= FIRST_WITH_COMPLETED else 0

    def _mend(self, start: int, starts: list[int]) -> int | None:
        """Get over the record at `start`, which is not whole: where the next begins, None when there is no way."""
        size = len(self._buffer)
        if size - start < HEADER.size or self.lost_records >= MAX_DAMAGED:
            return None
        flags, length, crc, timestamp = HEADER.unpack_from(self._buffer, start)
        message = start + HEADER.size
        end: int = message + length
        whole = length >= MIN_MESSAGE_BYTES and end <= size
        if whole and google_crc32c.extend(timestamp, self._buffer[message:end]) == crc:
            # Whole, but not marked: the writer was killed before its last byte, or that bit is damaged.
            self._patch(start, HEADER.pack(flags | FLAG_COMPLETED, length, crc, timestamp))
            starts.append(message)
            return end
        if (true_end := self._end_by_checksum(message, crc, timestamp)) is not None:
            self._note(f"record at byte {self._base + start}: its length was wrong")
            self._patch(start, HEADER.pack(flags | FLAG_COMPLETED, true_end - message, crc, timestamp))
            starts.append(message)
            return true_end
        if whole and flags & FLAG_DELETED and (end == size or self._leads_on(end)):
            self.all_read = False
            return end  # nobody reads it any more; so does one that was left out before
        if whole and end < size and self._leads_on(end):
            self._note(f"record at byte {self._base + start}: checksum does not match")
            self.all_read = False
            self.lost_records += 1
            self.lost_bytes += end - start
            self._repair(start, HEADER.pack(flags | FLAG_COMPLETED | FLAG_DELETED, length, crc, timestamp))
            return end
        return None

    def _end_by_checksum(self, message: int, crc: int, timestamp: int) -> int | None:
        """The furthest end at which the checksum fits and the walk goes on."""
        buffer, size = self._buffer, len(self._buffer)
        value, done, found = timestamp, message, None
        limit = min(size, message + MAX_MESSAGE_BYTES)
        candidates = [match.start() for match in _NEXT.finditer(buffer, message + MIN_MESSAGE_BYTES, limit + 2)]
        if self._last and limit == size and size - message >= MIN_MESSAGE_BYTES:
            candidates.append(size)
        for end in candidates:
            value = google_crc32c.extend(value, buffer[done:end])
            done = end
            if value == crc and (end == size or self._leads_on(end)):
                found = end
        return found

    def _leads_on(self, start: int) -> bool:
        """Whether a whole record can be reached from `start` by the lengths that the headers tell."""
        size, completed = len(self._buffer), self._completed
        for _ in range(_MAX_HOPS):
            if size - start < HEADER.size:
                return self._last
            flags, length, crc, timestamp = HEADER.unpack_from(self._buffer, start)
            if length < MIN_MESSAGE_BYTES or flags & completed != completed:
                return False
            message = start + HEADER.size
            end = message + length
            if end > size:
                return self._last  # the one that was being written when the file ended
            if google_crc32c.extend(timestamp, self._buffer[message:end]) == crc:
                return True
            start = end
        return False

    def _give_up(self, start: int) -> None:
        size = len(self._buffer)
        self._given_up = True
        self.end = self._base + start
        self.torn = self._last and not self.version_damaged and self._is_torn(start, size)
        if not self.torn:
            self._note(f"record at byte {self._base + start}: cannot be read, nor what follows it")

    def _is_torn(self, start: int, size: int) -> bool:
        if size - start < HEADER.size:
            return True
        length: int = HEADER.unpack_from(self._buffer, start)[1]
        return start + HEADER.size + length >= size

    def _note(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem

    def _repair(self, start: int, content: bytes) -> None:
        self.mended += 1
        self.repairs.append(Repair(self._base + start, content))

    def _patch(self, start: int, header: bytes) -> None:
        """Mend it in what is being walked too."""
        self._repair(start, header)
        self._buffer = self._buffer[:start] + header + self._buffer[start + len(header) :]
