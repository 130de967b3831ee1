"""What is no file where one should be: a FIFO is refused at once, since reading it would wait for ever."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.base.clock import SystemClock
from core.base.events import EventBus
from core.chain.regtest import RegtestChain
from core.gossip import scorer
from core.gossip.scorer import Scorer
from core.gossip.store import open_gossip_store
from core.storage.database import Database
from core.storage.errors import ProfileUnusable
from core.storage.files import write_atomically
from core.wallet.marker import ProfileMarker

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")


async def _marker(path: Path) -> None:
    database = await Database.open(None)
    try:
        await ProfileMarker(database, path).get()
    finally:
        await database.aclose()


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(Scorer.open, id="scorer"),
        pytest.param(open_gossip_store, id="gossip_store"),
        pytest.param(lambda path: RegtestChain.open(path, EventBus(), SystemClock()), id="chain"),
        pytest.param(_marker, id="key marker"),
    ],
)
async def test_a_fifo_is_refused_at_once(tmp_path: Path, read: Callable[[Path], Awaitable[object]]) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(ProfileUnusable, match="is not a file"):
        async with asyncio.timeout(30):
            await read(path)


async def test_a_key_marker_that_leads_nowhere_is_no_first_start(tmp_path: Path) -> None:
    path = tmp_path / "node-id.json"
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(ProfileUnusable):
        await _marker(path)


async def test_a_database_that_leads_nowhere_makes_no_file_there(tmp_path: Path) -> None:
    (tmp_path / "leyden.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProfileUnusable, match="is not a file"):
        await Database.open(tmp_path / "leyden.sqlite")
    assert not (tmp_path / "elsewhere").exists()


def test_a_link_in_the_place_of_the_temporary_file_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep")
    victim.chmod(0o644)
    (tmp_path / "file.tmp").symlink_to(victim)
    write_atomically(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert victim.read_bytes() == b"keep"
    assert victim.stat().st_mode & 0o777 == 0o644


async def test_a_scorer_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "scorer"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    found = await Scorer.open(path)
    assert found.damage is not None
    assert found.damage.reason == "is too long for a scorer file"
    assert scorer.MAX_FILE_BYTES < 1 << 27
