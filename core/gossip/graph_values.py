"""What the graph tells: values copied out of its columns, verdicts, and its changes as one event a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from core.base.events import Event
from core.bolt.address import Address
from core.bolt.addresses import decode_descriptors, may_be_forwarded, usable
from core.bolt.wire import ShortChannelId, WireError


class Trust(Enum):
    """What stands behind a channel."""

    CHECKED = "checked"
    """Signed, and its funding output was seen on the chain."""
    UNCHECKED = "unchecked"
    """Signed; the chain was not asked. Shown and used as that, never relayed, served or counted."""
    OVERLAY = "overlay"
    """Told by a snapshot without signatures. Never relayed, served or stored with gossip."""


class Verdict(Enum):
    """What a message is to the graph."""

    NEWS = "news"
    KNOWN = "known"
    """We have it, or something at least as new."""
    UNKNOWN = "unknown"
    """About a channel or a node that we know no announced channel of: BOLT 7 has it ignored."""
    FOREIGN = "foreign"
    """Of another chain."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one message."""

    verdict: Verdict
    replaces: int = 0
    """Offset of the record in the store that it made obsolete; 0 for none."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One direction of a channel: what its source asks for forwarding through it."""

    timestamp: int
    message_flags: int
    channel_flags: int
    cltv_expiry_delta: int
    htlc_minimum_msat: int
    htlc_maximum_msat: int
    fee_base_msat: int
    fee_proportional_millionths: int
    offset: int
    """Of its record in the store; 0 for nowhere."""

    @property
    def disabled(self) -> bool:
        return bool(self.channel_flags & 2)


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel and what is known of both its directions."""

    short_channel_id: ShortChannelId
    node_id_1: bytes
    node_id_2: bytes
    capacity_sat: int | None
    """None when nobody told."""
    features: bytes
    trust: Trust
    dying: bool
    """Its funding output is spent."""
    offset: int
    """Of its announcement in the store; 0 for nowhere."""
    heard: int
    """When its announcement came, in seconds since the epoch."""
    policies: tuple[Policy | None, Policy | None]
    """Direction 0 from node 1 to node 2, direction 1 back; None until its first update."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What a node says of itself. Nobody vouches for it."""

    timestamp: int
    rgb_color: bytes
    alias: bytes
    """32 bytes as announced: any bytes at all."""
    features: bytes
    addresses: bytes
    """Address descriptors as announced (BOLT 7)."""
    offset: int
    """Of the announcement in the store; 0 for nowhere."""
    overlay: bool = False
    """Told by a snapshot without signatures, not by the node."""

    def dialable(self) -> tuple[Address, ...]:
        """Where it says that it can be reached, in its order; none when what it says cannot be read."""
        try:
            return usable(decode_descriptors(self.addresses))
        except WireError:
            return ()

    def may_be_forwarded(self) -> bool:
        """False when BOLT 7 forbids to pass it on."""
        try:
            return may_be_forwarded(decode_descriptors(self.addresses))
        except WireError:
            return False


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node that has a channel."""

    node_id: bytes
    channels: int
    announced: Announced | None


@dataclass(frozen=True, slots=True)
class Removal:
    """What left the graph, and which records of the store are obsolete by that."""

    short_channel_ids: tuple[int, ...] = ()
    node_ids: tuple[bytes, ...] = ()
    """Nodes whose last channel it was."""
    offsets: tuple[int, ...] = ()
    stored: tuple[int, ...] = ()
    """Short channel ids of those channels that the store has."""


@dataclass(frozen=True, slots=True)
class GraphChanged(Event):
    """The graph is no longer what it was at the last of these."""

    added: frozenset[int] = frozenset()
    """Short channel ids, as u64. One that came and left again since is in none of the sets."""
    removed: frozenset[int] = frozenset()
    updated: frozenset[tuple[int, int]] = frozenset()
    """Short channel id and direction; also what became checked or dying, with both directions."""
    nodes: frozenset[bytes] = frozenset()
    """Node ids that appeared, disappeared or announced themselves anew."""
    everything: bool = False
    """Too much to list: look at all of it again. The sets are empty then."""


class Changes:
    """Gathers what changed between two events."""

    MOST = 4096
    """Beyond that many a list is no help to anybody."""

    def __init__(self) -> None:
        self._added: set[int] = set()
        self._removed: set[int] = set()
        self._updated: set[tuple[int, int]] = set()
        self._nodes: set[bytes] = set()
        self._everything = False

    def added(self, short_channel_id: int) -> None:
        if short_channel_id in self._removed:
            self._removed.discard(short_channel_id)
            self._updated |= {(short_channel_id, 0), (short_channel_id, 1)}
        else:
            self._added.add(short_channel_id)
        self._bound()

    def removed(self, short_channel_id: int) -> None:
        self._updated -= {(short_channel_id, 0), (short_channel_id, 1)}
        if short_channel_id in self._added:
            self._added.discard(short_channel_id)
        else:
            self._removed.add(short_channel_id)
        self._bound()

    def updated(self, short_channel_id: int, *directions: int) -> None:
        self._updated.update((short_channel_id, direction) for direction in directions)
        self._bound()

    def node(self, node_id: bytes) -> None:
        if not self._everything:
            self._nodes.add(node_id)
            self._bound()

    def many_added(self, short_channel_ids: Sequence[int]) -> None:
        """More than is worth listing is not listed one by one."""
        if self._too_many(len(short_channel_ids)):
            return
        for short_channel_id in short_channel_ids:
            self.added(short_channel_id)

    def many_updated(self, directions: Iterable[tuple[int, int]], count: int) -> None:
        """`count` pairs of short channel id and direction."""
        if self._too_many(count):
            return
        self._updated.update(directions)
        self._bound()

    def many_nodes(self, node_ids: Sequence[bytes]) -> None:
        if not self._too_many(len(node_ids)):
            self._nodes.update(node_ids)
            self._bound()

    def take(self) -> GraphChanged | None:
        """What was gathered, once; None when there was nothing."""
        if not (self._everything or self._added or self._removed or self._updated or self._nodes):
            return None
        changed = GraphChanged(
            frozenset(self._added),
            frozenset(self._removed),
            frozenset(self._updated),
            frozenset(self._nodes),
            everything=self._everything,
        )
        self.__init__()  # type: ignore[misc]
        return changed

    def _too_many(self, count: int) -> bool:
        self._everything = self._everything or count > self.MOST
        self._bound()
        return self._everything

    def _bound(self) -> None:
        if self._everything or self._size() > self.MOST:
            self._everything = True
            for gathered in (self._added, self._removed, self._updated, self._nodes):
                gathered.clear()

    def _size(self) -> int:
        return len(self._added) + len(self._removed) + len(self._updated) + len(self._nodes)
