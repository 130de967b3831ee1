"""Who decides between a first start and a lost key, and what a failure or a kill at each step leaves."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from core.bolt.keys import NodeKey
from core.wallet.derive import derive_node_key
from core.wallet.errors import KeyDamaged, KeyKindUnsupported, KeyMissing, KeyringFailed, KeyringLocked, WrongKey
from core.wallet.file import FileKeyStore
from core.wallet.keystore import KeyMarker, KeyStoreKind, MarkerState
from core.wallet.memory import MemoryKeyStore
from core.wallet.node_key import open_node_key
from core.wallet.os_keyring import USERNAME, OsKeyringStore, item_service
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret, SecretKind
from tests.support.clock import ManualClock
from tests.unit.wallet.parts import (
    ABANDON,
    NOW,
    REGTEST,
    TEST_SCRYPT_N,
    FileMarker,
    MemoryMarker,
    PretendKeyring,
    abandon_secret,
)

ABANDON_ID = derive_node_key(abandon_secret(), REGTEST).node_id
OTHER_ID = NodeKey(b"\1" * 32).node_id


@asynccontextmanager
async def keyring_store(keyring: PretendKeyring) -> AsyncIterator[OsKeyringStore]:
    store = OsKeyringStore(REGTEST, find=keyring.found)
    try:
        yield store
    finally:
        await store.aclose()


async def start(keyring: PretendKeyring, marker: MemoryMarker) -> tuple[bytes, bool]:
    """One start of a node: its id, and whether it was made."""
    async with keyring_store(keyring) as store:
        key, created = await open_node_key(store, marker, REGTEST, clock=ManualClock())
        return key.node_id, created


def kept(node_id: bytes, *, state: MarkerState = MarkerState.KEPT) -> MemoryMarker:
    return MemoryMarker(KeyMarker(node_id, KeyStoreKind.KEYRING, NOW, state).encode())


def holding(secret: Secret, node_id: bytes) -> PretendKeyring:
    keyring = PretendKeyring()
    keyring.items[item_service(REGTEST, node_id), USERNAME] = secret.to_text()
    return keyring


def state_of(marker: MemoryMarker) -> MarkerState | None:
    return KeyMarker.decode(marker.texts[-1]).state if marker.texts else None


async def test_a_first_start_makes_a_key_and_the_next_opens_the_same() -> None:
    keyring, marker = PretendKeyring(), MemoryMarker()
    node_id, created = await start(keyring, marker)
    assert created
    assert [KeyMarker.decode(text).state for text in marker.texts] == [MarkerState.PENDING, MarkerState.KEPT]
    assert {KeyMarker.decode(text).node_id for text in marker.texts} == {node_id}
    assert KeyMarker.decode(marker.texts[-1]).created == NOW
    assert list(keyring.items) == [(item_service(REGTEST, node_id), USERNAME)]
    assert await start(keyring, marker) == (node_id, False)
    assert len(marker.texts) == 2


async def test_the_key_is_written_once_and_after_that_only_read() -> None:
    keyring, marker = PretendKeyring(), MemoryMarker()
    node_id, _ = await start(keyring, marker)
    service = item_service(REGTEST, node_id)
    assert keyring.calls.count(f"set {service}") == 1
    assert keyring.calls[-2:] == [f"set {service}", f"get {service}"]
    keyring.calls.clear()
    await start(keyring, marker)
    assert keyring.calls == [f"get {service}"]


@pytest.mark.parametrize("words", [12, 24])
async def test_the_words_asked_for_are_kept(words: int) -> None:
    keyring = PretendKeyring()
    async with keyring_store(keyring) as store:
        await open_node_key(store, MemoryMarker(), REGTEST, words=words)
    assert len(Secret.from_text(*keyring.items.values()).secret.split()) == words


async def test_a_store_that_answers_none_never_leads_to_a_new_key() -> None:
    keyring, marker = PretendKeyring(), kept(ABANDON_ID)
    for _ in range(2):
        with pytest.raises(KeyMissing) as caught:
            await start(keyring, marker)
    error = caught.value
    assert (error.where, error.node_id, error.kept_in) == ("Pretend Keyring", ABANDON_ID, "keyring")
    assert keyring.items == {}
    assert not [call for call in keyring.calls if not call.startswith("get")]
    assert len(marker.texts) == 1


async def test_an_empty_file_place_and_memory_are_no_first_start_either(tmp_path: Path) -> None:
    marker = kept(ABANDON_ID)
    store = FileKeyStore(tmp_path / "key", REGTEST, Passphrase("words"), scrypt_n=TEST_SCRYPT_N)
    with pytest.raises(KeyMissing):
        await open_node_key(store, marker, REGTEST)
    await store.aclose()
    with pytest.raises(KeyMissing):
        await open_node_key(MemoryKeyStore(), marker, REGTEST)
    assert list(tmp_path.iterdir()) == []
    assert len(marker.texts) == 1


async def test_another_nodes_key_is_named_and_not_used() -> None:
    keyring, marker = holding(abandon_secret(), OTHER_ID), kept(OTHER_ID)
    before = dict(keyring.items)
    with pytest.raises(WrongKey) as caught:
        await start(keyring, marker)
    assert (caught.value.found, caught.value.expected) == (ABANDON_ID, OTHER_ID)
    assert keyring.items == before


async def test_the_same_words_are_another_node_on_another_network() -> None:
    assert derive_node_key(abandon_secret(), replace(REGTEST, coin_type=0)).node_id != ABANDON_ID


@pytest.mark.parametrize("kind", [SecretKind.CLN, SecretKind.KDF, SecretKind.RAW32])
async def test_a_kind_that_cannot_be_opened_is_left_alone(kind: SecretKind) -> None:
    keyring = holding(Secret(kind=kind, secret="ab" * 32, created=NOW), OTHER_ID)
    before = dict(keyring.items)
    with pytest.raises(KeyKindUnsupported) as caught:
        await start(keyring, kept(OTHER_ID))
    assert caught.value.kind == kind.value
    assert keyring.items == before


async def test_words_that_are_none_are_damage() -> None:
    bad = Secret(kind=SecretKind.BIP39, secret="abandon " * 11 + "abandon", created=NOW)
    with pytest.raises(KeyDamaged) as caught:
        await start(holding(bad, OTHER_ID), kept(OTHER_ID))
    assert "abandon" not in f"{caught.value} {caught.value.__context__}"


@pytest.mark.parametrize(
    "text", ["", "{}", "[", "null", '{"v": 1}', kept(ABANDON_ID).texts[0].replace('"v": 1', '"v": 2')]
)
async def test_an_unreadable_record_is_no_first_start(text: str) -> None:
    keyring, marker = PretendKeyring(), MemoryMarker(text)
    with pytest.raises(KeyDamaged):
        await start(keyring, marker)
    assert keyring.items == {}
    assert marker.texts == [text]


async def test_memory_keeps_no_record_and_gives_one_key_for_its_life() -> None:
    marker, store = MemoryMarker(), MemoryKeyStore()
    first, created = await open_node_key(store, marker, REGTEST)
    again, created_again = await open_node_key(store, marker, REGTEST)
    assert (created, created_again) == (True, False)
    assert first.node_id == again.node_id
    assert (await open_node_key(MemoryKeyStore(), marker, REGTEST))[0].node_id != first.node_id
    assert marker.texts == []


async def test_a_key_file_without_a_record_is_opened_and_not_replaced(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path / "key", REGTEST, Passphrase("words"), scrypt_n=TEST_SCRYPT_N)
    await store.create(abandon_secret(), ABANDON_ID)
    before = (tmp_path / "key").read_bytes()
    for marker in (MemoryMarker(), kept(OTHER_ID, state=MarkerState.PENDING)):
        key, created = await open_node_key(store, marker, REGTEST)
        assert (key.node_id, created) == (ABANDON_ID, False)
        assert state_of(marker) is MarkerState.KEPT
    assert (tmp_path / "key").read_bytes() == before
    await store.aclose()


async def test_a_key_that_moved_to_another_store_is_recorded_there(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path / "key", REGTEST, Passphrase("words"), scrypt_n=TEST_SCRYPT_N)
    await store.create(abandon_secret(), ABANDON_ID)
    marker = kept(ABANDON_ID)
    assert (await open_node_key(store, marker, REGTEST))[1] is False
    assert KeyMarker.decode(marker.texts[-1]).keystore is KeyStoreKind.FILE
    await store.aclose()


class Stop(Exception):
    """Stands for the process's end at a step."""


