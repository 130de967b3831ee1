"""Rapid gossip sync of a running node: snapshots fetched, kept in a file of their own and laid over the graph.

A snapshot is a server's word alone. Signed gossip always wins over it, and nothing of it is ever passed on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from core.base.clock import Clock
from core.base.finish import finish
from core.gossip import rapid_file
from core.gossip.errors import SnapshotRefused, SnapshotUnavailable
from core.gossip.kept_graph import KeptGraph
from core.gossip.limits import FURTHEST_AHEAD_S
from core.gossip.rapid import BadSnapshot, Snapshot, read_snapshot
from core.gossip.rapid_fetch import Dial, fetch_snapshot, is_url
from core.gossip.rapid_overlay import Laid, lay, withdraw
from core.storage.errors import FileDamaged, ProfileUnusable

_log = logging.getLogger(__name__)
T = TypeVar("T")

OLDEST_S = 14 * 24 * 3600
"""Nothing older is of use: BOLT 7 would prune it. LDK refuses it too."""
REFRESH_S = 24 * 3600.0
"""A server makes one a day for whoever comes daily; asking more often brings nothing."""
RETRY_S = 3600.0


@dataclass(frozen=True, slots=True)
class RapidReport:
    """What became of one snapshot."""

    source: str
    latest_seen: int
    """When the server last heard something, in seconds since the epoch."""
    channels: int
    """New to the graph."""
    updates: int
    nodes: int
    passed_over: int
    """As in `rapid_overlay.Laid`."""


class RapidSync:
    """Made by `open`, closed by `aclose`; `run` keeps the overlay fresh from the source that the user chose."""

    def __init__(self, kept: KeptGraph, clock: Clock, dial: Dial, source: str = "", path: Path | None = None) -> None:
        """`source` is the settings' URL or file, empty for none; `path` is our own file, None: nothing is kept."""
        self.source = source
        self.latest_seen = 0
        """Of the newest snapshot, in seconds since the epoch; 0 without one."""
        self.damage: FileDamaged | None = None
        """Set when the file was unusable and lies aside now."""
        self.failure = ""
        """Why the last attempt of `run` brought nothing; empty when it did."""
        self._kept = kept
        self._clock = clock
        self._dial = dial
        self._path = path
        self._count = 0
        """Snapshots in the file."""
        self._one = asyncio.Lock()
        self._running: set[asyncio.Task[RapidReport]] = set()
        self._closed = False

    @classmethod
    async def open(
        cls, kept: KeptGraph, clock: Clock, dial: Dial, source: str = "", path: Path | None = None
    ) -> RapidSync:
        """Lay what the file at `path` holds over the graph. A damaged file is set aside. Raises ProfileUnusable."""
        self = cls(kept, clock, dial, source, path)
        if path is not None:
            stored, self.damage = await finish(asyncio.to_thread(rapid_file.read, path))
            await self._load(stored)
        return self

    def __str__(self) -> str:
        """A plain fact for the step's row; empty when there is none."""
        if self.damage is not None:
            return f"snapshots damaged, set aside as {self.damage.set_aside.name} ({self.damage.reason})"
        overlay = self._kept.graph.overlay_count
        return f"{overlay} channels of an unsigned snapshot" if self._count else ""

    async def _load(self, stored: Sequence[bytes]) -> None:
        """Only the newest must not be old: the others are what it builds upon."""
        try:
            if stored:
                self._judge(await self._in_turns(read_snapshot(stored[-1])))
            for data in stored:
                snapshot = await self._in_turns(read_snapshot(data))
                await self._kept.lay(lay(self._kept.graph, snapshot))
                self._count += 1
                self.latest_seen = snapshot.latest_seen
        except BadSnapshot as error:
            _log.info("the kept snapshots are not used: the newest %s", error)
        self._kept.graph.take_changes()  # nobody has seen the graph without them

    async def take(self, source: str = "") -> RapidReport:
        """Take in the snapshot at `source`, a URL or a file (empty: that of the settings).

        What was taken is in the file when this returns. Raises SnapshotUnavailable, also when the node stops,
        SnapshotRefused, ProfileUnusable.
        """
        source = source or self.source
        if self._closed:
            raise SnapshotUnavailable(source=source, reason="the node stops")
        task = asyncio.create_task(self._take(source), name="taking in a snapshot")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled():
            raise SnapshotUnavailable(source=source, reason="the node stops")
        return task.result()

    async def run(self, problem: Callable[[BaseException], None]) -> None:
        """Until it is cancelled: a snapshot each day, when the settings name a source; `problem` hears of our disk."""
        wait_s = min(REFRESH_S, max(0.0, self.latest_seen + REFRESH_S - self._clock.time()))
        while self.source:
            await self._clock.sleep(wait_s)
            wait_s = RETRY_S
            try:
                report = await self.take()
                _log.info("a snapshot of %s brought %d channels", report.source, report.channels)
                wait_s, self.failure = REFRESH_S, ""
            except (SnapshotUnavailable, SnapshotRefused) as error:
                self.failure = error.reason
                _log.warning("no snapshot from %s: %s", error.source, error.reason)
            except ProfileUnusable as error:
                problem(error)

    async def aclose(self) -> None:
        """Stop what runs and wait until it has; closing twice does nothing."""
        self._closed = True
        running = tuple(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    # -- inside

    async def _take(self, source: str) -> RapidReport:
        async with self._one:
            since = self._since()
            data = await fetch_snapshot(source, since, self._dial)
            try:
                snapshot = await self._in_turns(read_snapshot(data))
                self._judge(snapshot)
                if snapshot.latest_seen < self.latest_seen:
                    raise BadSnapshot("is older than what was taken in before")
            except BadSnapshot as error:
                raise SnapshotRefused(source=source, reason=str(error)) from None
            if snapshot.latest_seen == self.latest_seen:
                return RapidReport(source, self.latest_seen, 0, 0, 0, len(snapshot.announced) + len(snapshot.updates))
            whole = self._is_whole(snapshot, asked=is_url(source) and not since)
            laid = await finish(self._keep(data, snapshot, whole=whole, source=source))
            return RapidReport(source, snapshot.latest_seen, laid.channels, laid.updates, laid.nodes, laid.passed_over)

    def _since(self) -> int:
        """What to ask a server for: all that is new, or everything when what we have is too old or too much."""
        fresh = self.latest_seen > self._clock.time() - OLDEST_S
        return self.latest_seen if fresh and self._count < rapid_file.MOST_SNAPSHOTS else 0

    def _is_whole(self, snapshot: Snapshot, *, asked: bool) -> bool:
        """A snapshot does not say whether it is one; who asked for everything knows, of a file its content tells."""
        most = 2 * len(snapshot.announced) >= self._kept.graph.overlay_count
        return asked or (most and not snapshot.is_incremental)

    async def _keep(self, data: bytes, snapshot: Snapshot, *, whole: bool, source: str) -> Laid:
        """First the file, then the graph."""
        if self._path is not None and not await asyncio.to_thread(_stored, self._path, data, whole=whole):
            raise SnapshotRefused(source=source, reason="is too much beside those taken in before")
        self._count, self.latest_seen = 1 if whole else self._count + 1, snapshot.latest_seen
        graph = self._kept.graph
        if whole:
            await self._kept.lay(withdraw(graph, snapshot))
        return await self._kept.lay(lay(graph, snapshot))

    def _judge(self, snapshot: Snapshot) -> None:
        """Raises BadSnapshot."""
        now = self._clock.time()
        if snapshot.chain_hash != self._kept.graph.chain_hash:
            raise BadSnapshot("is of another chain")
        if snapshot.latest_seen < now - OLDEST_S:
            raise BadSnapshot("is more than two weeks old")
        if snapshot.latest_seen > now + FURTHEST_AHEAD_S:
            raise BadSnapshot("is of a time to come")

    async def _in_turns(self, work: Generator[None, None, T]) -> T:
        """The result of `work`, with a turn of the loop between its pieces."""
        while True:
            try:
                next(work)
            except StopIteration as done:
                result: T = done.value
                return result
            await self._clock.sleep(0)


def _stored(path: Path, data: bytes, *, whole: bool) -> bool:
    """Put a snapshot into the file, alone when it is whole; False when there is no room. Blocks."""
    snapshots = [data] if whole else [*rapid_file.read(path)[0], data]
    if not rapid_file.fits(snapshots):
        return False
    rapid_file.write(path, snapshots)
    return True
