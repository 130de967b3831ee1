"""The network graph in memory: channels, their directions and nodes in numpy columns (BOLT 7).

Pure: no I/O, no clock, no signatures. Who feeds it has verified what it feeds, and takes the changes as one event a
batch. About a hundred bytes a direction. For use from the event loop alone; nothing here takes longer than a few
milliseconds at mainnet size, except `graph_bulk.extend` of more than a few thousand records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.bolt.addresses import encode_descriptors
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.wire import ShortChannelId
from core.gossip.columns import (
    CHANNEL,
    CHECKED,
    DIRECTION,
    DYING,
    LIVE,
    NODE,
    OVERLAY,
    ChannelIndex,
    Rows,
    Table,
)
from core.gossip.graph_values import (
    Announced,
    Applied,
    Changes,
    Channel,
    GraphChanged,
    GraphNode,
    Policy,
    Removal,
    Trust,
    Verdict,
)

PRUNE_AFTER_S = 14 * 24 * 3600
"""BOLT 7: a channel whose latest update in either direction is older MAY be pruned. CLN: both ends must refresh."""
FORGET_AFTER_BLOCKS = 72
"""BOLT 7: how long a channel with a spent funding output is kept, since it may be a splice."""
_MAX_INTERNED = 256
_ALIAS_BYTES = 32
_LAST_SCID = 2**64 - 1
_NO_UPDATE = np.zeros((), DIRECTION)
_STATE_OF_TRUST = {Trust.CHECKED: LIVE | CHECKED, Trust.UNCHECKED: LIVE, Trust.OVERLAY: LIVE | OVERLAY}


class Graph:
    """Everything that gossip told of one chain."""

    def __init__(self, chain_hash: bytes) -> None:
        self.chain_hash = chain_hash
        self.version = 0
        """Grows with every change of a channel or node: what was computed from the graph is stale when it differs."""
        self.channel_table = Table(CHANNEL)
        self.direction_table = Table(DIRECTION)
        self.node_table = Table(NODE)
        self.node_ids: list[bytes] = []
        """By row; empty where the row is free."""
        self.node_rows: dict[bytes, int] = {}
        self.index = ChannelIndex()
        self.changes = Changes()
        self.channel_count = 0
        self.checked_count = 0
        self.overlay_count = 0
        self.node_texts: list[bytes] = []
        """A node's features, alias and addresses, one after the other, by row."""
        self.channel_features: dict[int, bytes] = {}
        """A channel's features by row, where it has any: hardly one does."""
        self._interned: dict[bytes, bytes] = {}
        self._dying: dict[int, int] = {}
        """Row to the height at which the funding output was spent."""

    def __len__(self) -> int:
        """Number of channels of every trust."""
        return self.channel_count

    @property
    def node_count(self) -> int:
        return len(self.node_rows)

    @property
    def unchecked_count(self) -> int:
        """Channels that were signed, and that the chain was not asked about."""
        return self.channel_count - self.checked_count - self.overlay_count

    # What a message would be

    def channel_verdict(self, announcement: ChannelAnnouncement) -> Verdict:
        """Before any signature is looked at. An overlay channel gives way to a signed announcement."""
        if announcement.chain_hash != self.chain_hash:
            return Verdict.FOREIGN
        row = self.row_of(int(announcement.short_channel_id))
        overlay = row is not None and self.channel_table.records["state"][row] & OVERLAY
        return Verdict.NEWS if row is None or overlay else Verdict.KNOWN

    def update_verdict(self, update: ChannelUpdate) -> Verdict:
        """BOLT 7: no newer than what we have, of an unknown channel, or of a spent one that stays on, is ignored."""
        if update.chain_hash != self.chain_hash:
            return Verdict.FOREIGN
        row = self.row_of(int(update.short_channel_id))
        # Of an overlay's channel nobody knows who may sign for it.
        state = 0 if row is None else self.channel_table.records["state"][row]
        if row is None or state & OVERLAY:
            return Verdict.UNKNOWN
        if state & DYING and not update.disabled:
            return Verdict.KNOWN
        known = int(self.direction_table.records["timestamp"][2 * row + update.direction])
        return Verdict.NEWS if update.timestamp > known else Verdict.KNOWN

    def node_verdict(self, announcement: NodeAnnouncement) -> Verdict:
        """BOLT 7: of a node without a channel, or no newer than what we have, is ignored."""
        row = self.node_rows.get(announcement.node_id)
        if row is None:
            return Verdict.UNKNOWN
        node = self.node_table.records[row]
        if node["channels"] == node["overlay_channels"]:
            return Verdict.UNKNOWN
        news = node["state"] & OVERLAY or announcement.timestamp > int(node["timestamp"])
        return Verdict.NEWS if news else Verdict.KNOWN

    def source_of(self, short_channel_id: int, direction: int) -> bytes | None:
        """The node whose key signs the updates of that direction."""
        row = self.row_of(short_channel_id)
        if row is None:
            return None
        return self.node_ids[int(self.channel_table.records[("node_1", "node_2")[direction]][row])]

    def signers(self, places: Rows) -> list[bytes]:
        """The nodes whose keys sign the updates of these rows of directions."""
        records = self.channel_table.records[places >> 1]
        ends = np.where(places & 1, records["node_2"], records["node_1"])
        return [self.node_ids[end] for end in ends.tolist()]

    # Messages

    def add_channel(
        self,
        announcement: ChannelAnnouncement,
        *,
        capacity_sat: int | None,
        trust: Trust,
        heard: int,
        offset: int = 0,
    ) -> Applied:
        """A verified announcement. `heard` is now, in seconds since the epoch; `offset` its place in the store."""
        verdict = self.channel_verdict(announcement)
        if verdict is not Verdict.NEWS:
            return Applied(verdict)
        short_channel_id = int(announcement.short_channel_id)
        ends = tuple(self.node_row(node_id) for node_id in (announcement.node_id_1, announcement.node_id_2))
        for end in ends:
            self.node_table.records["channels"][end] += 1
        self.remove(short_channel_id)  # An overlay's; after its nodes have their new channel, so that they stay.
        row = self.channel_table.take()
        self.fit_directions()
        state = _STATE_OF_TRUST[trust]
        self.channel_table.records[row] = (short_channel_id, *ends, capacity_sat or 0, offset, heard, state)
        self.keep_features(row, announcement.features)
        self.channel_count += 1
        self.checked_count += trust is Trust.CHECKED
        if trust is Trust.OVERLAY:
            self.overlay_count += 1
            for end in ends:
                self.node_table.records["overlay_channels"][end] += 1
        if self.index.add(short_channel_id, row):
            self.index.sort(self.channel_table)
        self.changes.added(short_channel_id)
        self.version += 1
        return Applied(Verdict.NEWS)

    def update_channel(self, update: ChannelUpdate, *, offset: int = 0) -> Applied:
        """A verified update."""
        verdict = self.update_verdict(update)
        if verdict is not Verdict.NEWS:
            return Applied(verdict)
        row = self.row_of(int(update.short_channel_id))
        assert row is not None
        at = 2 * row + update.direction
        records = self.direction_table.records
        replaces = int(records["offset"][at])
        records[at] = (
            offset,
            update.htlc_minimum_msat,
            update.htlc_maximum_msat,
            update.fee_base_msat,
            update.fee_proportional_millionths,
            update.timestamp,
            update.cltv_expiry_delta,
            update.message_flags,
            update.channel_flags,
        )
        self.changes.updated(int(update.short_channel_id), update.direction)
        self.version += 1
        return Applied(Verdict.NEWS, replaces)

    def update_node(self, announcement: NodeAnnouncement, *, offset: int = 0) -> Applied:
        """A verified announcement of a node."""
        verdict = self.node_verdict(announcement)
        if verdict is not Verdict.NEWS:
            return Applied(verdict)
        row = self.node_rows[announcement.node_id]
        replaces = int(self.node_table.records["offset"][row])
        self.keep_node(
            row,
            announcement.timestamp,
            announcement.rgb_color,
            (announcement.features, announcement.alias, encode_descriptors(announcement.addresses)),
            offset,
        )
        self.changes.node(announcement.node_id)
        self.version += 1  # its features tell who may be routed through it
        return Applied(Verdict.NEWS, replaces)

    # Channels that change their standing, and go

    def mark_checked(self, short_channel_id: int, capacity_sat: int) -> bool:
        """The chain has its funding output. False when the channel is not there, or nobody signed it."""
        row = self.row_of(short_channel_id)
        records = self.channel_table.records
        if row is None or records["state"][row] & OVERLAY:
            return False
        self.checked_count += not records["state"][row] & CHECKED
        records["state"][row] |= CHECKED
        records["capacity_sat"][row] = capacity_sat
        self._touched(short_channel_id)
        return True

    def mark_dying(self, short_channel_id: int, height: int) -> bool:
        """Its funding output was spent in the block at `height`. False when the channel is not there."""
        row = self.row_of(short_channel_id)
        if row is None:
            return False
        self._dying[row] = height
        self.channel_table.records["state"][row] |= DYING
        self._touched(short_channel_id)
        return True

    def mark_living(self, short_channel_id: int) -> bool:
        """The block that spent it is no longer in the chain. False when it was not dying."""
        row = self.row_of(short_channel_id)
        if row is None or self._dying.pop(row, None) is None:
            return False
        self.channel_table.records["state"][row] &= ~np.uint8(DYING)
        self._touched(short_channel_id)
        return True

    def remove(self, short_channel_id: int) -> Removal:
        """Take a channel out, and nodes that have no other; nothing when it is not there."""
        row = self.row_of(short_channel_id)
        return Removal() if row is None else self._remove_rows([row])

    def prune(self, now: int, height: int | None = None, *, spare: bytes | None = None, most: int = 128) -> Removal:
        """Take out what is dead: at most `most` channels at once, so call again until there are none.

        Dead is what either end has not refreshed for 14 days, `now` being seconds since the epoch (an announcement
        without updates counts from when it was heard), and what was spent 72 blocks below `height`. Channels of the
        node `spare`, our own, are left alone while they live.
        """
        used = self.channel_table.used
        records = self.channel_table.records[:used]
        stamps = self.direction_table.records["timestamp"][: 2 * used].reshape(-1, 2)
        fresh = np.where(stamps, stamps, records["heard"][:, None]).min(axis=1)
        dead = (fresh < max(0, now - PRUNE_AFTER_S)) & (records["state"] & LIVE != 0)
        ours = self.node_rows.get(spare) if spare is not None else None
        if ours is not None:
            dead &= (records["node_1"] != ours) & (records["node_2"] != ours)
        rows = np.flatnonzero(dead)[:most].tolist()
        if height is not None:
            rows += [row for row, spent in self._dying.items() if height - spent >= FORGET_AFTER_BLOCKS]
        return self._remove_rows(list(dict.fromkeys(rows))[:most])

    def move_offsets(self, before: NDArray[np.uint64], after: NDArray[np.uint64]) -> None:
        """The store was rewritten: the record at `before[i]`, ascending, stands at `after[i]`; others are gone."""
        for table in (self.channel_table, self.direction_table, self.node_table):
            offsets = table.records["offset"]
            if not len(before):
                offsets[:] = 0
                continue
            places = np.minimum(before.searchsorted(offsets), len(before) - 1)
            offsets[:] = np.where(before[places] == offsets, after[places], np.uint64(0))

    # Reading

    def row_of(self, short_channel_id: int) -> int | None:
        """The channel's row."""
        row = self.index.candidate(short_channel_id)
        if row is None:
            return None
        record = self.channel_table.records.item(row)  # all fields at once: a quarter of what two by name take
        return row if record[-1] & LIVE and record[0] == short_channel_id else None

    def has_signed(self, short_channel_id: int) -> bool:
        """Whether a channel is there that its nodes announced."""
        row = self.row_of(short_channel_id)
        return row is not None and not self.channel_table.records["state"][row] & OVERLAY

    def rows_of(self, short_channel_ids: NDArray[np.uint64]) -> Rows:
        """The rows of many channels, -1 for those that are not there."""
        rows = self.index.candidates(short_channel_ids)
        if not self.channel_table.used:
            return rows
        records = self.channel_table.records
        there = (records["short_channel_id"][rows] == short_channel_ids) & (records["state"][rows] & LIVE != 0)
        return np.where((rows >= 0) & there, rows, -1)

    def channel(self, short_channel_id: int) -> Channel | None:
        """What is known of a channel."""
        row = self.row_of(short_channel_id)
        return None if row is None else self._channel_at(row)

    def node(self, node_id: bytes) -> GraphNode | None:
        """What is known of a node; None when it has no channel."""
        row = self.node_rows.get(node_id)
        return None if row is None else self._node_at(row)

    def channels_of(self, node_id: bytes) -> list[int]:
        """Short channel ids of a node's channels, ascending."""
        node = self.node_rows.get(node_id)
        if node is None:
            return []
        records = self.channel_table.records[: self.channel_table.used]
        live = records["state"] & LIVE != 0
        found = records["short_channel_id"][live & ((records["node_1"] == node) | (records["node_2"] == node))]
        return sorted(found.tolist())

    def channels_between(self, first_block: int, end_block: int) -> NDArray[np.uint64]:
        """Short channel ids with `first_block <= block < end_block`, ascending (BOLT 7, `query_channel_range`)."""
        if not self.index.sorted:
            self.index.sort(self.channel_table)
        first, end = min(first_block << 40, _LAST_SCID), min(end_block << 40, _LAST_SCID)
        records = self.channel_table.records[self.index.between(first, end)]
        found: NDArray[np.uint64] = records["short_channel_id"][records["state"] & LIVE != 0]
        return found

    def channels(self) -> Iterator[Channel]:
        """All channels in the order of their rows; those that come and go meanwhile may be missed."""
        row = 0
        while row < self.channel_table.used:
            if self.channel_table.records["state"][row] & LIVE:
                yield self._channel_at(row)
            row += 1

    def nodes(self) -> Iterator[GraphNode]:
        """All nodes in the order of their rows; those that come and go meanwhile may be missed."""
        row = 0
        while row < len(self.node_ids):
            if self.node_ids[row]:
                yield self._node_at(row)
            row += 1

    def take_changes(self) -> GraphChanged | None:
        """What changed since the last call."""
        return self.changes.take()

    # Rows, for `graph_bulk` too

    def expect(self, channels: int, nodes: int) -> None:
        """Room for so many more at once: growing by an eighth at a time copies everything nine times."""
        self.channel_table.reserve(channels)
        self.direction_table.reserve(2 * channels)
        self.node_table.reserve(nodes)

    def node_row(self, node_id: bytes) -> int:
        """The node's row; a new one, still without a channel, when it has none."""
        row = self.node_rows.get(node_id)
        if row is not None:
            return row
        row = self.node_table.take()
        if row == len(self.node_ids):
            self.node_ids.append(node_id)
            self.node_texts.append(b"")
        else:
            self.node_ids[row] = node_id
        self.node_rows[node_id] = row
        self.changes.node(node_id)
        return row

    def fit_directions(self) -> None:
        """Two rows for each row of a channel."""
        wanted = 2 * self.channel_table.used
        self.direction_table.reserve(wanted - self.direction_table.used)
        self.direction_table.used = wanted

    def keep_features(self, row: int, features: bytes) -> None:
        """A channel's features; equal ones are kept once, as long as there are few kinds."""
        if not features:
            return
        if len(self._interned) < _MAX_INTERNED:
            features = self._interned.setdefault(features, features)
        self.channel_features[row] = self._interned.get(features, features)

    def keep_node(
        self, row: int, timestamp: int, color: bytes, texts: tuple[bytes, bytes, bytes], offset: int, *, state: int = 0
    ) -> None:
        """What a node announced; `texts` are its features, alias and addresses. `state`: OVERLAY, or that it signed."""
        record = self.node_table.records[row]
        record["offset"], record["timestamp"], record["features_bytes"] = offset, timestamp, len(texts[0])
        record["rgb_color"], record["state"] = tuple(color), state
        self.node_texts[row] = b"".join(texts)

    def keep_texts(self, rows: list[int], texts: Iterable[bytes]) -> None:
        """Features, alias and addresses of nodes whose records were filled."""
        for row, text in zip(rows, texts, strict=True):
            self.node_texts[row] = text
        self.changes.many_nodes([self.node_ids[row] for row in rows])

    def _remove_rows(self, rows: list[int]) -> Removal:
        scids: list[int] = []
        stored: list[int] = []
        gone: list[bytes] = []
        offsets: list[int] = []
        directions = self.direction_table.records
        of_directions = directions["offset"]
        for row in rows:
            short_channel_id, node_1, node_2, _sat, offset, _heard, state = self.channel_table.records[row].item()
            scids.append(short_channel_id)
            offsets += [offset, int(of_directions[2 * row]), int(of_directions[2 * row + 1])]
            self.channel_count -= 1
            self.checked_count -= bool(state & CHECKED)
            self.channel_table.give_back(row)
            directions[2 * row : 2 * row + 2] = _NO_UPDATE
            self.channel_features.pop(row, None)
            self._dying.pop(row, None)
            overlay = bool(state & OVERLAY)
            self.overlay_count -= overlay
            if offset and not overlay:
                stored.append(short_channel_id)
            for end in (node_1, node_2):
                self.node_table.records["overlay_channels"][end] -= overlay
                self._leave_node(end, gone, offsets)
            self.changes.removed(short_channel_id)
            self.version += 1
        return Removal(tuple(scids), tuple(gone), tuple(offset for offset in offsets if offset), tuple(stored))

    def _leave_node(self, row: int, gone: list[bytes], offsets: list[int]) -> None:
        counts = self.node_table.records["channels"]
        counts[row] -= 1
        if counts[row]:
            return
        offsets.append(int(self.node_table.records["offset"][row]))
        node_id = self.node_ids[row]
        gone.append(node_id)
        del self.node_rows[node_id]
        self.node_ids[row] = self.node_texts[row] = b""
        self.node_table.give_back(row)
        self.changes.node(node_id)

    def _touched(self, short_channel_id: int) -> None:
        self.changes.updated(short_channel_id, 0, 1)
        self.version += 1

    def _channel_at(self, row: int) -> Channel:
        scid, node_1, node_2, capacity_sat, offset, heard, state = self.channel_table.records[row].item()
        signed = Trust.CHECKED if state & CHECKED else Trust.UNCHECKED
        return Channel(
            short_channel_id=ShortChannelId.from_int(scid),
            node_id_1=self.node_ids[node_1],
            node_id_2=self.node_ids[node_2],
            capacity_sat=capacity_sat or None,
            features=self.channel_features.get(row, b""),
            trust=Trust.OVERLAY if state & OVERLAY else signed,
            dying=bool(state & DYING),
            offset=offset,
            heard=heard,
            policies=(self._policy_at(2 * row), self._policy_at(2 * row + 1)),
        )

    def _policy_at(self, at: int) -> Policy | None:
        record: tuple[Any, ...] = self.direction_table.records[at].item()
        offset, minimum, maximum, base, proportional, timestamp, delta, message_flags, channel_flags = record
        if not timestamp:
            return None
        return Policy(timestamp, message_flags, channel_flags, delta, minimum, maximum, base, proportional, offset)

    def _node_at(self, row: int) -> GraphNode:
        record = self.node_table.records[row]
        announced = None
        if record["timestamp"]:
            texts, features = self.node_texts[row], int(record["features_bytes"])
            announced = Announced(
                timestamp=int(record["timestamp"]),
                rgb_color=record["rgb_color"].tobytes(),
                alias=texts[features : features + _ALIAS_BYTES],
                features=texts[:features],
                addresses=texts[features + _ALIAS_BYTES :],
                offset=int(record["offset"]),
                overlay=bool(record["state"] & OVERLAY),
            )
        return GraphNode(self.node_ids[row], int(record["channels"]), announced)
