"""What can go wrong with gossip as a whole."""

from __future__ import annotations

from core.base.errors import LeydenError


class VerificationFailed(LeydenError):
    """Signatures cannot be verified: the workers cannot be run, keep dying, or were closed."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason = reason
