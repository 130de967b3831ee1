"""What can be wrong with the profile folder and what lies in it."""

from __future__ import annotations

from pathlib import Path

from core.base.errors import LeydenError


class ProfileLocked(LeydenError):
    """Another process holds the profile folder."""

    def __init__(self, *, path: Path, pid: int | None) -> None:
        super().__init__(path=path, pid=pid)
        self.path = path
        self.pid = pid
        """As the holder wrote it, for words only; None when it could not be read."""


class ProfileUnusable(LeydenError):
    """The profile folder or a file in it cannot be made, read or written; `reason` is the system's own text."""

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(path=path, reason=reason)
        self.path = path
        self.reason = reason


class SocketPathTooLong(LeydenError):
    """The RPC socket's path does not fit the system's address structure."""

    def __init__(self, *, path: Path, length: int, limit: int) -> None:
        super().__init__(path=path, length=length, limit=limit)
        self.path = path
        self.length = length
        """Bytes of the path, without the closing zero."""
        self.limit = limit
        """The most bytes that fit, without the closing zero."""


class DatabaseTooNew(LeydenError):
    """The database was written by a newer Leyden; it was left untouched."""

    def __init__(self, *, path: Path, found: int, known: int) -> None:
        super().__init__(path=path, found=found, known=known)
        self.path = path
        self.found = found
        self.known = known


class DatabaseDamaged(LeydenError):
    """The database could not be read."""

    def __init__(self, *, path: Path, set_aside: Path | None, reason: str) -> None:
        super().__init__(path=path, set_aside=set_aside, reason=reason)
        self.path = path
        self.set_aside = set_aside
        """Where the damaged file lies now; None when it is missing or was found damaged while in use."""
        self.reason = reason


class FileDamaged(LeydenError):
    """A file of the profile held something else than it should, and was set aside."""

    def __init__(self, *, path: Path, set_aside: Path, reason: str) -> None:
        super().__init__(path=path, set_aside=set_aside, reason=reason)
        self.path = path
        self.set_aside = set_aside
        self.reason = reason
