"""What `gossip_store` holds, in columns, and whether its deletion marks make sense together. Pure.

The marks are outside a record's checksum. But a record is only ever deleted for a reason that stands in the file behind
it: a newer record of the same kind, or the channel's end. A mark without such a reason is damage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.gossip.store_format import (
    CHANNEL_AMOUNT,
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    DELETE_CHANNEL,
    FLAG_DELETED,
    HEADER,
    NODE_ANNOUNCEMENT,
    StoreCounts,
)
from core.gossip.store_walk import Batch, numbers_at

Numbers = NDArray[np.int64]
Keys = NDArray[np.uint64]
N = TypeVar("N", bound=np.generic)

_ANNOUNCED_FEATURES = 2 + 4 * 64
"""Where a channel announcement's features are: type, four signatures."""
_SCID_BEHIND = 32
_NODES_BEHIND = 40
_NODE_ID_BYTES = 33
_UPDATED_SCID = 2 + 64 + 32
_UPDATED_CHANNEL_FLAGS = 111
_NODE_FEATURES = 2 + 64
_NODE_ID_BEHIND = 4
_KEY_BYTES = 8
_KEY_AT = _NODE_ID_BYTES - _KEY_BYTES
"""The last bytes of a node id stand for it."""
_DIRECTION_BIT = np.uint64(1 << 63)


@dataclass(frozen=True, slots=True)
class StoreIndex:
    """The records of a store in the file's order, one row each."""

    offset: Keys
    """Where the message begins in the file."""
    length: NDArray[np.uint16]
    """Of the message."""
    timestamp: NDArray[np.uint32]
    type: NDArray[np.uint16]
    flags: NDArray[np.uint16]

    @classmethod
    def of(cls, batch: Batch) -> StoreIndex:
        return cls(batch.offset, batch.length, batch.timestamp, batch.type, batch.flags)

    @classmethod
    def joined(cls, parts: list[StoreIndex]) -> StoreIndex:
        return cls(
            _joined([part.offset for part in parts], np.uint64),
            _joined([part.length for part in parts], np.uint16),
            _joined([part.timestamp for part in parts], np.uint32),
            _joined([part.type for part in parts], np.uint16),
            _joined([part.flags for part in parts], np.uint16),
        )

    def __len__(self) -> int:
        return len(self.offset)

    def with_marks(self, verdict: Verdict) -> StoreIndex:
        """The same with the marks of deletion as they ought to be."""
        flags = self.flags.copy()
        flags[verdict.restored] &= np.uint16(0xFFFF ^ FLAG_DELETED)
        flags[verdict.orphaned] |= np.uint16(FLAG_DELETED)
        flags[verdict.buried] |= np.uint16(FLAG_DELETED)
        return replace(self, flags=flags)

    @property
    def live(self) -> NDArray[np.bool_]:
        live: NDArray[np.bool_] = (self.flags & FLAG_DELETED) == 0
        return live

    def only(self, wanted: NDArray[np.bool_]) -> StoreIndex:
        """The rows that are `wanted`."""
        return StoreIndex(
            self.offset[wanted], self.length[wanted], self.timestamp[wanted], self.type[wanted], self.flags[wanted]
        )

    def bytes_of(self, numbers: Numbers) -> int:
        """The length of those records, with headers."""
        return int(self.length[numbers].sum(dtype=np.int64)) + HEADER.size * len(numbers)

    def counts(self, end: int) -> StoreCounts:
        """By kind; `end` is where the last record ends."""
        live = self.type[self.live]
        channels, updates, nodes = (
            int(np.count_nonzero(live == kind)) for kind in (CHANNEL_ANNOUNCEMENT, CHANNEL_UPDATE, NODE_ANNOUNCEMENT)
        )
        return StoreCounts(
            records=len(self),
            channels=channels,
            channel_updates=updates,
            nodes=nodes,
            other=len(live) - channels - updates - nodes,
            deleted=len(self) - len(live),
            bytes=end,
        )


def _joined(parts: Sequence[NDArray[N]], kind: type[N]) -> NDArray[N]:
    return np.concatenate([np.empty(0, dtype=kind), *parts])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Numbers of records whose mark is wrong."""

    restored: Numbers
    """Marked as deleted, for no reason that the file knows."""
    buried: Numbers
    """Not marked, though a reason is there: a deletion that was interrupted."""
    orphaned: Numbers
    """Amounts whose channel is lost; a reader would take them for another channel's."""


