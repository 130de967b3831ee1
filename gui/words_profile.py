"""Words for what goes wrong with the profile folder and the key; part of the table of `gui.words`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.base.settings import SettingInvalid
from core.bolt.keys import short_id
from core.storage import errors as storage
from core.wallet import errors as wallet
from gui.phrases import Remedy, Words, bounded, tr


def _setting(error: SettingInvalid) -> Words:
    places = {"env": tr("the environment"), "config": "config.toml"}
    return Words(
        tr("A setting cannot be used"),
        tr(
            "{name} in {place}: {reason}",
            name=error.name,
            place=places.get(error.origin, tr("the options")),
            reason=bounded(error.reason),
        ),
        actions=(Remedy.QUIT,),
    )


def _locked(error: storage.ProfileLocked) -> Words:
    folder = error.path.parent if error.path.suffix == ".lock" else error.path
    return Words(
        tr("This profile is in use"),
        tr(
            "Another Leyden (process {pid}) works in {path}. Use its window, or close it first.",
            pid=error.pid,
            path=folder,
        )
        if error.pid
        else tr("Another Leyden works in {path}. Use its window, or close it first.", path=folder),
        actions=(Remedy.RETRY, Remedy.QUIT),
    )


def _unusable(error: storage.ProfileUnusable) -> Words:
    return Words(
        tr("The profile folder cannot be used"),
        tr("{path}: {reason}", path=error.path, reason=bounded(error.reason)),
        actions=(Remedy.RETRY, Remedy.QUIT),
    )


def _socket_path(error: storage.SocketPathTooLong) -> Words:
    return Words(
        tr("The profile's path is too long"),
        tr(
            "A socket's path has at most {limit} bytes; {path} has {length}. Choose a shorter --data-dir.",
            **error.facts,
        ),
        actions=(Remedy.QUIT,),
    )


def _too_new(error: storage.DatabaseTooNew) -> Words:
    return Words(
        tr("This profile was written by a newer Leyden"),
        tr("{path} has version {found}; this program knows up to {known}. Nothing was changed.", **error.facts),
        actions=(Remedy.QUIT,),
    )


def _set_aside(error: storage.DatabaseDamaged | storage.FileDamaged) -> Words:
    return Words(
        tr("A file of the profile is damaged"),
        tr(
            "{path} could not be read: {reason}. It was kept as {set_aside}; nothing was deleted.",
            path=error.path,
            set_aside=error.set_aside,
            reason=bounded(error.reason),
        )
        if error.set_aside
        else tr("{path} could not be read: {reason}. It was left where it is.", path=error.path, reason=error.reason),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )


def _no_keyring(error: wallet.NoUsableKeyring) -> Words:
    found = tr("Found: {found}", found=error.found) if error.found else ""
    return Words(
        tr("No keyring found"),
        tr(
            "Leyden keeps your node's key in the system's password store, and found none here that it trusts. "
            "An encrypted file works as well."
        ),
        tuple(bounded(line) for line in (found, *error.reason.split("; ")) if line),
        actions=(Remedy.USE_KEY_FILE, Remedy.LOOK_AGAIN, Remedy.HOW_TO_FIX, Remedy.QUIT),
    )


def _keyring_locked(error: wallet.KeyringLocked) -> Words:
    return Words(
        tr("Your keyring is locked"),
        tr(
            "The node key is in {backend}. A window of the system should ask for your password; "
            "it may be behind this one.",
            backend=bounded(error.backend),
        ),
        actions=(Remedy.ASK_AGAIN, Remedy.BACKUP_FILE, Remedy.RESTORE_WORDS, Remedy.QUIT),
    )


def _keyring_failed(error: wallet.KeyringFailed) -> Words:
    return Words(
        tr("The keyring failed"),
        tr("{backend}: {reason}", backend=bounded(error.backend), reason=bounded(str(error.reason))),
        actions=(Remedy.USE_KEY_FILE, Remedy.RETRY, Remedy.COPY_DETAILS),
    )


def _key_missing(error: wallet.KeyMissing) -> Words:
    return Words(
        tr("Your node key is not there"),
        tr(
            "The key for {id} was expected in {where} and is gone. Look for a backup before you start over: "
            "a new key means a new node.",
            id=_id(error.node_id),
            where=error.where,
        ),
        actions=(Remedy.RESTORE_WORDS, Remedy.BACKUP_FILE, Remedy.LOOK_AGAIN, Remedy.NEW_NODE, Remedy.QUIT),
    )


def _wrong_key(error: wallet.WrongKey) -> Words:
    return Words(
        tr("A different key than before"),
        tr(
            "{where} holds the key of {found}, but this profile belongs to {expected}. Nothing was changed.",
            where=error.where,
            found=_id(error.found),
            expected=_id(error.expected),
        ),
        actions=(Remedy.OPEN_AS, Remedy.RESTORE_WORDS, Remedy.BACKUP_FILE, Remedy.RETRY, Remedy.QUIT),
        named=((Remedy.OPEN_AS, tr("Open as {id}", id=_id(error.found))),),
    )


def _wrong_passphrase(error: wallet.WrongPassphrase) -> Words:
    return Words(
        tr("The passphrase does not open this file"),
        tr("{path} stays as it is. Check the passphrase and try again.", path=error.path),
        actions=(Remedy.RETRY, Remedy.QUIT),
    )


def _passphrase_needed(error: wallet.PassphraseNeeded) -> Words:
    return Words(
        tr("A passphrase is needed"),
        tr("The node key is in the encrypted file {path}.", path=error.path),
        actions=(Remedy.QUIT,),
    )


def _passphrase_file(error: wallet.PassphraseFileUnsafe) -> Words:
    return Words(
        tr("The passphrase file is not safe to use"),
        tr("{path}: {reason}", path=error.path, reason=bounded(error.reason)),
        actions=(Remedy.RETRY, Remedy.QUIT),
    )


def _key_file(error: wallet.KeyFileDamaged) -> Words:
    return Words(
        tr("The key file is damaged"),
        tr(
            "{path}: {reason}. Leyden makes no new key in its place. Restore the file from a backup.",
            path=error.path,
            reason=bounded(error.reason),
        ),
        actions=(Remedy.RETRY, Remedy.QUIT),
    )


def _key_damaged(error: wallet.KeyDamaged) -> Words:
    return Words(
        tr("The node key cannot be read"),
        tr(
            "What is kept in {where} is not a key that Leyden wrote: {reason}. It was not touched. Restore it from a "
            "backup; a new key would mean a new node.",
            where=bounded(error.where),
            reason=bounded(error.reason),
        ),
        actions=(Remedy.RETRY, Remedy.QUIT),
    )


def _key_kind(error: wallet.KeyKindUnsupported) -> Words:
    return Words(
        tr("This key is of a kind that is not supported yet"),
        tr(
            "{where} holds a key of kind {kind}. This version cannot use it and never turns one kind into another.",
            where=bounded(error.where),
            kind=bounded(error.kind, 40),
        ),
        actions=(Remedy.QUIT,),
    )


def _key_file_unsafe(error: wallet.KeyFileUnsafe) -> Words:
    return Words(
        tr("The key file is not safe to use"),
        tr("{path}: {reason}. It was not read.", path=error.path, reason=bounded(error.reason)),
        actions=(Remedy.RETRY, Remedy.QUIT),
    )


def _key_file_failed(error: wallet.KeyFileFailed) -> Words:
    return Words(
        tr("The key file could not be read or written"),
        tr("{path}: {reason}", path=error.path, reason=bounded(error.reason)),
        actions=(Remedy.RETRY, Remedy.QUIT),
    )


def _memory_refused(error: wallet.MemoryKeyRefused) -> Words:
    return Words(
        tr("A key in memory is lost when the program ends"),
        tr("On {network} that is refused, unless --ephemeral says that it is meant.", network=error.network),
        actions=(Remedy.QUIT,),
    )


def _id(node_id: object) -> str:
    return short_id(node_id) if isinstance(node_id, bytes) else str(node_id)


PROFILE_WORDS: dict[type[BaseException], Callable[[Any], Words]] = {
    SettingInvalid: _setting,
    storage.ProfileLocked: _locked,
    storage.ProfileUnusable: _unusable,
    storage.SocketPathTooLong: _socket_path,
    storage.DatabaseTooNew: _too_new,
    storage.DatabaseDamaged: _set_aside,
    storage.FileDamaged: _set_aside,
    wallet.NoUsableKeyring: _no_keyring,
    wallet.KeyringLocked: _keyring_locked,
    wallet.KeyringFailed: _keyring_failed,
    wallet.KeyMissing: _key_missing,
    wallet.WrongKey: _wrong_key,
    wallet.WrongPassphrase: _wrong_passphrase,
    wallet.PassphraseNeeded: _passphrase_needed,
    wallet.PassphraseFileUnsafe: _passphrase_file,
    wallet.KeyFileDamaged: _key_file,
    wallet.KeyFileUnsafe: _key_file_unsafe,
    wallet.KeyFileFailed: _key_file_failed,
    wallet.KeyDamaged: _key_damaged,
    wallet.KeyKindUnsupported: _key_kind,
    wallet.MemoryKeyRefused: _memory_refused,
}
