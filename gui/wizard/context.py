"""What the pages of one wizard share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from core.wallet.keystore import KeyStoreStatus
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from core.wallet.words import NewKey
from gui.tasks import WindowTasks
from gui.theme import Theme
from gui.wizard.machine import Entries, Machine


class Keys(Protocol):
    """What the wizard wants of `core.wallet.service.KeyService`."""

    async def draft(self, words: int = 12) -> NewKey: ...

    async def restore(self, text: str) -> Secret: ...

    async def keyring_status(self) -> KeyStoreStatus: ...


class Secrets:
    """What is held between the pages and the start, and nowhere else."""

    __slots__ = ("draft", "passphrase", "secret")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Let go of everything."""
        self.draft: NewKey | None = None
        self.passphrase: Passphrase | None = None
        self.secret: Secret | None = None

    def drop_key(self) -> None:
        """The words and what they make; the passphrase stays."""
        if self.draft is not None:
            self.draft.wipe()
        self.draft = self.secret = None

    def __repr__(self) -> str:
        return "Secrets()"


@dataclass(frozen=True, slots=True)
class Probes:
    """What the network page can try. Each raises a LeydenError that has words."""

    chain: Callable[[Entries], Awaitable[str]]
    """Asks the chosen source for its tip; in words, what answered."""
    port: Callable[[int], Awaitable[None]]
    """Listens for a moment on a port of every address of this computer."""


@dataclass(frozen=True, slots=True)
class Context:
    """Handed to every page."""

    machine: Machine
    theme: Theme
    tasks: WindowTasks
    keys: Keys
    probes: Probes
    secrets: Secrets = field(default_factory=Secrets)
    existing: frozenset[str] = frozenset()
    """Networks that have a profile already: they are not offered for a new one."""
