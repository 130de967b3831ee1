"""A profile's stores and record without a node: what the tests of Node.keys start and start again."""

from __future__ import annotations

from pathlib import Path

from core.wallet.derive import derive_node_key
from core.wallet.errors import WrongPassphrase
from core.wallet.file import FileKeyStore
from core.wallet.keystore import KeyMarker, KeyStore, KeyStoreKind
from core.wallet.memory import MemoryKeyStore
from core.wallet.node_key import open_node_key
from core.wallet.os_keyring import USERNAME, OsKeyringStore, item_service
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from core.wallet.service import KeyService
from core.wallet.words import read_words
from tests.support.clock import ManualClock
from tests.unit.wallet.parts import NOW, REGTEST, TEST_SCRYPT_N, MemoryMarker, PretendKeyring, abandon_secret

ABANDON_ID = derive_node_key(abandon_secret(), REGTEST).node_id
OTHER = read_words("legal winner thank year wave sausage worth useful legal winner thank yellow", created=NOW)
OTHER_ID = derive_node_key(OTHER, REGTEST).node_id
ITEM = (item_service(REGTEST, ABANDON_ID), USERNAME)
OLD, NEW = Passphrase("old"), Passphrase("new")


class Profile:
    """A profile's stores and record, as a node would hold them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "node-key.json"
        self.keyring = PretendKeyring()
        self.marker = MemoryMarker()
        self.service = KeyService(REGTEST, ManualClock(), self.make_store)

    def make_store(self, kind: KeyStoreKind, passphrase: Passphrase | None) -> KeyStore:
        match kind:
            case KeyStoreKind.FILE:
                return FileKeyStore(self.path, REGTEST, passphrase, scrypt_n=TEST_SCRYPT_N)
            case KeyStoreKind.KEYRING:
                return OsKeyringStore(REGTEST, find=self.keyring.found)
            case KeyStoreKind.MEMORY:
                return MemoryKeyStore()

    async def start(
        self, kind: KeyStoreKind, passphrase: Passphrase | None = OLD, offered: Secret | None = None, pinned: str = ""
    ) -> bytes:
        """As Node.start does; the node id."""
        store = self.make_store(kind, passphrase)
        try:
            key, _ = await open_node_key(
                store, self.marker, REGTEST, offered=offered, left_store=lambda left: self.make_store(left, None)
            )
            self.service.attach(self.marker, key.node_id, store.kind, store.where, pinned)
        finally:
            await store.aclose()
        return key.node_id

    @property
    def record(self) -> KeyMarker:
        return KeyMarker.decode(self.marker.texts[-1])

    async def opens(self, passphrase: Passphrase) -> bool:
        store = self.make_store(KeyStoreKind.FILE, passphrase)
        try:
            return await store.load(ABANDON_ID) == abandon_secret()
        except WrongPassphrase:
            return False
        finally:
            await store.aclose()
