"""What we ask our peers for, and when: pure, with the time given. Core Lightning's conduct (gossipd/seeker.c).

A few peers stream to us what is new. One at a time is asked which channels there are, at first and once an hour, and
then for those that we do not have. Now and then the streaming peer that told the least gives its place to another.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.bolt.gossip_queries import (
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
)
from core.gossip.limits import (
    ANSWER_TIMEOUT_S,
    BACKLOG_S,
    CHECK_INTERVAL_S,
    IDS_A_QUERY,
    LISTED_CHANNELS,
    ROTATE_INTERVAL_S,
    STREAMING_PEERS,
)

_ALL = 0xFFFFFFFF

Send = tuple[bytes, bytes]
"""The peer's id and a message for it."""
Missing = Callable[[Sequence[int]], list[int]]
"""Which of these short channel ids we do not have, ascending."""


@dataclass(slots=True)
class _Asked:
    """The one peer that is asked which channels there are."""

    peer_id: bytes
    heard_at: float
    next_block: int = 0
    """How far its list has come."""
    listed: int = 0
    wanted: deque[int] = field(default_factory=deque)
    querying: bool = False


class Seeker:
    """Everything here gives the messages to send. `now` is monotonic, `wall` seconds since the epoch."""

    def __init__(self, chain_hash: bytes, missing: Missing, chance: random.Random) -> None:
        self._chain_hash = chain_hash
        self._missing = missing
        self._chance = chance
        self._peers: dict[bytes, int] = {}
        """Who can be asked, with how much news each told since the last rotation."""
        self._streaming: set[bytes] = set()
        self._asked: _Asked | None = None
        self._check_at = 0.0
        self._rotate_at: float | None = None

    @property
    def streaming(self) -> frozenset[bytes]:
        return frozenset(self._streaming)

    @property
    def is_asking(self) -> bool:
        """Whether an answer about the whole is under way."""
        return self._asked is not None

    def connected(self, peer_id: bytes, now: float, wall: int) -> list[Send]:
        """A peer that offers `gossip_queries`."""
        self._peers[peer_id] = 0
        return self._stream(wall) + self._check(now)

    def disconnected(self, peer_id: bytes, now: float, wall: int) -> list[Send]:
        """Its place goes to another one, its answer too."""
        self._peers.pop(peer_id, None)
        self._streaming.discard(peer_id)
        if self._asked is not None and self._asked.peer_id == peer_id:
            self._again(now)
        return self._stream(wall) + self._check(now)

    def told_news(self, peer_id: bytes) -> None:
        """Something that we did not know came from it first."""
        if peer_id in self._peers:
            self._peers[peer_id] += 1

    def heard(self, peer_id: bytes, now: float) -> None:
        """Any gossip of the peer that is asked is a sign that its answer goes on."""
        if self._asked is not None and self._asked.peer_id == peer_id:
            self._asked.heard_at = now

    def listed(self, peer_id: bytes, reply: ReplyChannelRange, now: float) -> list[Send]:
        """A part of the list."""
        asked = self._asked
        if asked is None or asked.peer_id != peer_id or reply.chain_hash != self._chain_hash or asked.querying:
            return []
        asked.heard_at = now
        asked.listed += len(reply.short_channel_ids)
        if asked.listed > LISTED_CHANNELS or reply.first_blocknum > asked.next_block:
            self._again(now)
            return []
        asked.wanted.extend(self._missing(reply.short_channel_ids))
        asked.next_block = max(asked.next_block, reply.end_blocknum)
        return self._query(asked) if asked.next_block >= _ALL else []

    def answered(self, peer_id: bytes, now: float) -> list[Send]:
        """All that the peer knows of the channels asked for has come."""
        asked = self._asked
        if asked is None or asked.peer_id != peer_id or not asked.querying:
            return []
        asked.heard_at = now
        return self._query(asked)

    def look(self, now: float, wall: int) -> list[Send]:
        """Every few seconds."""
        asked, sends = self._asked, list[Send]()
        if asked is not None and now - asked.heard_at >= ANSWER_TIMEOUT_S:
            self._again(now)
        if self._rotate_at is None:
            self._rotate_at = now + ROTATE_INTERVAL_S
        elif now >= self._rotate_at:
            self._rotate_at = now + ROTATE_INTERVAL_S
            sends = self._rotate(wall)
        return sends + self._check(now)

    def _stream(self, wall: int) -> list[Send]:
        idle = [peer_id for peer_id in self._peers if peer_id not in self._streaming]
        chosen = idle[: max(0, STREAMING_PEERS - len(self._streaming))]
        self._streaming.update(chosen)
        return [(peer_id, self._filter(max(0, wall - BACKLOG_S), _ALL)) for peer_id in chosen]

    def _rotate(self, wall: int) -> list[Send]:
        idle = [peer_id for peer_id in self._peers if peer_id not in self._streaming]
        told, sends = self._peers, list[Send]()
        if idle and self._streaming:
            worst = min(self._streaming, key=told.__getitem__)
            chosen = self._chance.choice(idle)
            self._streaming.remove(worst)
            self._streaming.add(chosen)
            sends = [(worst, self._filter(_ALL, 0)), (chosen, self._filter(max(0, wall - BACKLOG_S), _ALL))]
        self._peers = dict.fromkeys(told, 0)
        return sends

    def _check(self, now: float) -> list[Send]:
        if self._asked is not None or not self._peers or now < self._check_at:
            return []
        self._check_at = now + CHECK_INTERVAL_S
        peer_id = self._chance.choice(list(self._peers))
        self._asked = _Asked(peer_id, now)
        return [(peer_id, QueryChannelRange(self._chain_hash, 0, _ALL).encode())]

    def _again(self, now: float) -> None:
        """The answer did not come to its end: another peer is asked before the hour is over."""
        self._asked = None
        self._check_at = now + ANSWER_TIMEOUT_S

    def _query(self, asked: _Asked) -> list[Send]:
        ids = sorted({asked.wanted.popleft() for _ in range(min(len(asked.wanted), IDS_A_QUERY))})
        asked.querying = bool(ids)
        if not ids:
            self._asked = None
            return []
        return [(asked.peer_id, QueryShortChannelIds(self._chain_hash, tuple(ids)).encode())]

    def _filter(self, first: int, seconds: int) -> bytes:
        return GossipTimestampFilter(self._chain_hash, first, seconds).encode()
