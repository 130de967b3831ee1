"""The program around the window: `QApplication`, the loop, signals, and the one orderly stop.

    async def main(app: Application) -> int:
        node = Node(settings)
        app.at_stop(node.stop)
        await node.start()
        window = MainWindow(node)
        app.stop_when_closed(window)
        window.show()
        return await app.until_stopped()

    sys.exit(run(main))

Closing the window, Quit, SIGINT and SIGTERM all call `request_stop`. What `at_stop` was given then runs once, last
first, within `STOP_LIMIT_S`; `until_stopped` returns 0 and the loop ends. A second signal ends the process at once,
whatever it is doing.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import PySide6
from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtWidgets import QApplication, QWidget

from gui.crash import CrashHandler
from gui.loop import LeydenLoop

logger = logging.getLogger(__name__)

APPLICATION_NAME = "leyden"
DISPLAY_NAME = "Leyden"
DESKTOP_FILE = "org.leyden.Leyden"
"""The desktop entry's name without its suffix; Wayland finds the window's icon by it."""

STOP_LIMIT_S = 10.0
"""An orderly stop that takes longer is given up."""

WATCHDOG_S = STOP_LIMIT_S + 5.0
"""A process still there this long after the stop began writes every thread's stack and exits with 1."""

_VOID_CALLS = 1000
_REFERENCES_LOST_AT_MOST = 100


class QtBuildUnusable(RuntimeError):
    """This PySide6 would abort the program sooner or later; the text says so in words."""


def check_qt_build() -> None:
    """Refuse a PySide6 that loses references to None (6.12.0 does on Python 3.10 and 3.11, one at every void call).

    Such a build aborts with "none_dealloc" after minutes, in a place that has nothing to do with it. Raises
    `QtBuildUnusable`.
    """
    probe = QObject()
    before = sys.getrefcount(None)
    for _ in range(_VOID_CALLS):
        probe.setObjectName("probe")
    lost = before - sys.getrefcount(None)
    if lost > _REFERENCES_LOST_AT_MOST:
        version = ".".join(map(str, sys.version_info[:3]))
        raise QtBuildUnusable(
            f"PySide6 {PySide6.__version__} does not work with Python {version}: it lost {lost} references to None in "
            f"{_VOID_CALLS} calls and would abort the program. Install a PySide6 below 6.12, or use Python 3.12."
        )


class Application(QObject):
    """What `main` is given: the way to be stopped, and the way to wait for it."""

    stop_began = Signal()
    """Once, when a stop was asked for: a window shows it."""

    def __init__(self, qt: QApplication, loop: LeydenLoop, crash: CrashHandler) -> None:
        super().__init__()
        self.qt = qt
        self.loop = loop
        self.crash = crash
        self._undo: list[Callable[[], Awaitable[object]]] = []
        self._stop_asked = asyncio.Event()
        self._main: asyncio.Task[int] | None = None
        self._main_waits = False
        self._shutdown: asyncio.Task[int] | None = None

    @property
    def stopping(self) -> bool:
        """A stop was asked for."""
        return self._shutdown is not None

    def at_stop(self, undo: Callable[[], Awaitable[object]]) -> None:
        """Await `undo()` when the program stops, before what was registered earlier. It must bear cancellation."""
        self._undo.append(undo)

    def stop_when_closed(self, window: QWidget) -> None:
        """Closing `window` asks for a stop; the window itself stays until the stop is done."""
        window.installEventFilter(self)

    def request_stop(self) -> None:
        """Begin the one orderly stop. Safe from slots and callbacks, any number of times; returns at once."""
        if self._shutdown is None:
            logger.info("stopping")
            self._shutdown = self.loop.create_task(self._shut_down(), name="shutdown")
            self._stop_asked.set()
            faults = self.crash.faults
            if faults is not None:
                faulthandler.dump_traceback_later(WATCHDOG_S, exit=True, file=faults)
            self.stop_began.emit()

    async def until_stopped(self) -> int:
        """Wait for the stop that somebody asks for. The exit code: 0, or 1 when a part of it failed or hung."""
        self._main_waits = True
        await self._stop_asked.wait()
        return await self._stopped()

    async def run_main(self, main: Callable[[Application], Awaitable[int]]) -> int:
        """Run `main`, then whatever stop is still owed. A `main` that is still starting is cancelled by a stop."""
        self._main = asyncio.ensure_future(_call(main, self))
        try:
            return await self._main
        except asyncio.CancelledError:
            if not self.stopping:
                raise
            return await self._stopped()
        finally:
            self._main_waits = True  # it has ended: nothing to cancel
            self.request_stop()
            await self._stopped()

    async def _stopped(self) -> int:
        """The shutdown's own code; whoever waits may be cancelled without cancelling it."""
        return await asyncio.shield(cast("asyncio.Task[int]", self._shutdown))

    async def _shut_down(self) -> int:
        code = 0
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                if self._main is not None and not self._main_waits:
                    self._main.cancel()
                    await asyncio.wait([self._main])
                while self._undo:
                    undo = self._undo.pop()
                    try:
                        await undo()
                    except Exception:
                        logger.exception("a part of the stop failed")
                        code = 1
        except TimeoutError:
            logger.error("the stop took longer than %g s and was given up", STOP_LIMIT_S)
            code = 1
        return code

    def on_signal(self, signum: int) -> None:
        """The first signal asks for a stop and gives the next one back to the system, which ends us at once."""
        logger.info("%s received", signal.Signals(signum).name)
        for each in stop_signals():
            self.loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        self.request_stop()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() is not QEvent.Type.Close:
            return False
        event.ignore()
        self.request_stop()
        return True


