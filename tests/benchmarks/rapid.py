"""A snapshot of mainnet's size for rapid gossip sync, read and laid over the graph: `python -m tests.benchmarks.rapid`.

Times are the process's own, so a busy machine does not count. A piece is what is done between two turns of the loop.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Generator
from typing import TypeVar

from core.gossip.graph import Graph
from core.gossip.rapid import read_snapshot
from core.gossip.rapid_overlay import lay, withdraw
from tests.support.network import make_network
from tests.support.rapid_snapshot import REGTEST, described, write_snapshot

T = TypeVar("T")
CHANNELS = 50_000
LATEST = 1_770_000_000
PIECE_S = 0.004
DIRECTION_BYTES = 150


def measured(name: str, work: Generator[None, None, T]) -> tuple[T, bool]:
    """The result, and whether no piece took too long."""
    pieces: list[float] = []
    while True:
        before = time.process_time()
        try:
            next(work)
        except StopIteration as done:
            pieces.append(time.process_time() - before)
            good = max(pieces) <= PIECE_S
            print(
                f"{name}: {sum(pieces):.2f} s in {len(pieces)} pieces, the longest {max(pieces) * 1000:.1f} ms "
                f"(bar {PIECE_S * 1000:.0f} ms): {'passed' if good else 'FAILED'}"
            )
            return done.value, good
        pieces.append(time.process_time() - before)


def main() -> int:
    """The exit code."""
    data = write_snapshot(described(make_network(1, CHANNELS)), LATEST)
    print(f"{CHANNELS:,} channels, {len(data):,} bytes")
    snapshot, read_well = measured("read", read_snapshot(data))
    graph = Graph(REGTEST)
    _laid, laid_well = measured("laid over an empty graph", lay(graph, snapshot))
    _again, again_well = measured("laid over itself", lay(graph, snapshot))
    tracemalloc.start()
    weighed = Graph(REGTEST)
    for _ in lay(weighed, snapshot):
        pass
    a_direction = tracemalloc.get_traced_memory()[0] / (2 * len(weighed))
    tracemalloc.stop()
    light = a_direction <= DIRECTION_BYTES
    print(f"memory: {a_direction:.0f} bytes a direction (bar {DIRECTION_BYTES}): {'passed' if light else 'FAILED'}")
    _none, gone_well = measured("withdrawn", withdraw(graph))
    return 0 if read_well and laid_well and again_well and light and gone_well else 1


if __name__ == "__main__":
    sys.exit(main())
