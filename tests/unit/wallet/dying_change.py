"""A change of passphrase or a move of the key, killed with SIGKILL before its nth operation on the profile's folder.

`python -m tests.unit.wallet.dying_change FOLDER N passphrase|keyring|file`
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from core.wallet.file import FileKeyStore
from core.wallet.keystore import KeyMarker, KeyStore, KeyStoreKind
from core.wallet.os_keyring import OsKeyringStore
from core.wallet.passphrase import Passphrase
from core.wallet.service import KeyService
from tests.support.clock import ManualClock
from tests.unit.wallet.dying_start import die_before_operation
from tests.unit.wallet.parts import REGTEST, TEST_SCRYPT_N, FileMarker, PretendKeyring


class DiskKeyring(PretendKeyring):
    """Keeps its items in one file that is replaced whole, so that they outlive the process."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if path.exists():
            self.items = {(service, name): text for service, name, text in json.loads(path.read_text())}

    def _keep(self) -> None:
        new = self._path.with_suffix(".tmp")
        new.write_text(json.dumps([[*place, text] for place, text in self.items.items()]))
        os.rename(new, self._path)

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password)
        self._keep()

    def delete_password(self, service: str, username: str) -> None:
        super().delete_password(service, username)
        self._keep()


def make_store(folder: Path, kind: KeyStoreKind, passphrase: Passphrase | None) -> KeyStore:
    if kind is KeyStoreKind.FILE:
        return FileKeyStore(folder / "key", REGTEST, passphrase, scrypt_n=TEST_SCRYPT_N)
    return OsKeyringStore(REGTEST, find=DiskKeyring(folder / "ring").found)


async def service_at(folder: Path) -> KeyService:
    """As a started node would have it."""
    marker = FileMarker(folder / "marker")
    record = KeyMarker.decode(await marker.get() or "")
    service = KeyService(REGTEST, ManualClock(), lambda kind, passphrase: make_store(folder, kind, passphrase))
    service.attach(marker, record.node_id, record.keystore, "somewhere", "")
    return service


async def main(folder: Path, change: str) -> None:
    service = await service_at(folder)
    if change == "passphrase":
        await service.change_passphrase(Passphrase("old"), Passphrase("new"))
    else:
        await service.move(KeyStoreKind(change), passphrase=Passphrase("old"))
    await service.aclose()


if __name__ == "__main__":
    die_before_operation(int(sys.argv[2]), sys.argv[1])
    asyncio.run(main(Path(sys.argv[1]), sys.argv[3]))
