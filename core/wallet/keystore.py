"""What a key store does, whichever holds the key, and what the profile remembers about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.bolt.keys import is_public_key
from core.wallet.errors import KeyDamaged
from core.wallet.secret import Secret

MARKER_VERSION = 1


class KeyStoreKind(StrEnum):
    """The values of `--keystore`."""

    KEYRING = "keyring"
    FILE = "file"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class KeyStoreStatus:
    """What can be said without asking anybody for anything."""

    usable: bool
    where: str
    """In words: `GNOME Keyring`, a path, `memory`."""
    locked: bool | None
    """None where it cannot be told without a prompt."""
    reason: str = ""
    """Why it is not usable."""


class KeyStore(Protocol):
    """Keeps one secret under the node id that it makes. All methods raise the errors of `core.wallet.errors`."""

    @property
    def kind(self) -> KeyStoreKind: ...

    @property
    def keeps(self) -> bool:
        """Whether the key outlives the process."""
        ...

    @property
    def where(self) -> str:
        """Where the key is, in words for a person; exact once `load` has answered."""
        ...

    async def load(self, expected_node_id: bytes | None) -> Secret | None:
        """The secret kept under this node id (33 bytes); None when the store says it has none.

        With None a file gives whatever it holds, and a keyring nothing: it is never searched, since what it holds
        under another name may be the key of another profile, and perhaps running there.
        """
        ...

    async def create(self, secret: Secret, node_id: bytes) -> Secret:
        """Prove the store unlocked, write once, never over anything, and return the secret as read back."""
        ...

    async def replace(self, secret: Secret, node_id: bytes) -> Secret:
        """As `create`, and over what is kept under the same node id, whole or not at all.

        Only for a secret that makes `node_id`: it was read from the place that counts, or comes from a person.
        """
        ...

    async def remove(self, secret: Secret, node_id: bytes) -> None:
        """Forget this secret, which is safe elsewhere; nothing else is removed, and nothing that is gone is missed."""
        ...

    async def prove(self) -> None:
        """Return only if a secret could be written now, so that a None from `load` means what it says."""
        ...

    async def status(self) -> KeyStoreStatus: ...

    async def aclose(self) -> None:
        """Let go of threads, waiting at most a second."""
        ...


class Marker(Protocol):
    """One text that the profile's database keeps for the key store (`KeyMarker.encode`); storage fills this."""

    async def get(self) -> str | None:
        """The text of the last `set`, None if there was none."""
        ...

    async def set(self, text: str) -> None:
        """Returns once the text is committed to disk."""
        ...


class MarkerState(StrEnum):
    """How far the first start has come."""

    PENDING = "pending"
    """The key was about to be written. Nobody has been told of it yet."""
    KEPT = "kept"
    """The key was written and read back, and the node is known by it."""


@dataclass(frozen=True, slots=True)
class KeyMarker:
    """The profile's own memory of its key, without which a store that answers None would look like a first start."""

    node_id: bytes
    keystore: KeyStoreKind
    created: int
    """Seconds since the epoch."""
    state: MarkerState
    leaving: KeyStoreKind | None = None
    """Where a move left a copy that is still to be removed."""

    def encode(self) -> str:
        fields: dict[str, object] = {
            "v": MARKER_VERSION,
            "node_id": self.node_id.hex(),
            "keystore": self.keystore.value,
            "created": self.created,
            "state": self.state.value,
        }
        if self.leaving is not None:
            fields["leaving"] = self.leaving.value
        return json.dumps(fields)

    @classmethod
    def decode(cls, text: str) -> KeyMarker:
        """What `encode` wrote. KeyDamaged otherwise: an unreadable record must never look like a first start."""
        try:
            fields = json.loads(text)
            marker = cls(
                bytes.fromhex(fields["node_id"]),
                KeyStoreKind(fields["keystore"]),
                int(fields["created"]),
                MarkerState(fields["state"]),
                KeyStoreKind(fields["leaving"]) if "leaving" in fields else None,
            )
            if fields["v"] == MARKER_VERSION and is_public_key(marker.node_id):
                return marker
            reason = "it was written by another version, or names no node"
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
            reason = "it cannot be read"
        raise KeyDamaged(where="the profile's record of its key", reason=reason)
