"""The graph's tables: numpy records of fixed size in arrays that grow, rows that are used again."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Records = NDArray[Any]

LIVE = 1
"""The row is a channel or a node; without it the row is free."""
CHECKED = 2
"""The funding output was seen on the chain."""
OVERLAY = 4
"""From a snapshot without signatures: never stored with gossip, never served."""
DYING = 8
"""Its funding output is spent."""

CHANNEL = np.dtype(
    [
        ("short_channel_id", np.uint64),
        ("node_1", np.int32),
        ("node_2", np.int32),
        ("capacity_sat", np.uint64),
        ("offset", np.uint64),
        ("heard", np.uint32),
        ("state", np.uint8),
    ]
)
"""37 bytes a channel. `node_1` and `node_2` are rows of the nodes; `offset` is where the announcement stands in the
store, 0 for nowhere; `heard` is when it came, in seconds since the epoch."""

DIRECTION = np.dtype(
    [
        ("offset", np.uint64),
        ("htlc_minimum_msat", np.uint64),
        ("htlc_maximum_msat", np.uint64),
        ("fee_base_msat", np.uint32),
        ("fee_proportional_millionths", np.uint32),
        ("timestamp", np.uint32),
        ("cltv_expiry_delta", np.uint16),
        ("message_flags", np.uint8),
        ("channel_flags", np.uint8),
    ]
)
"""40 bytes a direction, row `2 * channel + direction`. No update yet: `timestamp` is 0, which no update may have."""

NODE = np.dtype(
    [
        ("offset", np.uint64),
        ("timestamp", np.uint32),
        ("channels", np.int32),
        ("features_bytes", np.uint16),
        ("rgb_color", np.uint8, (3,)),
        ("overlay_channels", np.int32),
        ("state", np.uint8),
    ]
)
"""26 bytes a node; features, alias and addresses are one bytes object beside it. No announcement: `timestamp` is 0.
`channels` counts those of the overlay too; `state` is OVERLAY where nobody signed the announcement."""

_LEAST_ROWS = 64


class Table:
    """Records of one dtype. `records` is replaced when it grows: never keep it."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.records: Records = np.zeros(0, dtype)
        self._zeros = np.zeros((), dtype)
        self.used = 0
        """Rows from here on were never given out."""
        self._free: list[int] = []

    def take(self) -> int:
        """A row of zeros."""
        if self._free:
            return self._free.pop()
        if self.used == len(self.records):
            self.reserve(1)
        self.used += 1
        return self.used - 1

    def take_many(self, count: int) -> Rows:
        """That many rows of zeros, those given back first."""
        again = [self._free.pop() for _ in range(min(count, len(self._free)))]
        fresh = count - len(again)
        self.reserve(fresh)
        rows = np.concatenate([np.array(again, np.int64), np.arange(self.used, self.used + fresh, dtype=np.int64)])
        self.used += fresh
        return rows

    def give_back(self, row: int) -> None:
        """The row may be used again."""
        self.records[row] = self._zeros
        self._free.append(row)

    def reserve(self, count: int) -> None:
        """Room for so many fresh rows. An eighth is added at a time: half of what doubling takes is never used."""
        needed = self.used + count
        if needed <= len(self.records):
            return
        grown = np.zeros(max(needed, len(self.records) + len(self.records) // 8, _LEAST_ROWS), self.records.dtype)
        grown[: self.used] = self.records[: self.used]
        self.records = grown


class ChannelIndex:
    """Short channel id to row: a sorted array for most, a dictionary for those that came since it was sorted.

    Six bytes a direction, where a dictionary of them all takes 57; and ranges of blocks come for nothing. A removed
    channel stays in both until the next sorting: who asks compares the row's own id.
    """

    MOST_RECENT = 2048
    """Sorting 50,000 ids takes 2 ms: once in so many additions."""

    def __init__(self) -> None:
        self._ids: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._rows: NDArray[np.int32] = np.zeros(0, np.int32)
        self._look_up = self._ids.data, self._rows.data
        """The same for one at a time: bisect takes half of what searchsorted does, which makes numbers of numpy."""
        self._recent: dict[int, int] = {}

    def candidate(self, short_channel_id: int) -> int | None:
        """The row that has this id, unless the channel was removed."""
        row = self._recent.get(short_channel_id)
        if row is not None:
            return row
        ids, rows = self._look_up
        place = bisect_left(ids, short_channel_id)
        return rows[place] if place < len(ids) and ids[place] == short_channel_id else None

    def candidates(self, short_channel_ids: NDArray[np.uint64]) -> Rows:
        """The same for many, -1 where there is none."""
        rows = np.full(len(short_channel_ids), -1, np.int64)
        if len(self._ids):
            places = self._ids.searchsorted(short_channel_ids)
            places[places == len(self._ids)] = 0
            rows = np.where(self._ids[places] == short_channel_ids, self._rows[places], rows)
        if self._recent:
            recent = self._recent
            for at, short_channel_id in enumerate(short_channel_ids.tolist()):
                if short_channel_id in recent:
                    rows[at] = recent[short_channel_id]
        return rows

    def add(self, short_channel_id: int, row: int) -> bool:
        """Gives whether it is time to sort."""
        self._recent[short_channel_id] = row
        return len(self._recent) >= self.MOST_RECENT

    def add_many(self, short_channel_ids: NDArray[np.uint64], rows: Rows, channels: Table) -> None:
        """Ids that are not in it."""
        if len(self._recent) + len(rows) < self.MOST_RECENT:
            self._recent.update(zip(short_channel_ids.tolist(), rows.tolist(), strict=True))
            return
        self._ids = np.concatenate([self._ids, short_channel_ids])
        self._rows = np.concatenate([self._rows, rows.astype(np.int32)])
        self.sort(channels)

    def sort(self, channels: Table) -> None:
        """Sort the recent ones in, and forget the removed ones."""
        if self._recent:
            recent = sorted(self._recent.items())
            self._ids = np.concatenate([self._ids, np.array([id_ for id_, _row in recent], np.uint64)])
            self._rows = np.concatenate([self._rows, np.array([row for _id, row in recent], np.int32)])
            self._recent.clear()
        # Stable is timsort: two sorted runs are merged in one walk.
        order = self._ids.argsort(kind="stable")
        ids, rows = self._ids[order], self._rows[order]
        records = channels.records
        there = (records["short_channel_id"][rows] == ids) & (records["state"][rows] & LIVE != 0)
        ids, rows = ids[there], rows[there]
        # A row that was freed and given to the same id again stands twice.
        first = np.ones(len(ids), bool)
        first[1:] = ids[1:] != ids[:-1]
        self._ids, self._rows = ids[first], rows[first]
        self._look_up = self._ids.data, self._rows.data

    @property
    def sorted(self) -> bool:
        """Whether the array holds all there are."""
        return not self._recent

    def between(self, first: int, end: int) -> Rows:
        """Candidates with `first <= id < end` in ascending order; sort before. `end` is at most 2^64-1."""
        low, high = self._ids.searchsorted(np.array([first, end], np.uint64))
        return self._rows[low:high].astype(np.int64)
