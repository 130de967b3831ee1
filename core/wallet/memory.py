"""A key for practice: gone when the process ends."""

from __future__ import annotations

from core.wallet.keystore import KeyStoreKind, KeyStoreStatus
from core.wallet.secret import Secret


class MemoryKeyStore:
    """Fills `KeyStore` and writes nothing anywhere."""

    kind = KeyStoreKind.MEMORY
    keeps = False
    where = "memory"

    def __init__(self) -> None:
        self._kept: tuple[bytes, Secret] | None = None

    async def load(self, expected_node_id: bytes | None) -> Secret | None:
        if self._kept is None or expected_node_id not in (None, self._kept[0]):
            return None
        return self._kept[1]

    async def create(self, secret: Secret, node_id: bytes) -> Secret:
        self._kept = (node_id, secret)
        return secret

    async def replace(self, secret: Secret, node_id: bytes) -> Secret:
        return await self.create(secret, node_id)

    async def remove(self, secret: Secret, node_id: bytes) -> None:
        if self._kept == (node_id, secret):
            self._kept = None

    async def prove(self) -> None:
        """Memory is never locked."""

    async def status(self) -> KeyStoreStatus:
        return KeyStoreStatus(usable=True, where=self.where, locked=False)

    async def aclose(self) -> None:
        self._kept = None
