"""Writing files so that a kill at any byte leaves the old or the new content, and setting damaged ones aside.

Everything here blocks: call it through `asyncio.to_thread`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.storage.errors import ProfileUnusable

PRIVATE_FILE = 0o600
_OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@contextlib.contextmanager
def profile_errors(path: Path) -> Iterator[None]:
    """Turn the system's refusal into `ProfileUnusable` with `path` and the system's text."""
    try:
        yield
    except OSError as error:
        raise ProfileUnusable(path=path, reason=error.strerror or str(error)) from error


def open_regular(path: Path) -> BinaryIO:
    """Open for reading; OSError also for anything that is no file, and never a wait for a FIFO's other end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _OPEN_FLAGS)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "is not a file", path)
    return os.fdopen(handle, "rb")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by a file of mode 0600 that holds `content`; it is on the disk when this returns.

    Raises ProfileUnusable. What a kill leaves behind beside the old file is `<name>.tmp`, which the next write
    replaces.
    """
    temporary = path.with_name(path.name + ".tmp")
    with profile_errors(path):
        # Made anew: what lies there may have a wider mode, or be a link to something that is not ours to overwrite.
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, PRIVATE_FILE)
        try:
            remaining = memoryview(content)
            while remaining:
                remaining = remaining[os.write(handle, remaining) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)
        sync_folder(path.parent)


def prove_writable(folder: Path) -> None:
    """Write, read back and remove a small file in `folder`; ProfileUnusable when the disk or the rights forbid it."""
    probe = folder / "probe"
    content = os.urandom(32)
    write_atomically(probe, content)
    with profile_errors(probe):
        kept = probe.read_bytes()
        probe.unlink()
    if kept != content:
        raise ProfileUnusable(path=probe, reason="does not read back as written")


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable; Windows does that by itself and cannot open folders."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _OPEN_FLAGS)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_aside(path: Path, *, companions: tuple[str, ...] = ()) -> Path:
    """Rename a damaged file to `<name>.damaged-<UTC time>` and give the new path; nothing is ever deleted.

    `companions` are suffixes of files that belong to it (`-wal`); they move first and under the same new name, so
    that a kill in between never leaves one beside a fresh file. Raises ProfileUnusable.
    """
    target = _aside(path)
    with profile_errors(path):
        for suffix in companions:
            with contextlib.suppress(FileNotFoundError):
                os.rename(path.with_name(path.name + suffix), target.with_name(target.name + suffix))
        os.rename(path, target)
        sync_folder(path.parent)
    return target


def keep_aside(path: Path) -> Path:
    """Give a damaged file the name that `set_aside` would, beside its own, which is free to be replaced.

    Raises ProfileUnusable.
    """
    target = _aside(path)
    with profile_errors(path):
        try:
            os.link(path, target)
        except OSError:  # file systems without hard links
            shutil.copyfile(path, target)
        sync_folder(path.parent)
    return target


def _aside(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    base = f"{path.name}.damaged-{stamp}"
    target = path.with_name(base)
    number = 1
    while os.path.lexists(target):
        number += 1
        target = path.with_name(f"{base}-{number}")
    return target
