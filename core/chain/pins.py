"""Certificates of servers, remembered at their first use: what a self-signed one is held against ever after."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

from core.base.finish import finish
from core.storage.errors import FileDamaged
from core.storage.files import open_regular, profile_errors, set_aside, write_atomically

BY_AUTHORITY = "authority"
"""Stands where a server was verified by the system's authorities: a self-signed certificate never takes its place."""
_VERSION = 1
_LONGEST_FILE = 1 << 20
_DIGEST_HEX = 64


def fingerprint(certificate: bytes) -> bytes:
    """SHA-256 of a certificate in DER."""
    return hashlib.sha256(certificate).digest()


class PinStore:
    """One JSON file of a profile, or memory alone when `path` is None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._pins: dict[str, str] = {}
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path | None) -> PinStore:
        """Read the file where there is one. Raises ProfileUnusable; FileDamaged once a damaged file was set aside."""
        store = cls(path)
        if path is not None:
            store._pins = await finish(asyncio.to_thread(_read, path))
        return store

    def get(self, host: str, port: int) -> bytes | str | None:
        """The remembered fingerprint, `BY_AUTHORITY`, or None for a server never used."""
        pin = self._pins.get(_key(host, port))
        return pin if pin is None or pin == BY_AUTHORITY else bytes.fromhex(pin)

    async def remember(self, host: str, port: int, pin: bytes | str) -> None:
        """On the disk when this returns. Raises ProfileUnusable, and then nothing is remembered."""
        await self._change({_key(host, port): pin if isinstance(pin, str) else pin.hex()}, set())

    async def forget(self, host: str, port: int) -> None:
        """The next certificate of this server is taken as at its first use; for the user to decide."""
        await self._change({}, {_key(host, port)})

    async def _change(self, added: dict[str, str], removed: set[str]) -> None:
        async with self._writing:
            pins = {key: pin for key, pin in self._pins.items() if key not in removed} | added
            if pins == self._pins:
                return
            if self._path is not None:
                content = json.dumps({"version": _VERSION, "certificates": pins}, indent=1, sort_keys=True)
                await finish(asyncio.to_thread(write_atomically, self._path, content.encode()))
            self._pins = pins


def _key(host: str, port: int) -> str:
    return f"{host.lower()}:{port}"


def _read(path: Path) -> dict[str, str]:
    with profile_errors(path):
        try:
            with open_regular(path) as file:
                content = file.read(_LONGEST_FILE + 1)
        except FileNotFoundError:
            return {}
    try:
        return _parse(content)
    except ValueError as error:
        raise FileDamaged(path=path, set_aside=set_aside(path), reason=str(error)) from error


def _parse(content: bytes) -> dict[str, str]:
    """ValueError with the reason when it is not what `PinStore` writes."""
    if len(content) > _LONGEST_FILE:
        raise ValueError("longer than a list of certificates can be")
    parsed = json.loads(content)
    if not isinstance(parsed, dict) or parsed.get("version") != _VERSION:
        raise ValueError(f"is no list of certificates of version {_VERSION}")
    pins = parsed.get("certificates")
    if not isinstance(pins, dict):
        raise ValueError("has no certificates")
    for key, pin in pins.items():
        if pin != BY_AUTHORITY and not (isinstance(pin, str) and len(pin) == _DIGEST_HEX and _is_hex(pin)):
            raise ValueError(f"{key}: is no SHA-256")
    return pins


def _is_hex(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True
