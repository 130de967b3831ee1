"""Whom we ask for gossip, for what, and when."""

from __future__ import annotations

import random

from core.bolt.gossip_queries import (
    WANT_CHECKSUMS,
    WANT_TIMESTAMPS,
    WANT_UPDATE_2,
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
)
from core.bolt.networks import NETWORKS
from core.gossip.limits import (
    ANSWER_LONGEST_S,
    ANSWER_TIMEOUT_S,
    CHECK_INTERVAL_S,
    IDS_A_QUERY,
    LISTED_CHANNELS,
    ROTATE_INTERVAL_S,
    STREAMING_PEERS,
)
from core.gossip.listing import EVERYTHING
from core.gossip.sync import Seeker, Send

CHAIN = NETWORKS["regtest"].chain_hash
WALL = 1_770_000_000
ALL = 0xFFFFFFFF


def seeker() -> Seeker:
    return Seeker(CHAIN, random.Random(1))


def peer(number: int) -> bytes:
    return b"\x02" + number.to_bytes(32, "big")


def reply(first: int, end: int, *ids: int) -> ReplyChannelRange:
    return ReplyChannelRange(CHAIN, first, end - first, True, ids)


def ranges(sends: list[Send]) -> list[bytes]:
    """Who is asked for the list."""
    return [who for who, message in sends if message == QueryChannelRange(CHAIN, 0, ALL).encode()]


def queried(sends: list[Send]) -> tuple[int, ...]:
    ((_, message),) = sends
    return QueryShortChannelIds.decode(message).short_channel_ids


def test_a_few_peers_stream_and_one_is_asked_for_the_list() -> None:
    seek = seeker()
    sends = [send for number in range(STREAMING_PEERS + 3) for send in seek.connected(peer(number), 0.0, WALL)]
    wanted = GossipTimestampFilter(CHAIN, WALL - 600, ALL).encode()
    assert [who for who, message in sends if message == wanted] == [peer(number) for number in range(STREAMING_PEERS)]
    assert ranges(sends) == [peer(0)]


def test_one_peer_is_asked_for_what_came_while_we_were_away() -> None:
    """A list has no timestamps of nodes. Nothing older than what would be taken is asked for."""
    for away, first in ((86_400, WALL - 86_400 - 600), (20 * 86_400, WALL - 14 * 86_400 - 600), (-3_600, WALL - 600)):
        seek = Seeker(CHAIN, random.Random(1), WALL - away)
        sends = seek.connected(peer(1), 0.0, WALL) + seek.connected(peer(2), 0.0, WALL)
        filters = [(who, message) for who, message in sends if message[:2] == b"\x01\x09"]
        assert filters == [
            (peer(1), GossipTimestampFilter(CHAIN, first, ALL).encode()),
            (peer(2), GossipTimestampFilter(CHAIN, WALL - 600, ALL).encode()),
        ]


def of(*ids: int) -> list[tuple[int, int]]:
    """All is wanted of these."""
    return [(scid, EVERYTHING) for scid in ids]


def test_what_is_wanted_of_the_list_is_asked_for_a_piece_after_the_other() -> None:
    seek = seeker()
    seek.connected(peer(1), 0.0, WALL)
    ids = [number << 40 for number in range(1, IDS_A_QUERY + 2)]
    assert seek.listed(peer(1), reply(0, 600, *ids[:500]), of(*ids[:500]), 1.0) == []
    assert queried(seek.listed(peer(1), reply(600, ALL, *ids[500:]), of(*ids[500:]), 2.0)) == tuple(ids[:IDS_A_QUERY])
    assert queried(seek.answered(peer(1), 3.0)) == tuple(ids[IDS_A_QUERY:])
    assert seek.is_asking
    assert seek.answered(peer(1), 4.0) == []
    assert not seek.is_asking


def test_who_speaks_of_it_is_asked_for_timestamps_and_for_the_newer_updates_alone() -> None:
    seek = seeker()
    ((_, _filter), (_, asked)) = seek.connected(peer(1), 0.0, WALL, extended=True)
    assert QueryChannelRange.decode(asked).query_option == WANT_TIMESTAMPS | WANT_CHECKSUMS
    wanted = [(7 << 40, WANT_UPDATE_2), (9 << 40, EVERYTHING)]
    ((_, message),) = seek.listed(peer(1), reply(0, ALL, 7 << 40, 8 << 40, 9 << 40), wanted, 1.0)
    query = QueryShortChannelIds.decode(message)
    assert (query.short_channel_ids, query.query_flags) == ((7 << 40, 9 << 40), (WANT_UPDATE_2, EVERYTHING))


def test_who_does_not_is_asked_for_neither() -> None:
    seek = seeker()
    ((_, _filter), (_, asked)) = seek.connected(peer(1), 0.0, WALL)
    assert QueryChannelRange.decode(asked).query_option is None
    ((_, message),) = seek.listed(peer(1), reply(0, ALL, 7 << 40), of(7 << 40), 1.0)
    assert QueryShortChannelIds.decode(message).query_flags is None


def test_what_a_peer_speaks_of_is_what_it_said_when_it_last_came() -> None:
    seek = seeker()
    seek.connected(peer(1), 0.0, WALL, extended=True)
    seek.disconnected(peer(1), 1.0, WALL)
    ((_, _filter), (_, asked)) = seek.connected(peer(1), 1.0 + ANSWER_TIMEOUT_S, WALL)
    assert QueryChannelRange.decode(asked).query_option is None


