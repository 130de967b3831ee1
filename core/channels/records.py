"""What is known of each channel, kept in the profile's database: the only door to the `channels` table."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import partial
from pathlib import Path

from core.base.clock import Clock
from core.base.finish import finish
from core.bolt.wire import ShortChannelId, WireError
from core.channels.states import ACTIVE_STATES, ChannelState
from core.storage.database import Database
from core.storage.errors import DatabaseDamaged

Progress = Callable[[int, int], None]
"""Told records done and records in all."""
_SLICE_RECORDS = 100
"""About half a millisecond: short enough for the thread not to take the interpreter from the loop."""


class Opener(StrEnum):
    """Which side offered the channel, as CLN words it."""

    LOCAL = "local"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """One channel."""

    channel_id: bytes
    """32 bytes."""
    node_id: bytes
    """The peer's, 33 bytes."""
    state: ChannelState
    opener: Opener
    funding_txid: bytes
    """32 bytes in wire order."""
    funding_output: int
    funding_sat: int
    funding_height: int | None = None
    """Block of the funding transaction; None until it is confirmed."""
    short_channel_id: ShortChannelId | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class TipComparison:
    """How the records stand to the chain's tip."""

    tip_height: int
    total: int
    unconfirmed: int
    ahead: tuple[ChannelRecord, ...]
    """Confirmed above the tip: the chain source is behind what we have seen already, or on another chain."""

    def __str__(self) -> str:
        """A plain fact for the step's row."""
        if not self.total:
            return "no channels"
        words = f"{self.total} channels at height {self.tip_height}"
        return f"{words}, {self.unconfirmed} not confirmed" if self.unconfirmed else words


_COLUMNS = tuple(field.name for field in fields(ChannelRecord))


class ChannelRecords:
    """All records in memory; a change is in the database before it is here."""

    def __init__(self, database: Database, clock: Clock, records: Iterable[ChannelRecord]) -> None:
        self._database = database
        self._clock = clock
        self._records = {record.channel_id: record for record in records}

    @classmethod
    async def open(
        cls, database: Database, clock: Clock, progress: Progress = lambda _done, _total: None
    ) -> ChannelRecords:
        """Read them all, while nobody writes any; `progress` is told how many of how many there are.

        Raises DatabaseDamaged, also when records were written once and the database that held them is lost: Lightning
        must not run then, for it would answer peers as if the channels did not exist.
        """
        if database.restore_needed is not None:
            set_aside = database.damage.set_aside if database.damage is not None else None
            assert database.path is not None  # a database in memory never held anything before
            raise DatabaseDamaged(path=database.path, set_aside=set_aside, reason=database.restore_needed)
        total: int = await database.read(
            lambda connection: connection.execute("SELECT count(*) FROM channels").fetchone()[0]
        )
        records: list[ChannelRecord] = []
        last: bytes | None = b""
        try:
            while last is not None:
                found, last = await database.read(partial(_read_slice, last))
                records += found
                if found:
                    progress(len(records), max(total, len(records)))
        except (ValueError, WireError) as error:
            path = database.path or Path(":memory:")
            raise DatabaseDamaged(path=path, set_aside=None, reason=f"a channel record: {error}") from error
        return cls(database, clock, records)

    def all(self) -> tuple[ChannelRecord, ...]:
        return tuple(self._records.values())

    def of(self, node_id: bytes) -> tuple[ChannelRecord, ...]:
        """The channels with one peer."""
        return tuple(record for record in self._records.values() if record.node_id == node_id)

    def state_of(self, node_id: bytes) -> str | None:
        """CLN's name for the state of a channel that this peer is needed for; None when there is none."""
        active = (record.state for record in self.of(node_id) if record.state in ACTIVE_STATES)
        return next(active, None)

    def is_known(self, node_id: bytes) -> bool:
        """Whether a channel with this peer is left that is not closed; CLN forgets a peer with its last one."""
        return any(record.state is not ChannelState.CLOSED for record in self.of(node_id))

    def counts(self) -> dict[bytes, int]:
        """How many such channels there are with each peer that has one."""
        return Counter(record.node_id for record in self._records.values() if record.state is not ChannelState.CLOSED)

    async def put(self, record: ChannelRecord) -> None:
        """Write or replace one record; returns once it is on the disk."""
        await finish(self._put(record))

    async def _put(self, record: ChannelRecord) -> None:
        """The caller sees to it that a cancellation does not come between the disk and the memory."""
        values = (*(_to_column(getattr(record, name)) for name in _COLUMNS), self._clock.time())
        await self._database.expect_channels()

        def work(connection: sqlite3.Connection) -> None:
            marks = ", ".join("?" * len(values))
            connection.execute(
                f"INSERT OR REPLACE INTO channels ({', '.join(_COLUMNS)}, changed_at) VALUES ({marks})", values
            )

        await self._database.write(work)
        self._records[record.channel_id] = record

    def compare(self, tip_height: int) -> TipComparison:
        """Hold the records against the chain's tip."""
        heights = [(record, record.funding_height) for record in self._records.values()]
        return TipComparison(
            tip_height=tip_height,
            total=len(heights),
            unconfirmed=sum(height is None for _, height in heights),
            ahead=tuple(record for record, height in heights if height is not None and height > tip_height),
        )


def _read_slice(after: bytes, connection: sqlite3.Connection) -> tuple[list[ChannelRecord], bytes | None]:
    """The records whose channel ids follow `after`, and the last one's id; None with the last of all.

    ValueError or WireError for what is none.
    """
    query = f"SELECT {', '.join(_COLUMNS)} FROM channels WHERE channel_id > ? ORDER BY channel_id LIMIT ?"
    records = [_from_row(row) for row in connection.execute(query, (after, _SLICE_RECORDS))]
    return records, records[-1].channel_id if len(records) == _SLICE_RECORDS else None


def _to_column(value: object) -> object:
    """Short channel ids stand as text: SQLite's integers are signed."""
    return str(value) if isinstance(value, (ShortChannelId, StrEnum)) else value


def _from_row(row: tuple[object, ...]) -> ChannelRecord:
    values = dict(zip(_COLUMNS, row, strict=True))
    scid = values["short_channel_id"]
    values["short_channel_id"] = None if scid is None else ShortChannelId.parse(str(scid))
    values["state"] = ChannelState(str(values["state"]))
    values["opener"] = Opener(str(values["opener"]))
    values["private"] = bool(values["private"])
    return ChannelRecord(**values)  # type: ignore[arg-type]  # the schema keeps the other columns' types
