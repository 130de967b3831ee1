"""Words for making, restoring, moving and locking a key; part of the table of `gui.words`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.bolt.keys import short_id
from core.wallet import errors as wallet
from gui.phrases import Remedy, Words, bounded, tr


def _not_saved(error: wallet.KeyNotSaved) -> Words:
    return Words(
        tr("The key was not saved"),
        tr(
            "{backend} could not store the key: {reason}. Nothing was saved.",
            backend=bounded(error.backend),
            reason=bounded(error.reason),
        ),
        actions=(Remedy.USE_KEY_FILE, Remedy.RETRY, Remedy.COPY_DETAILS),
    )


def _in_the_way(error: wallet.KeyInTheWay) -> Words:
    return Words(
        tr("This profile has another key"),
        tr(
            "{where} holds the key of {found}; your words are of {offered}. Neither was changed. "
            "Use another profile for your words.",
            where=bounded(error.where),
            found=short_id(error.found),
            offered=short_id(error.offered),
        ),
        actions=(Remedy.RETRY, Remedy.QUIT),
    )


def _pinned(error: wallet.KeyStorePinned) -> Words:
    places = {"env": tr("the environment"), "config": "config.toml"}
    return Words(
        tr("A setting holds the key in its place"),
        tr(
            "{place} says keystore = {keystore}, so a key that moved would be missed at the next start. "
            "Remove that setting first. Nothing was moved.",
            place=places.get(error.origin, tr("An option")),
            keystore=error.keystore,
        ),
    )


def _locked(_error: wallet.KeysLocked) -> Words:
    return Words(tr("Leyden is locked"), tr("Unlock it first. Your node keeps its connections meanwhile."))


def _unknown(error: wallet.WordUnknown) -> Words:
    return Words(
        tr("Word {position} is not in the list", position=error.position),
        tr("Check its spelling. The words are English, from the list of BIP 39."),
    )


def _count(error: wallet.WordsCount) -> Words:
    return Words(tr("12 or 24 words are needed"), tr("You typed {count}.", count=error.count))


def _checksum(_error: wallet.WordsChecksum) -> Words:
    return Words(
        tr("The words do not fit together"),
        tr("Each word is in the list, but one may be another, or two may have changed places."),
    )


def _lnd(_error: wallet.WordsOfLnd) -> Words:
    return Words(
        tr("These are LND's words"),
        tr("LND's 24 words have a format of their own. They make another key here, so Leyden does not take them."),
    )


def _mistaken(error: wallet.WordsMistaken) -> Words:
    *first, last = map(str, error.positions)
    return Words(
        tr("Words {first} and {last} are not what was shown", first=", ".join(first), last=last)
        if first
        else tr("Word {place} is not what was shown", place=last),
        tr(
            "Compare with your paper. Three places chosen anew are asked below. If your paper is wrong or lost, go "
            "back for new words: nothing depends on these."
        ),
    )


def _not_shown(_error: wallet.WordsNotShown) -> Words:
    return Words(
        tr("These words are not shown again"),
        tr("Words are shown once. If you did not write them down, start again with new ones."),
    )


def keyring_help() -> str:
    """What a keyring takes, on every system."""
    return tr(
        "GNOME Keyring, KWallet (with its Secret Service), the macOS Keychain and the Windows Credential Locker are "
        "used. On Linux, install and start one of the first two, and log in again. A variable PYTHON_KEYRING_BACKEND "
        "that names another store has to go."
    )


KEY_WORDS: dict[type[BaseException], Callable[[Any], Words]] = {
    wallet.KeyNotSaved: _not_saved,
    wallet.KeyInTheWay: _in_the_way,
    wallet.KeyStorePinned: _pinned,
    wallet.KeysLocked: _locked,
    wallet.WordUnknown: _unknown,
    wallet.WordsCount: _count,
    wallet.WordsChecksum: _checksum,
    wallet.WordsOfLnd: _lnd,
    wallet.WordsMistaken: _mistaken,
    wallet.WordsNotShown: _not_shown,
}
