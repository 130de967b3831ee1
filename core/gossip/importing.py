"""Another node's `gossip_store` taken in: nothing of it is believed, everything is verified like gossip."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from core.base.clock import Clock
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.wire import WireError
from core.gossip import verify_frames
from core.gossip.errors import VerificationFailed
from core.gossip.graph_values import Verdict
from core.gossip.kept_graph import Announcement, KeptGraph, News
from core.gossip.limits import FURTHEST_AHEAD_S, LONGEST_RECORD, OLDEST_UPDATE_S, UNCHECKED
from core.gossip.store_format import CHANNEL_ANNOUNCEMENT, CHANNEL_UPDATE, NODE_ANNOUNCEMENT
from core.gossip.store_import import StoreImport
from core.gossip.store_reading import Progress
from core.gossip.verification import StartVerifier, Verifier

_SLICE = 64
"""Messages that are decoded at once: about 2 ms."""
_KINDS: dict[int, type[ChannelAnnouncement | ChannelUpdate | NodeAnnouncement]] = {
    CHANNEL_ANNOUNCEMENT: ChannelAnnouncement,
    CHANNEL_UPDATE: ChannelUpdate,
    NODE_ANNOUNCEMENT: NodeAnnouncement,
}


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file's messages."""

    channels: int
    """News, and stored; so are the next two."""
    updates: int
    nodes: int
    known: int
    """We had them, or newer ones."""
    passed_over: int
    """Of no use: of another chain, of unknown channels and nodes, too old or of a time to come, longer than any, more
    channels than are held while the chain is not asked."""
    refused: int
    """Malformed, or not signed by whom they name."""
    left_out: str | None
    """What of the file could not be read, in words."""


class StoreImporter:
    """Takes in one file after the other; whoever waits is told when the node stops."""

    def __init__(self, kept: KeptGraph, clock: Clock, start_verifier: StartVerifier = Verifier.start) -> None:
        self._kept = kept
        self._clock = clock
        self._start_verifier = start_verifier
        self.channels_came: Callable[[], None] = lambda: None
        """Told when there may be new channels, of which the chain knows more."""
        self._one = asyncio.Lock()
        self._running: set[asyncio.Task[ImportReport]] = set()
        self._closed = False

    async def run(self, path: Path, progress: Progress = lambda _done, _total: None) -> ImportReport:
        """Take in what is news of the store at `path`, which is only read. What was taken in stays, whatever follows.

        ProfileUnusable when it is no such file or ours cannot be written; VerificationFailed, also when the node stops.
        """
        if self._closed:
            raise VerificationFailed(reason="the node stops")
        task = asyncio.create_task(self._run(path, progress), name="importing a gossip_store")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled():
            raise VerificationFailed(reason="the node stops")
        return task.result()

    async def aclose(self) -> None:
        """Stop what runs and wait until it has; closing twice does nothing."""
        self._closed = True
        running = tuple(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _run(self, path: Path, progress: Progress) -> ImportReport:
        async with self._one, self._start_verifier(clock=self._clock) as verifier:
            store = StoreImport(path)
            work = _Import(self._kept, self._clock, verifier)
            async for batch in store.batches(progress):
                await work.take([imported.message for imported in batch])
                self.channels_came()
            counts = work.counts
            return ImportReport(
                counts["channels"],
                counts["updates"],
                counts["nodes"],
                counts["known"],
                counts["passed over"],
                counts["refused"],
                store.left_out,
            )


class _Message(NamedTuple):
    message: bytes
    content: Announcement


class _Import:
    """One file's messages, a batch after the other."""

    def __init__(self, kept: KeptGraph, clock: Clock, verifier: Verifier) -> None:
        self._kept = kept
        self._clock = clock
        self._verifier = verifier
        self.counts: Counter[str] = Counter()

    async def take(self, messages: Sequence[bytes]) -> None:
        """Channels first: updates and nodes are judged by them."""
        found: dict[type, list[_Message]] = {kind: [] for kind in _KINDS.values()}
        for first in range(0, len(messages), _SLICE):
            for message in messages[first : first + _SLICE]:
                kind = _KINDS[int.from_bytes(message[:2], "big")]
                if len(message) > LONGEST_RECORD:
                    self.counts["passed over"] += 1
                    continue
                try:
                    found[kind].append(_Message(message, kind.decode(message)))
                except WireError:
                    self.counts["refused"] += 1
            await self._clock.sleep(0)
        await self._take("channels", found[ChannelAnnouncement])
        await self._take("updates", found[ChannelUpdate])
        await self._take("nodes", found[NodeAnnouncement])

    async def _take(self, name: str, batch: Sequence[_Message]) -> None:
        wanted = [each for each in batch if self._is_wanted(each.content)]
        if name == "channels":
            room = max(0, UNCHECKED - self._kept.graph.unchecked_count)
            self.counts["passed over"] += len(wanted[room:])
            wanted = wanted[:room]
        verdicts = await self._verifier.verify([self._record(each) for each in wanted])
        genuine = [each for each, verdict in zip(wanted, verdicts, strict=True) if verdict]
        self.counts["refused"] += len(wanted) - len(genuine)
        for applied in await self._kept.take([News(each.message) for each in genuine]):
            self._count(applied.verdict, name)

    def _is_wanted(self, content: Announcement) -> bool:
        """Whether its signature is worth a look."""
        verdict = self._kept.verdict(content)
        now = self._clock.time()
        if isinstance(content, ChannelUpdate) and not now - OLDEST_UPDATE_S <= content.timestamp:
            verdict = Verdict.UNKNOWN
        if not isinstance(content, ChannelAnnouncement) and content.timestamp > now + FURTHEST_AHEAD_S:
            verdict = Verdict.UNKNOWN
        if verdict is not Verdict.NEWS:
            self._count(verdict, "")
        return verdict is Verdict.NEWS

    def _count(self, verdict: Verdict, news: str) -> None:
        self.counts[{Verdict.NEWS: news, Verdict.KNOWN: "known"}.get(verdict, "passed over")] += 1

    def _record(self, read: _Message) -> verify_frames.Record:
        content = read.content
        if not isinstance(content, ChannelUpdate):
            return read.message
        signer = self._kept.graph.source_of(int(content.short_channel_id), content.direction)
        assert signer is not None, "it was wanted, so its channel is known"
        return verify_frames.SignedBy(read.message, signer)