@dataclass(frozen=True, slots=True)
class _Named:
    """Records by what they are about."""

    number: Numbers
    key: Keys

    def last(self) -> _Named:
        """The last record about each thing, keys rising."""
        order = np.argsort(self.key, kind="stable")
        keys = self.key[order]
        ends = np.append(keys[1:] != keys[:-1], True) if len(keys) else np.empty(0, dtype=bool)
        return _Named(self.number[order][ends], keys[ends])

    def first(self) -> _Named:
        turned = _Named(self.number[::-1], self.key[::-1])
        return turned.last()

    def number_of(self, keys: Keys) -> Numbers:
        """For each key its record's number, -1 where there is none; `self` is what `last` or `first` gave."""
        if not len(self.key):
            return np.full(len(keys), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.key, keys), len(self.key) - 1)
        return np.where(self.key[places] == keys, self.number[places], -1)


class _Collected:
    """Records of one kind: their numbers, and columns of keys."""

    def __init__(self, width: int) -> None:
        self._numbers: list[Numbers] = []
        self._columns: tuple[list[Keys], ...] = tuple([] for _ in range(width))

    def add(self, numbers: Numbers, *keys: Keys) -> None:
        self._numbers.append(numbers)
        for column, part in zip(self._columns, keys, strict=True):
            column.append(part)

    @property
    def numbers(self) -> Numbers:
        return _joined(self._numbers, np.int64)

    def column(self, which: int) -> Keys:
        return _joined(self._columns[which], np.uint64)


