"""Moving the key between stores, in an order in which no kill loses it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from core.base.errors import LeydenError
from core.bolt.networks import Network
from core.wallet.derive import derive_node_key
from core.wallet.errors import KeyDamaged, KeyKindUnsupported, KeyMissing, WrongKey
from core.wallet.keystore import KeyMarker, KeyStore, KeyStoreKind, Marker, MarkerState
from core.wallet.secret import Secret, SecretKind, SecretTextError
from core.wallet.worker import Worker

log = logging.getLogger(__name__)


async def load_checked(store: KeyStore, node_id: bytes, network: Network) -> Secret:
    """What the store keeps under this node id, and only if it makes that id.

    KeyMissing, WrongKey, KeyDamaged, KeyKindUnsupported, and the store's own errors.
    """
    secret = await store.load(node_id)
    if secret is None:
        raise KeyMissing(where=store.where, node_id=node_id, kept_in=store.kind.value)
    if secret.kind is not SecretKind.BIP39:
        raise KeyKindUnsupported(where=store.where, kind=secret.kind.value)
    async with Worker("leyden-derive") as worker:
        try:
            key = await worker.run(lambda: derive_node_key(secret, network))
        except SecretTextError as error:
            raise KeyDamaged(where=store.where, reason=str(error)) from None
    if key.node_id != node_id:
        raise WrongKey(where=store.where, found=key.node_id, expected=node_id)
    return secret


async def move_key(
    source: KeyStore,
    target: KeyStore,
    marker: Marker,
    record: KeyMarker,
    network: Network,
    moved: Callable[[KeyStore], None],
) -> None:
    """Each line survives before the next begins:

    1. the source's key is read, and makes the profile's node id,
    2. it is written to the target, and read back from there,
    3. the marker names the target, and the source as what is being left (committed); `moved` is called,
    4. the target is read once more, and only if it holds the key is it removed from the source,
    5. the marker forgets the source (committed).

    Killed before 3, the source is the place and holds the key; what lies in the target is written over by the next
    move. Killed after 3, the target is the place, and the next start does 4 and 5 (`finish_move`).
    """
    secret = await load_checked(source, record.node_id, network)
    await target.replace(secret, record.node_id)
    await load_checked(target, record.node_id, network)
    leaving = replace(record, keystore=target.kind, state=MarkerState.KEPT, leaving=source.kind)
    await marker.set(leaving.encode())
    moved(target)
    if (await load_checked(target, record.node_id, network)).same_key(secret):
        await finish_move(source, secret, marker, leaving)


async def finish_move(left: KeyStore, secret: Secret, marker: Marker, record: KeyMarker) -> None:
    """Remove what a move left behind; `secret` was just read from where the key is now.

    Never an error, since the node has its key: what cannot be removed now is tried again at the next start.
    """
    try:
        status = await left.status()
        if left.kind is KeyStoreKind.KEYRING and status.locked:
            log.warning("%s is locked: the copy of the key that was left there is removed at another start", left.where)
            return
        await left.remove(secret, record.node_id)
        await marker.set(replace(record, leaving=None).encode())
    except LeydenError as error:
        log.warning("the copy of the key left in %s was not removed: %s", left.where, error)
