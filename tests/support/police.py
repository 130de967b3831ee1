"""After each test: what it opened and did not close turns it red.

Looked at: threads, child processes (grandchildren whose parent died too), file descriptors, active Qt timers and
animations, top-level widgets, and what was tried beyond loopback. Leftover asyncio tasks are `async_tests`' part.
What a fixture of a wider scope than one test brought is its own, and not the test's.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import isolation

GRACE_S = 1.0
"""How long what is already ending gets to end: a thread past its last line, a child that was just killed."""

FD_FOLDER = Path("/proc/self/fd")
PR_SET_CHILD_SUBREAPER = 36
IGNORED_FDS = ("/dev/urandom", "/dev/null", "anon_inode:[eventfd]")
"""Opened once by libraries and kept for the life of the process; the last by Qt's painting threads, which come with a
large window and go when they have been idle for half a minute."""


@dataclass
class Snapshot:
    """What the process holds at one moment."""

    threads: set[threading.Thread] = field(default_factory=set)
    children: set[int] = field(default_factory=set)
    fds: set[tuple[int, str]] = field(default_factory=set)
    widgets: set[int] = field(default_factory=set)

    @classmethod
    def take(cls) -> Snapshot:
        return cls(set(threading.enumerate()), _children(), _fds(), {id(widget) for widget in _widgets()})

    def add(self, other: Snapshot, since: Snapshot) -> None:
        """Also allow what came between two moments."""
        self.threads |= other.threads - since.threads
        self.children |= other.children - since.children
        self.fds |= other.fds - since.fds
        self.widgets |= other.widgets - since.widgets


class Police:
    """One per test run; a plugin object, so that its state is nobody else's."""

    def __init__(self) -> None:
        self._allowed = Snapshot()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        before = Snapshot.take()
        try:
            return (yield)
        finally:
            self._allowed.add(Snapshot.take(), before)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        isolation.refused()
        self._allowed = Snapshot.take()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        result = yield
        found = self._leftovers(uses_qt="qapp" in getattr(item, "fixturenames", ()))
        if found:
            pytest.fail(f"{item.name} left behind:\n  " + "\n  ".join(found), pytrace=False)
        return result

    def _leftovers(self, uses_qt: bool) -> list[str]:
        found = [f"a try to leave loopback: {what}" for what in isolation.refused()]
        # Only with an application do timers run; looking for them costs 20 ms.
        found += self._active_timers() if uses_qt else []
        for look in (self._new_widgets, self._new_threads, self._new_children, self._new_fds):
            found += _after_grace(look)
        for pid in self._stray_children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _close_widgets(self._stray_widgets())
        return found

    def _new_threads(self) -> list[str]:
        strays = [thread for thread in threading.enumerate() if thread not in self._allowed.threads]
        return [f"thread {thread.name!r}{' (daemon)' if thread.daemon else ''}" for thread in strays]

    def _stray_children(self) -> set[int]:
        return _children() - self._allowed.children

    def _new_children(self) -> list[str]:
        return [f"child process {pid}: {_command(pid)}" for pid in sorted(self._reaped(self._stray_children()))]

    def _reaped(self, pids: set[int]) -> set[int]:
        """Without the zombies: orphans that came to us by subreaping, ended, and have nobody else to wait for them."""
        alive = set()
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    alive.add(pid)
        return alive

    def _new_fds(self) -> list[str]:
        strays = _fds() - self._allowed.fds
        return [f"file descriptor {number}: {target}" for number, target in sorted(strays)]

    def _stray_widgets(self) -> list[Any]:
        return [widget for widget in _widgets() if id(widget) not in self._allowed.widgets]

    def _new_widgets(self) -> list[str]:
        return [f"top-level widget {_name(widget)}" for widget in self._stray_widgets()]

    def _active_timers(self) -> list[str]:
        from PySide6.QtCore import QAbstractAnimation, QTimer
        from shiboken6 import isValid

        found, running = [], QAbstractAnimation.State.Running
        for thing in gc.get_objects():
            if isinstance(thing, QTimer) and isValid(thing) and thing.isActive():
                found.append(f"active timer {_name(thing)}, every {thing.interval()} ms")
                thing.stop()
            elif isinstance(thing, QAbstractAnimation) and isValid(thing) and thing.state() == running:
                found.append(f"running animation {_name(thing)}")
                thing.stop()
        return found


def _after_grace(look: Callable[[], list[str]]) -> list[str]:
    """What is still there once garbage is collected and the grace is over; quick when there is nothing."""
    found = look()
    deadline = time.monotonic() + GRACE_S
    while found and time.monotonic() < deadline:
        gc.collect()
        _finish_deletions()
        found = look()
        if found:
            threading.Event().wait(0.02)
    return found


def _children() -> set[int]:
    """Process ids of our direct children."""
    lists = list(Path("/proc/self/task").glob("*/children"))
    if lists:
        pids: set[int] = set()
        for path in lists:
            with contextlib.suppress(OSError):
                pids.update(int(pid) for pid in path.read_text().split())
        return pids
    import psutil

    return {child.pid for child in psutil.Process().children()}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "(gone)"


def _fds() -> set[tuple[int, str]]:
    found: set[tuple[int, str]] = set()
    if not FD_FOLDER.is_dir():
        return found
    for name in os.listdir(FD_FOLDER):
        with contextlib.suppress(OSError):
            target = os.readlink(f"{FD_FOLDER}/{name}")
            if target not in IGNORED_FDS and not target.startswith("/proc/"):
                found.add((int(name), target))
    return found


def _widgets() -> list[Any]:
    widgets = sys.modules.get("PySide6.QtWidgets")
    if widgets is None or widgets.QApplication.instance() is None:
        return []
    found: list[Any] = widgets.QApplication.topLevelWidgets()
    return found


def _close_widgets(strays: list[Any]) -> None:
    for widget in strays:
        widget.deleteLater()
    _finish_deletions()


def _finish_deletions() -> None:
    core = sys.modules.get("PySide6.QtCore")
    if core is not None and core.QCoreApplication.instance() is not None:
        core.QCoreApplication.sendPostedEvents(None, core.QEvent.Type.DeferredDelete.value)


def _name(thing: Any) -> str:
    return f"{type(thing).__name__}({thing.objectName()!r})"


def pytest_configure(config: pytest.Config) -> None:
    """Guard the network, adopt orphans, and begin to look."""
    isolation.guard_network()
    if sys.platform == "linux":
        # A daemon that a test's child started would otherwise vanish from our sight to process 1.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    config.pluginmanager.register(Police(), "leyden-police")


def pytest_unconfigure() -> None:
    """Leave the process as it was found."""
    isolation.unguard_network()