def test_several_parts_may_be_of_one_block_and_name_a_channel_twice() -> None:
    seek = seeker()
    seek.connected(peer(1), 0.0, WALL)
    one, other = 5 << 40 | 1, 5 << 40 | 2
    assert seek.listed(peer(1), reply(0, 6, one), of(one), 1.0) == []
    assert seek.listed(peer(1), reply(5, 6, other), of(other), 1.0) == []
    assert queried(seek.listed(peer(1), reply(5, ALL, one), of(one), 1.0)) == (one, other)


def test_an_answer_that_goes_on_for_an_hour_ends_and_another_peer_is_asked() -> None:
    seek = seeker()
    first = ranges(seek.connected(peer(1), 0.0, WALL) + seek.connected(peer(2), 0.0, WALL))
    now = 0.0
    while seek.is_asking:
        now += ANSWER_TIMEOUT_S / 2
        seek.listed(peer(1), reply(0, 1), [], now)
        seek.look(now, WALL)
        assert now <= ANSWER_LONGEST_S
    assert first == [peer(1)]
    assert ranges(seek.look(now + ANSWER_TIMEOUT_S, WALL)) == [peer(2)]


def test_the_list_is_asked_for_again_after_an_hour() -> None:
    seek = seeker()
    seek.connected(peer(1), 0.0, WALL)
    seek.listed(peer(1), reply(0, ALL), [], 1.0)
    assert ranges(seek.look(CHECK_INTERVAL_S - 1, WALL)) == []
    assert ranges(seek.look(CHECK_INTERVAL_S, WALL)) == [peer(1)]


def test_who_does_not_answer_or_leaves_is_not_waited_for() -> None:
    seek = seeker()
    seek.connected(peer(1), 0.0, WALL)
    seek.heard(peer(1), 30.0)
    seek.look(ANSWER_TIMEOUT_S, WALL)
    assert seek.is_asking
    seek.look(30.0 + ANSWER_TIMEOUT_S, WALL)
    assert not seek.is_asking
    assert ranges(seek.connected(peer(2), 31.0 + ANSWER_TIMEOUT_S, WALL)) == []
    assert ranges(seek.look(30.0 + 2 * ANSWER_TIMEOUT_S, WALL)) == [peer(2)]
    seek.disconnected(peer(2), 200.0, WALL)
    assert not seek.is_asking
    assert seek.streaming == {peer(1)}


def test_who_still_owes_a_list_is_not_asked_for_another() -> None:
    """BOLT 7: nor while an answer is outstanding, which ends by its last part or with the connection."""
    seek = seeker()
    seek.connected(peer(1), 0.0, WALL)
    seek.listed(peer(1), reply(0, 600), [], 1.0)
    now = 2 * CHECK_INTERVAL_S
    assert ranges(seek.look(now, WALL) + seek.look(2 * now, WALL)) == []
    seek.answered(peer(1), 2 * now)
    seek.listed_late(peer(1), 700)
    assert ranges(seek.look(2 * now, WALL)) == []
    seek.listed_late(peer(1), ALL)
    assert ranges(seek.look(2 * now, WALL)) == [peer(1)]
    seek.look(3 * now, WALL)
    seek.disconnected(peer(1), 3 * now, WALL)
    assert ranges(seek.connected(peer(1), 4 * now, WALL)) == [peer(1)]


def test_who_still_owes_channels_is_asked_nothing_more() -> None:
    seek = seeker()
    seek.connected(peer(1), 0.0, WALL)
    seek.listed(peer(1), reply(0, ALL, 1), of(1), 1.0)
    now = 2 * CHECK_INTERVAL_S
    assert ranges(seek.look(now, WALL) + seek.look(2 * now, WALL)) == []
    seek.listed_late(peer(1), ALL)
    assert ranges(seek.look(2 * now, WALL)) == []
    assert seek.answered(peer(1), 2 * now) == []
    assert ranges(seek.look(2 * now, WALL)) == [peer(1)]


def test_answers_that_nobody_asked_for_lists_with_gaps_and_without_end_are_left() -> None:
    seek = seeker()
    seek.connected(peer(1), 0.0, WALL)
    assert seek.listed(peer(2), reply(0, ALL, 1), of(1), 1.0) == seek.answered(peer(1), 1.0) == []
    seek.listed(peer(1), reply(5, ALL, 1), of(1), 1.0)
    assert not seek.is_asking
    seek.look(1.0 + ANSWER_TIMEOUT_S, WALL)
    many = tuple(range(8_000))
    for _ in range(LISTED_CHANNELS // len(many) + 1):
        seek.listed(peer(1), reply(0, 1, *many), of(*many), 62.0)
    assert not seek.is_asking


def test_who_told_least_gives_its_place_to_another() -> None:
    seek = seeker()
    for number in range(STREAMING_PEERS + 1):
        seek.connected(peer(number), 0.0, WALL)
    for number in range(STREAMING_PEERS):
        if number != 2:
            seek.told_news(peer(number))
    seek.look(0.0, WALL)
    sends = seek.look(ROTATE_INTERVAL_S, WALL)
    assert (peer(2), GossipTimestampFilter(CHAIN, ALL, 0).encode()) in sends
    assert seek.streaming == {peer(number) for number in range(STREAMING_PEERS + 1)} - {peer(2)}
