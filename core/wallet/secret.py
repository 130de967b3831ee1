"""The one secret of a node, as it is kept: what kind it is and when it was made."""

from __future__ import annotations

import hmac
import json
from enum import StrEnum
from typing import Final, NoReturn

VERSION: Final = 1
MAX_TEXT_BYTES: Final = 512
"""Far below the 1,280 characters that Windows' credential store takes."""
WORD_COUNTS: Final = (12, 24)


class SecretKind(StrEnum):
    """What the secret is. Nothing turns one kind into another: the same node id would not come out."""

    BIP39 = "bip39"
    """Mnemonic words, English, without a passphrase."""
    CLN = "cln"
    """Core Lightning's hsm_secret, hex."""
    KDF = "kdf"
    """Komodo DeFi Framework's passphrase."""
    RAW32 = "raw32"
    """The node key itself, hex."""


class SecretTextError(ValueError):
    """A kept text is not a secret of ours. Its message never holds any part of the text."""


class Secret:
    """`{v, kind, secret, created}`. It never shows itself: not in `repr`, `str` or `format`, and it is not pickled."""

    __slots__ = ("created", "kind", "secret")

    def __init__(self, *, kind: SecretKind, secret: str, created: int) -> None:
        """`secret` is in the form its kind says; `created` is in seconds since the epoch.

        SecretTextError when it could not be kept and read back as it is.
        """
        if not secret or not secret.isascii() or not secret.isprintable():
            raise SecretTextError("the secret is empty or holds characters that no key store keeps safely")
        if kind is SecretKind.BIP39 and len(secret.split(" ")) not in WORD_COUNTS:
            raise SecretTextError("the mnemonic has neither 12 nor 24 words")
        self.kind = kind
        self.secret = secret
        self.created = created
        if len(self.to_text()) >= MAX_TEXT_BYTES:
            raise SecretTextError("the secret is too long")

    def to_text(self) -> str:
        """One line of ASCII JSON, below 512 bytes: for the hands of a key store only."""
        return json.dumps({"v": VERSION, "kind": self.kind.value, "secret": self.secret, "created": self.created})

    @classmethod
    def from_text(cls, text: str) -> Secret:
        """What `to_text` wrote; SecretTextError for anything else."""
        fields = _json_object(text)
        kind, secret, created = fields.get("kind"), fields.get("secret"), fields.get("created")
        if fields.keys() != {"v", "kind", "secret", "created"} or type(fields["v"]) is not int:
            raise SecretTextError("its fields are not v, kind, secret and created")
        if fields["v"] != VERSION:
            raise SecretTextError("it was written by a newer version")
        known = [member for member in SecretKind if member.value == kind]
        if not known or type(secret) is not str:
            raise SecretTextError("its kind is unknown or its secret is not text")
        if type(created) is not int or not 0 <= created < 2**53:
            raise SecretTextError("its creation time is not a time")
        return cls(kind=known[0], secret=secret, created=created)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.to_text(), other.to_text())

    def same_key(self, other: Secret) -> bool:
        """Whether both make the same keys, whenever each was made or restored."""
        return self.kind is other.kind and hmac.compare_digest(self.secret, other.secret)

    __hash__ = None  # type: ignore[assignment]  # a hash of it would be a trace of it

    def __repr__(self) -> str:
        return f"Secret(kind={self.kind.value!r}, created={self.created})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")


def _json_object(text: str) -> dict[str, object]:
    """Parsed without a trace: json's own errors carry the whole document, so none may leave or be chained."""
    if len(text) >= MAX_TEXT_BYTES:
        raise SecretTextError("it is too long")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise SecretTextError("it is not a JSON object")
    return value
