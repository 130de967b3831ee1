"""From `--keystore` to a key store. What was asked for or an error: nothing falls back to anything."""

from __future__ import annotations

from core.base.paths import ProfilePaths
from core.bolt.networks import Network
from core.wallet.errors import MemoryKeyRefused
from core.wallet.file import FileKeyStore
from core.wallet.keystore import KeyStore, KeyStoreKind
from core.wallet.memory import MemoryKeyStore
from core.wallet.os_keyring import OsKeyringStore
from core.wallet.passphrase import Passphrase


def choose_keystore(
    kind: str, paths: ProfilePaths, network: Network, *, passphrase: Passphrase | None = None, ephemeral: bool = False
) -> KeyStore:
    """The store of this kind; it touches neither disk nor keyring until it is used.

    MemoryKeyRefused for `memory` on bitcoin unless `ephemeral`; ValueError for a kind that is none.
    """
    match KeyStoreKind(kind):
        case KeyStoreKind.KEYRING:
            return OsKeyringStore(network)
        case KeyStoreKind.FILE:
            return FileKeyStore(paths.key_file, network, passphrase)
        case KeyStoreKind.MEMORY:
            if network.name == "bitcoin" and not ephemeral:
                raise MemoryKeyRefused(network=network.name)
            return MemoryKeyStore()
