"""What can be wrong with the chain that Lightning stands on."""

from __future__ import annotations

from pathlib import Path

from core.base.errors import LeydenError


class NoChainSource(LeydenError):
    """Leyden has no way yet to follow this network's chain."""

    def __init__(self, *, network: str) -> None:
        super().__init__(network=network)
        self.network = network


class ChainDamaged(LeydenError):
    """The embedded chain's file breaks a rule; it was left as it is."""

    def __init__(self, *, path: Path, height: int, reason: str) -> None:
        super().__init__(path=path, height=height, reason=reason)
        self.path = path
        self.height = height
        """Of the first block that cannot be used."""
        self.reason = reason


class ChainUnavailable(LeydenError):
    """The chain source does not answer, or what it answers cannot be used."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason = reason
