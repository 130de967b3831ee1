"""Opening `gossip_store`: checked and counted off the loop, in slices, with progress."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from core.base.finish import finish
from core.gossip.store_format import StoreCounts, StoreDamaged, StoreParser
from core.storage.errors import FileDamaged
from core.storage.files import open_regular, profile_errors, set_aside

_SLICE_BYTES = 32 * 1024
"""About half a millisecond of parsing: short enough for the thread not to take the interpreter from the loop."""

Progress = Callable[[int, int], None]
"""Told bytes done and bytes in all."""


class GossipStore:
    """The store as it was found at activation."""

    def __init__(
        self,
        *,
        counts: StoreCounts,
        version: int | None = None,
        torn_bytes: int = 0,
        damage: FileDamaged | None = None,
    ) -> None:
        self.counts = counts
        self.version = version
        """Minor version of the file; None when there is none."""
        self.torn_bytes = torn_bytes
        """How much of an interrupted write was cut off at the end."""
        self.damage = damage
        """Set when the file was unusable and lies aside now; the graph begins empty."""

    def __str__(self) -> str:
        """A plain fact for the step's row."""
        if self.damage is not None:
            return f"damaged, set aside as {self.damage.set_aside.name} ({self.damage.reason}): an empty graph"
        if self.version is None:
            return "no file yet: an empty graph"
        words = f"{self.counts.channels} channels, {self.counts.nodes} nodes in {self.counts.records} records"
        return f"{words}; {self.torn_bytes} bytes of an unfinished record cut off" if self.torn_bytes else words


async def open_gossip_store(path: Path | None, progress: Progress = lambda _done, _total: None) -> GossipStore:
    """Read, check and count the store at `path` (None: nothing is kept). Raises ProfileUnusable.

    A record that a kill cut short is cut off at the end. Anything else that is wrong sets the file aside.
    """
    if path is None:
        return GossipStore(counts=StoreCounts())
    total = await asyncio.to_thread(_size, path)
    if total is None:
        return GossipStore(counts=StoreCounts())
    parser = StoreParser()
    try:
        done = 0
        while read := await asyncio.to_thread(_feed_slice, path, done, parser):
            done += read
            progress(done, max(total, done))
        if parser.version is None:
            raise StoreDamaged("the file is empty")
    except StoreDamaged as error:
        aside = await finish(asyncio.to_thread(set_aside, path))
        damage = FileDamaged(path=path, set_aside=aside, reason=str(error))
        return GossipStore(counts=StoreCounts(), damage=damage)
    if parser.torn_bytes:
        await finish(asyncio.to_thread(_cut, path, parser.counts.bytes))
    return GossipStore(counts=parser.counts, version=parser.version, torn_bytes=parser.torn_bytes)


def _size(path: Path) -> int | None:
    with profile_errors(path):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None


def _feed_slice(path: Path, offset: int, parser: StoreParser) -> int:
    """Gives the bytes read, 0 at the end. The file is opened for each slice, so a cancelled read holds nothing."""
    with profile_errors(path), open_regular(path) as file:
        file.seek(offset)
        data = file.read(_SLICE_BYTES)
    parser.feed(data)
    return len(data)


def _cut(path: Path, length: int) -> None:
    with profile_errors(path):
        handle = os.open(path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        try:
            os.ftruncate(handle, length)
            os.fsync(handle)
        finally:
            os.close(handle)