class Audit:
    """Collects what the records are about while the file is walked, then judges the marks."""

    def __init__(self) -> None:
        self._count = 0
        self._channels = _Collected(3)
        """Short channel ids, both nodes."""
        self._updates = _Collected(2)
        """Short channel ids, directions of them."""
        self._nodes = _Collected(1)
        self._ends = _Collected(1)
        """Short channel ids of what is gone."""

    def add(self, batch: Batch) -> None:
        """Take the next records."""
        first, self._count = self._count, self._count + len(batch)
        buffer = batch.buffer

        at = _rows(batch, CHANNEL_ANNOUNCEMENT, _ANNOUNCED_FEATURES + 2)
        behind = _behind_features(batch, at, _ANNOUNCED_FEATURES)
        fits = behind + _NODES_BEHIND + 2 * _NODE_ID_BYTES <= batch.start[at] + batch.length[at]
        at, behind = at[fits], behind[fits]
        ends = behind + _NODES_BEHIND + _KEY_AT
        self._channels.add(
            at + first,
            numbers_at(buffer, behind + _SCID_BEHIND, ">u8"),
            numbers_at(buffer, ends, ">u8"),
            numbers_at(buffer, ends + _NODE_ID_BYTES, ">u8"),
        )
        at = _rows(batch, CHANNEL_UPDATE, _UPDATED_CHANNEL_FLAGS + 1)
        scids = numbers_at(buffer, batch.start[at] + _UPDATED_SCID, ">u8")
        directions = numbers_at(buffer, batch.start[at] + _UPDATED_CHANNEL_FLAGS, ">u1") & np.uint64(1)
        self._updates.add(at + first, scids, scids ^ (directions * _DIRECTION_BIT))

        at = _rows(batch, NODE_ANNOUNCEMENT, _NODE_FEATURES + 2)
        behind = _behind_features(batch, at, _NODE_FEATURES)
        fits = behind + _NODE_ID_BEHIND + _NODE_ID_BYTES <= batch.start[at] + batch.length[at]
        at, behind = at[fits], behind[fits]
        self._nodes.add(at + first, numbers_at(buffer, behind + _NODE_ID_BEHIND + _KEY_AT, ">u8"))

        at = _rows(batch, DELETE_CHANNEL, 2 + _KEY_BYTES)
        at = at[batch.live[at]]
        self._ends.add(at + first, numbers_at(buffer, batch.start[at] + 2, ">u8"))

    def verdict(self, index: StoreIndex, *, all_read: bool = True) -> Verdict:
        """Judge the marks of `index`, which holds all the records that were added.

        Unless they are `all_read`, what a record was deleted for may be among those that are missing.
        """
        deleted = ~index.live
        ends = _Named(self._ends.numbers, self._ends.column(0)).last()
        numbers, scids, ones, twos = self._channels.numbers, *map(self._channels.column, range(3))
        ended = ends.number_of(scids) > numbers
        channels = _Named(numbers, scids).last()
        is_last = channels.number_of(scids) == numbers
        alive = is_last & ~ended
        wrong = [numbers[alive & deleted[numbers]]]
        over = [numbers[ended & ~deleted[numbers]]]

        living = _Named(numbers[alive], scids[alive]).last()
        wrong.append(self._updates_restored(deleted, living, ends))
        over.append(self._updates_over(deleted, ends))
        over.append(_replaced(index, _Named(self._updates.numbers, self._updates.column(1))))
        over.append(_replaced(index, _Named(self._nodes.numbers, self._nodes.column(0))))
        wrong.append(self._nodes_restored(deleted, numbers[alive], ones[alive], twos[alive]))

        if not all_read:
            wrong = [np.empty(0, dtype=np.int64)]
        gone = deleted.copy()
        gone[wrong[0]], gone[over[0]] = False, True
        amounts = np.flatnonzero(index.type == CHANNEL_AMOUNT)
        behind = _is_behind_announcement(index, amounts)
        orphans, amounts = amounts[~behind & ~deleted[amounts]], amounts[behind]
        if all_read:
            wrong.append(amounts[deleted[amounts] & ~gone[amounts - 1]])
        over.append(amounts[~deleted[amounts] & gone[amounts - 1]])
        return Verdict(np.unique(np.concatenate(wrong)), np.unique(np.concatenate(over)), orphans)

    def _updates_restored(self, deleted: NDArray[np.bool_], living: _Named, ends: _Named) -> Numbers:
        """The newest of a direction, marked though its channel lives."""
        numbers, scids, keys = self._updates.numbers, self._updates.column(0), self._updates.column(1)
        newest: NDArray[np.bool_] = _Named(numbers, keys).last().number_of(keys) == numbers
        lives: NDArray[np.bool_] = living.number_of(scids) >= 0
        return numbers[newest & lives & deleted[numbers] & (ends.number_of(scids) < numbers)]

    def _updates_over(self, deleted: NDArray[np.bool_], ends: _Named) -> Numbers:
        numbers, scids = self._updates.numbers, self._updates.column(0)
        return numbers[~deleted[numbers] & (ends.number_of(scids) > numbers)]

    def _nodes_restored(self, deleted: NDArray[np.bool_], numbers: Numbers, ones: Keys, twos: Keys) -> Numbers:
        """The newest of a node, marked though a channel of it has been there since before."""
        newest = _Named(self._nodes.numbers, self._nodes.column(0)).last()
        oldest = _Named(np.concatenate([numbers, numbers]), np.concatenate([ones, twos]))
        order = np.argsort(oldest.number, kind="stable")
        since = _Named(oldest.number[order], oldest.key[order]).first().number_of(newest.key)
        return newest.number[deleted[newest.number] & (since >= 0) & (since < newest.number)]


def _rows(batch: Batch, kind: int, least: int) -> Numbers:
    return np.flatnonzero((batch.type == kind) & (batch.length >= least))


def _behind_features(batch: Batch, at: Numbers, features: int) -> Numbers:
    """Where in the buffer a message goes on behind its features."""
    starts = batch.start[at] + features
    return starts + 2 + numbers_at(batch.buffer, starts, ">u2").astype(np.int64)


def _replaced(index: StoreIndex, named: _Named) -> Numbers:
    """Those that are not marked though a newer one is behind them."""
    newest = named.last().number_of(named.key)
    older = index.timestamp[named.number] < index.timestamp[newest]
    return named.number[index.live[named.number] & index.live[newest] & older]


def _is_behind_announcement(index: StoreIndex, amounts: Numbers) -> NDArray[np.bool_]:
    """Whether the record right before each is a channel's announcement."""
    before = np.maximum(amounts - 1, 0)
    ends = index.offset[before] + index.length[before] + np.uint64(HEADER.size)
    found: NDArray[np.bool_] = (index.type[before] == CHANNEL_ANNOUNCEMENT) & (ends == index.offset[amounts])
    return found
