"""What the profile remembers of its key, and that it outlives the database."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.storage.database import Database
from core.wallet.errors import KeyDamaged, KeyMissing
from core.wallet.marker import ProfileMarker
from core.wallet.node_key import open_node_key
from core.wallet.os_keyring import OsKeyringStore
from tests.unit.wallet.parts import REGTEST, PretendKeyring


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[ProfileMarker]:
    database = await Database.open(folder / "leyden.sqlite")
    try:
        yield ProfileMarker(database, folder / "node-id.json")
    finally:
        await database.aclose()


async def start(keyring: PretendKeyring, marker: ProfileMarker) -> tuple[bytes, bool]:
    store = OsKeyringStore(REGTEST, find=keyring.found)
    try:
        key, created = await open_node_key(store, marker, REGTEST)
        return key.node_id, created
    finally:
        await store.aclose()


async def test_what_was_set_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as marker:
        assert await marker.get() is None
        await marker.set("first")
        await marker.set("second")
        assert await marker.get() == "second"
    async with opened(tmp_path) as marker:
        assert await marker.get() == "second"


async def test_a_database_in_memory_keeps_it_for_its_life() -> None:
    database = await Database.open(None)
    marker = ProfileMarker(database, None)
    await marker.set("text")
    assert await marker.get() == "text"
    await database.aclose()


@pytest.mark.parametrize("lost", ["removed", "damaged"])
async def test_a_lost_database_does_not_look_like_a_first_start(tmp_path: Path, lost: str) -> None:
    keyring = PretendKeyring()
    async with opened(tmp_path) as marker:
        node_id, created = await start(keyring, marker)
    assert created
    path = tmp_path / "leyden.sqlite"
    for file in tmp_path.glob("leyden.sqlite*"):
        if lost == "removed":
            file.unlink()
        else:
            file.write_bytes(b"\0not a database" * 500)
    async with opened(tmp_path) as marker:
        assert await start(keyring, marker) == (node_id, False)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM meta WHERE key = 'node_key'").fetchone() == (1,)
    connection.close()


async def test_a_lost_database_and_a_silent_keyring_are_a_missing_key(tmp_path: Path) -> None:
    async with opened(tmp_path) as marker:
        await start(PretendKeyring(), marker)
    for file in tmp_path.glob("leyden.sqlite*"):
        file.unlink()
    keyring = PretendKeyring()
    async with opened(tmp_path) as marker:
        with pytest.raises(KeyMissing):
            await start(keyring, marker)
    assert keyring.items == {}


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\0", b"{", b"x" * 5000])
async def test_a_damaged_copy_without_a_row_is_no_first_start_and_beside_a_row_does_not_matter(
    tmp_path: Path, damage: bytes
) -> None:
    keyring = PretendKeyring()
    async with opened(tmp_path) as marker:
        node_id, _ = await start(keyring, marker)
    (tmp_path / "node-id.json").write_bytes(damage)
    async with opened(tmp_path) as marker:
        assert await start(keyring, marker) == (node_id, False)
    for file in tmp_path.glob("leyden.sqlite*"):
        file.unlink()
    async with opened(tmp_path) as marker:
        with pytest.raises(KeyDamaged):
            await start(keyring, marker)
    assert len(keyring.items) == 1


async def test_a_lost_copy_is_made_anew_while_the_database_is_there(tmp_path: Path) -> None:
    keyring = PretendKeyring()
    async with opened(tmp_path) as marker:
        node_id, _ = await start(keyring, marker)
    (tmp_path / "node-id.json").unlink()
    async with opened(tmp_path) as marker:
        assert await start(keyring, marker) == (node_id, False)
    for file in tmp_path.glob("leyden.sqlite*"):
        file.unlink()
    async with opened(tmp_path) as marker:
        assert await start(keyring, marker) == (node_id, False)
