"""What is wanted of a peer's list, and what we may tell of our own."""

from __future__ import annotations

from dataclasses import replace

from core.bolt.gossip import update_checksum
from core.bolt.gossip_queries import WANT_UPDATE_1, WANT_UPDATE_2, ReplyChannelRange
from core.gossip.graph import Graph
from core.gossip.graph_values import Trust
from core.gossip.limits import FURTHEST_AHEAD_S, OLDEST_UPDATE_S
from core.gossip.listing import EVERYTHING, REFRESHED_AFTER_S, kept_up_until, tellable_between, wanted_of
from tests.unit.gossip.graphs import CHAIN, NOW, add, channel, scid, update


def wanted(
    graph: Graph,
    stamps: dict[int, tuple[int, int]] | list[int],
    sums: dict[int, tuple[int, int]] | None = None,
    now: int = NOW,
) -> dict[int, int]:
    """By the numbers of channels."""
    numbers = sorted(stamps)
    reply = ReplyChannelRange(
        CHAIN,
        0,
        0xFFFFFFFF,
        True,
        tuple(int(scid(number)) for number in numbers),
        tuple(stamps[number] for number in numbers) if isinstance(stamps, dict) else None,
        None if sums is None else tuple(sums[number] for number in numbers),
    )
    found = {one: flags for part in wanted_of(graph, reply, now) for one, flags in part}
    return {number: found[int(scid(number))] for number in numbers if int(scid(number)) in found}


def test_without_timestamps_what_is_unknown_is_wanted_whole() -> None:
    graph = Graph(CHAIN)
    assert wanted(graph, [1, 2]) == {1: EVERYTHING, 2: EVERYTHING}
    add(graph, 1, 1, 2)
    assert wanted(graph, [1, 2]) == {2: EVERYTHING}
    many = list(range(1, 1_500))
    assert list(wanted(graph, many)) == many[1:]


def test_the_graph_was_kept_up_until_its_newest_signed_updates_but_a_few() -> None:
    graph = Graph(CHAIN)
    assert kept_up_until(graph) is None
    for number in range(100):
        add(graph, number, 1, 2, timestamp=NOW - number)
    graph.update_channel(update(50, 0, timestamp=NOW + 80_000))
    assert kept_up_until(graph) == NOW
    graph.add_channel(channel(200, 1, 2), capacity_sat=None, trust=Trust.OVERLAY, heard=NOW)
    for number in range(50):
        graph.remove(int(scid(number)))
    assert kept_up_until(graph) == NOW - 50


def test_an_unknown_channel_that_would_be_pruned_at_once_is_not_wanted() -> None:
    old, ahead = NOW - OLDEST_UPDATE_S - 1, NOW + FURTHEST_AHEAD_S + 1
    stamps = {1: (NOW, NOW), 2: (NOW, 0), 3: (NOW, old), 4: (0, 0), 5: (old, old), 6: (ahead, 0)}
    assert wanted(Graph(CHAIN), stamps) == {1: EVERYTHING, 2: EVERYTHING}


def test_of_a_known_channel_the_newer_update_alone_is_wanted() -> None:
    graph = Graph(CHAIN)
    for number in range(1, 6):
        add(graph, number, 1, 2, timestamp=NOW - 10)
    new, far = NOW - 9, NOW + FURTHEST_AHEAD_S + 1
    stamps = {1: (NOW - 10, NOW - 11), 2: (new, 0), 3: (NOW - 10, new), 4: (new, new), 5: (far, NOW - 10)}
    assert wanted(graph, stamps) == {2: WANT_UPDATE_1, 3: WANT_UPDATE_2, 4: WANT_UPDATE_1 | WANT_UPDATE_2}


def test_a_newer_update_that_says_the_same_is_fetched_once_ours_grows_old() -> None:
    graph = Graph(CHAIN)
    add(graph, 1, 1, 2, timestamp=NOW)
    same = update_checksum(update(1, 0, timestamp=NOW + 5).encode())
    other = update_checksum(replace(update(1, 1), fee_base_msat=7).encode())
    stamps = {1: (NOW + 5, NOW + 5)}
    assert wanted(graph, stamps, {1: (same, other)}) == {1: WANT_UPDATE_2}
    later = NOW + REFRESHED_AFTER_S + 1
    assert wanted(graph, stamps, {1: (same, other)}, later) == {1: WANT_UPDATE_1 | WANT_UPDATE_2}


def test_an_unsigned_channel_is_wanted_like_an_unknown_one() -> None:
    graph = Graph(CHAIN)
    graph.add_channel(channel(1, 1, 2), capacity_sat=None, trust=Trust.OVERLAY, heard=NOW)
    assert wanted(graph, [1]) == {1: EVERYTHING}


def test_told_is_what_the_chain_holds_the_store_has_and_an_update_speaks_of() -> None:
    graph = Graph(CHAIN)
    rows = ((1, Trust.CHECKED, 9), (2, Trust.UNCHECKED, 9), (3, Trust.OVERLAY, 9), (4, Trust.CHECKED, 0))
    for number, trust, offset in (*rows, (5, Trust.CHECKED, 9), (6, Trust.CHECKED, 9)):
        graph.add_channel(channel(number, 1, 2), capacity_sat=None, trust=trust, heard=NOW, offset=offset)
        if number < 5:
            graph.update_channel(update(number, 0), offset=9)
    graph.update_channel(update(6, 1), offset=9)
    graph.remove(int(scid(7)))
    assert tellable_between(graph, 0, 200).tolist() == [int(scid(1)), int(scid(6))]
    assert tellable_between(graph, 102, 200).tolist() == [int(scid(6))]
    assert tellable_between(Graph(CHAIN), 0, 200).tolist() == []
