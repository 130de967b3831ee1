"""Many messages into the graph at once: as one by one, and whatever the bytes are."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.bolt.addresses import decode_descriptors
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.wire import WireError
from core.gossip import graph_bulk
from core.gossip.columns import OVERLAY
from core.gossip.graph import Graph
from core.gossip.graph_bulk import Batch, Taken, extend, slices
from core.gossip.graph_values import Changes, GraphChanged, Trust
from tests.support.topology import compress, read_topology
from tests.unit.gossip.graphs import CHAIN, NOW, add, channel, node, node_id, scid, update

BASE = 1000


def spans(messages: Iterable[bytes], start: int) -> tuple[np.ndarray, int]:
    found = []
    for message in messages:
        found.append((start, len(message)))
        start += len(message)
    return np.array(found, np.int64).reshape(-1, 2), start


def batch_of(
    channels: list[bytes], updates: list[bytes], nodes: list[bytes], capacities: list[int] | None = None
) -> Batch:
    first, at = spans(channels, 0)
    second, at = spans(updates, at)
    third, at = spans(nodes, at)
    sats = np.array(capacities if capacities is not None else [5000] * len(channels), np.uint64)
    return Batch(b"".join(channels + updates + nodes), first, sats, second, third, base=BASE)


def told(graph: Graph) -> tuple[list[object], list[object], int, int]:
    """All that it knows, in no order of rows."""
    found = sorted(graph.channels(), key=lambda one: one.short_channel_id)
    return list(found), sorted(graph.nodes(), key=lambda one: one.node_id), len(graph), graph.checked_count


def mixed(rng: random.Random) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Valid, old, unknown, foreign, repeated and broken messages."""
    channels, updates, nodes = [], [], []
    for _ in range(150):
        first = rng.randrange(20)
        features = rng.choice([b"", b"", b"\x02\x00", bytes(300)])
        chain_hash = rng.choice([CHAIN, CHAIN, CHAIN, bytes(32)])
        one = channel(rng.randrange(80), first, first + 1, features=features, chain_hash=chain_hash)
        channels.append(one.encode() + rng.choice([b"", b"later fields"]))
    for _ in range(400):
        when = NOW + rng.randrange(50)
        chain_hash = rng.choice([CHAIN, CHAIN, CHAIN, bytes(32)])
        one = update(
            rng.randrange(100),
            rng.randrange(2),
            timestamp=when,
            disabled=rng.random() < 0.5,
            base_msat=rng.randrange(2**32),
            proportional=rng.randrange(2**32),
            delta=rng.randrange(2**16),
            minimum_msat=rng.randrange(2**64),
            maximum_msat=rng.randrange(2**64),
            chain_hash=chain_hash,
        )
        updates.append(one.encode() + rng.choice([b"", b"later fields"]))
    for _ in range(80):
        one = node(
            rng.randrange(30),
            timestamp=NOW + rng.randrange(50),
            alias=rng.randbytes(32),
            features=rng.randbytes(rng.randrange(9)),
        )
        addresses = rng.choice([b"", b"\x01" + rng.randbytes(6), b"\xfe" + rng.randbytes(50)])
        nodes.append(replace(one, addresses=decode_descriptors(addresses), rest=b"later").encode())
    for messages in (channels, updates, nodes):
        for _ in range(20):
            at = rng.randrange(len(messages))
            messages.append(messages[at][: rng.randrange(len(messages[at]))])
        rng.shuffle(messages)
    return channels, updates, nodes


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [7, 10_000])
def test_as_one_by_one(seed: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_bulk, "SLICE", size)
    rng = random.Random(seed)
    one_by_one, at_once = Graph(CHAIN), Graph(CHAIN)
    for graph in (one_by_one, at_once):
        add(graph, 3, 1, 2, timestamp=NOW + 20)
        add(graph, 4, 1, 2)
        graph.remove(int(scid(4)))
    channels, updates, nodes = mixed(rng)
    sats = [rng.randrange(2**40) for _ in channels]
    batch = batch_of(channels, updates, nodes, sats)
    for part in slices(batch):
        extend(at_once, part, heard=NOW, checked=True)
    for (at, length), capacity_sat in zip(batch.announcements.tolist(), sats, strict=True):
        try:
            one = ChannelAnnouncement.decode(batch.raw[at : at + length])
        except WireError:
            continue
        one_by_one.add_channel(one, capacity_sat=capacity_sat, trust=Trust.CHECKED, heard=NOW, offset=at + BASE)
    for at, length in batch.updates.tolist():
        try:
            one_by_one.update_channel(ChannelUpdate.decode(batch.raw[at : at + length]), offset=at + BASE)
        except WireError:
            continue
    for at, length in batch.nodes.tolist():
        try:
            one_by_one.update_node(NodeAnnouncement.decode(batch.raw[at : at + length]), offset=at + BASE)
        except WireError:
            continue
    assert told(at_once) == told(one_by_one)
    assert at_once.take_changes() == one_by_one.take_changes()
    ids = [int(one.short_channel_id) for one in at_once.channels()]
    assert at_once.channels_between(0, 2**24).tolist() == sorted(ids)
    for short_channel_id in ids:
        at_once.remove(short_channel_id)
    assert told(at_once) == ([], [], 0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_no_bytes_and_no_spans_make_it_fail(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, 5000, np.uint8).tobytes()
    wild = rng.integers(-6000, 6000, (500, 2))
    inside = np.stack([rng.integers(0, 4000, 500), rng.integers(0, 1000, 500)], axis=1)
    graph = Graph(CHAIN)
    for found in (wild, inside):
        batch = Batch(raw, found, np.zeros(500, np.uint64), found, found)
        assert extend(graph, batch, heard=NOW, checked=False) == Taken(0, 0, 0)
    assert extend(graph, Batch(b""), heard=NOW, checked=False) == Taken(0, 0, 0)
    assert extend(graph, Batch(b"ab", wild, np.zeros(500, np.uint64), wild, wild), heard=NOW, checked=False) == Taken(
        0, 0, 0
    )


def test_an_overlay_gives_way_and_unchecked_stays_that() -> None:
    graph = Graph(CHAIN)
    graph.add_channel(channel(1, 10, 20), capacity_sat=1, trust=Trust.OVERLAY, heard=NOW)
    batch = batch_of([channel(1, 10, 20).encode(), channel(2, 10, 30).encode()], [], [])
    assert extend(graph, batch, heard=NOW, checked=False) == Taken(2, 0, 0)
    found, kept = graph.channel(int(scid(1))), graph.node(node_id(10))
    assert found is not None and (found.trust, found.capacity_sat) == (Trust.UNCHECKED, 5000)
    assert found.policies == (None, None)
    assert kept is not None and kept.channels == 2
    assert (len(graph), graph.checked_count) == (2, 0)


def test_what_is_signed_wins_over_the_overlay_and_nothing_is_signed_for_a_channel_of_it() -> None:
    graph = Graph(CHAIN)
    add(graph, 1, 10, 20)
    graph.add_channel(channel(2, 10, 30), capacity_sat=1, trust=Trust.OVERLAY, heard=NOW)
    row = graph.node_rows[node_id(10)]
    graph.keep_node(row, NOW + 9, b"\0\0\0", (b"", bytes(32), b""), 0, state=OVERLAY)
    messages = [node(10, alias=b"signed").encode(), node(30).encode()]
    assert extend(graph, batch_of([], [update(2, 0).encode()], messages), heard=NOW, checked=True) == Taken(0, 0, 1)
    signed, unsigned = graph.node(node_id(10)), graph.node(node_id(30))
    assert signed is not None and signed.announced is not None and unsigned is not None
    assert (signed.announced.alias[:6], signed.announced.overlay, unsigned.announced) == (b"signed", False, None)


def test_of_several_announcements_of_a_node_the_newest_counts_and_of_equally_new_ones_the_first() -> None:
    graph = Graph(CHAIN)
    add(graph, 1, 10, 20)
    messages = [node(10, timestamp=NOW + age, alias=alias) for age, alias in ((1, b"old"), (2, b"new"), (2, b"again"))]
    many = [*messages, node(10, alias=b"oldest"), node(20)]
    assert extend(graph, batch_of([], [], [one.encode() for one in many]), heard=NOW, checked=True).nodes == 2
    found = graph.node(node_id(10))
    assert found is not None and found.announced is not None
    assert (found.announced.alias.rstrip(b"\0"), found.announced.timestamp) == (b"new", NOW + 2)
    changed = graph.take_changes()
    assert changed is not None and {node_id(10), node_id(20)} <= changed.nodes


def test_room_that_was_expected_is_not_made_again() -> None:
    graph = Graph(CHAIN)
    graph.expect(200, 300)
    before = [table.records for table in (graph.channel_table, graph.direction_table, graph.node_table)]
    extend(graph, batch_of([channel(n, n, n + 1).encode() for n in range(200)], [], []), heard=NOW, checked=True)
    after = [table.records for table in (graph.channel_table, graph.direction_table, graph.node_table)]
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_a_channel_that_left_comes_again_in_another_row() -> None:
    graph = Graph(CHAIN)
    add(graph, 1, 10, 20)
    graph.remove(int(scid(1)))
    extend(graph, batch_of([channel(2, 10, 20).encode()], [], []), heard=NOW, checked=True)
    extend(graph, batch_of([channel(1, 10, 30).encode()], [], []), heard=NOW, checked=True)
    found = graph.channel(int(scid(1)))
    assert found is not None and found.node_id_2 == node_id(30)


def test_a_node_whose_addresses_are_cut_off_is_passed_over() -> None:
    graph = Graph(CHAIN)
    add(graph, 1, 10, 20)
    message = replace(node(10), addresses=decode_descriptors(bytes.fromhex("017f0000012607"))).encode()
    for length in range(len(message)):
        assert extend(graph, batch_of([], [], [message[:length]]), heard=NOW, checked=True).nodes == 0
    assert extend(graph, batch_of([], [], [message]), heard=NOW, checked=True).nodes == 1


def test_a_network_is_one_event_and_a_file_that_says_the_same_again() -> None:
    topology = read_topology()
    texts = dict.fromkeys(range(topology.nodes), (b"n", b""))
    batch = topology.batch(CHAIN, NOW, texts)
    graph = Graph(CHAIN)
    taken = extend(graph, batch, heard=NOW, checked=True)
    assert taken == Taken(topology.channels, 2 * topology.channels, topology.nodes)
    assert taken.channels + taken.updates > Changes.MOST
    assert graph.take_changes() == GraphChanged(everything=True)
    assert extend(graph, batch, heard=NOW, checked=True) == Taken(0, 0, 0)
    rng = random.Random(1)
    for at in rng.sample(range(topology.channels), 50):
        found = graph.channel(topology.short_channel_id(at))
        assert found is not None and found.capacity_sat == topology.capacities_sat[at]
        assert found.node_id_2 == topology.node_id(int(topology.ends[at]))
        for direction, policy in enumerate(found.policies):
            place = 2 * at + direction
            assert policy is not None and policy.disabled == topology.disabled[place]
            assert policy.htlc_maximum_msat == topology.maxima_msat[place]
            assert policy.cltv_expiry_delta == topology.delays[place]


def test_the_sample_is_of_the_form_that_it_is_read_from(tmp_path: Path) -> None:
    topology = read_topology()
    assert (topology.channels, topology.nodes) == (2285, 194)
    assert topology.disabled.sum() == 220
    content = compress(topology)
    path = tmp_path / "again"
    path.write_bytes(content)
    again = read_topology(path)
    for name in topology.__dataclass_fields__:
        assert np.array_equal(getattr(again, name), getattr(topology, name))
    path.write_bytes(gzip.compress(b"GOSSMAP_COMPRESSv1\0\xfd\xff\xff\0"))
    with pytest.raises(ValueError, match="ends before"):
        read_topology(path)
