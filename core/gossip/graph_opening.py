"""The graph of a store when the node starts: from its image where that stands for the file, else from its records.

The image is made when the node stops, by reading the store as the next start would. It lies beside the store as
`<name>.graph` and is only ever believed when the whole file is, to the byte, the one that was read then: after a kill,
a flipped bit or an update of this program all records are read, and what is damaged is told as without it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.base.clock import Clock
from core.base.finish import finish
from core.gossip.graph import Graph
from core.gossip.graph_image import PROGRAM, Dying, Image, Seal, decode_image, encode_image
from core.gossip.graph_loading import load_graph
from core.gossip.store import GossipStore, open_gossip_store
from core.gossip.store_file import temporary_of
from core.gossip.store_format import CHANNEL_DYING, CURRENT_VERSION
from core.gossip.store_index import StoreIndex
from core.gossip.store_reading import Progress, StoreReport, look_at_store
from core.gossip.store_walk import Batch
from core.storage.errors import ProfileUnusable
from core.storage.files import open_regular, profile_errors, write_atomically

_log = logging.getLogger(__name__)

LEAST_BYTES = 1 << 20
"""A smaller store is read in 10 ms."""
_DYING_BYTES = 14
_CHUNK_BYTES = 1 << 20
_STEP_CHUNKS = 8
"""Read in one call of a thread: 7 ms, without the interpreter."""
_MORE_BYTES = 1 << 16
"""An image is smaller than its store but for what describes it."""


class Opened(NamedTuple):
    """A store and what it holds."""

    store: GossipStore
    graph: Graph
    dying: list[Dying]
    """Short channel ids with the height at which each is forgotten; not yet marked in the graph."""


async def open_graph(path: Path | None, chain_hash: bytes, clock: Clock, progress: Progress) -> Opened:
    """The graph that the store at `path` (None: nothing is kept) holds; ProfileUnusable as `open_gossip_store`."""
    if path is not None:
        image = await asyncio.to_thread(_read_image, path)
        if image is not None and await _fits(image, path, chain_hash, progress):
            graph, dying = await asyncio.to_thread(image.graph, int(clock.time()))
            report = StoreReport(image.counts, CURRENT_VERSION)
            return Opened(GossipStore(path, report, StoreIndex.joined([])), graph, dying)
    return await _from_records(await open_gossip_store(path, progress), chain_hash, clock)


async def keep_image(path: Path, chain_hash: bytes, clock: Clock) -> None:
    """For the next start, of a store that is closed; where it cannot be, the next start does without."""
    try:
        await _keep_image(path, chain_hash, clock)
    except ProfileUnusable as error:
        _log.warning("the graph's image is not kept: %s", error)


def image_of(path: Path) -> Path:
    """Where the image of the store at `path` lies."""
    return path.with_name(path.name + ".graph")


async def _keep_image(path: Path, chain_hash: bytes, clock: Clock) -> None:
    seal = await _seal(path, chain_hash)
    if seal is None or seal.size < LEAST_BYTES:
        return
    old = await asyncio.to_thread(_read_image, path)
    if old is not None and old.seal == seal:
        return
    found = await look_at_store(path)
    if found is None or found[0].version != CURRENT_VERSION:
        return  # the next start mends and tells
    store = GossipStore(path, *found)
    del found  # the store's index is given back once it was used
    store, graph, dying = await _from_records(store, chain_hash, clock)
    if await _seal(path, chain_hash) != seal:
        return
    content = await asyncio.to_thread(encode_image, seal, store.counts, graph, dying)
    await finish(asyncio.to_thread(write_atomically, image_of(path), content))


async def _from_records(store: GossipStore, chain_hash: bytes, clock: Clock) -> Opened:
    graph = Graph(chain_hash)
    graph.expect(store.counts.channels, store.counts.nodes)
    dying: list[Dying] = []
    await load_graph(graph, _noting_dying(store.batches(), dying), clock)
    return Opened(store, graph, dying)


async def _noting_dying(pieces: AsyncIterator[Batch], dying: list[Dying]) -> AsyncIterator[Batch]:
    """Hands the pieces through; the notes that channels are dying go to `dying`."""
    async for piece in pieces:
        at = np.flatnonzero(piece.live & (piece.type == CHANNEL_DYING) & (piece.length >= _DYING_BYTES))
        for number in at.tolist():
            message = piece.message(number)
            scid, deadline = int.from_bytes(message[2:10], "big"), int.from_bytes(message[10:14], "big")
            dying.append((scid, deadline, int(piece.offset[number])))
        yield piece


def _read_image(path: Path) -> Image | None:
    """None when there is none that this program can use, or the store is longer or shorter than it was."""
    try:
        size = path.stat().st_size
        with open_regular(image_of(path)) as file:
            content = file.read(size + _MORE_BYTES + 1)
    except OSError:
        return None
    image = decode_image(content) if len(content) <= size + _MORE_BYTES else None
    return image if image is not None and image.seal.size == size else None


async def _fits(image: Image, path: Path, chain_hash: bytes, progress: Progress) -> bool:
    """Whether the store is what the image stands for, and no compaction was interrupted."""
    if await asyncio.to_thread(temporary_of(path).exists):
        return False
    try:
        return await _seal(path, chain_hash, lambda done: progress(done, image.seal.size)) == image.seal
    except ProfileUnusable:
        return False  # reading the records tells what is the matter


async def _seal(path: Path, chain_hash: bytes, progress: Callable[[int], None] = lambda _done: None) -> Seal | None:
    """Of the store as it lies there; None when there is none. Raises ProfileUnusable."""
    sealing = _Sealing(path)
    while await asyncio.to_thread(sealing.step):
        progress(sealing.size)
    if not sealing.size:
        return None
    return Seal(PROGRAM, chain_hash.hex(), sealing.size, sealing.digest.hexdigest())


class _Sealing:
    """Goes over one file; blocks. It is opened for each step, so a cancelled one holds nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = 0
        self.digest = hashlib.blake2b(digest_size=32)

    def step(self) -> bool:
        """Gives whether more may follow."""
        with profile_errors(self._path):
            try:
                file = open_regular(self._path)
            except FileNotFoundError:
                return False
            with file:
                file.seek(self.size)
                for _ in range(_STEP_CHUNKS):
                    chunk = file.read(_CHUNK_BYTES)
                    if not chunk:
                        return False
                    self.size += len(chunk)
                    self.digest.update(chunk)
        return True
