"""A snapshot without signatures over the graph: marked, counted apart, and never against what was signed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement
from core.gossip import rapid_overlay
from core.gossip.columns import CHANNEL, DIRECTION, NODE
from core.gossip.graph import PRUNE_AFTER_S, Graph
from core.gossip.graph_values import Trust, Verdict
from core.gossip.kept_graph import KeptGraph, News
from core.gossip.rapid import read_snapshot
from core.gossip.rapid_overlay import BACKDATED_S, Laid, lay, withdraw
from tests.support.clock import ManualClock
from tests.support.rapid_snapshot import Channel, Content, Node, Update, write_snapshot
from tests.unit.gossip.graphs import CHAIN, NOW, channel, node, node_id, scid, update
from tests.unit.gossip.rapid_parts import done

HEARD = NOW - BACKDATED_S
IPV4 = bytes((1, 127, 0, 0, 1, 0x26, 0x07))


def told(number: int, first: int, second: int, **facts: object) -> Channel:
    return Channel(int(scid(number)), node_id(first), node_id(second), **facts)  # type: ignore[arg-type]


def terms(number: int, direction: int, *values: int | None, **facts: bool) -> Update:
    return Update(int(scid(number)), direction, values or (40, 1, 1000, 10, 99), **facts)


def laid(graph: Graph, content: Content, latest_seen: int = NOW) -> Laid:
    return done(lay(graph, done(read_snapshot(write_snapshot(content, latest_seen)))))


SMALL = Content(
    [told(1, 10, 20, capacity_sat=5000, features=b"\x01"), told(2, 10, 30)],
    [terms(1, 0), terms(1, 1, 50, 2, 7, 8, 9, disabled=True), terms(2, 0)],
    [Node(node_id(10), b"\x80", (IPV4,))],
)


def test_it_is_in_the_graph_with_its_mark_and_counted_apart() -> None:
    graph = Graph(CHAIN)
    assert laid(graph, SMALL) == Laid(2, 3, 1, 0)
    assert (len(graph), graph.checked_count, graph.unchecked_count, graph.overlay_count) == (2, 0, 0, 2)
    found = graph.channel(int(scid(1)))
    assert found is not None
    assert (found.trust, found.capacity_sat, found.offset, found.heard) == (Trust.OVERLAY, 5000, 0, HEARD)
    assert (found.features, found.node_id_1, found.node_id_2) == (b"\x01", node_id(10), node_id(20))
    there, back = found.policies
    assert there is not None and back is not None
    assert (there.timestamp, there.cltv_expiry_delta, there.message_flags, there.offset) == (HEARD, 40, 1, 0)
    assert (back.channel_flags, back.fee_base_msat, back.htlc_maximum_msat, back.disabled) == (3, 7, 9, True)
    one = graph.node(node_id(10))
    assert one is not None and one.announced is not None and one.channels == 2
    assert (one.announced.overlay, one.announced.features, one.announced.timestamp) == (True, b"\x80", HEARD)
    assert [str(address) for address in one.announced.dialable()] == ["127.0.0.1:9735"]
    changed = graph.take_changes()
    assert changed is not None and changed.added == {int(scid(1)), int(scid(2))}


def test_what_was_signed_is_not_touched_and_takes_the_place_of_the_rest() -> None:
    graph = Graph(CHAIN)
    graph.add_channel(channel(1, 10, 20), capacity_sat=7, trust=Trust.UNCHECKED, heard=NOW)
    graph.update_channel(update(1, 0, timestamp=HEARD - 50))
    graph.update_node(node(10, timestamp=HEARD - 50))
    before = graph.channel(int(scid(1))), graph.node(node_id(10))
    assert laid(graph, SMALL) == Laid(1, 1, 0, 3)
    assert (graph.channel(int(scid(1))), graph.unchecked_count, graph.overlay_count) == (before[0], 1, 1)
    one = graph.node(node_id(10))
    assert one is not None and before[1] is not None and one.announced == before[1].announced
    # signed announcements for what the snapshot brought alone
    assert graph.update_verdict(update(2, 0)) is Verdict.UNKNOWN
    assert graph.node_verdict(node(30)) is Verdict.UNKNOWN
    graph.add_channel(channel(2, 10, 30), capacity_sat=7, trust=Trust.CHECKED, heard=NOW)
    found = graph.channel(int(scid(2)))
    assert found is not None and (found.trust, found.policies) == (Trust.CHECKED, (None, None))
    assert (graph.overlay_count, graph.checked_count) == (0, 1)
    assert graph.update_node(node(30, timestamp=5)).verdict is Verdict.NEWS


def test_an_incremental_update_changes_what_it_names_and_nothing_that_is_not_there() -> None:
    graph = Graph(CHAIN)
    laid(graph, SMALL, NOW - 100)
    more = [
        terms(1, 0, None, None, 5, None, None, incremental=True),
        terms(2, 0, None, None, None, None, None, incremental=True, disabled=True),
        terms(2, 1, None, 1, None, None, None, incremental=True),
        terms(3, 0, 9, 9, 9, 9, 9),  # whose values are the snapshot's defaults
    ]
    assert laid(graph, Content(updates=more)) == Laid(0, 2, 0, 2)
    found, other = graph.channel(int(scid(1))), graph.channel(int(scid(2)))
    assert found is not None and found.policies[0] is not None and other is not None
    assert (found.policies[0].fee_base_msat, found.policies[0].cltv_expiry_delta) == (5, 40)
    assert found.policies[0].timestamp == HEARD
    assert other.policies[0] is not None and other.policies[0].disabled and other.policies[1] is None
    assert laid(graph, Content(updates=[terms(1, 0, 1, 1, 1, 1, 1)])) == Laid(0, 0, 0, 1), "no newer"


def test_snapshots_one_after_the_other_hold_no_more_than_one_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapid_overlay, "MAX_CHANNELS", 3)
    graph = Graph(CHAIN)
    assert laid(graph, Content([told(1, 10, 20), told(2, 10, 30)], [], [])).channels == 2
    assert laid(graph, Content([told(number, 10, 20) for number in range(3, 9)], [], [])) == Laid(1, 0, 0, 5)
    assert laid(graph, Content([told(number, 10, 20) for number in range(9, 12)], [], [])).channels == 0
    assert (graph.overlay_count, len(graph)) == (3, 3)


def test_what_cannot_be_is_passed_over() -> None:
    graph = Graph(CHAIN)
    wrong = Content(
        [told(1, 20, 10), told(2, 10, 10), told(3, 10, 20), told(3, 10, 30)],
        [terms(3, 0, 1, 1, 1, 1, 2**64 - 1), terms(3, 1), terms(1, 0)],
        [Node(node_id(99), b"\x01")],
    )
    assert laid(graph, wrong) == Laid(1, 1, 0, 5)
    assert [int(one.short_channel_id) for one in graph.channels()] == [int(scid(3))]
    assert sorted(one.node_id for one in graph.nodes()) == [node_id(10), node_id(20)]


def test_a_whole_snapshot_withdraws_what_it_does_not_have() -> None:
    graph = Graph(CHAIN)
    laid(graph, SMALL)
    graph.add_channel(channel(5, 10, 20), capacity_sat=7, trust=Trust.CHECKED, heard=NOW)
    done(withdraw(graph, done(read_snapshot(write_snapshot(Content([told(2, 10, 30)]), NOW)))))
    assert [int(one.short_channel_id) for one in graph.channels()] == [int(scid(2)), int(scid(5))]
    done(withdraw(graph))
    assert ([one.trust for one in graph.channels()], graph.overlay_count) == ([Trust.CHECKED], 0)
    assert graph.node(node_id(30)) is None


def test_what_is_not_refreshed_is_pruned() -> None:
    graph = Graph(CHAIN)
    laid(graph, SMALL)
    assert not graph.prune(HEARD + PRUNE_AFTER_S).short_channel_ids
    gone = graph.prune(HEARD + PRUNE_AFTER_S + 1)
    assert set(gone.short_channel_ids) == {int(scid(1)), int(scid(2))}
    assert (gone.stored, gone.offsets, graph.overlay_count, graph.node_count) == ((), (), 0, 0)


async def test_nothing_of_it_comes_into_the_store(tmp_path: Path) -> None:
    clock = ManualClock(time=NOW)
    kept = await KeptGraph.open(tmp_path / "gossip_store", CHAIN, EventBus(), clock)
    snapshot = done(read_snapshot(write_snapshot(SMALL, NOW)))
    assert (await kept.lay(lay(kept.graph, snapshot))).channels == 2
    news = [
        News(update(1, 0, timestamp=NOW).encode()),
        News(node(10).encode()),
    ]
    assert [one.verdict for one in await kept.take(news)] == [Verdict.UNKNOWN, Verdict.UNKNOWN]
    await kept.prune(None)
    await clock.advance(PRUNE_AFTER_S)
    assert await kept.prune(None) == 2 and len(kept.graph) == 0
    await kept.aclose()
    assert not (tmp_path / "gossip_store").exists() or (tmp_path / "gossip_store").stat().st_size <= 1


def test_a_direction_costs_less_than_150_bytes_in_the_columns() -> None:
    """Two directions a channel, and mainnet's 3 channels a node; ids and texts are measured in the benchmarks."""
    assert CHANNEL.itemsize / 2 + DIRECTION.itemsize + NODE.itemsize / 6 < 100


def test_it_goes_round_with_what_was_signed_by_other_ends() -> None:
    """A snapshot may lie about who has a channel; the announcement says who."""
    graph = Graph(CHAIN)
    laid(graph, Content([told(1, 40, 50)], [terms(1, 0)]))
    signed: ChannelAnnouncement = replace(channel(1, 10, 20))
    graph.add_channel(signed, capacity_sat=None, trust=Trust.UNCHECKED, heard=NOW)
    assert sorted(one.node_id for one in graph.nodes()) == [node_id(10), node_id(20)]
    assert graph.source_of(int(scid(1)), 0) == node_id(10)
