"""`gossip_store` of a running node: read at activation, appended to, compacted; nothing of it blocks the loop.

Records carry offsets, which the graph keeps: where a message begins in the file. They change with a compaction alone.

Who deletes writes the reason first: the newer record, or `delete_channel` when a channel is gone; then marks the old
ones. A kill in between, or a mark that is damage, is then seen at the next start.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from core.base.finish import finish
from core.gossip.store_compaction import Compaction, Moved
from core.gossip.store_file import Record, StoreFile
from core.gossip.store_format import (
    CHANNEL_AMOUNT,
    CHANNEL_ANNOUNCEMENT,
    CURRENT_VERSION,
    FLAG_DELETED,
    FLAG_DYING,
    HEADER,
    StoreCounts,
    channel_amount,
)
from core.gossip.store_index import StoreIndex
from core.gossip.store_reading import LOADED_BYTES, Progress, StoreReport, read_store
from core.gossip.store_walk import Batch
from core.storage.errors import FileDamaged, ProfileUnusable
from core.storage.files import open_regular, profile_errors

_SLICE = 256
"""Records that a thread handles at once: under half a millisecond of the interpreter's time."""
_APPENDED = 1024
"""The same of new ones: under a millisecond."""
_DEAD_TO_LIVE = 4
"""Core Lightning compacts at four deleted records to one that lives."""
_MIN_DEAD = 1000

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _State:
    """What is known of the file without looking at it."""

    length: int | None
    """None when there is no file yet."""
    records: int = 0
    deleted: int = 0


