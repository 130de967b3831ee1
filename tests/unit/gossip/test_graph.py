"""The graph, one message at a time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from core.bolt.addresses import decode_descriptors, encode_descriptors
from core.gossip.columns import OVERLAY, ChannelIndex
from core.gossip.graph import FORGET_AFTER_BLOCKS, PRUNE_AFTER_S, Graph
from core.gossip.graph_values import Applied, Changes, GraphChanged, Removal, Trust, Verdict
from tests.unit.gossip.graphs import CHAIN, NOW, add, channel, node, node_id, scid, update

OTHER_CHAIN = bytes(32)


@pytest.fixture
def graph() -> Graph:
    return Graph(CHAIN)


def announce(
    graph: Graph, number: int, first: int, second: int, trust: Trust = Trust.CHECKED, offset: int = 0
) -> Applied:
    return graph.add_channel(channel(number, first, second), capacity_sat=5000, trust=trust, heard=NOW, offset=offset)


def test_a_channel_with_all_that_was_announced(graph: Graph) -> None:
    heard = graph.add_channel(
        channel(1, 10, 20, features=b"\x02\x00"), capacity_sat=5000, trust=Trust.CHECKED, heard=NOW, offset=77
    )
    told = update(1, 1, minimum_msat=2**63, maximum_msat=2**64 - 1, base_msat=2**32 - 1, delta=2**16 - 1)
    assert heard.verdict is graph.update_channel(told, offset=99).verdict is Verdict.NEWS
    found = graph.channel(int(scid(1)))
    assert found is not None
    assert (found.short_channel_id, found.node_id_1, found.node_id_2) == (scid(1), node_id(10), node_id(20))
    assert (found.capacity_sat, found.features, found.trust, found.offset) == (5000, b"\x02\x00", Trust.CHECKED, 77)
    policy = found.policies[1]
    assert found.policies[0] is None and policy is not None
    for name in (
        "timestamp",
        "message_flags",
        "channel_flags",
        "cltv_expiry_delta",
        "htlc_minimum_msat",
        "htlc_maximum_msat",
        "fee_base_msat",
        "fee_proportional_millionths",
    ):
        assert getattr(policy, name) == getattr(told, name)
    assert policy.offset == 99 and not policy.disabled
    assert graph.source_of(int(scid(1)), 0) == node_id(10) and graph.source_of(int(scid(1)), 1) == node_id(20)


def test_a_node_with_all_that_it_announced(graph: Graph) -> None:
    add(graph, 1, 10, 20)
    descriptors = bytes.fromhex("01 7f000001 2607 63 0102030405")
    told = node(10, alias=b"\xf0\x9f\x90\x99", features=b"\x08\xa0")
    told = replace(told, addresses=decode_descriptors(descriptors))
    assert graph.update_node(told, offset=7) == Applied(Verdict.NEWS)
    found = graph.node(node_id(10))
    assert found is not None and found.announced is not None and found.channels == 1
    announced = found.announced
    assert (announced.alias, announced.features, announced.rgb_color) == (told.alias, b"\x08\xa0", b"\x01\x02\x03")
    assert announced.addresses == descriptors == encode_descriptors(told.addresses)
    assert (announced.timestamp, announced.offset) == (NOW, 7)
    silent = graph.node(node_id(20))
    assert silent is not None and silent.announced is None


def test_what_is_not_news(graph: Graph) -> None:
    """BOLT 7: of another chain, about something unknown, or no newer, a message is ignored."""
    assert graph.update_channel(update(1, 0)).verdict is Verdict.UNKNOWN
    assert graph.update_node(node(10)).verdict is Verdict.UNKNOWN
    announce(graph, 1, 10, 20)
    graph.update_channel(update(1, 0), offset=5)
    graph.update_node(node(10), offset=6)
    assert announce(graph, 1, 30, 40).verdict is Verdict.KNOWN
    for seconds in (0, -1):
        assert graph.update_channel(update(1, 0, timestamp=NOW + seconds)).verdict is Verdict.KNOWN
        assert graph.update_node(node(10, timestamp=NOW + seconds)).verdict is Verdict.KNOWN
    assert graph.update_channel(update(1, 1, timestamp=0)).verdict is Verdict.KNOWN
    assert graph.update_channel(update(1, 0, timestamp=NOW + 1)) == Applied(Verdict.NEWS, replaces=5)
    assert graph.update_node(node(10, timestamp=NOW + 1)) == Applied(Verdict.NEWS, replaces=6)
    foreign = channel(2, 10, 20, chain_hash=OTHER_CHAIN)
    assert graph.channel_verdict(foreign) is Verdict.FOREIGN
    assert graph.update_verdict(update(1, 0, timestamp=NOW + 9, chain_hash=OTHER_CHAIN)) is Verdict.FOREIGN
    assert len(graph) == 1 and graph.node(node_id(30)) is None


def test_an_update_without_a_channel_of_its_id_is_not_taken_for_a_removed_one(graph: Graph) -> None:
    announce(graph, 1, 10, 20)
    graph.remove(int(scid(1)))
    announce(graph, 2, 10, 30)
    assert graph.channel(int(scid(1))) is None
    assert graph.update_channel(update(1, 0)).verdict is Verdict.UNKNOWN
    assert graph.channels_of(node_id(10)) == [int(scid(2))]


def test_trust_is_kept_counted_and_gained(graph: Graph) -> None:
    announce(graph, 1, 10, 20)
    announce(graph, 2, 10, 20, Trust.UNCHECKED)
    announce(graph, 3, 10, 20, Trust.OVERLAY)
    assert (len(graph), graph.checked_count, graph.unchecked_count, graph.overlay_count) == (3, 1, 1, 1)
    assert graph.mark_checked(int(scid(2)), 123) and graph.mark_checked(int(scid(2)), 123)
    assert not graph.mark_checked(int(scid(3)), 123)
    assert not graph.mark_checked(int(scid(4)), 123)
    assert (graph.checked_count, graph.unchecked_count, graph.overlay_count) == (2, 0, 1)
    found = graph.channel(int(scid(2)))
    assert found is not None and found.trust is Trust.CHECKED and found.capacity_sat == 123
    graph.remove(int(scid(3)))
    graph.remove(int(scid(1)))
    assert (graph.checked_count, graph.unchecked_count, graph.overlay_count) == (1, 0, 0)


def test_a_signed_announcement_takes_the_place_of_an_overlay_and_its_nodes_stay(graph: Graph) -> None:
    announce(graph, 1, 10, 20, Trust.OVERLAY)
    assert not graph.has_signed(int(scid(1)))
    assert graph.update_channel(update(1, 0)).verdict is Verdict.UNKNOWN, "nobody signed who may sign for it"
    assert graph.update_node(node(10)).verdict is Verdict.UNKNOWN
    graph.keep_node(graph.node_rows[node_id(10)], NOW + 5, b"\1\2\3", (b"", bytes(32), b""), 0, state=OVERLAY)
    assert announce(graph, 1, 10, 20, Trust.UNCHECKED).verdict is Verdict.NEWS
    found, kept = graph.channel(int(scid(1))), graph.node(node_id(10))
    assert found is not None and found.trust is Trust.UNCHECKED and found.policies == (None, None)
    assert kept is not None and kept.announced is not None and kept.announced.overlay and kept.channels == 1
    assert (len(graph), graph.overlay_count) == (1, 0) and graph.has_signed(int(scid(1)))
    assert graph.update_node(node(10)).verdict is Verdict.NEWS, "older than the unsigned one, and signed"
    kept = graph.node(node_id(10))
    assert kept is not None and kept.announced is not None and not kept.announced.overlay
    assert graph.update_node(node(10)).verdict is Verdict.KNOWN


def test_a_node_goes_with_its_last_channel_and_the_store_is_told_what_is_obsolete(graph: Graph) -> None:
    announce(graph, 1, 10, 20, offset=100)
    announce(graph, 2, 10, 30, offset=200)
    graph.update_channel(update(1, 1), offset=300)
    graph.update_node(node(20), offset=400)
    removal = graph.remove(int(scid(1)))
    assert removal.short_channel_ids == (int(scid(1)),)
    assert removal.node_ids == (node_id(20),)
    assert sorted(removal.offsets) == [100, 300, 400]
    assert removal.stored == (int(scid(1)),)
    assert graph.node(node_id(20)) is None and graph.node_count == 2
    assert graph.remove(int(scid(1))) == Removal()


def test_a_row_used_again_knows_nothing_of_the_one_before(graph: Graph) -> None:
    graph.add_channel(channel(1, 10, 20, features=b"\x01"), capacity_sat=None, trust=Trust.OVERLAY, heard=NOW, offset=3)
    graph.update_channel(update(1, 0))
    graph.update_node(node(10))
    graph.mark_dying(int(scid(1)), 5)
    graph.remove(int(scid(1)))
    announce(graph, 2, 30, 40)
    found = graph.channel(int(scid(2)))
    assert found is not None and (found.policies, found.features, found.dying) == ((None, None), b"", False)
    assert found.trust is Trust.CHECKED
    assert [known.announced for known in graph.nodes()] == [None, None]
    assert graph.prune(NOW, 10_000) == Removal()


@pytest.mark.parametrize(
    ("ages", "stays"),
    [
        ((0, 0), True),
        ((PRUNE_AFTER_S, PRUNE_AFTER_S), True),
        ((PRUNE_AFTER_S + 1, 0), False),
        ((0, PRUNE_AFTER_S + 1), False),
        ((None, 0), True),
        ((None, None), True),
    ],
)
def test_pruned_is_what_either_end_did_not_refresh(
    graph: Graph, ages: tuple[int | None, int | None], stays: bool
) -> None:
    """A direction that was never heard is excused for as long as the announcement is young."""
    announce(graph, 1, 10, 20)
    for direction, age in enumerate(ages):
        if age is not None:
            graph.update_channel(update(1, direction, timestamp=NOW - age))
    assert graph.prune(NOW).short_channel_ids == (() if stays else (int(scid(1)),))
    if None in ages:
        assert graph.prune(NOW + PRUNE_AFTER_S + 1).short_channel_ids


def test_pruning_spares_ours_and_goes_in_pieces(graph: Graph) -> None:
    for number in range(7):
        add(graph, number, number % 2, 10 + number, timestamp=NOW - PRUNE_AFTER_S - 1)
    assert len(graph.prune(NOW, spare=node_id(1), most=3).short_channel_ids) == 3
    assert len(graph.prune(NOW, spare=node_id(1), most=3).short_channel_ids) == 1
    assert graph.prune(NOW, spare=node_id(1)) == Removal()
    assert graph.channels_of(node_id(1)) == [int(scid(number)) for number in (1, 3, 5)]


def test_a_dying_channel_goes_72_blocks_later_unless_its_block_does(graph: Graph) -> None:
    add(graph, 1, 10, 20)
    add(graph, 2, 10, 20)
    assert graph.mark_dying(int(scid(1)), 1000) and graph.mark_dying(int(scid(2)), 1000)
    assert not graph.mark_dying(int(scid(3)), 1000)
    found = graph.channel(int(scid(1)))
    assert found is not None and found.dying and found.trust is Trust.CHECKED
    assert graph.prune(NOW, 1000 + FORGET_AFTER_BLOCKS - 1) == Removal()
    assert graph.mark_living(int(scid(2))) and not graph.mark_living(int(scid(2)))
    assert graph.prune(NOW, 1000 + FORGET_AFTER_BLOCKS).short_channel_ids == (int(scid(1)),)
    assert len(graph) == 1


def test_of_a_dying_channel_only_that_it_is_disabled_is_news(graph: Graph) -> None:
    """BOLT 7: once the output is spent, updates are ignored unless they say so."""
    add(graph, 1, 10, 20)
    graph.mark_dying(int(scid(1)), 1000)
    assert graph.update_verdict(update(1, 0, timestamp=NOW + 1)) is Verdict.KNOWN
    assert graph.update_channel(update(1, 0, timestamp=NOW + 1, disabled=True)).verdict is Verdict.NEWS
    graph.mark_living(int(scid(1)))
    assert graph.update_channel(update(1, 1, timestamp=NOW + 1)).verdict is Verdict.NEWS


def test_channels_between_blocks_are_ascending_whatever_their_order_of_coming(graph: Graph) -> None:
    for number in (5, 1, 9, 3, 7):
        announce(graph, number, 10, 20)
    graph.remove(int(scid(3)))
    announce(graph, 4, 10, 20)
    assert graph.channels_between(101, 107).tolist() == [int(scid(number)) for number in (1, 4, 5)]
    assert graph.channels_between(107, 2**32).tolist() == [int(scid(number)) for number in (7, 9)]
    assert graph.channels_between(0, 0).tolist() == []


def test_offsets_move_with_the_store(graph: Graph) -> None:
    announce(graph, 1, 10, 20, offset=100)
    graph.update_channel(update(1, 1), offset=200)
    graph.update_node(node(20), offset=300)
    graph.move_offsets(np.array([100, 300], np.uint64), np.array([10, 30], np.uint64))
    found, other = graph.channel(int(scid(1))), graph.node(node_id(20))
    assert found is not None and found.policies[1] is not None and other is not None and other.announced is not None
    assert (found.offset, found.policies[1].offset, other.announced.offset) == (10, 0, 30)
    graph.move_offsets(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    moved = graph.channel(int(scid(1)))
    assert moved is not None and moved.offset == 0


def test_changes_come_once_and_cancel_out(graph: Graph) -> None:
    assert graph.take_changes() is None
    add(graph, 1, 10, 20)
    announce(graph, 2, 10, 20)
    graph.remove(int(scid(2)))
    changed = graph.take_changes()
    assert changed == GraphChanged(
        added=frozenset({int(scid(1))}),
        updated=frozenset({(int(scid(1)), 0), (int(scid(1)), 1)}),
        nodes=frozenset({node_id(10), node_id(20)}),
    )
    assert graph.take_changes() is None
    graph.remove(int(scid(1)))
    assert graph.take_changes() == GraphChanged(
        removed=frozenset({int(scid(1))}), nodes=frozenset({node_id(10), node_id(20)})
    )
    before = graph.version
    graph.update_channel(update(1, 0))
    assert graph.take_changes() is None and graph.version == before


def test_what_left_is_not_told_as_updated(graph: Graph) -> None:
    add(graph, 1, 10, 20)
    graph.take_changes()
    graph.update_channel(update(1, 0, timestamp=NOW + 1))
    graph.remove(int(scid(1)))
    changed = graph.take_changes()
    assert changed is not None and (changed.removed, changed.updated) == ({int(scid(1))}, frozenset())


def test_the_index_is_sorted_once(graph: Graph) -> None:
    announce(graph, 1, 10, 20)
    assert not graph.index.sorted
    graph.channels_between(0, 0)
    assert graph.index.sorted


def test_too_many_changes_are_told_as_that(graph: Graph) -> None:
    for number in range(Changes.MOST + 1):
        graph.changes.added(number)
    graph.changes.removed(1)
    assert graph.take_changes() == GraphChanged(everything=True)
    assert graph.take_changes() is None


@dataclass
class Model:
    """What the graph should know, kept the plain way."""

    channels: dict[int, tuple[int, int]] = field(default_factory=dict)
    updates: dict[tuple[int, int], int] = field(default_factory=dict)
    nodes: dict[int, int] = field(default_factory=dict)

    def degree(self, number: int) -> int:
        return sum(ends.count(number) for ends in self.channels.values())

    def remove(self, number: int) -> None:
        ends = self.channels.pop(number, ())
        for direction in (0, 1):
            self.updates.pop((number, direction), None)
        for end in ends:
            if not self.degree(end):
                self.nodes.pop(end, None)


@pytest.mark.parametrize("seed", range(3))
def test_random_conduct_against_a_plain_model(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChannelIndex, "MOST_RECENT", 7)
    rng, graph, model = random.Random(seed), Graph(CHAIN), Model()
    mirror: set[int] = set()
    for step in range(3000):
        number, end = rng.randrange(60), rng.randrange(12)
        match rng.randrange(5):
            case 0 | 1:
                ends = (end, end + 1 + rng.randrange(5))
                announce(graph, number, *ends)
                model.channels.setdefault(number, ends)
            case 2:
                told = update(number, rng.randrange(2), timestamp=NOW + rng.randrange(1000))
                graph.update_channel(told)
                key = (number, told.direction)
                if number in model.channels:
                    model.updates[key] = max(told.timestamp, model.updates.get(key, 0))
            case 3:
                stamp = NOW + rng.randrange(1000)
                graph.update_node(node(end, timestamp=stamp))
                if model.degree(end):
                    model.nodes[end] = max(stamp, model.nodes.get(end, 0))
            case _:
                graph.remove(int(scid(number)))
                model.remove(number)
        if step % 50 == 0:
            check(graph, model)
            changed = graph.take_changes() or GraphChanged()
            assert not changed.added & mirror and changed.removed <= mirror
            mirror = (mirror | changed.added) - changed.removed
            assert mirror == {int(scid(number)) for number in model.channels}


def check(graph: Graph, model: Model) -> None:
    assert len(graph) == len(model.channels)
    assert graph.channels_between(0, 2**24).tolist() == sorted(int(scid(number)) for number in model.channels)
    assert {found.node_id for found in graph.nodes()} == {node_id(n) for n in range(18) if model.degree(n)}
    for found in graph.channels():
        number = found.short_channel_id.block - 100
        assert (found.node_id_1, found.node_id_2) == tuple(node_id(end) for end in model.channels[number])
        stamps = [policy.timestamp if policy else None for policy in found.policies]
        assert stamps == [model.updates.get((number, direction)) for direction in (0, 1)]
    for number in range(18):
        known = graph.node(node_id(number))
        assert (known.channels if known else 0) == model.degree(number)
        assert (known.announced.timestamp if known and known.announced else None) == model.nodes.get(number)
        mine = sorted(int(scid(at)) for at, ends in model.channels.items() if number in ends)
        assert graph.channels_of(node_id(number)) == mine
