"""Everything a person does with the node's key: make it, restore it, lock it, change its passphrase, move it.

`Node.keys` is one of these. Before `Node.start` it makes and reads keys for the wizard; afterwards it also knows where
the node's key is kept. The last resort of every operation is the order of its steps (`core.wallet.change`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from core.base.clock import Clock
from core.bolt.networks import Network
from core.wallet import change
from core.wallet.derive import derive_node_key
from core.wallet.errors import KeyMissing, KeyStorePinned, WrongKey
from core.wallet.keystore import KeyMarker, KeyStore, KeyStoreKind, KeyStoreStatus, Marker
from core.wallet.lock import Lock
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from core.wallet.words import NewKey, read_words, word_list
from core.wallet.worker import Worker

T = TypeVar("T")
CLOSE_WAIT_S = 5.0
"""How long the end of the node waits for a change that is under way; a prompt may stand open longer."""

MakeStore = Callable[[KeyStoreKind, Passphrase | None], KeyStore]


class UnlockBy(StrEnum):
    """What `unlock` asks of a person."""

    PASSPHRASE = "passphrase"  # noqa: S105 - a name
    """That of the encrypted file."""
    KEYRING = "keyring"
    """The system's keyring, which asks for itself if it is locked, and says yes if it is not."""
    NOTHING = "nothing"
    """The key is in memory alone."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """Where the key is, for Settings and the lock page. Nothing in it is secret."""

    node_id: bytes
    kind: KeyStoreKind
    where: str
    """In words: `GNOME Keyring`, a path, `memory`."""
    locked: bool
    """Whether `lock` was called last, not `unlock`."""
    unlock_by: UnlockBy
    pinned: str
    """Where a setting stands that forbids `move`: `config`, `env` or `args`; empty when none does."""


@dataclass(frozen=True, slots=True)
class _Kept:
    marker: Marker
    node_id: bytes
    kind: KeyStoreKind
    where: str
    pinned: str


class KeyService:
    """Raises the errors of `core.wallet.errors`. One change at a time; one that began runs on without its caller."""

    def __init__(self, network: Network, clock: Clock, make_store: MakeStore) -> None:
        self._network = network
        self._clock = clock
        self._make_store = make_store
        self._lock = Lock()
        self._kept: _Kept | None = None
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()

    # For the wizard, before the node is started -----------------------------------------------------------------------

    async def draft(self, words: int = 12) -> NewKey:
        """A new key that nobody depends on yet, of 12 or 24 words (else ValueError). Nothing is stored."""
        self._lock.need_open()
        created = int(self._clock.time())
        draft = await self._work(lambda: NewKey.draft(words, created=created))
        self._lock.hold(draft)
        return draft

    async def restore(self, text: str) -> Secret:
        """The secret of typed words. WordUnknown, WordsCount, WordsChecksum, WordsOfLnd. Nothing is stored."""
        self._lock.need_open()
        created = int(self._clock.time())
        return await self._work(lambda: read_words(text, created=created))

    async def word_list(self) -> tuple[str, ...]:
        """The 2,048 words there are, sorted: to help while they are typed."""
        return await self._work(word_list)

    async def node_id_of(self, secret: Secret) -> bytes:
        """33 bytes: which node it would be on this network. To be shown before anything is stored."""
        return (await self._work(lambda: derive_node_key(secret, self._network))).node_id

    async def keyring_status(self) -> KeyStoreStatus:
        """Whether the system has a keyring that is trusted, and what it is called. No prompt."""
        store = self._make_store(KeyStoreKind.KEYRING, None)
        try:
            return await store.status()
        finally:
            await store.aclose()

    # While the node is started ----------------------------------------------------------------------------------------

    def state(self) -> KeyState:
        """RuntimeError before the node was started, as for every method below."""
        kept = self._started()
        by = {KeyStoreKind.FILE: UnlockBy.PASSPHRASE, KeyStoreKind.KEYRING: UnlockBy.KEYRING}
        return KeyState(
            kept.node_id,
            kept.kind,
            kept.where,
            self._lock.locked,
            by.get(kept.kind, UnlockBy.NOTHING),
            kept.pinned,
        )

    @property
    def where(self) -> str:
        """Where the key is, in words; empty before the node was started."""
        return "" if self._kept is None else self._kept.where

    def lock(self) -> None:
        """Wipe every secret but the node key, which the connections need, and refuse what needs one."""
        self._started()
        self._lock.close()

    async def unlock(self, passphrase: Passphrase | None = None) -> None:
        """Open again once `verify_passphrase` returns."""
        await self.verify_passphrase(passphrase)
        self._lock.open()

    async def verify_passphrase(self, passphrase: Passphrase | None = None) -> None:
        """Return only if the key can be had with it: WrongPassphrase, PassphraseNeeded; KeyringLocked; KeyMissing.

        Only a key file has a passphrase. A keyring is asked for the key, which may open its own prompt.
        """
        await self._change(lambda: self._verify(passphrase))

    async def change_passphrase(self, old: Passphrase, new: Passphrase) -> None:
        """Encrypt the key file anew. A kill at any moment leaves the file under the old passphrase or the new one.

        ValueError unless the key is kept in a file. A `passphrase-file` that was set is for its owner to change.
        """
        await self._change(lambda: self._change_passphrase(old, new))

    async def move(self, to: KeyStoreKind, *, passphrase: Passphrase | None = None) -> None:
        """Keep the key in the keyring or in a file from now on. `passphrase` is the file's, left or entered.

        Written and read back there, then recorded, and only then removed here: killed in between, the key is at least
        in one place that the profile knows, and the next start removes what was left. KeyStorePinned while a setting
        names the place. ValueError for memory, or where it already is.
        """
        await self._change(lambda: self._move(to, passphrase))

    # For Node ---------------------------------------------------------------------------------------------------------

    def attach(self, marker: Marker, node_id: bytes, kind: KeyStoreKind, where: str, pinned: str) -> None:
        """The node has its key: from here on the methods of the second kind work."""
        self._kept = _Kept(marker, node_id, kind, where, pinned)

    async def aclose(self) -> None:
        """Forget where the key is and wipe drafts; waits some seconds for a change that is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSE_WAIT_S)
        if late := set(self._under_way):
            for task in late:
                task.cancel()
            await asyncio.wait(late)
        self._kept = None
        self._lock.wipe()
        self._lock.open()

    async def _verify(self, passphrase: Passphrase | None) -> None:
        kept = self._started()
        if kept.kind is KeyStoreKind.MEMORY:
            return
        store = self._make_store(kept.kind, passphrase)
        try:
            await change.load_checked(store, kept.node_id, self._network)
        except KeyMissing:
            await store.prove()  # KWallet says that it has none while it is locked
            raise
        finally:
            await store.aclose()

    async def _change_passphrase(self, old: Passphrase, new: Passphrase) -> None:
        self._lock.need_open()
        kept = self._started()
        if kept.kind is not KeyStoreKind.FILE:
            raise ValueError(f"a key in {kept.kind.value} has no passphrase")
        store, target = self._make_store(kept.kind, old), self._make_store(kept.kind, new)
        try:
            secret = await change.load_checked(store, kept.node_id, self._network)
            await target.replace(secret, kept.node_id)
        finally:
            await store.aclose()
            await target.aclose()

    async def _move(self, to: KeyStoreKind, passphrase: Passphrase | None) -> None:
        self._lock.need_open()
        kept = self._started()
        if KeyStoreKind.MEMORY in (to, kept.kind) or to is kept.kind:
            raise ValueError(f"a key is not moved from {kept.kind.value} to {to.value}")
        if kept.pinned:
            raise KeyStorePinned(origin=kept.pinned, keystore=kept.kind.value)
        text = await kept.marker.get()
        if text is None:
            raise KeyMissing(where="the profile's record", node_id=kept.node_id, kept_in=kept.kind.value)
        record = KeyMarker.decode(text)
        if record.node_id != kept.node_id:
            raise WrongKey(where="the profile's record", found=record.node_id, expected=kept.node_id)
        source, target = self._make_store(kept.kind, passphrase), self._make_store(to, passphrase)
        try:
            await change.move_key(source, target, kept.marker, record, self._network, self._moved)
        finally:
            await source.aclose()
            await target.aclose()

    def _moved(self, store: KeyStore) -> None:
        kept = self._started()
        self._kept = _Kept(kept.marker, kept.node_id, store.kind, store.where, kept.pinned)

    async def _change(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """In turn, and to its end even when the caller is cancelled, lest a second change meet the first's thread."""

        async def in_turn() -> T:
            async with self._turn:
                return await work()

        task = asyncio.ensure_future(in_turn())
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, lest the loop complains when the caller went away

    async def _work(self, job: Callable[[], T]) -> T:
        async with Worker("leyden-words") as worker:
            return await worker.run(job)

    def _started(self) -> _Kept:
        if self._kept is None:
            raise RuntimeError("the node has not been started")
        return self._kept
