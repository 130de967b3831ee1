"""The graph from a store that was written to a file and read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.gossip import store
from core.gossip.graph import Graph
from core.gossip.graph_loading import batch_of, load_graph
from core.gossip.graph_values import Trust
from core.gossip.store import open_gossip_store
from core.gossip.store_format import CURRENT_VERSION, FLAG_COMPLETED, FLAG_DELETED, encode_record
from core.gossip.store_walk import Batch
from tests.support.clock import ManualClock
from tests.unit.gossip.graphs import CHAIN, channel, node, node_id, scid, update

CHANNEL_AMOUNT = (4101).to_bytes(2, "big")


def amount(sat: int) -> bytes:
    return CHANNEL_AMOUNT + sat.to_bytes(8, "big")


@pytest.mark.parametrize("piece", [10, 500, 1 << 20])
async def test_what_is_stored_is_known_at_its_offset(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the pieces: with the least one every amount is in another piece than its channel."""
    monkeypatch.setattr(store, "LOADED_BYTES", piece)
    content, offsets = bytearray([CURRENT_VERSION]), {}
    messages = [
        ("channel 1", channel(1, 10, 20).encode(), FLAG_COMPLETED),
        ("amount", amount(77_000), FLAG_COMPLETED),
        ("old", update(1, 1, timestamp=5).encode(), FLAG_COMPLETED | FLAG_DELETED),
        ("update", update(1, 1).encode(), FLAG_COMPLETED),
        ("channel 2", channel(2, 10, 30, features=b"\x04").encode(), FLAG_COMPLETED),
        ("node", node(10).encode(), FLAG_COMPLETED),
        ("channel 3", channel(3, 10, 30).encode(), FLAG_COMPLETED),
        ("unknown amount", amount(0), FLAG_COMPLETED),
        ("channel 4", channel(4, 10, 30).encode(), FLAG_COMPLETED),
        ("short amount", amount(9)[:5], FLAG_COMPLETED),
    ]
    for name, message, flags in messages:
        content += encode_record(message, 1_770_000_000, flags)
        offsets[name] = len(content) - len(message)
    path = tmp_path / "gossip_store"
    path.write_bytes(content)
    graph = Graph(CHAIN)
    found = await open_gossip_store(path)
    taken = await load_graph(graph, found.batches(), ManualClock())
    await found.aclose()
    assert taken == (4, 1, 1)
    first, second, announced = graph.channel(int(scid(1))), graph.channel(int(scid(2))), graph.node(node_id(10))
    assert first is not None and second is not None and announced is not None and announced.announced is not None
    assert (first.capacity_sat, first.trust, first.offset) == (77_000, Trust.CHECKED, offsets["channel 1"])
    assert (second.capacity_sat, second.trust, second.offset) == (None, Trust.UNCHECKED, offsets["channel 2"])
    assert first.policies[0] is None and first.policies[1] is not None
    assert first.policies[1].offset == offsets["update"]
    assert announced.announced.offset == offsets["node"]
    assert graph.checked_count == 1
    for number in (3, 4):
        assert graph.channel(int(scid(number))).trust is Trust.UNCHECKED  # type: ignore[union-attr]


def test_what_is_deleted_is_passed_over() -> None:
    messages = [channel(1, 10, 20).encode(), update(1, 0).encode(), node(10).encode()]
    content, starts = b"", []
    for message in messages * 2:
        record = encode_record(message, 0, FLAG_COMPLETED | FLAG_DELETED * (len(starts) < 3))
        content += record
        starts.append(len(content) - len(message))
    batch = batch_of(Batch(content, 0, starts))
    for spans, start in zip((batch.announcements, batch.updates, batch.nodes), starts[3:], strict=True):
        assert spans[:, 0].tolist() == [start]