class GossipStore:
    """One store; the file is made with the first record."""

    def __init__(self, path: Path | None, report: StoreReport, index: StoreIndex) -> None:
        self.report = report
        self._index: StoreIndex | None = index
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._path = path
        length = report.counts.bytes if report.version is not None else None
        self._state = _State(length, report.counts.records, report.counts.deleted)
        self._file: StoreFile | None = None
        self._lock = asyncio.Lock()

    def __str__(self) -> str:
        """A plain fact for the step's row."""
        return str(self.report)

    @property
    def path(self) -> Path | None:
        """None: nothing is kept."""
        return self._path

    @property
    def counts(self) -> StoreCounts:
        """As the file was found."""
        return self.report.counts

    @property
    def version(self) -> int | None:
        return self.report.version

    @property
    def torn_bytes(self) -> int:
        return self.report.torn_bytes

    @property
    def damage(self) -> FileDamaged | None:
        return self.report.damage

    @property
    def records(self) -> int:
        """How many are in the file, deleted ones too."""
        return self._state.records

    @property
    def is_worth_compacting(self) -> bool:
        """Whether most of the file is deleted."""
        dead, live = self._state.deleted, self._state.records - self._state.deleted
        return dead >= max(_MIN_DEAD, _DEAD_TO_LIVE * live)

    async def batches(self) -> AsyncIterator[Batch]:
        """What was found in the file and is not deleted, in its order, once: to build the graph from.

        Raises ProfileUnusable.
        """
        index, self._index = self._index, None
        if index is None or self._path is None or not len(index):
            return
        ends = index.offset + index.length
        first = 0
        while first < len(index):
            base = int(index.offset[first])
            after = max(first + 1, int(np.searchsorted(ends, np.uint64(base + LOADED_BYTES), side="right")))
            yield await asyncio.to_thread(_read_batch, self._path, index, first, after)
            first = after

    async def append(self, records: Sequence[Record]) -> list[int]:
        """Store `records` in order; gives their offsets. They outlive a kill once this returns. ProfileUnusable."""
        offsets: list[int] = []
        async with self._lock:
            for first in range(0, len(records), _APPENDED):
                part = records[first : first + _APPENDED]
                offsets += await self._do(StoreFile.append, part)
                self._state.records += len(part)
        return offsets

    async def mark_deleted(self, offsets: Iterable[int]) -> None:
        """Mark records, and with a channel's announcement its amount. Raises ProfileUnusable, StoreDamaged."""
        wanted = list(offsets)
        async with self._lock:
            for first in range(0, len(wanted), _SLICE):
                part = wanted[first : first + _SLICE]
                self._state.deleted += await self._do(_mark_deleted, part)

    async def mark_dying(self, offsets: Sequence[int]) -> None:
        """Mark what tells of a channel; `channel_dying` says until when. Raises ProfileUnusable, StoreDamaged."""
        async with self._lock:
            for offset in offsets:
                await self._do(StoreFile.mark, offset, FLAG_DYING)

    async def mark_living(self, offsets: Sequence[int]) -> None:
        """Take `mark_dying` back. Raises ProfileUnusable, StoreDamaged."""
        async with self._lock:
            for offset in offsets:
                await self._do(StoreFile.unmark, offset, FLAG_DYING)

    async def set_amounts(self, amounts: Sequence[tuple[int, int]]) -> None:
        """Tell the capacity in sat of channels whose announcements are at these offsets; 0: it is not known any more.

        Without effect where no amount stands behind the announcement. Raises ProfileUnusable, StoreDamaged.
        """
        async with self._lock:
            for first in range(0, len(amounts), _SLICE):
                await self._do(_set_amounts, amounts[first : first + _SLICE])

    async def read(self, offsets: Iterable[int]) -> list[bytes]:
        """The messages at `offsets`. Raises ProfileUnusable; StoreDamaged when one is not there as it was stored."""
        wanted = list(offsets)
        found: list[bytes] = []
        for first in range(0, len(wanted), _SLICE):
            part = wanted[first : first + _SLICE]
            async with self._lock:
                found += await self._do(_read, part)
        return found

    async def compact(self) -> Moved:
        """Rewrite the file without what is deleted; gives the new offsets. Raises ProfileUnusable.

        Whoever stores or reads meanwhile waits. A cancel leaves the old file.
        """
        async with self._lock:
            old = await self._do(_itself)
            with profile_errors(old.path):
                work = Compaction(old)
                try:
                    while await finish(asyncio.to_thread(work.step)):
                        pass
                except BaseException:
                    await finish(asyncio.to_thread(work.abandon))
                    raise
                # From here on the old file may be replaced: to be seen to its end.
                return await finish(asyncio.to_thread(self._commit, work))

    def _commit(self, work: Compaction) -> Moved:
        self._file, moved = work.commit()
        self._state = _State(self._file.length, len(moved.new) + 1)
        return moved

    async def flush(self) -> None:
        """Bring everything to the disk, so that it outlives a power cut too. Raises ProfileUnusable."""
        async with self._lock:
            if self._file is not None:
                await self._do(StoreFile.sync)

    async def aclose(self) -> None:
        """Flush and close; closing twice does nothing. Raises ProfileUnusable when flushing does."""
        try:
            await self.flush()
        finally:
            async with self._lock:
                file, self._file = self._file, None
                if file is not None:
                    self._state.length = file.length
                    await finish(asyncio.to_thread(file.close))
                if self._folder is not None:
                    await finish(asyncio.to_thread(self._folder.cleanup))
                    self._folder = self._path = None
                    self._state = _State(None)

    async def _do(self, work: Callable[Concatenate[StoreFile, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await finish(asyncio.to_thread(self._work, lambda file: work(file, *args, **kwargs)))

    def _work(self, work: Callable[[StoreFile], T]) -> T:
        """In a thread, with the lock held."""
        if self._path is None:
            self._folder = tempfile.TemporaryDirectory(prefix="leyden-")
            self._path = Path(self._folder.name) / "gossip_store"
        with profile_errors(self._path):
            if self._file is None:
                self._file = StoreFile.open(self._path, self._state.length)
                if self._state.length is None:
                    self._state.records = 1
            return work(self._file)


async def open_gossip_store(path: Path | None, progress: Progress = lambda _done, _total: None) -> GossipStore:
    """Read, check, mend and count the store at `path` (None: nothing is kept). Raises ProfileUnusable.

    A file of another version is written anew in the current one.
    """
    if path is None:
        return GossipStore(None, StoreReport(StoreCounts()), StoreIndex.joined([]))
    report, index = await read_store(path, progress)
    store = GossipStore(path, report, index)
    if report.version in (None, CURRENT_VERSION):
        return store
    await store.compact()
    await store.aclose()
    rewritten, index = await read_store(path, lambda _done, _total: None)
    return GossipStore(path, report.rewritten(rewritten), index)


def _mark_deleted(file: StoreFile, offsets: list[int]) -> int:
    """Gives how many were not marked before."""
    marked = 0
    for offset in offsets:
        places = [offset]
        if file.type(offset) == CHANNEL_ANNOUNCEMENT:
            behind = file.follower(offset)
            if behind is not None and file.type(behind) == CHANNEL_AMOUNT:
                places.append(behind)
        for place in places:
            if not file.is_deleted(place):
                file.mark(place, FLAG_DELETED)
                marked += 1
    return marked


def _set_amounts(file: StoreFile, amounts: Sequence[tuple[int, int]]) -> None:
    for offset, capacity_sat in amounts:
        behind = file.follower(offset)
        if behind is not None and file.type(behind) == CHANNEL_AMOUNT:
            file.rewrite(behind, channel_amount(capacity_sat))


def _read(file: StoreFile, offsets: list[int]) -> list[bytes]:
    return [file.read(offset) for offset in offsets]


def _itself(file: StoreFile) -> StoreFile:
    return file


def _read_batch(path: Path, index: StoreIndex, first: int, after: int) -> Batch:
    base = int(index.offset[first]) - HEADER.size
    end = int(index.offset[after - 1]) + int(index.length[after - 1])
    with profile_errors(path), open_regular(path) as file:
        file.seek(base)
        buffer = file.read(end - base)
    if len(buffer) != end - base:
        raise ProfileUnusable(path=path, reason=f"ends before byte {end}")
    return Batch(buffer, base, (index.offset[first:after].astype(np.int64) - base).tolist())
