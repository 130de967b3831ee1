"""Reading `gossip_store` when the node starts: checked, mended, cut, set aside; and what of that there is to tell."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.base.finish import finish
from core.gossip.store_file import temporary_of, write_over
from core.gossip.store_format import HEADER, StoreCounts
from core.gossip.store_index import Audit, StoreIndex, Verdict
from core.gossip.store_walk import Batch, Walker
from core.storage.errors import FileDamaged
from core.storage.files import keep_aside, open_regular, profile_errors, set_aside, sync_folder

PIECE_BYTES = 64 * 1024
"""What a thread does at once to another's file, or to ours while the node runs: under half a millisecond."""

WALKED_BYTES = 256 * 1024
"""At the start: about a millisecond, short enough for the thread not to take the interpreter from the loop."""

LOADED_BYTES = 512 * 1024
"""What is taken into the graph between two reads: a slice or two of each kind of message."""

Progress = Callable[[int, int], None]
"""Told bytes done and bytes in all."""


@dataclass(frozen=True, slots=True)
class StoreReport:
    """How the file was found."""

    counts: StoreCounts
    version: int | None = None
    """Minor version of the file; None when there is none."""
    torn_bytes: int = 0
    """How much of an interrupted write was cut off at the end."""
    lost_records: int = 0
    """Damaged records that are left out."""
    lost_bytes: int = 0
    """Their length; of what lies behind `counts.bytes` too, when `damage` is set."""
    mended: int = 0
    """Records and marks that were damaged and are whole again."""
    restored: int = 0
    """Records whose mark of deletion had no reason."""
    problem: str | None = None
    """The first damage that was found."""
    damage: FileDamaged | None = None
    """Set when the file lies aside now as it was."""

    def __str__(self) -> str:
        """A plain fact for the step's row."""
        if self.damage is not None and not self.counts.records:
            return f"damaged, set aside as {self.damage.set_aside.name} ({self.damage.reason}): an empty graph"
        if self.version is None:
            return "no file yet: an empty graph"
        return "; ".join(
            [
                f"{self.counts.channels} channels, {self.counts.nodes} nodes in {self.counts.records} records",
                *self._told(),
            ]
        )

    def rewritten(self, now: StoreReport) -> StoreReport:
        """What was found, in a file of another version, with what is in the new one."""
        return replace(self, counts=now.counts, version=now.version)

    def _told(self) -> list[str]:
        told = []
        if self.torn_bytes:
            told.append(f"{self.torn_bytes} bytes of an unfinished record cut off")
        if self.lost_records:
            told.append(f"{self.lost_records} damaged records left out")
        if self.mended:
            told.append(f"{self.mended} damaged headers mended")
        if self.restored:
            told.append(f"{self.restored} records back that nothing had deleted")
        if self.lost_bytes:
            told.append(f"{self.lost_bytes} bytes lost in all")
        if self.damage is not None:
            told.append(f"the damaged file is kept as {self.damage.set_aside.name}")
        if self.problem is not None:
            told.append(self.problem)
        return told


async def read_store(path: Path, progress: Progress) -> tuple[StoreReport, StoreIndex]:
    """Read and check the store at `path`, and leave it as a file that can be appended to. Raises ProfileUnusable.

    The index holds what is not deleted. A record that a kill cut short is cut off at the end; a damaged record is left
    out; from where the file cannot be read any more it is set aside, and what comes before stays.
    """
    total = await asyncio.to_thread(_size, path)
    if total is None:
        return StoreReport(StoreCounts()), StoreIndex.joined([])
    walk = _Walk(path)
    done = 0
    while read := await asyncio.to_thread(walk.step, done):
        done += read
        progress(done, max(total, done))
    return await finish(asyncio.to_thread(walk.settle))


async def look_at_store(path: Path) -> tuple[StoreReport, StoreIndex] | None:
    """What `read_store` would give; None where it would mend anything. Changes nothing. Raises ProfileUnusable."""
    walk = _Walk(path)
    done = 0
    while read := await asyncio.to_thread(walk.step, done):
        done += read
    return await asyncio.to_thread(walk.unhurt)


