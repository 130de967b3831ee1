"""The OS keyring against a real gnome-keyring over D-Bus: locked, unlocked, restarted, killed around the write."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.interop.keyring_start import STEPS
from tests.interop.secret_service import SecretService

LOCKED_WITHIN_S = 5.0


@asynccontextmanager
async def running(folder: Path, *, unlocked: bool = True) -> AsyncIterator[SecretService]:
    async with SecretService(folder) as service:
        await service.start_daemon(unlocked=unlocked)
        yield service


@pytest.fixture
def marker(home: Path) -> str:
    return str(home / "marker")


@pytest.fixture
def folder(home: Path) -> Path:
    """Short, since the bus's socket lies in it."""
    path = home / "ring"
    path.mkdir()
    return path


async def test_a_key_is_made_named_kept_and_opened_again(folder: Path, marker: str) -> None:
    async with running(folder) as service:
        first = await service.ask("open", marker)
        assert (first["created"], first["where"]) == (True, "GNOME Keyring")
        items = (await service.ask("items"))["items"]
        assert items == [f"io.leyden.Leyden/regtest/{first['node_id']}"]
        again = await service.ask("open", marker)
        assert (again["node_id"], again["created"]) == (first["node_id"], False)
        assert (await service.ask("items"))["items"] == items


async def test_a_locked_keyring_says_so_soon_and_makes_no_new_key(folder: Path, marker: str) -> None:
    async with running(folder) as service:
        first = await service.ask("open", marker)
        record = Path(marker).read_text()
        assert (await service.ask("lock"))["locked"]
        for _ in range(2):
            locked = await service.ask("open", marker)
            assert (locked["error"], locked["facts"]) == ("KeyringLocked", {"backend": "GNOME Keyring"})
            assert locked["seconds"] < LOCKED_WITHIN_S
        assert Path(marker).read_text() == record
        assert not (await service.ask("unlock"))["locked"]
        again = await service.ask("open", marker)
        assert (again["node_id"], again["created"]) == (first["node_id"], False)
        assert len((await service.ask("items"))["items"]) == 1


async def test_the_key_is_there_after_the_daemon_was_started_again(folder: Path, marker: str) -> None:
    async with running(folder) as service:
        first = await service.ask("open", marker)
        await service.stop_daemon()
        gone = await service.ask("open", marker)
        assert gone["error"] == "NoUsableKeyring"
        await service.start_daemon(unlocked=False)
        assert (await service.ask("open", marker))["error"] == "KeyringLocked"
        assert not (await service.ask("unlock"))["locked"]
        assert (await service.ask("open", marker))["node_id"] == first["node_id"]
        await service.stop_daemon()
        await service.start_daemon(unlocked=True)
        again = await service.ask("open", marker)
        assert (again["node_id"], again["created"]) == (first["node_id"], False)


async def test_a_first_start_on_a_locked_keyring_writes_nothing_and_succeeds_later(folder: Path, marker: str) -> None:
    async with running(folder) as service:
        await service.ask("lock")
        assert (await service.ask("open", marker))["error"] == "KeyringLocked"
        assert json.loads(Path(marker).read_text())["state"] == "pending"
        assert (await service.ask("open", marker))["error"] == "KeyringLocked"
        assert (await service.ask("unlock"))["items"] == []
        first = await service.ask("open", marker)
        assert first["created"]
        assert (await service.ask("open", marker))["node_id"] == first["node_id"]
        assert len((await service.ask("items"))["items"]) == 1


async def test_a_keyring_that_was_never_set_up_counts_as_locked(folder: Path, marker: str) -> None:
    async with running(folder, unlocked=False) as service:
        answer = await service.ask("open", marker)
        assert answer["error"] == "KeyringLocked"
        assert answer["seconds"] < LOCKED_WITHIN_S


async def test_an_item_that_was_removed_is_a_missing_key_and_no_first_start(folder: Path, marker: str) -> None:
    async with running(folder) as service:
        first = await service.ask("open", marker)
        await service.ask("remove")
        missing = await service.ask("open", marker)
        assert missing["error"] == "KeyMissing"
        assert missing["facts"] == {"where": "GNOME Keyring", "node_id": first["node_id"], "kept_in": "keyring"}
        assert (await service.ask("items"))["items"] == []


async def test_a_collection_that_is_forgotten_at_logout_gets_no_key(folder: Path, marker: str) -> None:
    async with running(folder) as service:
        await service.ask("forgetful")
        answer = await service.ask("open", marker)
        assert answer["error"] == "KeyringFailed"
        assert "logout" in answer["facts"]["reason"]
        assert (await service.ask("items"))["items"] == []


@pytest.mark.parametrize("step", STEPS)
async def test_a_start_killed_at_any_step_is_taken_up_by_the_next(folder: Path, marker: str, step: str) -> None:
    async with running(folder) as service:
        assert await service.ask("open", marker, step) == {"killed": 9}
        written = (await service.ask("items"))["items"]
        assert len(written) == (0 if step in ("pending", "before write") else 1)
        after = await service.ask("open", marker)
        assert after["created"] is (not written)
        items = (await service.ask("items"))["items"]
        assert items == [f"io.leyden.Leyden/regtest/{after['node_id']}"]
        assert not written or items == written
        again = await service.ask("open", marker)
        assert (again["node_id"], again["created"]) == (after["node_id"], False)


async def test_status_is_told_without_any_prompt(folder: Path) -> None:
    async with running(folder) as service:
        expected = {"usable": True, "where": "GNOME Keyring", "locked": False, "reason": ""}
        assert await service.ask("status") == expected
        await service.ask("lock")
        assert await service.ask("status") == expected | {"locked": True}
        await service.stop_daemon()
        assert (await service.ask("status"))["usable"] is False


async def test_two_profiles_keep_two_keys(folder: Path, marker: str) -> None:
    async with running(folder) as service:
        first, second = await service.ask("open", marker), await service.ask("open", marker + "2")
        assert second["created"]
        assert first["node_id"] != second["node_id"]
        assert len((await service.ask("items"))["items"]) == 2
        assert (await service.ask("open", marker))["node_id"] == first["node_id"]


async def test_a_key_moves_out_of_the_keyring_and_back_and_a_locked_one_loses_nothing(
    folder: Path, marker: str
) -> None:
    key_file = Path(marker).with_name("key")
    async with running(folder) as service:
        first = await service.ask("open", marker)
        items = (await service.ask("items"))["items"]
        moved = await service.ask("move", marker, "file")
        assert (moved["node_id"], moved["where"]) == (first["node_id"], str(key_file))
        assert (await service.ask("items"))["items"] == []
        kept = key_file.read_bytes()
        await service.ask("lock")
        assert (await service.ask("move", marker, "keyring"))["error"] == "KeyringLocked"
        assert key_file.read_bytes() == kept
        assert json.loads(Path(marker).read_text())["keystore"] == "file"
        await service.ask("unlock")
        assert (await service.ask("move", marker, "keyring"))["where"] == "GNOME Keyring"
        assert (await service.ask("items"))["items"] == items
        assert not key_file.exists()
        again = await service.ask("open", marker)
        assert (again["node_id"], again["created"]) == (first["node_id"], False)
