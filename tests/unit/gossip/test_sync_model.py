"""Any sequence of peers that come, go, answer, lie and fall silent leaves us asking the right ones, not for ever."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.bolt.gossip_queries import (
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
)
from core.bolt.networks import NETWORKS
from core.gossip.limits import (
    ANSWER_TIMEOUT_S,
    CHECK_INTERVAL_S,
    LISTED_CHANNELS,
    STREAMING_PEERS,
)
from core.gossip.listing import EVERYTHING
from core.gossip.sync import Seeker, Send

CHAIN = NETWORKS["regtest"].chain_hash
FOREIGN = NETWORKS["bitcoin"].chain_hash
WALL = 1_770_000_000
ALL = 0xFFFFFFFF
PEERS = st.integers(0, 11).map(lambda number: b"\x02" + number.to_bytes(32, "big"))
BLOCKS = st.one_of(st.integers(0, 3), st.just(ALL), st.integers(0, ALL))
IDS = st.lists(st.integers(1, 50).map(lambda number: number << 40), max_size=5)


class Peers(RuleBasedStateMachine):
    """Whatever they say, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.seek = Seeker(CHAIN, random.Random(1))
        self.now = 0.0
        self.extended: dict[bytes, bool] = {}
        self.streams: set[bytes] = set()
        self.checks = 0
        self.outstanding: set[tuple[bytes, int]] = set()
        """Peers with the type of a question whose answer has not come to its end."""

    def sent(self, sends: list[Send]) -> None:
        for peer_id, message in sends:
            assert peer_id in self.extended, "sent to who is gone"
            kind = message[0] << 8 | message[1]
            if kind != GossipTimestampFilter.TYPE:
                assert (peer_id, kind) not in self.outstanding, "asked again before the answer ended"
                self.outstanding.add((peer_id, kind))
            match kind:
                case GossipTimestampFilter.TYPE:
                    wanted = GossipTimestampFilter.decode(message).timestamp_range
                    assert (peer_id in self.streams) is (wanted == 0), "told twice to begin, or to end"
                    self.streams ^= {peer_id}
                case QueryChannelRange.TYPE:
                    assert (QueryChannelRange.decode(message).query_option is not None) is self.extended[peer_id]
                    self.checks += 1
                case _:
                    query = QueryShortChannelIds.decode(message)
                    assert query.short_channel_ids
                    assert (query.query_flags is not None) is self.extended[peer_id]

    @rule(peer=PEERS, extended=st.booleans())
    def come(self, peer: bytes, extended: bool) -> None:
        if peer not in self.extended:
            self.extended[peer] = extended
            self.sent(self.seek.connected(peer, self.now, WALL, extended=extended))

    @rule(peer=PEERS)
    def go(self, peer: bytes) -> None:
        if self.extended.pop(peer, None) is not None:
            self.streams.discard(peer)
            self.outstanding -= {(peer, QueryChannelRange.TYPE), (peer, QueryShortChannelIds.TYPE)}
            self.sent(self.seek.disconnected(peer, self.now, WALL))

    @rule(peer=PEERS, first=BLOCKS, blocks=BLOCKS, ids=IDS, chain=st.sampled_from((CHAIN, FOREIGN)))
    def list(self, peer: bytes, first: int, blocks: int, ids: list[int], chain: bytes) -> None:
        self.told(peer, ReplyChannelRange(chain, first, blocks, True, tuple(ids)))

    def told(self, peer: bytes, reply: ReplyChannelRange) -> None:
        if reply.chain_hash == CHAIN and reply.end_blocknum >= ALL:
            self.outstanding.discard((peer, QueryChannelRange.TYPE))
        if self.seek.awaits_list(peer):
            wanted = [(scid, EVERYTHING) for scid in reply.short_channel_ids]
            self.sent(self.seek.listed(peer, reply, wanted, self.now))
        elif reply.chain_hash == CHAIN:
            self.seek.listed_late(peer, reply.end_blocknum)

    @rule(peer=PEERS)
    def flood(self, peer: bytes) -> None:
        reply = ReplyChannelRange(CHAIN, 0, 1, True, (1,) * (LISTED_CHANNELS // 2))
        self.sent(self.seek.listed(peer, reply, [], self.now))

    @rule(peer=PEERS)
    def answer(self, peer: bytes) -> None:
        self.outstanding.discard((peer, QueryShortChannelIds.TYPE))
        self.sent(self.seek.answered(peer, self.now))

    @rule(peer=PEERS)
    def tell(self, peer: bytes) -> None:
        self.seek.heard(peer, self.now)
        self.seek.told_news(peer)

    @rule(seconds=st.one_of(st.floats(0, 100), st.floats(0, 4_000)))
    def look(self, seconds: float) -> None:
        self.now += seconds
        self.sent(self.seek.look(self.now, WALL))

    @invariant()
    def the_right_number_streams(self) -> None:
        assert self.seek.streaming == self.streams
        assert len(self.streams) == min(STREAMING_PEERS, len(self.extended))

    @invariant()
    def one_that_is_there_is_asked(self) -> None:
        asked = [peer for peer in self.extended if self.seek.awaits_list(peer)]
        assert len(asked) <= 1
        assert not self.seek.is_asking or self.extended

    def teardown(self) -> None:
        """From here on all are honest: within an hour and a little a whole list is asked for and answered."""
        if not self.extended:
            return
        checks, end = self.checks, self.now + CHECK_INTERVAL_S + 2 * ANSWER_TIMEOUT_S
        while self.now < end and not (self.checks > checks and not self.seek.is_asking):
            self.look(5.0)
            for peer in self.extended:
                self.told(peer, ReplyChannelRange(CHAIN, 0, ALL, True, (9,)))
                while self.seek.is_asking and self.answers(peer):
                    pass
        assert self.checks > checks
        assert not self.seek.is_asking

    def answers(self, peer: bytes) -> bool:
        self.outstanding.discard((peer, QueryShortChannelIds.TYPE))
        sends = self.seek.answered(peer, self.now)
        self.sent(sends)
        return bool(sends)


TestPeers: Any = Peers.TestCase
TestPeers.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
