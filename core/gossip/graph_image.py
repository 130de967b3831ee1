"""The graph as reading a whole `gossip_store` leaves it, as bytes: an eighth of the time to read. Pure.

An image stands for one file to the byte, and for one way to read it: `Seal` says which. Whatever it does not stand for
is read record by record, as if there were no image.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import __version__
from core.gossip.columns import CHANNEL, CHECKED, DIRECTION, NODE
from core.gossip.graph import Graph
from core.gossip.store_format import StoreCounts

_READING = 1
"""Grows when the same records make another graph than before."""
PROGRAM = f"{__version__} {_READING} {CHANNEL.descr} {DIRECTION.descr} {NODE.descr}"
_DIGEST_BYTES = 32
_NODE_ID = np.dtype("V33")
_DYING = np.dtype([("short_channel_id", np.uint64), ("deadline", np.uint32), ("offset", np.uint64)])

Dying = tuple[int, int, int]
"""A note that a funding output is spent: short channel id, height at which it is forgotten, the note's place."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What an image stands for."""

    program: str
    """Who read the store, and how it lays out a graph."""
    chain_hash: str
    size: int
    digest: str
    """BLAKE2b of all its bytes."""


@dataclass(frozen=True, slots=True)
class Image:
    """One whose own digest fits; its columns are read by `graph`."""

    seal: Seal
    counts: StoreCounts
    _columns: io.BytesIO

    def graph(self, heard: int) -> tuple[Graph, list[Dying]]:
        """The graph, and the notes about dying channels, which it is not told of. Once; about 20 ms at mainnet size.

        `heard` is now, in seconds since the epoch, as when announcements are read from the store.
        """
        graph = Graph(bytes.fromhex(self.seal.chain_hash))
        channels, directions, nodes = (self._column() for _ in range(3))
        graph.expect(len(channels), len(nodes))
        rows = graph.channel_table.take_many(len(channels))
        graph.fit_directions()
        graph.channel_table.records[rows] = channels
        graph.channel_table.records["heard"][rows] = heard
        graph.direction_table.records[: len(directions)] = directions
        graph.node_table.records[graph.node_table.take_many(len(nodes))] = nodes
        graph.index.add_many(channels["short_channel_id"], rows, graph.channel_table)
        graph.node_ids += self._column().tolist()
        graph.node_rows.update(zip(graph.node_ids, range(len(nodes)), strict=True))
        graph.node_texts += self._texts()
        for row, features in zip(self._column().tolist(), self._texts(), strict=True):
            graph.keep_features(row, features)
        graph.channel_count = len(channels)
        graph.checked_count = int(np.count_nonzero(channels["state"] & CHECKED))
        return graph, self._column().tolist()

    def _column(self) -> NDArray[Any]:
        column: NDArray[Any] = np.load(self._columns, allow_pickle=False)
        return column

    def _texts(self) -> list[bytes]:
        lengths, joined = self._column().tolist(), self._column().tobytes()
        return [joined[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]


def encode_image(seal: Seal, counts: StoreCounts, graph: Graph, dying: list[Dying]) -> bytes:
    """`graph` is what reading the store gave: nothing was taken out of it, nothing came from elsewhere."""
    file = io.BytesIO()
    file.write(bytes(_DIGEST_BYTES))
    file.write(json.dumps({"seal": asdict(seal), "counts": asdict(counts)}).encode() + b"\n")
    for column in (
        *(table.records[: table.used] for table in (graph.channel_table, graph.direction_table, graph.node_table)),
        np.frombuffer(b"".join(graph.node_ids), _NODE_ID),
        *_joined(graph.node_texts),
        np.array(list(graph.channel_features), np.int64),
        *_joined(list(graph.channel_features.values())),
        np.array(dying, _DYING),
    ):
        np.save(file, column, allow_pickle=False)
    with file.getbuffer() as content:
        content[:_DIGEST_BYTES] = _digest(content)
    return file.getvalue()


def decode_image(content: bytes) -> Image | None:
    """None when it is not one, is damaged or was made by another program."""
    file = io.BytesIO(content)
    if file.read(_DIGEST_BYTES) != _digest(memoryview(content)):
        return None
    head = json.loads(file.readline())
    if head["seal"]["program"] != PROGRAM:
        return None
    return Image(Seal(**head["seal"]), StoreCounts(**head["counts"]), file)


def _digest(content: memoryview) -> bytes:
    """Of all that follows the digest itself."""
    return hashlib.blake2b(content[_DIGEST_BYTES:], digest_size=_DIGEST_BYTES).digest()


def _joined(texts: list[bytes]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    lengths = np.fromiter(map(len, texts), np.uint32, len(texts))
    return lengths, np.frombuffer(b"".join(texts), np.uint8)
