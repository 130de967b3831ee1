"""What a node does with the keyring at its start, in a process of its own that prints one JSON object.

`python -m tests.interop.keyring_start COMMAND [ARGUMENT]`: `open MARKER_FILE [STEP]` (killed with SIGKILL at the step),
`move MARKER_FILE KEYSTORE` (the key, between the keyring and a file beside the marker), `status`, and for the test's
own hands `ready`, `lock`, `unlock`, `forgetful`, `items`, `remove`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from json import dumps
from pathlib import Path
from typing import Any

import secretstorage
from secretstorage.collection import SERVICE_IFACE, SESSION_COLLECTION
from secretstorage.defines import SS_PATH
from secretstorage.util import DBusAddressWrapper, format_secret, open_session

from core.base.clock import SystemClock
from core.base.errors import LeydenError
from core.bolt.networks import NETWORKS
from core.wallet.choice import choose_keystore
from core.wallet.file import FileKeyStore
from core.wallet.keyring_backends import TrustedBackend, find_backend
from core.wallet.keystore import KeyMarker, KeyStore, KeyStoreKind
from core.wallet.node_key import open_node_key
from core.wallet.os_keyring import APPLICATION, OsKeyringStore
from core.wallet.passphrase import Passphrase
from core.wallet.service import KeyService
from tests.interop.secret_service import PASSWORD, READY_S
from tests.unit.wallet.parts import TEST_SCRYPT_N, FileMarker

REGTEST = NETWORKS["regtest"]
STEPS = ("pending", "before write", "written", "before kept", "kept")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingMarker(FileMarker):
    """Dies around its commits when the step says so."""

    def __init__(self, path: Path, step: str) -> None:
        super().__init__(path)
        self._step = step

    async def set(self, text: str) -> None:
        state = "kept" if '"kept"' in text else "pending"
        if self._step == f"before {state}":
            die()
        await super().set(text)
        if self._step == state:
            die()


def find_dying(step: str) -> Callable[[], TrustedBackend]:
    """The real backend, with the end of the process around its write."""

    def find() -> TrustedBackend:
        found = find_backend()
        write = found.keyring.set_password

        def set_password(service: str, username: str, password: str) -> None:
            if step == "before write":
                die()
            write(service, username, password)
            if step == "written":
                die()

        found.keyring.set_password = set_password  # type: ignore[method-assign]
        return found

    return find


async def open_key(marker: str, step: str = "") -> dict[str, Any]:
    store = OsKeyringStore(REGTEST, find=find_dying(step))
    began = time.monotonic()
    try:
        key, created = await open_node_key(store, DyingMarker(Path(marker), step), REGTEST)
        answer: dict[str, Any] = {"node_id": key.node_id.hex(), "created": created}
    except LeydenError as error:
        answer = {"error": type(error).__name__, "facts": {name: str(fact) for name, fact in error.facts.items()}}
    answer |= {"where": store.where, "seconds": time.monotonic() - began}
    await store.aclose()
    return answer


async def move(marker: str, to: str) -> dict[str, Any]:
    """As Node.keys does it in a node that was started."""
    path = Path(marker)

    def make_store(kind: KeyStoreKind, passphrase: Passphrase | None) -> KeyStore:
        if kind is KeyStoreKind.FILE:
            return FileKeyStore(path.with_name("key"), REGTEST, passphrase, scrypt_n=TEST_SCRYPT_N)
        return OsKeyringStore(REGTEST)

    record = KeyMarker.decode(path.read_text())
    service = KeyService(REGTEST, SystemClock(), make_store)
    service.attach(FileMarker(path), record.node_id, record.keystore, "", "")
    try:
        await service.move(KeyStoreKind(to), passphrase=Passphrase("words"))
        await service.verify_passphrase(Passphrase("words"))
        answer: dict[str, Any] = {"node_id": record.node_id.hex(), "where": service.where}
    except LeydenError as error:
        answer = {"error": type(error).__name__}
    await service.aclose()
    return answer


async def status() -> dict[str, Any]:
    from core.base.paths import ProfilePaths

    store = choose_keystore("keyring", ProfilePaths(Path("nowhere"), "regtest"), REGTEST)
    found = await store.status()
    await store.aclose()
    return {"usable": found.usable, "where": found.where, "locked": found.locked, "reason": found.reason}


def by_hand(command: str) -> dict[str, Any]:
    """What a user, or the session around them, does to the keyring."""
    with closing(secretstorage.dbus_init()) as connection:
        service = DBusAddressWrapper(SS_PATH, SERVICE_IFACE, connection)
        if command == "ready":
            return {"ready": wait_for_service(connection)}
        if command == "forgetful":
            service.call("SetAlias", "so", "default", SESSION_COLLECTION)
            return {}
        collection = secretstorage.get_default_collection(connection)
        if command == "lock":
            collection.lock()
        elif command == "unlock":
            unlock(connection, service)
        elif command == "remove":
            for item in collection.get_all_items():
                item.delete()
        services = [] if collection.is_locked() else [i.get_attributes()["service"] for i in collection.get_all_items()]
        return {"locked": collection.is_locked(), "items": [name for name in services if name.startswith(APPLICATION)]}


def wait_for_service(connection: Any) -> bool:
    deadline = time.monotonic() + READY_S
    while not secretstorage.check_service_availability(connection):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)  # another process's start gives no sign but its name on the bus
    return True


def unlock(connection: Any, service: Any) -> None:
    """gnome-keyring's own door for its login module, which needs no prompt."""
    door = DBusAddressWrapper(SS_PATH, "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface", connection)
    path = service.call("ReadAlias", "s", "default")[0]
    secret = format_secret(open_session(connection), PASSWORD, "text/plain")
    door.call("UnlockWithMasterPassword", "o(oayays)", path, secret)


def main(command: str, *arguments: str) -> dict[str, Any]:
    if command == "open":
        return asyncio.run(open_key(*arguments))
    if command == "move":
        return asyncio.run(move(*arguments))
    if command == "status":
        return asyncio.run(status())
    return by_hand(command)


if __name__ == "__main__":
    print(dumps(main(*sys.argv[1:])))
