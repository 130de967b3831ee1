"""Open the node's key, or make it on the very first start: the one place that may decide which of the two it is."""

from __future__ import annotations

import logging
from collections.abc import Callable

from core.base.clock import Clock, SystemClock
from core.bolt.keys import NodeKey, short_id
from core.bolt.networks import Network
from core.wallet.change import finish_move
from core.wallet.derive import derive_node_key, new_mnemonic
from core.wallet.errors import (
    KeyDamaged,
    KeyFileDamaged,
    KeyInTheWay,
    KeyKindUnsupported,
    KeyMissing,
    WrongKey,
    WrongPassphrase,
)
from core.wallet.keystore import KeyMarker, KeyStore, KeyStoreKind, Marker, MarkerState
from core.wallet.secret import Secret, SecretKind, SecretTextError
from core.wallet.worker import Worker

log = logging.getLogger(__name__)


async def open_node_key(
    store: KeyStore,
    marker: Marker,
    network: Network,
    *,
    words: int = 12,
    clock: Clock | None = None,
    derive_more: Callable[[Secret], None] | None = None,
    offered: Secret | None = None,
    left_store: Callable[[KeyStoreKind], KeyStore] | None = None,
) -> tuple[NodeKey, bool]:
    """The node key of this profile, and whether it was made just now.

    The order makes every kill harmless; each line survives before the next begins:

    1. the marker says PENDING with the new node id (committed),
    2. the store is proven unlocked, the item is written under that node id, never over another, and read back,
    3. the marker says KEPT (committed),
    4. only now does anybody hear of the node id.

    Killed before 2: the marker names a key that was never written; the next start proves the store unlocked, finds
    nothing and begins again. Killed between 2 and 3: the next start finds the item under the pending name and adopts
    it, so nothing is orphaned. Once the marker says KEPT, a store that answers None (KWallet does when it is locked)
    raises KeyMissing, and no path below leads to `create`.

    A store that keeps nothing leaves no marker. A key file that lies in a profile without a record of it is opened,
    never replaced. `derive_more` is called in a worker thread with the secret, while it is in memory anyhow; what it
    made counts once this returns.

    `offered` is the secret that a person made or restored. It is stored where a new one would be, and where the
    profile's own key is missing, damaged or under a passphrase that nobody knows, if it is that very key; it never
    takes another key's place (KeyInTheWay). What a move left in another store is removed once the key was opened;
    `left_store` makes that store.

    Raises the errors of `core.wallet.errors`; ValueError when `words` is neither 12 nor 24.
    """
    async with Worker("leyden-derive") as worker:
        opener = _Opener(store, marker, network, worker, derive_more, left_store)
        offered_id = None if offered is None else await opener.id_of(offered)
        text = await marker.get()
        record = None if text is None else KeyMarker.decode(text)
        if record is not None and record.state is MarkerState.KEPT:
            return await opener.reopen_or_restore(record, offered, offered_id), False
        if (found := await opener.find_unrecorded(record, offered_id)) is not None:
            return found, False
        created = int((clock or SystemClock()).time())
        if offered is None:
            offered = await worker.run(lambda: new_mnemonic(words, created))
        return await opener.create(offered), True


class _Opener:
    """The steps of `open_node_key` and what they share."""

    def __init__(
        self,
        store: KeyStore,
        marker: Marker,
        network: Network,
        worker: Worker,
        derive_more: Callable[[Secret], None] | None,
        left_store: Callable[[KeyStoreKind], KeyStore] | None,
    ) -> None:
        self._store = store
        self._marker = marker
        self._network = network
        self._worker = worker
        self._derive_more = derive_more
        self._left_store = left_store

    async def id_of(self, offered: Secret) -> bytes:
        """Of a secret that is in no store yet."""
        key = await self._worker.run(lambda: derive_node_key(offered, self._network))
        return key.node_id

    async def reopen_or_restore(self, record: KeyMarker, offered: Secret | None, offered_id: bytes | None) -> NodeKey:
        """`reopen`; where that fails and the person has the very key, the key is stored again."""
        if offered is None:
            return await self.reopen(record)
        if offered_id is not None and offered_id != record.node_id:
            raise KeyInTheWay(where=self._store.where, found=record.node_id, offered=offered_id)
        try:
            return await self.reopen(record)
        except (KeyMissing, KeyFileDamaged, WrongPassphrase) as error:
            log.warning("storing the key again in %s: %s", self._store.where, type(error).__name__)
        kept = await self._derive(await self._store.replace(offered, record.node_id), record.node_id)
        if self._store.keeps:
            await self._record(kept, offered, MarkerState.KEPT)
        return kept

    async def reopen(self, record: KeyMarker) -> NodeKey:
        """The key that the profile belongs to, or an error; never another one."""
        secret = await self._store.load(record.node_id)
        if secret is None:
            raise KeyMissing(where=self._store.where, node_id=record.node_id, kept_in=record.keystore.value)
        key = await self._derive(secret, record.node_id)
        if record.keystore is not self._store.kind and self._store.keeps:
            await self._record(key, secret, MarkerState.KEPT)
        elif record.leaving not in (None, self._store.kind):
            await self._leave(record, secret)
        return key

    async def _leave(self, record: KeyMarker, secret: Secret) -> None:
        if self._left_store is None or record.leaving is None:
            return
        left = self._left_store(record.leaving)
        try:
            await finish_move(left, secret, self._marker, record)
        finally:
            await left.aclose()

    async def find_unrecorded(self, pending: KeyMarker | None, offered_id: bytes | None) -> NodeKey | None:
        """A key that a first start wrote before it was killed, or a key file that came without its database.

        KeyInTheWay when it is not the one that is offered.
        """
        secret = await self._store.load(None)
        expected = None
        if secret is None and pending is not None and self._store.keeps:
            await self._store.prove()
            secret, expected = await self._store.load(pending.node_id), pending.node_id
        if secret is None:
            return None
        key = await self._derive(secret, expected)
        if offered_id is not None and key.node_id != offered_id:
            raise KeyInTheWay(where=self._store.where, found=key.node_id, offered=offered_id)
        if self._store.keeps:
            log.warning("took up the key of %s found in %s", short_id(key.node_id), self._store.where)
            await self._record(key, secret, MarkerState.KEPT)
        return key

    async def create(self, secret: Secret) -> NodeKey:
        """Write a new secret; the key given back is made from what the store read back."""
        key = await self._derive(secret, None)
        if self._store.keeps:
            await self._record(key, secret, MarkerState.PENDING)
        kept = await self._derive(await self._store.create(secret, key.node_id), key.node_id)
        if self._store.keeps:
            await self._record(kept, secret, MarkerState.KEPT)
        return kept

    async def _record(self, key: NodeKey, secret: Secret, state: MarkerState) -> None:
        await self._marker.set(KeyMarker(key.node_id, self._store.kind, secret.created, state).encode())

    async def _derive(self, secret: Secret, expected: bytes | None) -> NodeKey:
        where = self._store.where
        if secret.kind is not SecretKind.BIP39:
            raise KeyKindUnsupported(where=where, kind=secret.kind.value)
        try:
            key = await self._worker.run(lambda: derive_node_key(secret, self._network))
        except SecretTextError as error:
            raise KeyDamaged(where=where, reason=str(error)) from None
        if expected is not None and key.node_id != expected:
            raise WrongKey(where=where, found=key.node_id, expected=expected)
        if (derive_more := self._derive_more) is not None:
            await self._worker.run(lambda: derive_more(secret))
        return key
