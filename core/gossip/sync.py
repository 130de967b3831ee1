"""What we ask our peers for, and when: pure, with the time given. Core Lightning's conduct (gossipd/seeker.c).

A few peers stream to us what is new. One at a time is asked which channels there are, at first and once an hour, and
then for those that we do not have and the updates that are newer than ours. Now and then the streaming peer that told
the least gives its place to another.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.bolt.gossip_queries import (
    WANT_CHECKSUMS,
    WANT_TIMESTAMPS,
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
)
from core.gossip.limits import (
    ANSWER_LONGEST_S,
    ANSWER_TIMEOUT_S,
    BACKLOG_S,
    CHECK_INTERVAL_S,
    IDS_A_QUERY,
    LISTED_CHANNELS,
    OLDEST_UPDATE_S,
    ROTATE_INTERVAL_S,
    STREAMING_PEERS,
)

_ALL = 0xFFFFFFFF

Send = tuple[bytes, bytes]
"""The peer's id and a message for it."""
Wanted = tuple[int, int]
"""A short channel id, and what is wanted of it (`WANT_...`)."""


@dataclass(slots=True)
class _Asked:
    """The one peer that is asked which channels there are."""

    peer_id: bytes
    began_at: float
    heard_at: float
    next_block: int = 0
    """How far its list has come."""
    listed: int = 0
    wanted: deque[Wanted] = field(default_factory=deque)
    querying: bool = False


