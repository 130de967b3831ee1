"""Memory and load time of the graph at the size of the real network, and how long a route takes.

    LEYDEN_TOPOLOGY=FILE python -m tests.benchmarks.graph

FILE is CLN's compressed form of a network (tests/support/topology.py). Every node announces itself with an alias and
two addresses, as most do. Memory is what the interpreter and numpy allocated for the graph (tracemalloc), the buffer
of the messages not counted. Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import contextlib
import gc
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from core.bolt.networks import NETWORKS
from core.gossip.graph import Graph
from core.gossip.graph_bulk import Batch, extend, slices
from core.gossip.route import NoRoute, RouteMap, RouteRequest, find_route
from tests.support.topology import Topology, read_topology, whole_network

BYTES_A_DIRECTION = 150
LOAD_S = 1.0
ROUNDS = 7
AMOUNT_MSAT = 10_000_000
NOW = 1_770_000_000
CHAIN = NETWORKS["bitcoin"].chain_hash


def load(batch: Batch) -> tuple[Graph, float]:
    """The graph, and the longest that a slice took, in seconds."""
    graph, longest = Graph(CHAIN), 0.0
    for part in slices(batch):
        began = time.thread_time()
        extend(graph, part, heard=NOW, checked=True)
        longest = max(longest, time.thread_time() - began)
    return graph, longest


def messages(topology: Topology) -> Batch:
    addresses = b"\x01\x7f\0\0\x01\x26\x07" + b"\x04" + bytes(range(37))
    texts = {node: (f"node number {node}".encode(), addresses) for node in range(topology.nodes)}
    return topology.batch(CHAIN, NOW, texts)


def routes(graph: Graph) -> list[float]:
    """Seconds a search, between nodes picked at random from a seed, both with a channel that can be used."""
    route_map, took = RouteMap.of(graph), []
    ends = sorted(set(route_map.sources))
    for source, destination in np.random.default_rng(1).choice(ends, (100, 2)).tolist():
        request = RouteRequest(route_map.node_ids[source], route_map.node_ids[destination], AMOUNT_MSAT)
        began = time.process_time()
        with contextlib.suppress(NoRoute):
            find_route(route_map, request)
        took.append(time.process_time() - began)
    return took


def timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> int:
    path = whole_network()
    topology = read_topology() if path is None else read_topology(path)
    batch = messages(topology)
    gc.collect()
    tracemalloc.start()
    graph, _longest = load(batch)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    directions = 2 * len(graph)
    seconds = statistics.median(timed(lambda: load(batch)) for _ in range(ROUNDS))
    longest = statistics.median(load(batch)[1] for _ in range(ROUNDS))
    took = routes(graph)
    print(f"{len(graph)} channels, {graph.node_count} nodes{'' if path else ' (the sample)'}")
    print(f"memory      {held / directions:6.1f} bytes a direction (bar {BYTES_A_DIRECTION})")
    print(f"load        {seconds:6.3f} s (bar {LOAD_S}), longest slice {longest * 1000:.1f} ms")
    print(f"route map   {timed(lambda: RouteMap.of(graph)) * 1000:6.1f} ms")
    print(f"route       {statistics.median(took) * 1000:6.1f} ms, longest {max(took) * 1000:.1f} ms")
    return int(held / directions > BYTES_A_DIRECTION or seconds > LOAD_S)


if __name__ == "__main__":
    sys.exit(main())
