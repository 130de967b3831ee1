"""What a question costs us is bounded by what it has us look at, not by what we say."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.bolt.gossip_queries import GossipTimestampFilter, QueryChannelRange, QueryShortChannelIds
from core.gossip.graph import Graph
from core.gossip.graph_values import Channel
from core.gossip.limits import LOOKED_AT_BYTES, SERVED_AT_ONCE, SERVED_BYTES_S
from tests.unit.gossip.test_serving import ALL, CHAIN, Served, scids, served

A_PART_S = SERVED_AT_ONCE * LOOKED_AT_BYTES / SERVED_BYTES_S


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Channels that were looked up."""
    found: list[int] = []
    really = Graph.channel

    def channel(graph: Graph, scid: int) -> Channel | None:
        found.append(scid)
        return really(graph, scid)

    monkeypatch.setattr(Graph, "channel", channel)
    return found


async def test_a_filter_that_lets_nothing_through_has_us_look_slowly(tmp_path: Path, looked_at: list[int]) -> None:
    async with served(tmp_path) as made:
        looked_at.clear()
        made.serving.set_filter(GossipTimestampFilter(CHAIN, ALL - 1, 1), first_broadcast_s=50.0)
        await made.clock.advance(0)
        assert len(looked_at) == SERVED_AT_ONCE
        made.serving.set_filter(GossipTimestampFilter(CHAIN, ALL - 1, 1), first_broadcast_s=50.0)
        await made.clock.advance(0)
        assert len(looked_at) == SERVED_AT_ONCE, "asking again does not make us faster"
        await made.clock.advance(A_PART_S)
        assert len(looked_at) == 2 * SERVED_AT_ONCE


async def test_unknown_channels_are_looked_up_slowly(tmp_path: Path, looked_at: list[int]) -> None:
    async with served(tmp_path) as made:
        looked_at.clear()
        made.serving.ask(QueryShortChannelIds(CHAIN, tuple(range(1 << 40, (1 << 40) + 1000))))
        await made.clock.advance(0)
        assert len(looked_at) == SERVED_AT_ONCE
        await made.clock.advance(A_PART_S)
        assert len(looked_at) == 2 * SERVED_AT_ONCE


async def test_checksums_are_made_slowly(tmp_path: Path) -> None:
    async with served(tmp_path) as made:
        began = made.clock.monotonic()
        made.serving.ask(QueryChannelRange(CHAIN, 0, ALL, 3))
        while not made.peer.sent:
            await made.clock.advance(A_PART_S / 10)
        assert made.clock.monotonic() - began >= len(scids()) * LOOKED_AT_BYTES / SERVED_BYTES_S


@pytest.mark.parametrize("what", ["a filter", "a list", "channels"])
async def test_one_peer_after_the_other_is_looked_up_for(tmp_path: Path, looked_at: list[int], what: str) -> None:
    async with served(tmp_path) as made:
        looked_at.clear()
        async with made.turn:
            ask(made, what)
            await made.clock.advance(1.0)
            assert (made.peer.sent, looked_at) == ([], [])
        await made.all_sent(3 * len(scids()) + (what == "channels") if what != "a list" else 1)


def ask(made: Served, what: str) -> None:
    if what == "a filter":
        made.serving.set_filter(GossipTimestampFilter(CHAIN, 0, ALL), first_broadcast_s=50.0)
    elif what == "a list":
        made.serving.ask(QueryChannelRange(CHAIN, 0, ALL, 1))
    else:
        made.serving.ask(QueryShortChannelIds(CHAIN, tuple(scids())))