class Seeker:
    """Everything here gives the messages to send. `now` is monotonic, `wall` seconds since the epoch."""

    def __init__(self, chain_hash: bytes, chance: random.Random, kept_up_until: int | None = None) -> None:
        """`kept_up_until`: when we last heard all there was, in seconds since the epoch; None: never."""
        self._chain_hash = chain_hash
        self._chance = chance
        self._peers: dict[bytes, int] = {}
        """Who can be asked, with how much news each told since the last rotation."""
        self._extended: set[bytes] = set()
        """Those of them that speak of timestamps, checksums and single updates."""
        self._streaming: set[bytes] = set()
        self._asked: _Asked | None = None
        self._missed_since = kept_up_until
        """From when on one peer is still to be asked for all. A list has no timestamps of nodes, and many peers tell
        none of updates either."""
        self._owing = dict[bytes, bool]()
        """Who was given up on in the middle of an answer, and whether that was a list. BOLT 7 forbids to ask again
        until it has come to its end; what comes of it is not looked at."""
        self._failed: bytes | None = None
        """Whose answer last came to no end: another one is asked next, if there is any."""
        self._check_at = 0.0
        self._rotate_at: float | None = None

    @property
    def streaming(self) -> frozenset[bytes]:
        return frozenset(self._streaming)

    @property
    def is_asking(self) -> bool:
        """Whether an answer about the whole is under way."""
        return self._asked is not None

    def awaits_list(self, peer_id: bytes) -> bool:
        """Whether a list of channels from this peer was asked for, and has not come to its end."""
        asked = self._asked
        return asked is not None and asked.peer_id == peer_id and not asked.querying

    def listed_late(self, peer_id: bytes, end_blocknum: int) -> None:
        """A part of a list that is not awaited any more, if it ever was."""
        if self._owing.get(peer_id) is True and end_blocknum >= _ALL:
            del self._owing[peer_id]

    def connected(self, peer_id: bytes, now: float, wall: int, *, extended: bool = False) -> list[Send]:
        """A peer that offers `gossip_queries`, and with `extended` `gossip_queries_ex`."""
        self._peers[peer_id] = 0
        if extended:
            self._extended.add(peer_id)
        return self._stream(wall) + self._check(now)

    def disconnected(self, peer_id: bytes, now: float, wall: int) -> list[Send]:
        """Its place goes to another one, its answer too. Without effect for one that is not known."""
        self._peers.pop(peer_id, None)
        self._extended.discard(peer_id)
        self._streaming.discard(peer_id)
        if self._asked is not None and self._asked.peer_id == peer_id:
            self._again(now)
        self._owing.pop(peer_id, None)
        return self._stream(wall) + self._check(now)

    def told_news(self, peer_id: bytes) -> None:
        """Something that we did not know came from it first."""
        if peer_id in self._peers:
            self._peers[peer_id] += 1

    def heard(self, peer_id: bytes, now: float) -> None:
        """Any gossip of the peer that is asked is a sign that its answer goes on."""
        if self._asked is not None and self._asked.peer_id == peer_id:
            self._asked.heard_at = now

    def listed(self, peer_id: bytes, reply: ReplyChannelRange, wanted: Sequence[Wanted], now: float) -> list[Send]:
        """A part of the list, and what is wanted of it. Several parts may be of the same block."""
        asked = self._asked
        if asked is None or not self.awaits_list(peer_id) or reply.chain_hash != self._chain_hash:
            return []
        asked.heard_at = now
        asked.listed += len(reply.short_channel_ids)
        if asked.listed > LISTED_CHANNELS or reply.first_blocknum > asked.next_block:
            self.give_up(peer_id, now)
            self.listed_late(peer_id, reply.end_blocknum)
            return []
        asked.wanted.extend(wanted)
        asked.next_block = max(asked.next_block, reply.end_blocknum)
        return self._query(asked) if asked.next_block >= _ALL else []

    def give_up(self, peer_id: bytes, now: float) -> None:
        """The peer's answer is not what was asked for, or more than can be taken. Another is asked soon."""
        if self._asked is not None and self._asked.peer_id == peer_id:
            self._again(now)

    def answered(self, peer_id: bytes, now: float) -> list[Send]:
        """All that the peer knows of the channels asked for has come."""
        asked = self._asked
        if asked is None or asked.peer_id != peer_id or not asked.querying:
            if self._owing.get(peer_id) is False:
                del self._owing[peer_id]
            return []
        asked.heard_at = now
        return self._query(asked)

    def look(self, now: float, wall: int) -> list[Send]:
        """Every few seconds."""
        asked, sends = self._asked, list[Send]()
        if asked is not None and (now - asked.heard_at >= ANSWER_TIMEOUT_S or now - asked.began_at >= ANSWER_LONGEST_S):
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
        return [(peer_id, self._filter(self._first(wall), _ALL)) for peer_id in chosen]

    def _first(self, wall: int) -> int:
        since, self._missed_since = self._missed_since, None
        if since is None:
            since = wall
        return max(0, min(wall, max(since, wall - OLDEST_UPDATE_S)) - BACKLOG_S)

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
        free = [one for one in self._peers if one not in self._owing]
        if self._asked is not None or not free or now < self._check_at:
            return []
        self._check_at = now + CHECK_INTERVAL_S
        peer_id = self._chance.choice([one for one in free if one != self._failed] or free)
        self._asked = _Asked(peer_id, now, now)
        option = WANT_TIMESTAMPS | WANT_CHECKSUMS if peer_id in self._extended else None
        return [(peer_id, QueryChannelRange(self._chain_hash, 0, _ALL, option).encode())]

    def _again(self, now: float) -> None:
        """The answer did not come to its end: another peer is asked before the hour is over."""
        assert self._asked is not None  # whoever calls has seen it
        self._owing[self._asked.peer_id] = not self._asked.querying
        self._failed, self._asked = self._asked.peer_id, None
        self._check_at = now + ANSWER_TIMEOUT_S

    def _query(self, asked: _Asked) -> list[Send]:
        wanted = dict[int, int]()
        while asked.wanted and len(wanted) < IDS_A_QUERY:
            scid, parts = asked.wanted.popleft()
            wanted[scid] = wanted.get(scid, 0) | parts
        asked.querying = bool(wanted)
        if not wanted:
            self._asked = self._failed = None
            return []
        ids = sorted(wanted)
        flags = tuple(wanted[scid] for scid in ids) if asked.peer_id in self._extended else None
        return [(asked.peer_id, QueryShortChannelIds(self._chain_hash, tuple(ids), flags).encode())]

    def _filter(self, first: int, seconds: int) -> bytes:
        return GossipTimestampFilter(self._chain_hash, first, seconds).encode()
