"""A real network's shape, from Core Lightning's compressed form of it (devtools/gossmap-compress.c).

Gzip of the text `GOSSMAP_COMPRESSv1`, a zero byte, then BigSize numbers: how many channels; each channel's start node,
then each one's end node, as indexes; the disabled directions as `2 * channel + direction`, ended by a number out of
range; then capacities, htlc minima, htlc maxima, base fees, proportional fees and delays, each as a template list with
its length before it and one index a channel (capacities) or direction. Of the maxima index 0 is the capacity, index 1
is 0.99 of it. Node ids are not in it: ours are made, ascending with the index, so direction 0 leads from start to end.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.bolt.wire import encode_bigsize
from core.gossip.graph_bulk import Batch

PATH_VARIABLE = "LEYDEN_TOPOLOGY"
"""Names the file of a whole network, which is too large to keep here."""
SAMPLE = Path(__file__).parents[1] / "vectors" / "topology_sample.compressed"
MAGIC = b"GOSSMAP_COMPRESSv1\0"
FIRST_BLOCK = 500_000
CHANNELS_A_BLOCK = 4

Column = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Topology:
    """Channels in order; the columns of directions have two entries a channel."""

    starts: Column
    ends: Column
    capacities_sat: Column
    disabled: NDArray[np.bool_]
    minima_msat: Column
    maxima_msat: Column
    base_fees_msat: Column
    proportional_fees: Column
    delays: Column

    @property
    def channels(self) -> int:
        return len(self.starts)

    @property
    def nodes(self) -> int:
        return int(max(self.starts.max(), self.ends.max())) + 1

    def short_channel_id(self, channel: int) -> int:
        """Made: ascending with the channel."""
        return FIRST_BLOCK + channel // CHANNELS_A_BLOCK << 40 | channel % CHANNELS_A_BLOCK << 16

    def node_id(self, node: int) -> bytes:
        """Made: ascending with the index, and no point of the curve."""
        return b"\x02" + node.to_bytes(32, "big")

    def batch(self, chain_hash: bytes, timestamp: int, texts: Mapping[int, tuple[bytes, bytes]] | None = None) -> Batch:
        """Messages of the right layout with signatures of zeros, the k-th at the right place of one buffer.

        `texts` are alias and addresses of the nodes that announce themselves.
        """
        signature = bytes(64)
        channels = [
            b"\x01\x00"
            + signature * 4
            + b"\0\0"
            + chain_hash
            + self.short_channel_id(at).to_bytes(8, "big")
            + self.node_id(int(start))
            + self.node_id(int(end))
            + bytes(66)
            for at, (start, end) in enumerate(zip(self.starts.tolist(), self.ends.tolist(), strict=True))
        ]
        updates = [self._update(chain_hash, timestamp, at) for at in range(2 * self.channels)]
        nodes = [
            b"\x01\x01"
            + signature
            + b"\0\x05\x08\xa0\x00\x88\x0a"
            + timestamp.to_bytes(4, "big")
            + self.node_id(node)
            + b"\x11\x22\x33"
            + alias[:32].ljust(32, b"\0")
            + len(addresses).to_bytes(2, "big")
            + addresses
            for node, (alias, addresses) in (texts or {}).items()
        ]
        lengths = np.array([len(message) for message in channels + updates + nodes], np.int64)
        spans = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)
        first, second = len(channels), len(channels) + len(updates)
        return Batch(
            b"".join(channels + updates + nodes),
            spans[:first],
            self.capacities_sat,
            spans[first:second],
            spans[second:],
        )

    def _update(self, chain_hash: bytes, timestamp: int, at: int) -> bytes:
        flags = at & 1 | 2 * bool(self.disabled[at])
        return b"".join(
            [
                b"\x01\x02",
                bytes(64),
                chain_hash,
                self.short_channel_id(at >> 1).to_bytes(8, "big"),
                timestamp.to_bytes(4, "big"),
                bytes([1, flags]),
                int(self.delays[at]).to_bytes(2, "big"),
                int(self.minima_msat[at]).to_bytes(8, "big"),
                int(self.base_fees_msat[at]).to_bytes(4, "big"),
                int(self.proportional_fees[at]).to_bytes(4, "big"),
                int(self.maxima_msat[at]).to_bytes(8, "big"),
            ]
        )


def whole_network() -> Path | None:
    """The file that the environment names."""
    path = os.environ.get(PATH_VARIABLE)
    return Path(path) if path else None


def read_topology(path: Path = SAMPLE) -> Topology:
    """ValueError when the file is not of that form."""
    with gzip.open(path) as file:
        content = file.read()
    if not content.startswith(MAGIC):
        raise ValueError("not a compressed gossmap")
    numbers = np.fromiter(_bigsizes(content, len(MAGIC)), np.uint64)
    cursor = _Cursor(numbers)
    count = int(cursor.take(1)[0])
    starts, ends = cursor.take(count), cursor.take(count)
    disabled = np.zeros(2 * count, bool)
    while (at := int(cursor.take(1)[0])) < 2 * count:
        disabled[at] = True
    capacities = cursor.chosen(count)
    return Topology(
        starts,
        ends,
        capacities,
        disabled,
        cursor.chosen(2 * count),
        cursor.chosen(2 * count, np.repeat(capacities * np.uint64(1000), 2)),
        cursor.chosen(2 * count),
        cursor.chosen(2 * count),
        cursor.chosen(2 * count),
    )


def compress(topology: Topology) -> bytes:
    """The file again. Maxima that happen to be the capacity are told as that."""
    count = topology.channels
    disabled = np.flatnonzero(topology.disabled).astype(np.uint64)
    capacities_msat = np.repeat(topology.capacities_sat * np.uint64(1000), 2)
    whole, almost = (topology.maxima_msat == part for part in (capacities_msat, _almost(capacities_msat)))
    others, places = np.unique(topology.maxima_msat[~whole & ~almost], return_inverse=True)
    maxima = np.where(whole, 0, 1).astype(np.uint64)
    maxima[~whole & ~almost] = places + 2
    numbers = [[count], topology.starts, topology.ends, disabled, [2 * count]]
    for column in (topology.capacities_sat, topology.minima_msat):
        numbers += _templated(column)
    numbers += [[len(others) + 2], [0, 1], others, maxima]
    for column in (topology.base_fees_msat, topology.proportional_fees, topology.delays):
        numbers += _templated(column)
    body = b"".join(encode_bigsize(int(number)) for part in numbers for number in part)
    return gzip.compress(MAGIC + body, mtime=0)


def _templated(column: Column) -> list[Sequence[int] | Column]:
    values, indexes = np.unique(column, return_inverse=True)
    return [[len(values)], values, indexes.astype(np.uint64)]


def _almost(capacities_msat: Column) -> Column:
    return capacities_msat // np.uint64(100) * np.uint64(99)


class _Cursor:
    def __init__(self, numbers: Column) -> None:
        self._numbers = numbers
        self._at = 0

    def take(self, count: int) -> Column:
        taken = self._numbers[self._at : self._at + count]
        if len(taken) < count:
            raise ValueError("the file ends before its content does")
        self._at += count
        return taken

    def chosen(self, count: int, capacities_msat: Column | None = None) -> Column:
        template = self.take(int(self.take(1)[0]))
        indexes = self.take(count)
        values = template[indexes]
        if capacities_msat is None:
            return values
        return np.where(indexes == 0, capacities_msat, np.where(indexes == 1, _almost(capacities_msat), values))


def _bigsizes(data: bytes, at: int) -> Iterator[int]:
    while at < len(data):
        first = data[at]
        at += 1
        if first < 0xFD:
            yield first
            continue
        width = 1 << (first - 0xFC)
        yield int.from_bytes(data[at : at + width], "big")
        at += width
