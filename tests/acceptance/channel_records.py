"""Channel records in a profile that no node holds, by `ChannelRecords`, the only door to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.base.clock import SystemClock
from core.channels.records import ChannelRecord, ChannelRecords, Opener
from core.channels.states import ChannelState
from core.storage.database import Database


async def put_channels(profile: Path, states: Mapping[bytes, ChannelState]) -> None:
    """One channel with each node id, in that state; the profile's folder is made when it is absent."""
    profile.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = await Database.open(profile / "leyden.sqlite")
    try:
        records = await ChannelRecords.open(database, SystemClock())
        for number, (node_id, state) in enumerate(states.items()):
            txid = bytes([number + 1]) * 32
            await records.put(ChannelRecord(txid, node_id, state, Opener.LOCAL, txid, 0, 100_000))
    finally:
        await database.aclose()
