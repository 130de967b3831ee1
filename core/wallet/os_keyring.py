"""The key store for most people: the keyring that their system unlocks at login."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TypeVar

from core.base.errors import LeydenError
from core.bolt.networks import Network
from core.wallet import keyring_backends
from core.wallet.errors import KeyNotSaved, KeyringFailed, KeyringLocked, NoUsableKeyring
from core.wallet.keyring_backends import TrustedBackend, find_backend
from core.wallet.keystore import KeyStoreKind, KeyStoreStatus
from core.wallet.secret import Secret, SecretTextError
from core.wallet.worker import Worker

T = TypeVar("T")
APPLICATION = "io.leyden.Leyden"
USERNAME = "node key"
PROBE = "probe"
MAX_REASON_CHARACTERS = 300
TELLTALE_CHARACTERS = 12


def item_service(network: Network, node_id: bytes) -> str:
    """An item's service name, one for each key. Network and node id stand here and not in the username, because Windows
    moves an item that exists as soon as a second username comes under its service."""
    return f"{APPLICATION}/{network.name}/{node_id.hex()}"


class OsKeyringStore:
    """Fills `KeyStore`. keyring is imported and called on one daemon thread alone, prompts and all.

    A call has no deadline of its own: a prompt may stand open as long as its owner likes. Who waits may cancel; the
    answer that comes later is discarded.
    """

    kind = KeyStoreKind.KEYRING
    keeps = True

    def __init__(self, network: Network, *, find: Callable[[], TrustedBackend] = find_backend) -> None:
        self._network = network
        self._find = find
        self._found: TrustedBackend | None = None
        self._worker = Worker("leyden-keyring")

    @property
    def where(self) -> str:
        return self._found.where if self._found else "the system's keyring"

    async def load(self, expected_node_id: bytes | None) -> Secret | None:
        return await self._call(lambda backend: self._load(backend, expected_node_id))

    async def create(self, secret: Secret, node_id: bytes) -> Secret:
        return await self._call(lambda backend: self._create(backend, secret, node_id), hidden=secret)

    async def replace(self, secret: Secret, node_id: bytes) -> Secret:
        """The same secret is found there or written; another one under its name stays, and is KeyringFailed."""
        return await self._call(lambda backend: self._create(backend, secret, node_id), hidden=secret)

    async def remove(self, secret: Secret, node_id: bytes) -> None:
        await self._call(lambda backend: self._remove(backend, secret, node_id), hidden=secret)

    async def prove(self) -> None:
        await self._call(self._prove)

    async def status(self) -> KeyStoreStatus:
        try:
            locked = await self._call(_locked)
        except NoUsableKeyring as error:
            return KeyStoreStatus(usable=False, where=self.where, locked=None, reason=error.reason)
        except KeyringFailed as error:
            return KeyStoreStatus(usable=False, where=self.where, locked=None, reason=error.reason)
        return KeyStoreStatus(usable=True, where=self.where, locked=locked)

    async def aclose(self) -> None:
        await self._worker.aclose()

    async def _call(self, job: Callable[[TrustedBackend], T], *, hidden: Secret | None = None) -> T:
        return await self._worker.run(lambda: self._guarded(job, hidden))

    def _guarded(self, job: Callable[[TrustedBackend], T], hidden: Secret | None) -> T:
        """On the thread: find the backend if there is none yet, and give its errors our names.

        The error raised is chained to nothing: what a backend raises may hold what it was asked to store.
        """
        try:
            if self._found is None:
                self._found = self._find()
            return job(self._found)
        except LeydenError:
            raise
        except Exception as error:  # noqa: BLE001 - pywin32, D-Bus and Objective-C errors share no base
            translated = _translate(error, self._found, hidden)
        raise translated

    def _load(self, found: TrustedBackend, node_id: bytes | None) -> Secret | None:
        if node_id is None:
            return None
        text = found.keyring.get_password(item_service(self._network, node_id), USERNAME)
        return None if text is None else _parse(text, found)

    def _prove(self, found: TrustedBackend) -> None:
        """The Secret Service is asked about its lock; any other store shows it by keeping a throw-away item."""
        if found.secret_service:
            keyring_backends.unlock_default_collection(found.keyring, found.where)
            if keyring_backends.default_collection_is_lost_at_logout():
                raise KeyringFailed(backend=found.where, reason="its default collection is forgotten at logout")
            return
        service, value = f"{APPLICATION}/{self._network.name}/{PROBE}", secrets.token_hex(8)
        found.keyring.set_password(service, PROBE, value)
        kept = found.keyring.get_password(service, PROBE)
        if kept is None:
            raise KeyringLocked(backend=found.where)
        if kept != value:
            raise KeyringFailed(backend=found.where, reason="it gives back something other than it was given")
        found.keyring.delete_password(service, PROBE)

    def _create(self, found: TrustedBackend, secret: Secret, node_id: bytes) -> Secret:
        self._prove(found)
        service = item_service(self._network, node_id)
        present = found.keyring.get_password(service, USERNAME)
        if present is None:
            self._save(found, service, secret)
            present = found.keyring.get_password(service, USERNAME)
        if present is None:
            raise KeyringFailed(backend=found.where, reason="it took the key and does not give it back")
        return _same(present, secret, found)

    def _save(self, found: TrustedBackend, service: str, secret: Secret) -> None:
        """KeyNotSaved when the keyring refuses and is seen to hold nothing; a lock keeps its own name."""
        try:
            found.keyring.set_password(service, USERNAME, secret.to_text())
            return
        except Exception as error:  # noqa: BLE001 - as in `_guarded`
            translated = _translate(error, found, secret)
        if type(translated) is KeyringFailed and found.keyring.get_password(service, USERNAME) is None:
            raise KeyNotSaved(backend=translated.backend, reason=translated.reason)
        raise translated

    def _remove(self, found: TrustedBackend, secret: Secret, node_id: bytes) -> None:
        service = item_service(self._network, node_id)
        present = found.keyring.get_password(service, USERNAME)
        if present is None:
            return
        _same(present, secret, found)
        found.keyring.delete_password(service, USERNAME)
        if found.keyring.get_password(service, USERNAME) is not None:
            raise KeyringFailed(backend=found.where, reason="it still has the key that it was told to forget")


def _parse(text: str, found: TrustedBackend) -> Secret:
    try:
        return Secret.from_text(text)
    except SecretTextError as error:
        reason = f"the item is not a key that Leyden wrote: {error}"
        raise KeyringFailed(backend=found.where, reason=reason) from None


def _same(text: str, secret: Secret, found: TrustedBackend) -> Secret:
    """The item, only if it is this key, whenever it was written; after a restore it may be there from before."""
    kept = _parse(text, found)
    if not kept.same_key(secret):
        raise KeyringFailed(backend=found.where, reason="it holds something else under the key's name")
    return kept


def _locked(found: TrustedBackend) -> bool | None:
    return keyring_backends.default_collection_locked() if found.secret_service else None


def _shows(text: str, secret: str) -> bool:
    """Whether any stretch of the secret stands in the text."""
    starts = range(max(1, len(secret) - TELLTALE_CHARACTERS + 1))
    return any(secret[start : start + TELLTALE_CHARACTERS] in text for start in starts)


def _translate(error: Exception, found: TrustedBackend | None, hidden: Secret | None) -> LeydenError:
    """Names are compared where a class may not be importable on this system."""
    from keyring import errors

    where = found.where if found else "the system's keyring"
    names = {type(link).__name__ for link in (error, error.__cause__) if link is not None}
    reason = f"{type(error).__name__}: {error}"[:MAX_REASON_CHARACTERS]
    if hidden is not None and _shows(reason, hidden.secret):
        reason = type(error).__name__
    if isinstance(error, errors.KeyringLocked) or names & {"PromptDismissedException", "LockedException"}:
        return KeyringLocked(backend=where)
    if isinstance(error, errors.InitError) and "dismissed" in str(error).lower():
        return KeyringLocked(backend=where)
    if isinstance(error, errors.NoKeyringError | errors.InitError) or "SecretServiceNotAvailableException" in names:
        return NoUsableKeyring(found=where, reason=reason)
    return KeyringFailed(backend=where, reason=reason)
