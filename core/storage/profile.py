"""The profile folder: private, and held by one process at a time.

An OS lock on `leyden.lock` alone decides who owns the folder, never the existence of a file; the system lets go of it
however the process ends. The pid inside is for words only.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from core.base.paths import ProfilePaths
from core.storage.errors import ProfileLocked, ProfileUnusable, SocketPathTooLong
from core.storage.files import PRIVATE_FILE, profile_errors

PRIVATE_FOLDER = 0o700
_UNIX_SOCKET_LIMITS = {"darwin": 103}
_DEFAULT_UNIX_SOCKET_LIMIT = 107
"""`sun_path` holds 108 bytes on Linux and 104 on macOS, the closing zero included."""
_WINDOWS_LOCK_OFFSET = 1 << 30
"""Windows forbids reading locked bytes, so a byte far behind the pid is locked."""


class Profile:
    """The held folder. Made by `open`; `close` lets go of it."""

    def __init__(self, paths: ProfilePaths, handle: int) -> None:
        self.paths = paths
        self._handle: int | None = handle

    @classmethod
    def open(cls, paths: ProfilePaths) -> Profile:
        """Make the folder, private, and hold it.

        Raises ProfileUnusable, ProfileLocked. Blocks only for a few system calls.
        """
        _make_private_folder(paths.folder)
        return cls(paths, _hold(paths.lock))

    def close(self) -> None:
        """Let go of the folder. The lock file stays: removing it would let two processes lock two files."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        with contextlib.suppress(OSError):  # words only, and the lock goes with the handle in any case
            os.ftruncate(handle, 0)
        os.close(handle)

    def __enter__(self) -> Profile:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def prepare_socket_path(self) -> Path:
        """Remove a socket that a killed process left, and give the path to bind; only the holder may.

        Raises SocketPathTooLong, ProfileUnusable (something that is no socket lies there).
        """
        if self._handle is None:
            raise RuntimeError("the profile is not held any more")
        check_socket_path(self.paths)
        path = self.paths.socket
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return path
        if not stat.S_ISSOCK(mode):
            raise ProfileUnusable(path=path, reason="is not a socket")
        with profile_errors(path):
            os.unlink(path)
        return path


def check_socket_path(paths: ProfilePaths) -> None:
    """Raise SocketPathTooLong if the RPC socket cannot be bound; Windows has none."""
    if sys.platform == "win32":
        return
    limit = _UNIX_SOCKET_LIMITS.get(sys.platform, _DEFAULT_UNIX_SOCKET_LIMIT)
    length = len(os.fsencode(paths.socket))
    if length > limit:
        raise SocketPathTooLong(path=paths.socket, length=length, limit=limit)


def _make_private_folder(folder: Path) -> None:
    with profile_errors(folder):
        folder.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        if sys.platform == "win32":
            return
        found = os.stat(folder)
        if found.st_uid != os.geteuid():
            raise ProfileUnusable(path=folder, reason="belongs to another user")
        if stat.S_IMODE(found.st_mode) != PRIVATE_FOLDER:
            os.chmod(folder, PRIVATE_FOLDER)


def _hold(path: Path) -> int:
    """Open the lock file close-on-exec, lock it and write our pid into it; gives the handle that holds the lock."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    while True:
        with profile_errors(path):
            handle = os.open(path, flags, PRIVATE_FILE)
        try:
            with profile_errors(path):
                if not _try_lock(handle):
                    raise ProfileLocked(path=path, pid=_read_pid(handle))
                if _is_still(path, handle):
                    os.ftruncate(handle, 0)
                    os.lseek(handle, 0, os.SEEK_SET)
                    os.write(handle, b"%d\n" % os.getpid())
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # somebody removed the file between open and lock: what we hold is not at `path`


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _read_pid(handle: int) -> int | None:
    os.lseek(handle, 0, os.SEEK_SET)
    text = os.read(handle, 32).strip()
    return int(text) if text.isdigit() else None


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        os.lseek(handle, _WINDOWS_LOCK_OFFSET, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # any other error, such as a file system without locks, must not look like a holder
            return False
        return True
