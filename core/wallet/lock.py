"""Locked keys: what a person who walks away does not leave behind.

Locking wipes every secret that is held for a person: drafts of keys with their words. The node key stays, and with it
the onion key, because open connections and new handshakes need them; the lock page says so. Passphrases and mnemonics
of a running node are nowhere: each operation asks for what it needs and drops it.

Python overwrites no text, so wiping means letting go. Against other eyes on our memory stands `core.base.hardening`.
"""

from __future__ import annotations

from typing import Protocol
from weakref import WeakSet

from core.wallet.errors import KeysLocked


class Wipeable(Protocol):
    """Holds a secret for as long as a person needs it."""

    def wipe(self) -> None:
        """Forget it; again and again without harm."""
        ...


class Lock:
    """Open at first. It knows what to wipe without keeping it alive."""

    def __init__(self) -> None:
        self.locked = False
        self._held: WeakSet[Wipeable] = WeakSet()

    def hold(self, secret: Wipeable) -> None:
        """Wipe this one too when the lock closes. KeysLocked while it is closed: then it is wiped at once."""
        if self.locked:
            secret.wipe()
            raise KeysLocked
        self._held.add(secret)

    def need_open(self) -> None:
        """KeysLocked while it is closed."""
        if self.locked:
            raise KeysLocked

    def close(self) -> None:
        """Lock, and wipe what is held."""
        self.locked = True
        self.wipe()

    def open(self) -> None:
        """Unlock; whoever calls this has seen to it that the person may."""
        self.locked = False

    def wipe(self) -> None:
        """Wipe what is held."""
        for secret in list(self._held):
            secret.wipe()
        self._held.clear()
