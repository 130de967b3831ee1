"""What a question costs us is bounded by what it has us look at, not by what we say."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.bolt.gossip_queries import GossipTimestampFilter, QueryChannelRange, QueryShortChannelIds
from core.gossip import serving
from core.gossip.graph import Graph
from core.gossip.graph_values import Channel
from core.gossip.limits import LOOKED_AT_BYTES, SERVED_AT_ONCE, SERVED_BYTES_S
from tests.support.network import make_network
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


async def test_what_is_new_is_looked_through_in_pieces_and_all_of_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_LOOKED_THROUGH", 7)
    updates = make_network(3, 60, blocks=5).channel_updates
    async with served(tmp_path) as made:
        made.serving.set_filter(GossipTimestampFilter(CHAIN, ALL - 1, 1), first_broadcast_s=0.0)
        for message in updates:
            made.recent.add(message, ALL - 1)
        made.serving.look()
        assert await made.all_sent(len(updates)) == list(updates)


def test_a_piece_of_what_is_new_says_where_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "RECENT", 10)
    updates, recent = make_network(3, 60, blocks=5).channel_updates, serving.Recent()
    for message in (*updates[:15], updates[12]):
        recent.add(message, 0)
    found, place = recent.after(0, most=4)
    assert ([message for message, _timestamp in found], place) == ([*updates[6:10]], 10), "the oldest are gone"
    found, place = recent.after(place, most=10)
    assert [message for message, _timestamp in found] == [updates[number] for number in (10, 11, 13, 14, 12)]
    assert place == recent.end == 16
    assert recent.after(place) == ([], 16)
    assert len(recent._last) == 9, "what went is forgotten"
