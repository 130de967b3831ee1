"""What many messages at once do to the graph is what each does by itself, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.gossip import kept_graph
from core.gossip.graph import Graph
from core.gossip.graph_values import Announced, Applied, GraphChanged, Trust, Verdict
from core.gossip.kept_graph import Announcement, KeptGraph, News
from tests.support.clock import ManualClock
from tests.unit.gossip.graphs import CHAIN, NOW, channel, node, scid, update

_FEW = st.integers(0, 3)
_CHAINS = st.sampled_from([CHAIN, CHAIN, CHAIN, bytes(32)])
_AGES = st.integers(-2, 2).map(lambda age: NOW + age)
_CHANNELS = st.builds(
    lambda number, end, features, chain_hash: channel(number, end, end + 1, features=features, chain_hash=chain_hash),
    _FEW,
    _FEW,
    st.sampled_from([b"", b"", b"\x02\x00"]),
    _CHAINS,
)
_UPDATES = st.builds(
    lambda number, direction, timestamp, base_msat, disabled, chain_hash: update(
        number, direction, timestamp=timestamp, base_msat=base_msat, disabled=disabled, chain_hash=chain_hash
    ),
    _FEW,
    st.integers(0, 1),
    _AGES,
    st.integers(0, 2**32 - 1),
    st.booleans(),
    _CHAINS,
)
_NODES = st.builds(
    lambda number, timestamp, alias: node(number, timestamp=timestamp, alias=alias),
    st.integers(0, 5),
    _AGES,
    st.sampled_from([b"one", b"another"]),
)
_BATCHES = st.lists(st.tuples(_CHANNELS | _UPDATES | _NODES, st.sampled_from([None, 5000])), max_size=12)
_BEFORE = st.sampled_from(["nothing", "an overlay", "dying", "gone"])


class OneByOne:
    """How the batch is to be taken, by what the graph does with one message."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def verdict(self, content: Announcement) -> Verdict:
        match content:
            case ChannelAnnouncement():
                return self.graph.channel_verdict(content)
            case ChannelUpdate():
                return self.graph.update_verdict(content)
            case NodeAnnouncement():
                return self.graph.node_verdict(content)

    def apply(self, content: Announcement, capacity_sat: int | None) -> None:
        match content:
            case ChannelAnnouncement():
                trust = Trust.UNCHECKED if capacity_sat is None else Trust.CHECKED
                self.graph.add_channel(content, capacity_sat=capacity_sat, trust=trust, heard=NOW, offset=1)
            case ChannelUpdate():
                self.graph.update_channel(content, offset=1)
            case NodeAnnouncement():
                self.graph.update_node(content, offset=1)

    def take(self, batch: Sequence[tuple[Announcement, int | None]], slice_: int) -> list[Verdict]:
        """Channels, then updates, then nodes; of those about the same the newest, of equally new ones the first."""
        verdicts = [Verdict.UNKNOWN] * len(batch)
        for kind in (ChannelAnnouncement, ChannelUpdate, NodeAnnouncement):
            numbers = [number for number, (content, _sat) in enumerate(batch) if isinstance(content, kind)]
            for first in range(0, len(numbers), slice_):
                best: dict[object, int] = {}
                for number in numbers[first : first + slice_]:
                    content = batch[number][0]
                    verdicts[number] = self.verdict(content)
                    if verdicts[number] is Verdict.NEWS:
                        verdicts[number] = Verdict.KNOWN
                        about, age = about_of(content)
                        if about not in best or age > about_of(batch[best[about]][0])[1]:
                            best[about] = number
                for number in best.values():
                    verdicts[number] = Verdict.NEWS
                    self.apply(*batch[number])
        return verdicts


def about_of(content: Announcement) -> tuple[object, int]:
    match content:
        case ChannelAnnouncement():
            return content.short_channel_id, 0
        case ChannelUpdate():
            return (content.short_channel_id, content.direction), content.timestamp
        case NodeAnnouncement():
            return content.node_id, content.timestamp


def facts(graph: Graph) -> list[object]:
    """All that it knows but where that is stored, in no order of rows."""
    channels = [
        replace(one, offset=0, policies=tuple(each and replace(each, offset=0) for each in one.policies))
        for one in graph.channels()
    ]
    nodes = [replace(one, announced=one.announced and replace(one.announced, offset=0)) for one in graph.nodes()]
    counts = len(graph), graph.checked_count, graph.overlay_count, graph.node_count
    return [
        *sorted(channels, key=lambda one: one.short_channel_id),
        *sorted(nodes, key=lambda one: one.node_id),
        counts,
    ]


