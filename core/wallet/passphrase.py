"""A passphrase on its way from a person or a file to scrypt."""

from __future__ import annotations

import os
import stat
import unicodedata
from pathlib import Path
from typing import NoReturn

from core.wallet.errors import PassphraseFileUnsafe

MAX_FILE_BYTES = 4096


class Passphrase:
    """Never empty; never shown."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """ValueError when it is empty."""
        if not text:
            raise ValueError("a passphrase is not empty")
        self._text = text

    def to_bytes(self) -> bytes:
        """UTF-8 of the composed form (NFC), so that every system makes the same bytes of the same words.

        Half surrogates, which a window may hand over, pass: the error about them would carry the whole text.
        """
        return unicodedata.normalize("NFC", self._text).encode(errors="surrogatepass")

    def __repr__(self) -> str:
        return "Passphrase()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a passphrase is never pickled or copied")


def read_passphrase_file(path: Path) -> Passphrase:
    """The file's text without its last line break.

    PassphraseFileUnsafe unless it is a regular file of ours that nobody else may read (0600 or less), holds UTF-8 and
    is neither empty nor beyond 4 KiB. A link is followed, and what it leads to is judged.
    """
    try:
        # Not blocking, lest a FIFO holds the start for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise PassphraseFileUnsafe(path=path, reason=error.strerror or str(error)) from None
    try:
        if (reason := exposure(os.fstat(handle))) is not None:
            raise PassphraseFileUnsafe(path=path, reason=reason)
        data = os.read(handle, MAX_FILE_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_FILE_BYTES:
        raise PassphraseFileUnsafe(path=path, reason="it is too long for a passphrase")
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not data:
        raise PassphraseFileUnsafe(path=path, reason="it is empty")
    text = _utf8(data)
    if text is None:
        raise PassphraseFileUnsafe(path=path, reason="it is not UTF-8 text")
    return Passphrase(text)


def exposure(info: os.stat_result) -> str | None:
    """Why a file with this status is not ours alone; None when it is. Windows guards by the profile's folder."""
    if not stat.S_ISREG(info.st_mode):
        return "it is not a regular file"
    if os.name == "nt":
        return None
    if info.st_uid != os.geteuid():
        return "it belongs to another user"
    if info.st_mode & 0o077:
        return f"others may use it (mode {stat.S_IMODE(info.st_mode):04o}, wanted 0600)"
    return None


def _utf8(data: bytes) -> str | None:
    """Decoded apart, because UnicodeDecodeError carries the bytes and must not be chained to anything."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
