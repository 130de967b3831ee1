"""The profile's `rapid_gossip` file: the snapshots that make up the overlay, oldest first, apart from signed gossip.

The file: `LEYRAPID`, version (u16), number of snapshots (u32), for each its length (u32) and its bytes as they came,
then CRC32C of all before. Big-endian. It is replaced as a whole, so a kill leaves the old one or the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import google_crc32c

from core.bolt.wire import Reader, WireError
from core.gossip.rapid import MAX_BYTES
from core.storage.errors import FileDamaged
from core.storage.files import open_regular, profile_errors, set_aside, write_atomically

MAGIC = b"LEYRAPID"
VERSION = 1
MOST_SNAPSHOTS = 40
"""A month of daily ones. Whoever has more asks for a whole one again."""
MAX_FILE_BYTES = 2 * MAX_BYTES
_CHECKSUM_BYTES = 4


class _Damaged(Exception):
    """The bytes are no such file; the text says why."""


def fits(snapshots: Sequence[bytes]) -> bool:
    """Whether a file may hold them all."""
    return len(snapshots) <= MOST_SNAPSHOTS and len(encode(snapshots)) <= MAX_FILE_BYTES


def encode(snapshots: Sequence[bytes]) -> bytes:
    """The file's content."""
    parts = [MAGIC, VERSION.to_bytes(2, "big"), len(snapshots).to_bytes(4, "big")]
    for snapshot in snapshots:
        parts += (len(snapshot).to_bytes(4, "big"), snapshot)
    body = b"".join(parts)
    return body + _checksum(body)


def decode(content: bytes) -> list[bytes]:
    """Raises what `read` catches."""
    body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    if not body.startswith(MAGIC):
        raise _Damaged("is not a file of snapshots")
    if checksum != _checksum(body):
        raise _Damaged("checksum does not match")
    reader = Reader(body, len(MAGIC))
    version = reader.u16()
    if version != VERSION:
        raise _Damaged(f"version {version} is not known")
    snapshots = [reader.take(reader.u32()) for _ in range(reader.u32())]
    reader.finish()
    return snapshots


def read(path: Path) -> tuple[list[bytes], FileDamaged | None]:
    """The snapshots, none when there is no file; a damaged file is set aside. Blocks. Raises ProfileUnusable."""
    with profile_errors(path):
        try:
            with open_regular(path) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return [], None
    try:
        if len(content) > MAX_FILE_BYTES:
            raise _Damaged("is too long for a file of snapshots")
        return decode(content), None
    except (_Damaged, WireError) as error:
        return [], FileDamaged(path=path, set_aside=set_aside(path), reason=str(error))


def write(path: Path, snapshots: Sequence[bytes]) -> None:
    """Replace the file. Blocks. Raises ProfileUnusable."""
    write_atomically(path, encode(snapshots))


def _checksum(body: bytes) -> bytes:
    checksum: int = google_crc32c.value(body)
    return checksum.to_bytes(_CHECKSUM_BYTES, "big")
