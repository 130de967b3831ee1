"""Locked keys: what they refuse, what they wipe, and what opens them again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from keyring.errors import KeyringLocked as LibraryLocked

from core.wallet.errors import (
    KeyringLocked,
    KeysLocked,
    PassphraseNeeded,
    WordsNotShown,
    WrongPassphrase,
)
from core.wallet.keystore import KeyStoreKind
from core.wallet.service import UnlockBy
from tests.unit.wallet.parts import (
    ABANDON,
    abandon_secret,
)
from tests.unit.wallet.profile import NEW, OLD, Profile


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile(tmp_path)


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        (KeyStoreKind.FILE, UnlockBy.PASSPHRASE),
        (KeyStoreKind.KEYRING, UnlockBy.KEYRING),
        (KeyStoreKind.MEMORY, UnlockBy.NOTHING),
    ],
)
async def test_locked_keys_give_nothing_until_they_are_unlocked(
    profile: Profile, kind: KeyStoreKind, by: UnlockBy
) -> None:
    await profile.start(kind, offered=abandon_secret())
    draft = await profile.service.draft()
    shown = draft.words
    profile.service.lock()
    assert (profile.service.state().locked, profile.service.state().unlock_by) == (True, by)
    assert list(shown) == []
    with pytest.raises(WordsNotShown):
        draft.challenge()
    service = profile.service
    for attempt in (
        service.draft,
        lambda: service.restore(ABANDON),
        lambda: service.change_passphrase(OLD, NEW),
        lambda: service.move(KeyStoreKind.FILE, passphrase=OLD),
    ):
        with pytest.raises(KeysLocked):
            await attempt()
    if kind is KeyStoreKind.FILE:
        for wrong, error in ((NEW, WrongPassphrase), (None, PassphraseNeeded)):
            with pytest.raises(error):
                await service.unlock(wrong)
            assert service.state().locked
    await service.unlock(OLD)
    assert not service.state().locked
    await service.restore(ABANDON)


async def test_a_draft_that_is_made_while_the_lock_closes_is_wiped(profile: Profile) -> None:
    await profile.start(KeyStoreKind.MEMORY)
    drafting = asyncio.ensure_future(profile.service.draft())
    await asyncio.sleep(0)
    profile.service.lock()
    with pytest.raises(KeysLocked):
        await drafting


async def test_a_locked_keyring_keeps_the_lock_closed(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    profile.service.lock()

    def before(_operation: str, _service: str) -> None:
        raise LibraryLocked("locked")

    profile.keyring.before = before
    with pytest.raises(KeyringLocked):
        await profile.service.unlock()
    assert profile.service.state().locked


async def test_a_keyring_that_says_none_while_it_is_locked_is_locked_and_not_without_the_key(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    profile.keyring.items.clear()
    profile.keyring.forgets = True
    with pytest.raises(KeyringLocked):
        await profile.service.unlock()


async def test_to_unlock_writes_nothing(profile: Profile) -> None:
    await profile.start(KeyStoreKind.KEYRING, offered=abandon_secret())
    profile.keyring.calls.clear()
    profile.service.lock()
    await profile.service.unlock()
    assert [call.split()[0] for call in profile.keyring.calls] == ["get"]


async def test_before_the_start_and_after_the_end_there_is_no_key(profile: Profile) -> None:
    with pytest.raises(RuntimeError, match="not been started"):
        profile.service.state()
    await profile.start(KeyStoreKind.MEMORY)
    draft = await profile.service.draft()
    await profile.service.aclose()
    assert (profile.service.where, draft.count) == ("", 0)
    with pytest.raises(RuntimeError, match="not been started"):
        await profile.service.verify_passphrase()