def run(
    main: Callable[[Application], Awaitable[int]],
    *,
    arguments: Sequence[str] = (),
    crash: CrashHandler | None = None,
) -> int:
    """Run `main` in a fresh `QApplication` on `LeydenLoop`; the exit code is what it returns.

    `arguments` are Qt's own options. `crash` is an installed handler; without one, errors that nobody caught are
    logged by a handler that is not. Raises `QtBuildUnusable`, and what `main` raises, once everything has stopped.
    """
    check_qt_build()
    crash = crash or CrashHandler()
    qt = _make_qt(arguments)
    try:
        with asyncio.Runner(loop_factory=lambda: LeydenLoop(qt)) as runner:
            loop = cast(LeydenLoop, runner.get_loop())
            loop.set_exception_handler(crash.on_loop_error)
            app = Application(qt, loop, crash)
            qt.quit_asked.connect(app.request_stop)
            crash.on_interrupt = app.request_stop
            for signum in stop_signals():
                loop.add_signal_handler(signum, app.on_signal, signum)
            return runner.run(app.run_main(main))
    finally:
        crash.on_interrupt = None
        faulthandler.cancel_dump_traceback_later()


def stop_signals() -> tuple[signal.Signals, ...]:
    """What a terminal, a session or a service manager sends to have us stop."""
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def has_display() -> bool:
    """Whether Qt could open a window here. Without a display it would abort the process instead of telling us."""
    if os.environ.get("QT_QPA_PLATFORM") or sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class _QtApplication(QApplication):
    """Asks for an orderly stop where Qt would leave its loop under us (Quit of macOS and of a session)."""

    quit_asked = Signal()

    def event(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Quit:
            event.ignore()
            self.quit_asked.emit()
            return True
        return super().event(event)


def _make_qt(arguments: Sequence[str]) -> _QtApplication:
    QApplication.setDesktopFileName(DESKTOP_FILE)
    qt = _QtApplication([APPLICATION_NAME, *arguments])
    qt.setApplicationName(APPLICATION_NAME)
    qt.setApplicationDisplayName(DISPLAY_NAME)
    qt.setStyle("Fusion")
    qt.setQuitOnLastWindowClosed(False)  # else the last dialog to close would end the loop under everybody
    return qt


async def _call(main: Callable[[Application], Awaitable[int]], app: Application) -> int:
    return await main(app)
