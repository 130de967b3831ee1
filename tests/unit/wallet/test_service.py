"""Node.keys: what a person does with the key, in turn, locked and unlocked, and with stores that fail."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from keyring.errors import InitError, PasswordSetError
from keyring.errors import KeyringLocked as LibraryLocked

from core.base.errors import LeydenError
from core.wallet.errors import (
    KeyDamaged,
    KeyFileDamaged,
    KeyFileUnsafe,
    KeyInTheWay,
    KeyMissing,
    KeyNotSaved,
    KeyringFailed,
    KeyringLocked,
    KeyStorePinned,
    NoUsableKeyring,
    PassphraseNeeded,
    WrongKey,
    WrongPassphrase,
)
from core.wallet.keystore import KeyMarker, KeyStoreKind, MarkerState
from core.wallet.os_keyring import USERNAME
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from tests.unit.wallet.parts import (
    ABANDON,
    NOW,
    PretendKeyring,
    abandon_secret,
)
from tests.unit.wallet.profile import ABANDON_ID, ITEM, NEW, OLD, OTHER, OTHER_ID, Profile


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile(tmp_path)


# The wizard -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyStoreKind.FILE, KeyStoreKind.KEYRING])
async def test_a_drafted_key_is_stored_nowhere_before_it_was_asked_back(profile: Profile, kind: KeyStoreKind) -> None:
    draft = await profile.service.draft(12)
    words = list(draft.words)
    asked = draft.challenge()
    assert (profile.marker.texts, profile.keyring.calls, profile.path.exists()) == ([], [], False)
    secret = draft.confirm([words[place - 1] for place in asked])
    expected = await profile.service.node_id_of(secret)
    assert await profile.start(kind, offered=secret) == expected
    assert (profile.record.node_id, profile.record.state) == (expected, MarkerState.KEPT)
    assert profile.service.state().node_id == expected
    assert await profile.start(kind) == expected


async def test_restored_words_open_the_node_they_belong_to(profile: Profile) -> None:
    secret = await profile.service.restore(ABANDON.upper())
    assert await profile.start(KeyStoreKind.KEYRING, offered=secret) == ABANDON_ID


async def test_a_keyring_that_has_the_key_since_before_the_restore_is_taken(profile: Profile) -> None:
    profile.keyring.items[ITEM] = Secret(kind=abandon_secret().kind, secret=ABANDON, created=5).to_text()
    assert await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret()) == ABANDON_ID
    assert Secret.from_text(profile.keyring.items[ITEM]).created == 5


@pytest.mark.parametrize("kind", [KeyStoreKind.FILE, KeyStoreKind.KEYRING])
async def test_words_of_another_node_take_nobodys_place(profile: Profile, kind: KeyStoreKind) -> None:
    await profile.start(kind, offered=abandon_secret())
    before = (
        profile.marker.texts.copy(),
        profile.keyring.items.copy(),
        profile.path.exists() and profile.path.read_bytes(),
    )
    with pytest.raises(KeyInTheWay) as caught:
        await profile.start(kind, offered=OTHER)
    assert (caught.value.found, caught.value.offered) == (ABANDON_ID, OTHER_ID)
    after = profile.marker.texts, profile.keyring.items, profile.path.exists() and profile.path.read_bytes()
    assert after == before


@pytest.mark.parametrize("kind", [KeyStoreKind.FILE, KeyStoreKind.KEYRING])
async def test_a_key_that_an_unfinished_start_wrote_is_not_passed_over(profile: Profile, kind: KeyStoreKind) -> None:
    await profile.start(kind, offered=abandon_secret())
    del profile.marker.texts[1:]  # PENDING
    with pytest.raises(KeyInTheWay):
        await profile.start(kind, offered=OTHER)
    assert profile.record.state is MarkerState.PENDING
    assert await profile.start(kind) == ABANDON_ID


async def test_a_key_that_is_gone_is_restored_from_its_words_alone(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    profile.keyring.items.clear()
    with pytest.raises(KeyMissing):
        await profile.start(KeyStoreKind.KEYRING)
    with pytest.raises(KeyInTheWay):
        await profile.start(KeyStoreKind.KEYRING, offered=OTHER)
    assert profile.keyring.items == {}
    assert await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret()) == ABANDON_ID
    assert ITEM in profile.keyring.items


async def test_a_forgotten_passphrase_is_replaced_by_who_has_the_words(profile: Profile) -> None:
    await profile.start(KeyStoreKind.FILE, offered=abandon_secret())
    with pytest.raises(WrongPassphrase):
        await profile.start(KeyStoreKind.FILE, NEW)
    with pytest.raises(KeyInTheWay):
        await profile.start(KeyStoreKind.FILE, NEW, OTHER)
    assert await profile.opens(OLD)
    assert await profile.start(KeyStoreKind.FILE, NEW, abandon_secret()) == ABANDON_ID
    assert await profile.opens(NEW)


async def test_a_damaged_file_is_set_aside_for_the_words(profile: Profile) -> None:
    await profile.start(KeyStoreKind.FILE, offered=abandon_secret())
    profile.path.write_bytes(b"damage")
    with pytest.raises(KeyFileDamaged):
        await profile.start(KeyStoreKind.FILE)
    assert await profile.start(KeyStoreKind.FILE, OLD, abandon_secret()) == ABANDON_ID
    assert [path.read_bytes() for path in profile.path.parent.glob("*.damaged-*")] == [b"damage"]


async def test_the_keyring_is_looked_at_without_a_prompt(profile: Profile) -> None:
    status = await profile.service.keyring_status()
    assert (status.usable, status.where) == (True, "Pretend Keyring")
    assert profile.keyring.calls == []


# Every keyring row that a person may meet, by a failure put into the keyring ------------------------------------------

INJECTED: list[tuple[str, Exception, type[LeydenError]]] = [
    ("set", OSError(1783, "CredWrite", "The stub received bad data"), KeyNotSaved),
    ("set", OSError(8, "CredWrite", "Not enough memory"), KeyNotSaved),
    ("set", PasswordSetError("no"), KeyNotSaved),
    ("set", LibraryLocked("locked"), KeyringLocked),
    ("set", InitError("Prompt dismissed"), KeyringLocked),
    ("get", LibraryLocked("locked"), KeyringLocked),
    ("get", InitError("no bus"), NoUsableKeyring),
    ("get", RuntimeError("what"), KeyringFailed),
]


@pytest.mark.parametrize(("operation", "failure", "expected"), INJECTED)
async def test_each_failure_of_a_keyring_has_its_type_and_a_retry_succeeds(
    profile: Profile, operation: str, failure: Exception, expected: type[LeydenError]
) -> None:
    def before(done: str, service: str) -> None:
        if done == operation and "probe" not in service:
            raise failure

    profile.keyring.before = before
    with pytest.raises(expected) as caught:
        await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    assert type(caught.value) is expected
    assert profile.keyring.items == {}
    profile.keyring.before = lambda _operation, _service: None
    assert await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret()) == ABANDON_ID


async def test_a_refusal_that_stored_it_all_the_same_is_not_called_unsaved(profile: Profile) -> None:
    def refuse(service: str, username: str, password: str) -> None:
        PretendKeyring.set_password(profile.keyring, service, username, password)
        if username == USERNAME:
            raise OSError("late")

    profile.keyring.set_password = refuse  # type: ignore[method-assign]
    with pytest.raises(KeyringFailed) as caught:
        await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    assert type(caught.value) is KeyringFailed


async def test_a_missing_another_and_a_damaged_item_are_told_apart(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    wrong: list[tuple[str | None, type[LeydenError]]] = [
        (None, KeyMissing),
        (OTHER.to_text(), WrongKey),
        ("{}", KeyringFailed),
        (abandon_secret().to_text().replace("about", "abandon"), KeyDamaged),
    ]
    for text, expected in wrong:
        profile.keyring.items = {} if text is None else {ITEM: text}
        before = dict(profile.keyring.items)
        with pytest.raises(expected):
            await profile.start(KeyStoreKind.KEYRING)
        with pytest.raises(expected):
            await profile.service.verify_passphrase()
        assert {place: item for place, item in profile.keyring.items.items() if place == ITEM} == before


# Passphrase -----------------------------------------------------------------------------------------------------------


async def test_a_new_passphrase_opens_and_the_old_one_no_more(profile: Profile) -> None:
    await profile.start(KeyStoreKind.FILE, offered=abandon_secret())
    await profile.service.change_passphrase(OLD, NEW)
    assert (await profile.opens(OLD), await profile.opens(NEW)) == (False, True)
    assert profile.path.stat().st_mode & 0o777 == 0o600
    assert list(profile.path.parent.iterdir()) == [profile.path]
    await profile.service.verify_passphrase(NEW)
    with pytest.raises(WrongPassphrase):
        await profile.service.verify_passphrase(OLD)
    with pytest.raises(PassphraseNeeded):
        await profile.service.verify_passphrase()


async def test_only_who_knows_the_old_passphrase_sets_a_new_one(profile: Profile) -> None:
    await profile.start(KeyStoreKind.FILE, offered=abandon_secret())
    before = profile.path.read_bytes()
    with pytest.raises(WrongPassphrase):
        await profile.service.change_passphrase(NEW, Passphrase("mine"))
    assert profile.path.read_bytes() == before


async def test_two_changes_at_once_come_one_after_the_other(profile: Profile) -> None:
    await profile.start(KeyStoreKind.FILE, offered=abandon_secret())
    third = Passphrase("third")
    await asyncio.gather(profile.service.change_passphrase(OLD, NEW), profile.service.change_passphrase(NEW, third))
    assert await profile.opens(third)


async def test_a_change_whose_caller_went_away_is_made_to_its_end(profile: Profile) -> None:
    await profile.start(KeyStoreKind.FILE, offered=abandon_secret())
    caller = asyncio.ensure_future(profile.service.change_passphrase(OLD, NEW))
    await asyncio.sleep(0)
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller
    await profile.service.verify_passphrase(NEW)
    assert await profile.opens(NEW)


# Moves ----------------------------------------------------------------------------------------------------------------


async def test_the_key_moves_there_and_back_and_is_in_one_place_alone(profile: Profile) -> None:
    await profile.start(KeyStoreKind.FILE, offered=abandon_secret())
    await profile.service.move(KeyStoreKind.KEYRING, passphrase=OLD)
    assert (ITEM in profile.keyring.items, profile.path.exists()) == (True, False)
    assert profile.service.state().where == "Pretend Keyring"
    await profile.service.move(KeyStoreKind.FILE, passphrase=NEW)
    assert (profile.keyring.items, await profile.opens(NEW)) == ({}, True)
    assert (profile.record.keystore, profile.record.leaving) == (KeyStoreKind.FILE, None)
    assert await profile.start(KeyStoreKind.FILE, NEW) == ABANDON_ID


async def test_a_keyring_that_forgets_gets_no_key_from_the_file(profile: Profile) -> None:
    await profile.start(KeyStoreKind.FILE, offered=abandon_secret())
    profile.keyring.forgets = True
    with pytest.raises(KeyringLocked):
        await profile.service.move(KeyStoreKind.KEYRING, passphrase=OLD)
    assert await profile.opens(OLD)
    assert profile.record.keystore is KeyStoreKind.FILE
    assert profile.service.state().kind is KeyStoreKind.FILE


async def test_what_could_not_be_removed_is_removed_by_the_next_start(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())

    def before(operation: str, service: str) -> None:
        if operation == "delete" and "probe" not in service:
            raise OSError("not now")

    profile.keyring.before = before
    await profile.service.move(KeyStoreKind.FILE, passphrase=NEW)
    assert (profile.record.keystore, profile.record.leaving) == (KeyStoreKind.FILE, KeyStoreKind.KEYRING)
    assert ITEM in profile.keyring.items
    profile.keyring.before = lambda _operation, _service: None
    await profile.start(KeyStoreKind.FILE, NEW)
    assert (profile.keyring.items, profile.record.leaving) == ({}, None)


async def test_another_key_under_the_name_that_is_left_is_never_removed(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    leaving = KeyMarker(ABANDON_ID, KeyStoreKind.FILE, NOW, MarkerState.KEPT, KeyStoreKind.KEYRING)
    store = profile.make_store(KeyStoreKind.FILE, OLD)
    await store.create(abandon_secret(), ABANDON_ID)
    await store.aclose()
    await profile.marker.set(leaving.encode())
    profile.keyring.items[ITEM] = OTHER.to_text()
    await profile.start(KeyStoreKind.FILE)
    assert profile.keyring.items[ITEM] == OTHER.to_text()


async def test_a_file_of_another_node_is_in_the_way_of_a_move(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    store = profile.make_store(KeyStoreKind.FILE, OLD)
    await store.create(OTHER, OTHER_ID)
    before = profile.path.read_bytes()
    with pytest.raises(KeyFileUnsafe):
        await profile.service.move(KeyStoreKind.FILE, passphrase=NEW)
    with pytest.raises(KeyFileUnsafe):
        await store.remove(abandon_secret(), ABANDON_ID)
    await store.aclose()
    assert profile.path.read_bytes() == before
    assert ITEM in profile.keyring.items


async def test_a_setting_that_names_the_place_forbids_the_move(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret(), pinned="config")
    with pytest.raises(KeyStorePinned) as caught:
        await profile.service.move(KeyStoreKind.FILE, passphrase=NEW)
    assert (caught.value.origin, caught.value.keystore) == ("config", "keyring")
    assert not profile.path.exists()


async def test_nothing_moves_into_memory_out_of_it_or_where_it_is(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    for to in (KeyStoreKind.MEMORY, KeyStoreKind.KEYRING):
        with pytest.raises(ValueError, match="not moved"):
            await profile.service.move(to)
    with pytest.raises(ValueError, match="no passphrase"):
        await profile.service.change_passphrase(OLD, NEW)


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Released at the end, so that no thread outlives its test."""
    release = threading.Event()
    yield release
    release.set()


async def test_the_end_does_not_wait_for_a_prompt_for_ever(
    profile: Profile, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    monkeypatch.setattr("core.wallet.service.CLOSE_WAIT_S", 0.01)
    asking = threading.Event()

    def before(_operation: str, _service: str) -> None:
        asking.set()
        held.wait()

    profile.keyring.before = before
    caller = asyncio.ensure_future(profile.service.move(KeyStoreKind.FILE, passphrase=NEW))
    await asyncio.to_thread(asking.wait)
    await profile.service.aclose()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert profile.record.keystore is KeyStoreKind.KEYRING
    assert not profile.path.exists()


async def test_no_log_holds_a_word(profile: Profile, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    await profile.start(KeyStoreKind.FILE, offered=OTHER)
    await profile.service.move(KeyStoreKind.KEYRING, passphrase=OLD)
    await profile.service.move(KeyStoreKind.FILE, passphrase=NEW)
    await profile.service.change_passphrase(NEW, OLD)
    shown = caplog.text + repr(profile.service.state()) + repr(profile.service)
    assert not [word for word in ("sausage", "yellow", "winner") if word in shown]
