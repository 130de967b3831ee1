"""The key store for who has no keyring, or trusts none: one encrypted file in the profile."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from core.bolt.networks import Network
from core.storage.files import sync_folder
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
    """Fills `KeyStore`. Written once as 0600 under another name, then renamed; never written again."""

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
        if data is None:
            return None
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
        passphrase = self._needed_passphrase()
        try:
            file = KeyFile.seal(
                secret.to_text(), passphrase, network=self._network.name, node_id=node_id, n=self._scrypt_n
            )
        except MemoryError:
            raise KeyFileFailed(path=self._path, reason="there is not enough memory to make it") from None
        _write_new(self._path, file.encode())
        kept = self._load(node_id)
        if kept != secret:
            raise KeyFileFailed(path=self._path, reason="it does not hold what was written")
        assert kept is not None
        return kept


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


def _write_new(path: Path, data: bytes) -> None:
    """Whole or not at all, and never over a file that is there; the profile's lock keeps others from racing.

    What a kill leaves under the temporary name was never anybody's key and makes room for the next.
    """
    temporary = path.with_name(path.name + ".new")
    try:
        if os.path.lexists(path):
            raise KeyFileFailed(path=path, reason="there is a file already, and it is never overwritten")
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise KeyFileFailed(path=path, reason=error.strerror or str(error)) from None
