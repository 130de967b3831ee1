"""What the key store tests share: a marker on disk and in memory, a keyring that fails on demand, known words."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from keyring.backend import KeyringBackend

from core.bolt.networks import NETWORKS
from core.wallet.keyring_backends import TrustedBackend
from core.wallet.secret import Secret, SecretKind

REGTEST = NETWORKS["regtest"]
BITCOIN = NETWORKS["bitcoin"]
ABANDON = "abandon " * 11 + "about"
NOW = 1_700_000_000
TEST_SCRYPT_N = 2**14


def abandon_secret() -> Secret:
    return Secret(kind=SecretKind.BIP39, secret=ABANDON, created=NOW)


class MemoryMarker:
    """`core.wallet.keystore.Marker`; remembers every text it was given."""

    def __init__(self, text: str | None = None) -> None:
        self.texts = [] if text is None else [text]

    async def get(self) -> str | None:
        return self.texts[-1] if self.texts else None

    async def set(self, text: str) -> None:
        self.texts.append(text)


class FileMarker:
    """The same in a file that is replaced whole, as a committed database row would be."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def get(self) -> str | None:
        return self._path.read_text() if self._path.exists() else None

    async def set(self, text: str) -> None:
        new = self._path.with_suffix(".tmp")
        with new.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._path)


class PretendKeyring(KeyringBackend):
    """Keeps items in a dict. `before` is called first in each operation, and may raise or wait."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[tuple[str, str], str] = {}
        self.calls: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.before: Callable[[str, str], None] = lambda _operation, _service: None
        self.forgets = False

    def _begin(self, operation: str, service: str) -> None:
        self.threads.add(threading.current_thread())
        self.calls.append(f"{operation} {service}")
        self.before(operation, service)

    def get_password(self, service: str, username: str) -> str | None:
        self._begin("get", service)
        return self.items.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._begin("set", service)
        if not self.forgets:
            self.items[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._begin("delete", service)
        del self.items[service, username]

    def found(self) -> TrustedBackend:
        return TrustedBackend(self, "Pretend Keyring", secret_service=False)