class DyingMarker(MemoryMarker):
    """Dies before or after its nth commit."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self.at, self.after, self.count = at, after, 0

    async def set(self, text: str) -> None:
        self.count += 1
        if self.count == self.at and not self.after:
            raise Stop
        await super().set(text)
        if self.count == self.at and self.after:
            raise Stop


def die_at_call(keyring: PretendKeyring, number: int) -> None:
    calls = 0

    def before(_operation: str, _service: str) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise Stop

    keyring.before = before


async def recovers(keyring: PretendKeyring, marker: MemoryMarker) -> None:
    """Whatever was left: the next start has one key, and keeps it; a written key is taken up, never orphaned."""
    keyring.before = lambda _operation, _service: None
    written = [service for service, username in keyring.items if username == USERNAME]
    state = state_of(marker)
    node_id, created = await start(keyring, MemoryMarker(*marker.texts[-1:]))
    if written and state is not None:
        assert written == [item_service(REGTEST, node_id)]
        assert not created
    assert [service for service, username in keyring.items if username == USERNAME] == [item_service(REGTEST, node_id)]
    assert await start(keyring, kept(node_id)) == (node_id, False)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 2])
async def test_a_start_that_ends_around_a_commit_is_taken_up_by_the_next(at: int, after: bool) -> None:
    keyring, marker = PretendKeyring(), DyingMarker(at, after=after)
    with pytest.raises(Stop):
        await start(keyring, marker)
    await recovers(keyring, marker)


@pytest.mark.parametrize("number", range(1, 7))
async def test_a_start_that_ends_at_any_call_of_the_keyring_is_taken_up_by_the_next(number: int) -> None:
    keyring, marker = PretendKeyring(), MemoryMarker()
    die_at_call(keyring, number)
    with pytest.raises(KeyringFailed):
        await start(keyring, marker)
    assert state_of(marker) is MarkerState.PENDING
    await recovers(keyring, marker)


async def test_a_first_start_has_six_calls_of_the_keyring() -> None:
    """So that the test above covers them all."""
    keyring = PretendKeyring()
    await start(keyring, MemoryMarker())
    assert [call.split()[0] for call in keyring.calls] == ["set", "get", "delete", "get", "set", "get"]


async def test_a_start_cancelled_while_the_keyring_writes_is_taken_up_by_the_next() -> None:
    keyring, marker = PretendKeyring(), MemoryMarker()
    writing, go_on = threading.Event(), threading.Event()

    def before(operation: str, service: str) -> None:
        if operation == "set" and "probe" not in service:
            writing.set()
            go_on.wait()

    keyring.before = before
    async with keyring_store(keyring) as store:
        task = asyncio.ensure_future(open_node_key(store, marker, REGTEST))
        await asyncio.to_thread(writing.wait)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        go_on.set()
    assert state_of(marker) is MarkerState.PENDING
    await recovers(keyring, marker)


async def test_an_unfinished_first_start_waits_for_an_unlocked_keyring() -> None:
    """KWallet answers None while it is locked; only a store that was seen to keep things is believed."""
    keyring, marker = PretendKeyring(), kept(OTHER_ID, state=MarkerState.PENDING)
    keyring.forgets = True
    with pytest.raises(KeyringLocked):
        await start(keyring, marker)
    assert len(marker.texts) == 1
    keyring.forgets = False
    node_id, created = await start(keyring, marker)
    assert created
    assert node_id != OTHER_ID


async def test_no_log_no_error_and_no_loop_message_holds_a_word(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, with the loop's own debugging on, along the good way and every bad one."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    shown: list[str] = []
    secrets: set[str] = set()
    for number in range(8):
        keyring = PretendKeyring()
        if number:
            die_at_call(keyring, number)
        try:
            await start(keyring, MemoryMarker())
        except KeyringFailed as error:
            shown += [repr(error), str(error.facts), "".join(traceback.format_exception(error))]
        secrets |= {text for (_, username), text in keyring.items.items() if username == USERNAME}
    assert len(secrets) >= 2
    shown.append(caplog.text)
    for text in secrets:
        words = Secret.from_text(text).secret.split()
        for place in shown:
            assert not [pair for pair in itertools.pairwise(words) if " ".join(pair) in place]


async def test_a_backend_that_quotes_the_secret_in_its_error_is_not_repeated() -> None:
    keyring = PretendKeyring()

    def refuse(service: str, username: str, password: str) -> None:
        if username == USERNAME:
            raise OSError(f"cannot store {password!r}")
        PretendKeyring.set_password(keyring, service, username, password)

    keyring.set_password = refuse  # type: ignore[method-assign]
    async with keyring_store(keyring) as store:
        with pytest.raises(KeyringFailed) as caught:
            await store.create(abandon_secret(), ABANDON_ID)
    assert ABANDON[:20] not in "".join(traceback.format_exception(caught.value))
    assert caught.value.reason == "OSError"
    assert caught.value.__context__ is None


async def test_sigkill_at_any_disk_operation_leaves_no_key_or_the_key(tmp_path: Path) -> None:
    """A child is killed before its 1st, 2nd, … operation on the profile, until one lives to the end."""
    number, killed = 0, True
    while killed:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.unit.wallet.dying_start", str(folder), str(number)
        )
        killed = await child.wait() == -signal.SIGKILL
        key_file, marker = folder / "key", FileMarker(folder / "marker")
        record = await marker.get()
        written = key_file.read_bytes() if key_file.exists() else None
        store = FileKeyStore(key_file, REGTEST, Passphrase("words"), scrypt_n=TEST_SCRYPT_N)
        key, created = await open_node_key(store, marker, REGTEST)
        assert created is (written is None)
        assert written is None or key_file.read_bytes() == written
        if record is not None and written is not None:
            assert KeyMarker.decode(record).node_id == key.node_id
        assert (await open_node_key(store, marker, REGTEST))[0].node_id == key.node_id
        assert sorted(file.name for file in folder.glob("key*")) == ["key"]
        await store.aclose()
    assert not created
    assert number > 10
