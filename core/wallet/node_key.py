"""Open the node's key, or make it on the very first start: the one place that may decide which of the two it is."""

from __future__ import annotations

import logging
from collections.abc import Callable

from core.base.clock import Clock, SystemClock
from core.bolt.keys import NodeKey, short_id
from core.bolt.networks import Network
from core.wallet.derive import derive_node_key, new_mnemonic
from core.wallet.errors import KeyDamaged, KeyKindUnsupported, KeyMissing, WrongKey
from core.wallet.keystore import KeyMarker, KeyStore, Marker, MarkerState
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
    made counts once this returns. Raises the errors of `core.wallet.errors`; ValueError when `words` is neither 12
    nor 24.
    """
    async with Worker("leyden-derive") as worker:
        opener = _Opener(store, marker, network, worker, derive_more)
        text = await marker.get()
        record = None if text is None else KeyMarker.decode(text)
        if record is not None and record.state is MarkerState.KEPT:
            return await opener.reopen(record), False
        if (found := await opener.find_unrecorded(record)) is not None:
            return found, False
        created = int((clock or SystemClock()).time())
        secret = await worker.run(lambda: new_mnemonic(words, created))
        return await opener.create(secret), True


class _Opener:
    """The steps of `open_node_key` and what they share."""

    def __init__(
        self,
        store: KeyStore,
        marker: Marker,
        network: Network,
        worker: Worker,
        derive_more: Callable[[Secret], None] | None,
    ) -> None:
        self._store = store
        self._marker = marker
        self._network = network
        self._worker = worker
        self._derive_more = derive_more

    async def reopen(self, record: KeyMarker) -> NodeKey:
        """The key that the profile belongs to, or an error; never another one."""
        secret = await self._store.load(record.node_id)
        if secret is None:
            raise KeyMissing(where=self._store.where, node_id=record.node_id, kept_in=record.keystore.value)
        key = await self._derive(secret, record.node_id)
        if record.keystore is not self._store.kind and self._store.keeps:
            await self._record(key, secret, MarkerState.KEPT)
        return key

    async def find_unrecorded(self, pending: KeyMarker | None) -> NodeKey | None:
        """A key that a first start wrote before it was killed, or a key file that came without its database."""
        secret = await self._store.load(None)
        expected = None
        if secret is None and pending is not None and self._store.keeps:
            await self._store.prove()
            secret, expected = await self._store.load(pending.node_id), pending.node_id
        if secret is None:
            return None
        key = await self._derive(secret, expected)
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
