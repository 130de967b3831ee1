"""The embedded chain's own file: every block ever accepted, in order, only ever appended to.

Bitcoin Core's kernel writes its databases now and then and loses what came since when the process is killed; this file
loses nothing that was told, and the kernel is fed from it at each start. A record is the block's length and the CRC-32C
of that length, four bytes each, big-endian; the block; its CRC-32C.
"""

from __future__ import annotations

import os
from pathlib import Path

import google_crc32c

from core.chain.errors import ChainDamaged
from core.storage.files import PRIVATE_FILE, open_regular, profile_errors, sync_folder

_HEAD_BYTES = 8
_CHECKSUM_BYTES = 4


class BlockFile:
    """Read from its beginning to its end once, then appended to; not for two threads at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        """Behind the last whole record that was read or written."""

    def read(self, blocks: int, *, height: int) -> list[bytes]:
        """The next blocks, none at the end; `height` names the place when one is damaged.

        A record that a kill cut short stands at the end alone and is cut off. Raises ChainDamaged, ProfileUnusable.
        """
        found: list[bytes] = []
        with profile_errors(self._path):
            try:
                file = open_regular(self._path)
            except FileNotFoundError:
                return found
            with file:
                size = os.fstat(file.fileno()).st_size
                file.seek(self._end)
                while len(found) < blocks and self._end < size:
                    head = file.read(_HEAD_BYTES)
                    length = _checked_length(head, self._path, height + len(found))
                    if length is None or self._end + _HEAD_BYTES + length + _CHECKSUM_BYTES > size:
                        os.truncate(self._path, self._end)
                        break
                    block = file.read(length)
                    if file.read(_CHECKSUM_BYTES) != _checksum(block):
                        raise _damaged(self._path, height + len(found))
                    found.append(block)
                    self._end += _HEAD_BYTES + length + _CHECKSUM_BYTES
        return found

    def append(self, blocks: list[bytes]) -> None:
        """On disk when it returns; all of them or, after an error, none. Raises ProfileUnusable."""
        with profile_errors(self._path):
            new = not self._path.exists()
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), PRIVATE_FILE)
            try:
                # What an append that failed has left behind the last whole record goes first.
                os.ftruncate(handle, self._end)
                os.lseek(handle, self._end, os.SEEK_SET)
                content = memoryview(b"".join(map(_record, blocks)))
                remaining = content
                while remaining:
                    remaining = remaining[os.write(handle, remaining) :]
                os.fsync(handle)
            finally:
                os.close(handle)
            if new:
                sync_folder(self._path.parent)
        self._end += len(content)


def _checksum(data: bytes) -> bytes:
    checksum: int = google_crc32c.value(data)
    return checksum.to_bytes(4, "big")


def _record(block: bytes) -> bytes:
    length = len(block).to_bytes(4, "big")
    return length + _checksum(length) + block + _checksum(block)


def _checked_length(head: bytes, path: Path, height: int) -> int | None:
    """None when the record's head was cut short. Raises ChainDamaged."""
    if len(head) < _HEAD_BYTES:
        return None
    if head[4:] != _checksum(head[:4]):
        raise _damaged(path, height)
    return int.from_bytes(head[:4], "big")


def _damaged(path: Path, height: int) -> ChainDamaged:
    return ChainDamaged(path=path, height=height, reason="its checksum does not match")
