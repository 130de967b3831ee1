"""The key store for who has no keyring, or trusts none: one encrypted file in the profile."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from core.bolt.networks import Network
from core.storage.files import set_aside, sync_folder
from core.wallet.errors import (
    KeyFileDamaged,
    KeyFileFailed,
    KeyFileUnsafe,
    PassphraseNeeded,
    WrongKey,
    WrongPassphrase,
)
from core.wallet.key_file import MAX_FILE_BYTES, SCRYPT_N, KeyFile, KeyFileError
from core.wallet.keystore import KeyStoreKind, KeyStoreStatus
from core.wallet.passphrase import Passphrase, exposure
from core.wallet.secret import Secret, SecretTextError
from core.wallet.worker import Worker


class FileKeyStore:
    """Fills `KeyStore`. Written as 0600 under another name, read back there, then renamed.

    Only `replace` writes over a file.
    """

    kind = KeyStoreKind.FILE
    keeps = True

    def __init__(
        self, path: Path, network: Network, passphrase: Passphrase | None, *, scrypt_n: int = SCRYPT_N
    ) -> None:
        """Without a passphrase, loading and creating raise PassphraseNeeded where one is needed."""
        self._path = path
        self._network = network
        self._passphrase = passphrase
        self._scrypt_n = scrypt_n
        self._worker = Worker("leyden-key-file")

    @property
    def where(self) -> str:
        return str(self._path)

    async def load(self, expected_node_id: bytes | None) -> Secret | None:
        return await self._worker.run(lambda: self._load(expected_node_id))

    async def create(self, secret: Secret, node_id: bytes) -> Secret:
        return await self._worker.run(lambda: self._create(secret, node_id))

    async def replace(self, secret: Secret, node_id: bytes) -> Secret:
        """Over this node's file, whatever its passphrase; a damaged one is set aside. KeyFileUnsafe for any other."""
        return await self._worker.run(lambda: self._replace(secret, node_id))

    async def remove(self, secret: Secret, node_id: bytes) -> None:
        """By the node id that stands in the file: it is opened for nobody, so no passphrase is needed."""
        await self._worker.run(lambda: self._remove(node_id))

    async def prove(self) -> None:
        """A file is never locked; it needs a passphrase, though."""
        self._needed_passphrase()

    async def status(self) -> KeyStoreStatus:
        return KeyStoreStatus(usable=True, where=self.where, locked=self._passphrase is None)

    async def aclose(self) -> None:
        await self._worker.aclose()

    def _needed_passphrase(self) -> Passphrase:
        if self._passphrase is None:
            raise PassphraseNeeded(path=self._path)
        return self._passphrase

    def _load(self, expected: bytes | None) -> Secret | None:
        data = _read(self._path)
        return None if data is None else self._open(data, expected)

    def _open(self, data: bytes, expected: bytes | None) -> Secret:
        file = self._decode(data)
        if file.network != self._network.name:
            raise KeyFileUnsafe(path=self._path, reason=f"it was made for {file.network}")
        if expected is not None and file.node_id != expected:
            raise WrongKey(where=self.where, found=file.node_id, expected=expected)
        try:
            text = file.open(self._needed_passphrase())
        except MemoryError:
            raise KeyFileFailed(path=self._path, reason="there is not enough memory to open it") from None
        if text is None:
            raise WrongPassphrase(path=self._path)
        try:
            return Secret.from_text(text)
        except SecretTextError as error:
            raise KeyFileDamaged(path=self._path, reason=str(error)) from None

    def _decode(self, data: bytes) -> KeyFile:
        try:
            return KeyFile.decode(data)
        except KeyFileError as error:
            raise KeyFileDamaged(path=self._path, reason=str(error)) from None

    def _create(self, secret: Secret, node_id: bytes) -> Secret:
        data = self._seal(secret, node_id)
        if os.path.lexists(self._path):
            raise KeyFileFailed(path=self._path, reason="there is a file already, and it is never overwritten")
        return self._put(data, secret, node_id)

    def _replace(self, secret: Secret, node_id: bytes) -> Secret:
        data = self._seal(secret, node_id)
        try:
            self._need_own_or_none(node_id)
        except KeyFileDamaged:
            set_aside(self._path)
        return self._put(data, secret, node_id)

    def _remove(self, node_id: bytes) -> None:
        self._need_own_or_none(node_id)
        try:
            _temporary(self._path).unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
        except OSError as error:
            raise KeyFileFailed(path=self._path, reason=error.strerror or str(error)) from None

    def _need_own_or_none(self, node_id: bytes) -> None:
        """Return only if there is no file, or this node's on this network."""
        data = _read(self._path)
        if data is None:
            return
        file = self._decode(data)
        if (file.network, file.node_id) != (self._network.name, node_id):
            raise KeyFileUnsafe(path=self._path, reason="it holds another node's key")

    def _seal(self, secret: Secret, node_id: bytes) -> bytes:
        passphrase = self._needed_passphrase()
        try:
            file = KeyFile.seal(
                secret.to_text(), passphrase, network=self._network.name, node_id=node_id, n=self._scrypt_n
            )
        except MemoryError:
            raise KeyFileFailed(path=self._path, reason="there is not enough memory to make it") from None
        return file.encode()

    def _put(self, data: bytes, secret: Secret, node_id: bytes) -> Secret:
        """Only what was read back and opened takes the file's name, so that no bad disk costs what was there."""
        temporary = _temporary(self._path)
        try:
            _write(temporary, data)
            if _read(temporary) != data or self._open(data, node_id) != secret:
                raise KeyFileFailed(path=self._path, reason="it does not hold what was written")
            os.replace(temporary, self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise KeyFileFailed(path=self._path, reason=error.strerror or str(error)) from None
        kept = _read(self._path)
        if kept != data:
            raise KeyFileFailed(path=self._path, reason="it does not hold what was written")
        return secret


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _read(path: Path) -> bytes | None:
    """The file's bytes, None when there is none; KeyFileUnsafe, KeyFileFailed."""
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise KeyFileUnsafe(path=path, reason="it is a symbolic link") from None
        raise KeyFileFailed(path=path, reason=error.strerror or str(error)) from None
    try:
        if (reason := exposure(os.fstat(handle))) is not None:
            raise KeyFileUnsafe(path=path, reason=reason)
        data = os.read(handle, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileFailed(path=path, reason=error.strerror or str(error)) from None
    finally:
        os.close(handle)
    if len(data) > MAX_FILE_BYTES:
        raise KeyFileDamaged(path=path, reason="it is too long")
    return data


def _write(path: Path, data: bytes) -> None:
    """A file of its own, on the disk when this returns; the profile's lock keeps others from racing.

    What a kill leaves under the temporary name was never the key's only place and makes room for the next.
    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
