"""Rewriting `gossip_store` without what is deleted, in steps. Blocks: call it in a thread."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.gossip.store_file import NewStoreFile, StoreFile
from core.gossip.store_format import (
    CHANNEL_UPDATE,
    CURRENT_VERSION,
    DELETE_CHANNEL,
    ENDED,
    FIRST_WITH_COMPLETED,
    FLAG_ZOMBIE,
    HEADER,
    PRIVATE_CHANNEL,
    PRIVATE_UPDATE,
    STORE_ID,
    encode_record,
)
from core.gossip.store_reading import PIECE_BYTES
from core.gossip.store_walk import Batch, Walker

_LEFT_OUT = (STORE_ID, DELETE_CHANNEL, ENDED, PRIVATE_CHANNEL, PRIVATE_UPDATE)
"""A new file has its own id; whose channel ended is not in it; private ones are obsolete since version 13."""
_LAST_WITH_ZOMBIES = 13
_LAST_WITHOUT_MAXIMUM = 10
_UPDATE_WITHOUT_MAXIMUM_BYTES = 130


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the records went."""

    old: NDArray[np.uint64]
    new: NDArray[np.uint64]

    def __call__(self, offsets: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The new offset of each; KeyError when a record is there no more."""
        places = np.searchsorted(self.old, offsets)
        known = places < len(self.old)
        known[known] = self.old[places[known]] == offsets[known]
        if not known.all():
            raise KeyError(int(offsets[~known][0]))
        return self.new[places]


class Compaction:
    """Of one file: steps until there is nothing left, then `commit` or `abandon`."""

    def __init__(self, old: StoreFile) -> None:
        self._old = old
        self._begun: NewStoreFile | None = None
        self._walker = Walker()
        self._done = 0
        self._olds: list[NDArray[np.uint64]] = []
        self._news: list[NDArray[np.uint64]] = []

    @property
    def _new(self) -> NewStoreFile:
        if self._begun is None:
            self._begun = NewStoreFile(self._old.path)
        return self._begun

    def step(self) -> bool:
        """Copy a piece; False when nothing is left."""
        end = min(self._done + PIECE_BYTES, self._old.length)
        data = self._old.read_piece(self._done, end)
        self._done = end
        self._copy(self._walker.feed(data, last=end == self._old.length))
        return end < self._old.length

    def _copy(self, batch: Batch) -> None:
        kept = np.flatnonzero(self._keeps(batch))
        if not len(kept):
            return
        sizes = batch.length[kept].astype(np.uint64) + np.uint64(HEADER.size)
        ends = np.cumsum(sizes) + np.uint64(self._new.length)
        self._olds.append(batch.offset[kept])
        self._news.append(ends - batch.length[kept])
        self._new.write(b"".join(self._records(batch, kept)))

    def _keeps(self, batch: Batch) -> NDArray[np.bool_]:
        version = self._walker.version or CURRENT_VERSION
        keeps: NDArray[np.bool_] = batch.live & ~np.isin(batch.type, _LEFT_OUT)
        if version <= _LAST_WITH_ZOMBIES:
            keeps &= (batch.flags & FLAG_ZOMBIE) == 0
        if version <= _LAST_WITHOUT_MAXIMUM:
            keeps &= (batch.type != CHANNEL_UPDATE) | (batch.length != _UPDATE_WITHOUT_MAXIMUM_BYTES)
        return keeps

    def _records(self, batch: Batch, kept: NDArray[np.int64]) -> list[bytes]:
        if (self._walker.version or 0) < FIRST_WITH_COMPLETED:
            return [encode_record(batch.message(number), int(batch.timestamp[number])) for number in kept]
        starts = batch.start[kept]
        ends = (starts + batch.length[kept]).tolist()
        return [batch.buffer[start:end] for start, end in zip((starts - HEADER.size).tolist(), ends, strict=True)]

    def commit(self) -> tuple[StoreFile, Moved]:
        """The new file takes the old one's place, which is told to whoever has that open, and closed."""
        if sys.platform == "win32":  # an open file cannot be replaced there
            self._old.close()
            new = self._new.commit()
        else:
            new = self._new.commit()
            with contextlib.suppress(OSError):  # a full disk must not keep us from the new file
                self._old.end(new)
            self._old.close()
        return new, Moved(_joined(self._olds), _joined(self._news))

    def abandon(self) -> None:
        """The old file stays."""
        if self._begun is not None:
            self._begun.abandon()


def _joined(parts: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    return np.concatenate([np.empty(0, dtype=np.uint64), *parts])
