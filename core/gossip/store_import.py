"""Taking in the `gossip_store` of another node: read and never changed, even while that node writes to it.

What comes out is no more than a peer says: it is verified like any gossip, amounts too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from core.gossip.store_format import (
    CHANNEL_AMOUNT,
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    FLAG_ZOMBIE,
    NODE_ANNOUNCEMENT,
)
from core.gossip.store_index import Audit, StoreIndex
from core.gossip.store_reading import PIECE_BYTES, Progress
from core.gossip.store_walk import Batch, Walker
from core.storage.errors import ProfileUnusable
from core.storage.files import open_regular, profile_errors

_LAST_WITH_ZOMBIES = 13
_MESSAGES = (CHANNEL_ANNOUNCEMENT, NODE_ANNOUNCEMENT, CHANNEL_UPDATE)


@dataclass(frozen=True, slots=True)
class Imported:
    """One message of the other store."""

    message: bytes
    capacity_sat: int | None = None
    """What the other store says of a channel; nothing vouches for it."""


class StoreImport:
    """One reading of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._walker = Walker()

    @property
    def left_out(self) -> str | None:
        """What of the file could not be read, in words; None when all could."""
        unread = self._walker.size - self._walker.end
        if not unread and self._walker.problem is None:
            return None
        lost = self._walker.lost_bytes + unread
        return f"{lost} bytes could not be read" + (f" ({self._walker.problem})" if self._walker.problem else "")

    async def batches(self, progress: Progress = lambda _done, _total: None) -> AsyncIterator[list[Imported]]:
        """What lives in the file, in its order, some hundreds at a time. ProfileUnusable when it is no such file."""
        total = await asyncio.to_thread(self._size)
        ended = await self._look_through()
        self._walker = Walker()
        done = number = 0
        last = False
        while not last:
            data = await asyncio.to_thread(self._read, done)
            done, last = done + len(data), not data
            batch = await asyncio.to_thread(self._walker.feed, data, last=last)
            if len(batch):
                yield await asyncio.to_thread(self._taken, batch, number, ended)
            number += len(batch)
            progress(done, max(total, done))

    async def _look_through(self) -> set[int]:
        """Numbers of the records that do not live, though no mark says so: of channels that ended, mostly."""
        audit, columns, done, last = Audit(), [], 0, False
        while not last:
            data = await asyncio.to_thread(self._read, done)
            done, last = done + len(data), not data
            batch = await asyncio.to_thread(self._walker.feed, data, last=last)
            await asyncio.to_thread(audit.add, batch)
            columns.append(StoreIndex.of(batch))
        index = StoreIndex.joined(columns)
        if self._walker.version is None or (self._walker.version_damaged and not len(index)):
            raise ProfileUnusable(path=self._path, reason=self._walker.problem or "the file is empty")
        verdict = await asyncio.to_thread(audit.verdict, index)
        return {int(number) for numbers in (verdict.buried, verdict.orphaned) for number in numbers}

    def _taken(self, batch: Batch, first: int, ended: set[int]) -> list[Imported]:
        zombies = (self._walker.version or 0) <= _LAST_WITH_ZOMBIES
        found: list[Imported] = []
        kinds, flags, live = batch.type.tolist(), batch.flags.tolist(), batch.live.tolist()
        for number, kind in enumerate(kinds):
            if not live[number] or first + number in ended or (zombies and flags[number] & FLAG_ZOMBIE):
                continue
            message = batch.message(number)
            if kind in _MESSAGES:
                found.append(Imported(message))
            elif kind == CHANNEL_AMOUNT and found and found[-1].message[:2] == _ANNOUNCEMENT:
                found[-1] = Imported(found[-1].message, int.from_bytes(message[2:10], "big"))
        return found

    def _size(self) -> int:
        with profile_errors(self._path):
            return self._path.stat().st_size

    def _read(self, offset: int) -> bytes:
        with profile_errors(self._path), open_regular(self._path) as file:
            file.seek(offset)
            return file.read(PIECE_BYTES)


_ANNOUNCEMENT = CHANNEL_ANNOUNCEMENT.to_bytes(2, "big")
