"""The node's key as the protocol needs it: an id to show and a Diffie-Hellman to do."""

from __future__ import annotations

from functools import lru_cache
from typing import NoReturn

from coincurve import PrivateKey, PublicKey
from coincurve.utils import get_valid_secret

NODE_ID_BYTES = 33


class NodeKey:
    """A secp256k1 key that answers for a node id and never shows its secret."""

    __slots__ = ("_key", "node_id")

    node_id: bytes
    """Compressed public key, 33 bytes."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is the 32-byte scalar; ValueError when it is zero or beyond the group's order."""
        self._key = PrivateKey(secret)
        self.node_id = self._key.public_key.format()

    @classmethod
    def generate(cls) -> NodeKey:
        """A fresh key, for one handshake or one practice session."""
        return cls(get_valid_secret())

    def ecdh(self, public_key: bytes) -> bytes:
        """SHA256 of the compressed shared point (BOLT 8, `ECDH(k, rk)`), in constant time.

        ValueError when `public_key` is not a point of the curve.
        """
        return self._key.ecdh(public_key)

    def __repr__(self) -> str:
        return f"NodeKey({short_id(self.node_id)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a node key is never pickled")


@lru_cache(maxsize=1024)
def is_public_key(data: bytes) -> bool:
    """Whether `data` is a compressed point of the curve. Remembered: ids are asked about again when dialled."""
    if len(data) != NODE_ID_BYTES or data[0] not in (2, 3):
        return False
    try:
        PublicKey(data)
    except ValueError:
        return False
    return True


def short_id(node_id: bytes) -> str:
    """How an id is shown where room is scarce: `02ab12…9f3c04`."""
    text = node_id.hex()
    return f"{text[:6]}…{text[-6:]}"
