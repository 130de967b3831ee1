"""What can go wrong with gossip as a whole, and with snapshots of it."""

from __future__ import annotations

from core.base.errors import LeydenError


class VerificationFailed(LeydenError):
    """Signatures cannot be verified: the workers cannot be run, keep dying, or were closed."""

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason = reason


class SnapshotUnavailable(LeydenError):
    """A snapshot for rapid gossip sync cannot be had: `source` is its URL or file."""

    def __init__(self, *, source: str, reason: str) -> None:
        super().__init__(source=source, reason=reason)
        self.source, self.reason = source, reason


class SnapshotRefused(LeydenError):
    """What came from `source` is no snapshot that can be used."""

    def __init__(self, *, source: str, reason: str) -> None:
        super().__init__(source=source, reason=reason)
        self.source, self.reason = source, reason
