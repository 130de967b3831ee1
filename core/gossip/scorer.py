"""What payments taught about channels: bounds on their liquidity, kept in the profile's `scorer` file.

The file: `LEYSCORE`, version (u16), number of entries (u32), for each entry short channel id (u64), direction (u8),
upper bound in msat (u64), when it was learned (f64, seconds since the epoch), then CRC32C of all before. Big-endian.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from core.base.finish import finish
from core.storage.errors import FileDamaged
from core.storage.files import open_regular, profile_errors, set_aside, write_atomically

MAGIC = b"LEYSCORE"
VERSION = 1
MAX_FILE_BYTES = 64 << 20
"""Two and a half million entries: some thirty times the channels that there are, both directions."""
_HEAD = struct.Struct(">8sHI")
_ENTRY = struct.Struct(">QBQd")
_CHECKSUM_BYTES = 4


class ScorerDamaged(Exception):
    """The bytes are no scorer of ours; the text says why."""


@dataclass(frozen=True, slots=True)
class LiquidityBound:
    """A payment of more than this failed in that direction of a channel."""

    upper_msat: int
    learned_at: float
    """Seconds since the epoch."""


Entries = dict[tuple[int, int], LiquidityBound]
"""By short channel id as u64 and direction, 0 or 1 (BOLT 7)."""


def encode(entries: Entries) -> bytes:
    """The file's content."""
    body = _HEAD.pack(MAGIC, VERSION, len(entries)) + b"".join(
        _ENTRY.pack(short_channel_id, direction, bound.upper_msat, bound.learned_at)
        for (short_channel_id, direction), bound in entries.items()
    )
    return body + _checksum(body)


def decode(content: bytes) -> Entries:
    """Raises ScorerDamaged."""
    body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    if len(body) < _HEAD.size or not body.startswith(MAGIC):
        raise ScorerDamaged("is not a scorer file")
    _magic, version, count = _HEAD.unpack_from(body)
    if version != VERSION:
        raise ScorerDamaged(f"version {version} is not known")
    if checksum != _checksum(body):
        raise ScorerDamaged("checksum does not match")
    if len(body) != _HEAD.size + count * _ENTRY.size:
        raise ScorerDamaged("length does not match the number of entries")
    return {
        (short_channel_id, direction): LiquidityBound(upper_msat, learned_at)
        for short_channel_id, direction, upper_msat, learned_at in _ENTRY.iter_unpack(body[_HEAD.size :])
    }


class Scorer:
    """The entries in memory; `flush` writes them when they changed."""

    def __init__(self, path: Path | None, entries: Entries, notice: str, damage: FileDamaged | None = None) -> None:
        self._path = path
        self._entries = entries
        self._changed = False
        self._notice = notice
        self.damage = damage
        """Set when the file was unusable and lies aside now."""

    @classmethod
    async def open(cls, path: Path | None) -> Scorer:
        """Read the file at `path` (None: nothing is kept). Raises ProfileUnusable; a damaged file is set aside."""
        if path is None:
            return cls(None, {}, "nothing learned yet")
        return await finish(asyncio.to_thread(cls._read, path))

    def __str__(self) -> str:
        """A plain fact for the step's row."""
        return self._notice

    def __len__(self) -> int:
        return len(self._entries)

    def bound(self, short_channel_id: int, direction: int) -> LiquidityBound | None:
        """What is known of one direction of a channel."""
        return self._entries.get((short_channel_id, direction))

    def payment_failed(self, short_channel_id: int, direction: int, amount_msat: int, now: float) -> None:
        """Note that `amount_msat` did not pass."""
        self._entries[short_channel_id, direction] = LiquidityBound(amount_msat, now)
        self._changed = True

    async def flush(self) -> None:
        """Write the file if anything changed since. Raises ProfileUnusable."""
        if self._path is None or not self._changed:
            return
        self._changed = False
        try:
            await finish(asyncio.to_thread(write_atomically, self._path, encode(self._entries)))
        except BaseException:
            self._changed = True
            raise

    @classmethod
    def _read(cls, path: Path) -> Scorer:
        with profile_errors(path):
            try:
                with open_regular(path) as file:
                    content = file.read(MAX_FILE_BYTES + 1)
            except FileNotFoundError:
                return cls(path, {}, "no file yet: nothing learned")
        try:
            if len(content) > MAX_FILE_BYTES:
                raise ScorerDamaged("is too long for a scorer file")
            entries = decode(content)
        except ScorerDamaged as error:
            damage = FileDamaged(path=path, set_aside=set_aside(path), reason=str(error))
            return cls(path, {}, f"damaged, set aside as {damage.set_aside.name} ({error}): nothing learned", damage)
        return cls(path, entries, f"{len(entries)} channel directions")


def _checksum(body: bytes) -> bytes:
    checksum: int = google_crc32c.value(body)
    return checksum.to_bytes(_CHECKSUM_BYTES, "big")
