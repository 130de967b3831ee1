"""Snapshots for rapid gossip sync: any bytes are read or refused, and what is laid over a graph can be withdrawn."""

from __future__ import annotations

import atheris

with atheris.instrument_imports(include=["core"]):
    from core.gossip import rapid, rapid_overlay
    from core.gossip.graph import Graph

from tests.fuzz.harness import Surprise, fuzz
from tests.support.rapid_snapshot import Channel, Content, Node, Update, write_snapshot


def try_one(data: bytes) -> None:
    """A snapshot behind its first three bytes."""
    work = rapid.read_snapshot(rapid.PREFIX + data)
    while True:
        try:
            next(work)
        except rapid.BadSnapshot:
            return
        except StopIteration as done:
            snapshot = done.value
            break
    graph = Graph(snapshot.chain_hash)
    for _ in range(2):
        for _piece in rapid_overlay.lay(graph, snapshot):
            pass
    if graph.overlay_count != len(graph) or graph.unchecked_count:
        raise Surprise(f"{graph.overlay_count} of {len(graph)} channels are the overlay's")
    for _channel in graph.channels():
        pass
    for _node in graph.nodes():
        pass
    for _piece in rapid_overlay.withdraw(graph):
        pass
    if len(graph) or graph.node_count or graph.overlay_count:
        raise Surprise(f"{len(graph)} channels and {graph.node_count} nodes stay")


if __name__ == "__main__":
    one, other, third = (b"\x02" + bytes([number]) * 32 for number in (1, 2, 3))
    channels = [Channel(5 << 40, one, other, b"\x01", 9000), Channel(6 << 40, other, third)]
    updates = [Update(5 << 40, 0, (1, 2, 3, 4, 5)), Update(5 << 40, 1, (1, 2, 3, 4, 6), disabled=True)]
    updates.append(Update(6 << 40, 1, (None, None, 3, None, 5), incremental=True))
    nodes = [Node(one, b"\x80", (bytes((1, 127, 0, 0, 1, 38, 7)), b"\x09ab")), Node(other, reminder=True, more=b"abc")]
    content = Content(channels, updates, nodes)
    fuzz(try_one, [write_snapshot(content, 1_770_000_000, version)[3:] for version in (1, 2)])
