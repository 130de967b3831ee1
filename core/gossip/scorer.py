"""What payments taught about channels: bounds on their liquidity, kept in the profile's `scorer` file.

The file: `LEYSCORE`, version (u16), number of entries (u32), for each entry short channel id (u64), direction (u8),
lower and upper bound in msat (u64), when they were learned (f64, seconds since the epoch), then CRC32C of all before.
Big-endian. Version 1 had no lower bound, and its upper was what had failed; it is read, and written as version 2.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

import google_crc32c

from core.base.finish import finish
from core.gossip.liquidity import FORGOTTEN_S, LiquidityBounds
from core.storage.errors import FileDamaged
from core.storage.files import open_regular, profile_errors, set_aside, write_atomically

MAGIC = b"LEYSCORE"
VERSION = 2
MAX_FILE_BYTES = 64 << 20
"""Two million entries: some twenty times the channels that there are, both directions."""
MAX_ENTRIES = 100_000
"""As many as mainnet has directions of channels; with more, what was learned longest ago goes."""
_HEAD = struct.Struct(">8sHI")
_ENTRIES = {1: struct.Struct(">QBQd"), VERSION: struct.Struct(">QBQQd")}
_CHECKSUM_BYTES = 4


class ScorerDamaged(Exception):
    """The bytes are no scorer of ours; the text says why."""


Entries = Mapping[tuple[int, int], LiquidityBounds]
"""By short channel id as u64 and direction, 0 or 1 (BOLT 7); what was learned first comes first."""


def encode(entries: Entries) -> bytes:
    """The file's content."""
    entry = _ENTRIES[VERSION]
    body = _HEAD.pack(MAGIC, VERSION, len(entries)) + b"".join(
        entry.pack(short_channel_id, direction, bounds.lower_msat, bounds.upper_msat, bounds.learned_at)
        for (short_channel_id, direction), bounds in entries.items()
    )
    return body + _checksum(body)


def decode(content: bytes) -> Entries:
    """Raises ScorerDamaged."""
    body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    if len(body) < _HEAD.size or not body.startswith(MAGIC):
        raise ScorerDamaged("is not a scorer file")
    _magic, version, count = _HEAD.unpack_from(body)
    if version not in _ENTRIES:
        raise ScorerDamaged(f"version {version} is not known")
    if checksum != _checksum(body):
        raise ScorerDamaged("checksum does not match")
    if len(body) != _HEAD.size + count * _ENTRIES[version].size:
        raise ScorerDamaged("length does not match the number of entries")
    return dict(_read_entries(body[_HEAD.size :], version))


def _read_entries(body: bytes, version: int) -> Iterator[tuple[tuple[int, int], LiquidityBounds]]:
    for short_channel_id, direction, *amounts, learned_at in _ENTRIES[version].iter_unpack(body):
        lower, upper = amounts if version == VERSION else (0, max(0, amounts[0] - 1))
        if direction > 1 or lower > upper or not math.isfinite(learned_at):
            raise ScorerDamaged("an entry makes no sense")
        yield (short_channel_id, direction), LiquidityBounds(lower, upper, learned_at)


class Scorer:
    """The entries in memory; `flush` writes them when they changed.

    Told of each channel of a payment: what passed it (`payment_passed`), where it failed, and at which it stayed for
    good (`payment_succeeded`). `Router` tells it of whole routes.
    """

    def __init__(self, path: Path | None, entries: Entries, notice: str, damage: FileDamaged | None = None) -> None:
        self._path = path
        self._entries = OrderedDict(entries)
        while len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
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

    def bounds(self, short_channel_id: int, direction: int) -> LiquidityBounds | None:
        """What is known of one direction of a channel, as it was learned; `LiquidityBounds.at` forgets."""
        return self._entries.get((short_channel_id, direction))

    def payment_failed(
        self, short_channel_id: int, direction: int, amount_msat: int, *, capacity_msat: int, now: float
    ) -> None:
        """Note that `amount_msat` did not pass."""
        known = self._now(short_channel_id, direction, capacity_msat, now)
        self._learn(short_channel_id, direction, known.failed(amount_msat))

    def payment_passed(
        self, short_channel_id: int, direction: int, amount_msat: int, *, capacity_msat: int, now: float
    ) -> None:
        """Note that `amount_msat` passed, and came back because it failed further on."""
        known = self._now(short_channel_id, direction, capacity_msat, now)
        self._learn(short_channel_id, direction, known.passed(amount_msat, capacity_msat))

    def payment_succeeded(
        self, short_channel_id: int, direction: int, amount_msat: int, *, capacity_msat: int, now: float
    ) -> None:
        """Note that `amount_msat` passed for good: it is on the other side now, and can be sent back from there."""
        known = self._now(short_channel_id, direction, capacity_msat, now).passed(amount_msat, capacity_msat)
        self._learn(short_channel_id, direction, known.moved(-amount_msat, capacity_msat))
        other = self._now(short_channel_id, 1 - direction, capacity_msat, now)
        self._learn(short_channel_id, 1 - direction, other.moved(amount_msat, capacity_msat))

    async def flush(self) -> None:
        """Write the file if anything changed since. Raises ProfileUnusable."""
        if self._path is None or not self._changed:
            return
        self._changed = False
        try:
            await finish(asyncio.to_thread(_write, self._path, self._entries.copy()))
        except BaseException:
            self._changed = True
            raise

    def _now(self, short_channel_id: int, direction: int, capacity_msat: int, now: float) -> LiquidityBounds:
        known = self._entries.get((short_channel_id, direction))
        return LiquidityBounds.unknown(capacity_msat, now) if known is None else known.at(now, capacity_msat)

    def _learn(self, short_channel_id: int, direction: int, bounds: LiquidityBounds) -> None:
        """Keep it as the newest, and drop from the other end what is forgotten or too much."""
        self._entries[short_channel_id, direction] = bounds
        self._entries.move_to_end((short_channel_id, direction))
        self._changed = True
        while len(self._entries) > MAX_ENTRIES or self._oldest() <= bounds.learned_at - FORGOTTEN_S:
            self._entries.popitem(last=False)

    def _oldest(self) -> float:
        return next(iter(self._entries.values())).learned_at

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
        return cls(path, entries, f"{min(len(entries), MAX_ENTRIES)} channel directions")


def _write(path: Path, entries: Entries) -> None:
    write_atomically(path, encode(entries))


def _checksum(body: bytes) -> bytes:
    checksum: int = google_crc32c.value(body)
    return checksum.to_bytes(_CHECKSUM_BYTES, "big")