class _Walk:
    """Over one file; blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._walker = Walker()
        self._audit = Audit()
        self._columns: list[StoreIndex] = []

    def step(self, offset: int) -> int:
        """Gives the bytes read, 0 at the end. The file is opened for each, so a cancelled read holds nothing."""
        with profile_errors(self._path), open_regular(self._path) as file:
            file.seek(offset)
            data = file.read(WALKED_BYTES)
        self._take(self._walker.feed(data, last=not data))
        return len(data)

    def _take(self, batch: Batch) -> None:
        self._audit.add(batch)
        self._columns.append(StoreIndex.of(batch))

    def unhurt(self) -> tuple[StoreReport, StoreIndex] | None:
        """What `settle` gives when there is nothing to mend."""
        walker, index = self._walker, StoreIndex.joined(self._columns)
        if walker.version is None or walker.problem or walker.repairs or walker.end != walker.size:
            return None
        verdict = self._audit.verdict(index, all_read=walker.all_read)
        if any(map(len, (verdict.restored, verdict.buried, verdict.orphaned))):
            return None
        return StoreReport(index.counts(walker.end), walker.version), index.only(index.live)

    def settle(self) -> tuple[StoreReport, StoreIndex]:
        """Mend the file, or set it aside."""
        walker, index = self._walker, StoreIndex.joined(self._columns)
        unread = walker.size - walker.end
        unusable = walker.version_damaged or (unread and not walker.torn)
        if walker.version is None or (unusable and not len(index)):
            reason = walker.problem or "the file is empty"
            aside = FileDamaged(path=self._path, set_aside=set_aside(self._path), reason=reason)
            return StoreReport(StoreCounts(), lost_bytes=walker.size, damage=aside), StoreIndex.joined([])
        with profile_errors(self._path):
            temporary_of(self._path).unlink(missing_ok=True)  # of a compaction that was killed
        verdict = self._audit.verdict(index, all_read=walker.all_read)
        index = index.with_marks(verdict)
        changes = [(repair.offset, repair.content) for repair in walker.repairs] + _marks(index, verdict)
        damage = None
        with profile_errors(self._path):
            if unread and not walker.torn:
                damage = self._keep_beginning(changes)
            elif changes or unread:
                write_over(self._path, changes, walker.end)
        report = StoreReport(
            counts=index.counts(walker.end),
            version=walker.version,
            torn_bytes=unread if walker.torn else 0,
            lost_records=walker.lost_records + len(verdict.orphaned),
            lost_bytes=walker.lost_bytes + index.bytes_of(verdict.orphaned) + (0 if walker.torn else unread),
            mended=walker.mended,
            restored=len(verdict.restored),
            problem=walker.problem,
            damage=damage,
        )
        return report, index.only(index.live)

    def _keep_beginning(self, changes: list[tuple[int, bytes]]) -> FileDamaged:
        """Set the file aside; what could be read of it takes its place."""
        temporary = temporary_of(self._path)
        temporary.unlink(missing_ok=True)
        shutil.copyfile(self._path, temporary)
        temporary.chmod(0o600)
        write_over(temporary, changes, self._walker.end)
        aside = keep_aside(self._path)
        os.replace(temporary, self._path)
        sync_folder(self._path.parent)
        return FileDamaged(path=self._path, set_aside=aside, reason=self._walker.problem or "")


def _marks(index: StoreIndex, verdict: Verdict) -> list[tuple[int, bytes]]:
    """The first byte of the flags of each record whose mark was wrong."""
    return [
        (int(index.offset[number]) - HEADER.size, bytes([int(index.flags[number]) >> 8]))
        for numbers in (verdict.restored, verdict.buried, verdict.orphaned)
        for number in numbers
    ]


def _size(path: Path) -> int | None:
    with profile_errors(path):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None
