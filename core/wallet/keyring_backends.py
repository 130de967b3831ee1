"""Which of keyring's backends may hold a key, and what they are called. All of it blocks: see `OsKeyringStore`.

keyring's own choice is never asked: it obeys PYTHON_KEYRING_BACKEND and keyringrc.cfg without limit (a null keyring
then takes the key and forgets it), it picks keyrings.alt's plain text file where that is installed, and its chainer
writes to one store and reads from another. So the backends that are trusted are named here, built by name, and looked
at once more after they were built. A setting that asks for another one is obeyed by refusing, not by going round it.
"""

from __future__ import annotations

import configparser
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.wallet.errors import KeyringLocked, NoUsableKeyring

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SECRET_SERVICE = "keyring.backends.SecretService.Keyring"  # noqa: S105 - a class name
TRUSTED = {
    SECRET_SERVICE: "Secret Service",
    "keyring.backends.libsecret.Keyring": "Secret Service (libsecret)",
    "keyring.backends.kwallet.DBusKeyring": "KDE Wallet",
    "keyring.backends.macOS.Keyring": "macOS Keychain",
    "keyring.backends.Windows.WinVaultKeyring": "Windows Credential Manager",
}
"""Dotted class names, exactly, and what a person calls them."""
SERVICE_OWNERS = {
    "gnome-keyring-d": "GNOME Keyring",
    "keepassxc": "KeePassXC",
    "kwalletd5": "KDE Wallet",
    "kwalletd6": "KDE Wallet",
    "ksecretd": "KDE Wallet",
}
"""Programs that answer as the Secret Service, by process name as /proc gives it: 15 characters."""
MIN_PRIORITY = 1
"""What keyring itself recommends; null is -1, fail 0, plain text 0.5."""


@dataclass(frozen=True, slots=True)
class TrustedBackend:
    """A backend that was built and found usable."""

    keyring: KeyringBackend
    where: str
    """In words for a person."""
    secret_service: bool
    """Whether its lock can be looked at (`SecretStorage` is there)."""


def find_backend() -> TrustedBackend:
    """The best trusted backend of this system. NoUsableKeyring tells what was found instead, and why it will not do."""
    wanted, origin = _configured()
    if wanted and wanted not in TRUSTED:
        raise NoUsableKeyring(found=wanted, reason=f"set by {origin}")
    usable: list[tuple[float, KeyringBackend]] = []
    reasons: list[str] = []
    for name in [wanted] if wanted else _candidates():
        try:
            usable.append(_build(name))
        except Exception as error:  # noqa: BLE001 - a backend's import and priority raise whatever their system does
            reasons.append(f"{TRUSTED[name]}: {error}")
    if not usable:
        raise NoUsableKeyring(found=wanted, reason="; ".join(reasons))
    keyring = max(usable, key=lambda entry: entry[0])[1]
    name = dotted_name(keyring)
    if name not in TRUSTED:  # whatever imports and metaclasses did meanwhile
        raise NoUsableKeyring(found=name, reason="it is not one that is trusted with a key")
    where = TRUSTED[name]
    if name == SECRET_SERVICE:
        default_collection_locked()  # starts the service if the bus has yet to, so that it can be named
        where = _service_owner() or where
    return TrustedBackend(keyring, where, name == SECRET_SERVICE)


def dotted_name(keyring: object) -> str:
    """Exact class; a subclass is another one."""
    return f"{type(keyring).__module__}.{type(keyring).__qualname__}"


def _build(name: str) -> tuple[float, KeyringBackend]:
    module, _, class_name = name.rpartition(".")
    backend: type[KeyringBackend] = getattr(importlib.import_module(module), class_name)
    priority = float(backend.priority)  # raises where the system lacks what it needs
    if priority < MIN_PRIORITY:
        raise RuntimeError(f"its priority is {priority:g}")
    return priority, backend()


def _candidates() -> list[str]:
    if sys.platform == "darwin":
        return ["keyring.backends.macOS.Keyring"]
    if sys.platform == "win32":
        return ["keyring.backends.Windows.WinVaultKeyring"]
    return [SECRET_SERVICE, "keyring.backends.libsecret.Keyring", "keyring.backends.kwallet.DBusKeyring"]


def _configured() -> tuple[str, str]:
    """Class name that keyring's environment or file asks for and where it stands, or two empty texts.

    The file is read here and not by keyring, which would put its `keyring-path` before everything on `sys.path`.
    """
    if name := os.environ.get("PYTHON_KEYRING_BACKEND", "").strip():
        return name, "PYTHON_KEYRING_BACKEND"
    from keyring.util import platform_

    path = Path(platform_.config_root()) / "keyringrc.cfg"
    config = configparser.RawConfigParser()
    try:
        config.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise NoUsableKeyring(found="", reason=f"{path} cannot be read: {error}") from None
    name = config.get("backend", "default-keyring", fallback="").strip()
    return (name, str(path)) if name else ("", "")


@contextmanager
def _secret_service() -> Iterator[tuple[Any, Any]]:
    """A bus connection and the service on it."""
    import secretstorage
    from secretstorage.collection import SERVICE_IFACE
    from secretstorage.defines import SS_PATH
    from secretstorage.util import DBusAddressWrapper

    with closing(secretstorage.dbus_init()) as connection:
        yield connection, DBusAddressWrapper(SS_PATH, SERVICE_IFACE, connection)


def default_collection_locked() -> bool | None:
    """Whether the Secret Service's default collection is locked, without any prompt; None when there is none yet."""
    import secretstorage

    with _secret_service() as (connection, _service):
        try:
            return bool(secretstorage.Collection(connection).is_locked())
        except secretstorage.ItemNotFoundException:
            return None


def default_collection_is_lost_at_logout() -> bool:
    """Whether "default" is an alias of the service's `session` collection, which lives in its memory alone."""
    from secretstorage.collection import SESSION_COLLECTION

    with _secret_service() as (_connection, service):
        return bool(service.call("ReadAlias", "s", "default")[0] == SESSION_COLLECTION)


def unlock_default_collection(keyring: KeyringBackend, where: str) -> None:
    """Ask the owner if need be, for as long as the prompt stands. KeyringLocked unless it is open afterwards."""
    collection = keyring.get_preferred_collection()  # type: ignore[attr-defined]  # SecretService's own
    with closing(collection.connection):
        if collection.is_locked():
            raise KeyringLocked(backend=where)


def _service_owner() -> str | None:
    """Which program answers as the Secret Service; None when that is not known."""
    from jeepney import DBusAddress, MessageType, new_method_call  # type: ignore[import-untyped]

    bus = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
    question = new_method_call(bus, "GetConnectionUnixProcessID", "s", ("org.freedesktop.secrets",))
    with _secret_service() as (connection, _service):
        answer = connection.send_and_get_reply(question)
    if answer.header.message_type is MessageType.error:
        return None
    try:
        program = Path(f"/proc/{int(answer.body[0])}/comm").read_text().strip()
    except OSError:
        return None
    return SERVICE_OWNERS.get(program)
