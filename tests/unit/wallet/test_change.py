"""Moving the key and changing its passphrase: what a failure or a kill at each step leaves."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from core.wallet.derive import derive_node_key
from core.wallet.errors import WrongPassphrase
from core.wallet.file import FileKeyStore
from core.wallet.keystore import KeyMarker, KeyStoreKind, MarkerState
from core.wallet.node_key import open_node_key
from core.wallet.os_keyring import USERNAME, item_service
from core.wallet.passphrase import Passphrase
from tests.unit.wallet.dying_change import DiskKeyring, make_store
from tests.unit.wallet.parts import NOW, REGTEST, TEST_SCRYPT_N, FileMarker, abandon_secret

ABANDON_ID = derive_node_key(abandon_secret(), REGTEST).node_id
ITEM = (item_service(REGTEST, ABANDON_ID), USERNAME)
OLD, NEW = Passphrase("old"), Passphrase("new")


async def kept_in(folder: Path, kind: KeyStoreKind) -> FileMarker:
    """A profile whose key is there, in a file under OLD."""
    folder.mkdir()
    marker = FileMarker(folder / "marker")
    store = make_store(folder, kind, OLD)
    await store.create(abandon_secret(), ABANDON_ID)
    await store.aclose()
    await marker.set(KeyMarker(ABANDON_ID, kind, NOW, MarkerState.KEPT).encode())
    return marker


async def dies(folder: Path, number: int, change: str) -> bool:
    """Whether the child was killed before its nth operation; otherwise it came to its end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.wallet.dying_change", str(folder), str(number), change
    )
    status = await child.wait()
    assert status in (0, -signal.SIGKILL)
    return status != 0


async def opens(folder: Path, passphrase: Passphrase) -> bool:
    store = FileKeyStore(folder / "key", REGTEST, passphrase, scrypt_n=TEST_SCRYPT_N)
    try:
        return await store.load(ABANDON_ID) == abandon_secret()
    except WrongPassphrase:
        return False
    finally:
        await store.aclose()


async def test_a_kill_at_any_operation_of_a_new_passphrase_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    number, killed, states = 0, True, []
    while killed:
        number += 1
        folder = tmp_path / str(number)
        await kept_in(folder, KeyStoreKind.FILE)
        killed = await dies(folder, number, "passphrase")
        old, new = await opens(folder, OLD), await opens(folder, NEW)
        assert old is not new
        states.append(new)
    assert number > 5
    assert states == sorted(states)
    assert states[0] is False
    assert states[-1] is True


@pytest.mark.parametrize("to", [KeyStoreKind.FILE, KeyStoreKind.KEYRING])
async def test_a_kill_at_any_operation_of_a_move_loses_nothing_and_the_next_start_cleans_up(
    tmp_path: Path, to: KeyStoreKind
) -> None:
    number, killed, places = 0, True, set()
    source = KeyStoreKind.KEYRING if to is KeyStoreKind.FILE else KeyStoreKind.FILE
    while killed:
        number += 1
        folder = tmp_path / str(number)
        marker = await kept_in(folder, source)
        killed = await dies(folder, number, to.value)
        record = KeyMarker.decode(await marker.get() or "")
        places.add((record.keystore, record.leaving))
        store = make_store(folder, record.keystore, OLD)
        key, created = await open_node_key(
            store, marker, REGTEST, left_store=lambda kind, here=folder: make_store(here, kind, None)
        )
        await store.aclose()
        assert (key.node_id, created) == (ABANDON_ID, False)
        record = KeyMarker.decode(await marker.get() or "")
        assert record.leaving is None
        in_ring, in_file = ITEM in DiskKeyring(folder / "ring").items, (folder / "key").exists()
        if record.keystore is to:
            assert (in_ring, in_file) == (to is KeyStoreKind.KEYRING, to is KeyStoreKind.FILE)
        await again(folder, to)
    assert places == {(source, None), (to, source), (to, None)}
    assert number > 8


async def again(folder: Path, to: KeyStoreKind) -> None:
    """A move that was cut short is made to its end by the next, whatever the first left."""
    if KeyMarker.decode(await FileMarker(folder / "marker").get() or "").keystore is to:
        return
    assert not await dies(folder, 10_000, to.value)
    record = KeyMarker.decode(await FileMarker(folder / "marker").get() or "")
    assert (record.keystore, record.leaving) == (to, None)
    in_ring, in_file = ITEM in DiskKeyring(folder / "ring").items, (folder / "key").exists()
    assert (in_ring, in_file) == (to is KeyStoreKind.KEYRING, to is KeyStoreKind.FILE)
