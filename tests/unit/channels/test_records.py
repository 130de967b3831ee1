"""Channel records: kept, compared with the tip, and never taken for none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.bolt.wire import ShortChannelId
from core.channels.records import ChannelRecord, ChannelRecords, Opener
from core.channels.states import ACTIVE_STATES, ChannelState
from core.storage.database import Database
from core.storage.errors import DatabaseDamaged
from tests.support.clock import ManualClock

PEER = b"\x02" + b"p" * 32
RECORD = ChannelRecord(
    channel_id=b"c" * 32,
    node_id=PEER,
    state=ChannelState.CHANNELD_NORMAL,
    opener=Opener.REMOTE,
    funding_txid=b"t" * 32,
    funding_output=1,
    funding_sat=1_000_000,
    funding_height=103,
    short_channel_id=ShortChannelId(103, 1, 1),
    private=True,
)
UNCONFIRMED = replace(
    RECORD,
    channel_id=b"d" * 32,
    state=ChannelState.CHANNELD_AWAITING_LOCKIN,
    opener=Opener.LOCAL,
    funding_height=None,
    short_channel_id=None,
    private=False,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leyden.sqlite"


async def reopened(path: Path) -> tuple[Database, ChannelRecords]:
    database = await Database.open(path)
    return database, await ChannelRecords.open(database, ManualClock())


async def test_many_are_read_in_slices_with_progress(path: Path) -> None:
    database, records = await reopened(path)
    many = [replace(UNCONFIRMED, channel_id=number.to_bytes(32, "big")) for number in range(250)]
    for record in many:
        await records.put(record)
    told: list[tuple[int, int]] = []
    again = await ChannelRecords.open(database, ManualClock(), lambda done, total: told.append((done, total)))
    assert again.all() == tuple(many)
    assert told == [(100, 250), (200, 250), (250, 250)]
    for record in many[200:]:
        await database.write(
            lambda connection, one=record: connection.execute(  # type: ignore[misc]
                "DELETE FROM channels WHERE channel_id = ?", (one.channel_id,)
            )
        )
    told.clear()
    again = await ChannelRecords.open(database, ManualClock(), lambda done, total: told.append((done, total)))
    assert again.all() == tuple(many[:200])
    assert told == [(100, 200), (200, 200)]
    await database.aclose()


async def test_records_are_there_after_a_restart(path: Path) -> None:
    database, records = await reopened(path)
    await records.put(RECORD)
    await records.put(UNCONFIRMED)
    await records.put(replace(UNCONFIRMED, funding_sat=5))
    await database.aclose()
    database, records = await reopened(path)
    assert set(records.all()) == {RECORD, replace(UNCONFIRMED, funding_sat=5)}
    assert records.of(b"\x03" * 33) == ()
    await database.aclose()


@pytest.mark.parametrize("state", ChannelState)
async def test_a_peer_is_needed_exactly_in_the_states_in_which_cln_refuses_to_disconnect(state: ChannelState) -> None:
    database = await Database.open(None)
    records = await ChannelRecords.open(database, ManualClock())
    assert records.state_of(PEER) is None
    await records.put(replace(RECORD, state=state))
    assert records.state_of(PEER) == (state.value if state in ACTIVE_STATES else None)
    await database.aclose()


def test_closing_on_chain_needs_no_peer() -> None:
    assert set(ChannelState) - ACTIVE_STATES == {
        ChannelState.DUALOPEND_OPEN_INIT,
        ChannelState.CLOSINGD_COMPLETE,
        ChannelState.AWAITING_UNILATERAL,
        ChannelState.FUNDING_SPEND_SEEN,
        ChannelState.ONCHAIN,
        ChannelState.CLOSED,
    }


async def test_an_active_channel_is_found_behind_a_closed_one() -> None:
    database = await Database.open(None)
    records = await ChannelRecords.open(database, ManualClock())
    await records.put(replace(RECORD, channel_id=b"e" * 32, state=ChannelState.ONCHAIN))
    await records.put(UNCONFIRMED)
    assert records.state_of(PEER) == "CHANNELD_AWAITING_LOCKIN"
    await database.aclose()


async def test_a_peer_is_known_by_its_channels_until_the_last_is_closed() -> None:
    database = await Database.open(None)
    records = await ChannelRecords.open(database, ManualClock())
    assert records.counts() == {}
    await records.put(replace(RECORD, channel_id=b"e" * 32, state=ChannelState.ONCHAIN))
    await records.put(UNCONFIRMED)
    assert records.counts() == {PEER: 2}
    await records.put(replace(UNCONFIRMED, state=ChannelState.CLOSED))
    assert (records.counts(), records.is_known(PEER)) == ({PEER: 1}, True)
    await records.put(replace(RECORD, channel_id=b"e" * 32, state=ChannelState.CLOSED))
    assert (records.counts(), records.is_known(PEER)) == ({}, False)
    await database.aclose()


async def test_records_are_held_against_the_tip() -> None:
    database = await Database.open(None)
    records = await ChannelRecords.open(database, ManualClock())
    assert str(records.compare(0)) == "no channels"
    await records.put(RECORD)
    assert str(records.compare(103)) == "1 channels at height 103"
    await records.put(UNCONFIRMED)
    comparison = records.compare(102)
    assert (comparison.total, comparison.unconfirmed, comparison.ahead) == (2, 1, (RECORD,))
    assert str(comparison) == "2 channels at height 102, 1 not confirmed"
    await database.aclose()


async def test_lost_records_are_never_taken_for_none(path: Path) -> None:
    database, records = await reopened(path)
    await records.put(RECORD)
    await database.aclose()
    path.write_bytes(b"garbage" * 1000)
    for _start in range(2):
        database = await Database.open(path)
        with pytest.raises(DatabaseDamaged) as caught:
            await ChannelRecords.open(database, ManualClock())
        assert "leyden.sqlite.damaged-" in caught.value.reason
        await database.aclose()


async def test_a_record_that_makes_no_sense_is_damage(path: Path) -> None:
    database, records = await reopened(path)
    await records.put(RECORD)
    await database.write(lambda connection: connection.execute("UPDATE channels SET state = 'DREAMING'"))
    with pytest.raises(DatabaseDamaged) as caught:
        await ChannelRecords.open(database, ManualClock())
    assert "DREAMING" in caught.value.reason
    await database.aclose()


async def test_a_record_that_the_schema_refuses_is_nowhere(path: Path) -> None:
    database, records = await reopened(path)
    with pytest.raises(Exception, match="CHECK constraint failed"):
        await records.put(replace(RECORD, funding_sat=-1))
    assert records.all() == ()
    await database.aclose()
