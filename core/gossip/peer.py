"""A peer as gossip sees it."""

from __future__ import annotations

from typing import Protocol


class Peer(Protocol):
    """One connection that has exchanged its inits."""

    @property
    def peer_id(self) -> bytes:
        """33 bytes."""

    @property
    def features(self) -> bytes:
        """What its init offered."""

    @property
    def is_established(self) -> bool:
        """False from the moment that its end has begun."""

    def send(self, message: bytes) -> None:
        """Queue one message; without effect once the end has begun."""

    @property
    def unsent_bytes(self) -> int:
        """Sent and not yet taken by the operating system."""

    def hold_for_gossip(self, held: bool) -> None:
        """Read nothing more of it, or go on."""

    def malformed(self, message: bytes) -> None:
        """BOLT 1: a known message that does not decode closes the connection."""

    def warn(self, text: str) -> None:
        """Tell it what was wrong; nothing follows."""

    def refuse_gossip(self, text: str) -> None:
        """Tell it what was wrong, and close."""
