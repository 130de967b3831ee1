"""The key of an onion service (version 3): an address to show, and the form in which Tor takes it."""

from __future__ import annotations

import base64
import hashlib
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SEED_BYTES = 32
_VERSION = b"\x03"


class OnionKey:
    """An Ed25519 key that answers for an onion address and never shows itself."""

    __slots__ = ("_seed", "host")

    host: str
    """56 letters and digits and `.onion`."""

    def __init__(self, seed: bytes) -> None:
        """`seed` is RFC 8032's private key of 32 bytes; ValueError for any other length."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 key has {SEED_BYTES} bytes, not {len(seed)}")
        self._seed = seed
        self.host = _host_of(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(*_RAW))

    def expanded(self) -> bytes:
        """64 bytes, the clamped scalar and the prefix, as Tor's `ED25519-V3` wants them."""
        digest = bytearray(hashlib.sha512(self._seed).digest())
        digest[0] &= 248
        digest[31] = digest[31] & 127 | 64
        return bytes(digest)

    def __repr__(self) -> str:
        return f"OnionKey({self.host})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an onion key is never pickled or copied")


_RAW = (Encoding.Raw, PublicFormat.Raw)


def _host_of(public_key: bytes) -> str:
    """Tor's rend-spec-v3, section 6."""
    checksum = hashlib.sha3_256(b".onion checksum" + public_key + _VERSION).digest()[:2]
    return base64.b32encode(public_key + checksum + _VERSION).decode().lower() + ".onion"
