"""The encrypted key file's format: pure, bytes in and values out.

One line of JSON in one spelling only, so that no byte can change unnoticed:

    {"format", "v", "network", "node_id", "kdf", "n", "r", "p", "salt", "cipher", "nonce", "box", "sum"}

`box` is ChaCha20-Poly1305 over `Secret.to_text()` under scrypt(passphrase, salt, n, r, p), with everything before it as
authenticated data. `sum` is SHA256 over everything before it; it guards nothing against an attacker, but tells a
damaged file from a wrong passphrase.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from core.bolt.keys import is_public_key
from core.bolt.networks import NETWORKS
from core.wallet.passphrase import Passphrase

FORMAT = "leyden-key"
VERSION = 1
MAX_FILE_BYTES = 8192
SCRYPT_N = 2**17
SCRYPT_R = 8
SCRYPT_P = 1
# What a file may ask for: below the first it is guessed too fast, beyond the others it takes 1 GiB or minutes.
MIN_N, MAX_N, MAX_P = 2**14, 2**20, 4
SALT_BYTES = 16
NONCE_BYTES = 12
KEY_BYTES = 32
TAG_BYTES = 16


class KeyFileError(ValueError):
    """These bytes are no key file. The message holds none of them."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file's content, still encrypted."""

    network: str
    node_id: bytes
    """33 bytes, readable without the passphrase."""
    n: int
    r: int
    p: int
    salt: bytes
    nonce: bytes
    box: bytes
    """Ciphertext and tag."""

    def encode(self) -> bytes:
        """The one spelling of this content."""
        fields: dict[str, object] = {**self._header(), "box": self.box.hex()}
        return json.dumps({**fields, "sum": _sum(fields)}).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> KeyFile:
        """KeyFileError for anything that `encode` would not have written, or that asks for absurd work."""
        try:
            fields = json.loads(data)
            file = cls(
                str(fields["network"]),
                bytes.fromhex(fields["node_id"]),
                int(fields["n"]),
                int(fields["r"]),
                int(fields["p"]),
                *(bytes.fromhex(fields[name]) for name in ("salt", "nonce", "box")),
            )
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
            file = None
        if file is None or not hmac.compare_digest(file.encode(), data):
            raise KeyFileError("it is not as it was written")
        if not MIN_N <= file.n <= MAX_N or file.n & (file.n - 1) or file.r != SCRYPT_R or not 1 <= file.p <= MAX_P:
            raise KeyFileError("its scrypt parameters are out of bounds")
        if file.network not in NETWORKS or not is_public_key(file.node_id):
            raise KeyFileError("its network or node id is none")
        if (len(file.salt), len(file.nonce)) != (SALT_BYTES, NONCE_BYTES) or len(file.box) <= TAG_BYTES:
            raise KeyFileError("its salt, nonce or box has a wrong length")
        return file

    @classmethod
    def seal(cls, text: str, passphrase: Passphrase, *, network: str, node_id: bytes, n: int = SCRYPT_N) -> KeyFile:
        """Encrypt; about half a second and 128 MiB at the default `n`."""
        salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
        empty = cls(network, node_id, n, SCRYPT_R, SCRYPT_P, salt, nonce, b"")
        box = empty._cipher(passphrase).encrypt(nonce, text.encode(), empty._authenticated())
        return cls(network, node_id, n, SCRYPT_R, SCRYPT_P, salt, nonce, box)

    def open(self, passphrase: Passphrase) -> str | None:
        """The text, or None when the passphrase is not the one. As slow as `seal`."""
        try:
            return self._cipher(passphrase).decrypt(self.nonce, self.box, self._authenticated()).decode()
        except InvalidTag:
            return None

    def _cipher(self, passphrase: Passphrase) -> ChaCha20Poly1305:
        kdf = Scrypt(salt=self.salt, length=KEY_BYTES, n=self.n, r=self.r, p=self.p)
        return ChaCha20Poly1305(kdf.derive(passphrase.to_bytes()))

    def _header(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "v": VERSION,
            "network": self.network,
            "node_id": self.node_id.hex(),
            "kdf": "scrypt",
            "n": self.n,
            "r": self.r,
            "p": self.p,
            "salt": self.salt.hex(),
            "cipher": "chacha20-poly1305",
            "nonce": self.nonce.hex(),
        }

    def _authenticated(self) -> bytes:
        return json.dumps(self._header()).encode()


def _sum(fields: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()