def prepared(graph: Graph, before: str) -> None:
    if before == "an overlay":
        graph.add_channel(channel(1, 1, 2), capacity_sat=9, trust=Trust.OVERLAY, heard=NOW)
    elif before != "nothing":
        graph.add_channel(channel(1, 1, 2), capacity_sat=9, trust=Trust.CHECKED, heard=NOW)
        if before == "dying":
            graph.mark_dying(int(scid(1)), 800)
        else:
            graph.remove(int(scid(1)))


@settings(max_examples=150, deadline=None)
@given(st.lists(_BATCHES, min_size=1, max_size=4), st.sampled_from([1, 3, 1024]), _BEFORE)
def test_a_batch_is_taken_as_its_messages_are_one_by_one(
    batches: list[list[tuple[Announcement, int | None]]], slice_: int, before: str
) -> None:
    async def run() -> None:
        kept = await KeptGraph.open(None, CHAIN, EventBus(), ManualClock(time=NOW))
        model = OneByOne(Graph(CHAIN))
        for graph in (kept.graph, model.graph):
            prepared(graph, before)
            graph.take_changes()
        for batch in batches:
            version, known = kept.graph.version, facts(kept.graph)
            there = {one.node_id: one.announced for one in kept.graph.nodes()}
            applied = await kept.take([News(content.encode(), capacity_sat) for content, capacity_sat in batch])
            assert [done.verdict for done in applied] == model.take(batch, slice_)
            assert facts(kept.graph) == facts(model.graph)
            assert kept.graph.version != version or facts(kept.graph) == known or replaced_nodes_alone(batch, applied)
            assert told(kept.graph, there, model.graph) == told(model.graph, there, model.graph)
            await stored(kept, batch, applied)
        await kept.aclose()

    was, kept_graph.SLICE = kept_graph.SLICE, slice_
    try:
        asyncio.run(run())
    finally:
        kept_graph.SLICE = was


def told(graph: Graph, before: Mapping[bytes, Announced | None], after: Graph) -> tuple[GraphChanged, frozenset[bytes]]:
    """What is told to have changed; of nodes those that did: one may go with its only channel and come with the next.

    Whether it does depends on which comes first, and who hears of it too much looks at what is as it was.
    """
    changed = graph.take_changes() or GraphChanged()
    now = {one.node_id: one.announced for one in after.nodes()}
    differ = {node_id for node_id in before.keys() | now.keys() if said(before, node_id) != said(now, node_id)}
    return replace(changed, nodes=frozenset()), changed.nodes & differ


def said(nodes: Mapping[bytes, Announced | None], node_id: bytes) -> tuple[bool, Announced | None]:
    announced = nodes.get(node_id)
    return node_id in nodes, announced and replace(announced, offset=0)


def replaced_nodes_alone(batch: Sequence[tuple[Announcement, int | None]], applied: Sequence[Applied]) -> bool:
    """They are no part of any way."""
    news = [content for (content, _sat), done in zip(batch, applied, strict=True) if done.verdict is Verdict.NEWS]
    return all(isinstance(content, NodeAnnouncement) for content in news)


async def stored(kept: KeptGraph, batch: Sequence[tuple[Announcement, int | None]], applied: Sequence[Applied]) -> None:
    """What is in the graph stands where it says."""
    for (content, _sat), done in zip(batch, applied, strict=True):
        if done.verdict is not Verdict.NEWS:
            continue
        match content:
            case ChannelAnnouncement():
                one = kept.graph.channel(int(content.short_channel_id))
                offset = one.offset if one else 0
            case ChannelUpdate():
                one = kept.graph.channel(int(content.short_channel_id))
                policy = one.policies[content.direction] if one else None
                offset = policy.offset if policy and policy.timestamp == content.timestamp else 0
            case NodeAnnouncement():
                heard = kept.graph.node(content.node_id)
                newest = heard.announced if heard else None
                offset = newest.offset if newest and newest.timestamp == content.timestamp else 0
        if offset:
            assert await kept.store.read([offset]) == [content.encode()]
