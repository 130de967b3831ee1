"""One place for every error that nobody caught, whoever notices it: Python, a thread, the garbage collector, the event
loop, Qt, or the interpreter as it dies.

Each is logged once with its traceback (the log's own redaction applies) and handed to one listener, which may show
it. The hooks must outlive everything, so none of them raises, and an error while one is handled is written to stderr
and nothing more.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

logger = logging.getLogger("gui.crash")
qt_logger = logging.getLogger("qt")

FAULTS_FILE = "faults.log"
"""In the log folder: where the interpreter writes every thread's stack when it is killed by a fault."""

_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class Crash:
    """An error that nobody caught."""

    source: str
    """Who noticed it: `main`, `thread NAME`, `unraisable`, `loop`."""
    message: str
    """What was going on, in the words of whoever noticed; may be empty."""
    error: BaseException | None


class CrashHandler:
    """The handler behind all hooks. `install` once, early; `uninstall` puts back what was there."""

    def __init__(self) -> None:
        self.on_crash: Callable[[Crash], None] | None = None
        """Called after the log, in the thread that noticed: a window must hand over to its own."""
        self.on_interrupt: Callable[[], None] | None = None
        """Called for a `KeyboardInterrupt` that reached a hook, which is a wish to stop and no crash."""
        self._faults: TextIO | None = None
        self._before: tuple[Any, Any, Any] | None = None
        self._qt_before: Any = None
        self._busy = threading.local()

    @property
    def faults(self) -> TextIO | None:
        """The open faults file, or stderr where there is no log folder, or None where there is neither."""
        return self._faults or sys.__stderr__

    def install(self, logs: Path | None = None) -> None:
        """Take over every hook. `logs` is an existing folder for `FAULTS_FILE`, kept at 0600."""
        if self._before is not None:
            raise RuntimeError("the crash handler is installed already")
        self._before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception
        sys.unraisablehook = self._on_unraisable
        self._qt_before = qInstallMessageHandler(self._on_qt_message)
        if logs is not None:
            self.keep_faults(logs)

    def keep_faults(self, logs: Path) -> None:
        """Have faults of the interpreter written to `logs`; may come later than `install`."""
        fd = os.open(logs / FAULTS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        faults = os.fdopen(fd, "a", encoding="utf-8")
        faulthandler.enable(faults)
        if self._faults is not None:
            self._faults.close()
        self._faults = faults

    def uninstall(self) -> None:
        if self._before is None:
            return
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._before
        self._before = None
        qInstallMessageHandler(self._qt_before)
        if self._faults is not None:
            faulthandler.disable()
            self._faults.close()
            self._faults = None

    def on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """For `loop.set_exception_handler`."""
        self._handle("loop", str(context.get("message", "")), context.get("exception"))

    def _on_exception(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            if self.on_interrupt is not None:
                self.on_interrupt()
            elif self._before is not None:
                self._before[0](kind, error, traceback)
            return
        self._handle("main", "", error)

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:  # which ends a thread quietly, as in Python's own hook
            name = args.thread.name if args.thread is not None else "?"
            self._handle(f"thread {name}", "", args.exc_value)

    def _on_unraisable(self, args: sys.UnraisableHookArgs) -> None:
        # No repr of args.object: it may be half destroyed, and it may hold a secret.
        self._handle("unraisable", args.err_msg or f"in {type(args.object).__name__}", args.exc_value)

    def _on_qt_message(self, kind: QtMsgType, context: QMessageLogContext, message: str | None) -> None:
        try:
            qt_logger.log(_QT_LEVELS.get(kind, logging.WARNING), "%s: %s", context.category or "qt", message)
            if kind is QtMsgType.QtFatalMsg:  # Qt aborts when we return, before any log thread could write
                self._last_words(f"Qt: {message}")
        except Exception as error:  # noqa: BLE001 - an exception must not pass through Qt's C++
            self._last_words(f"while logging a message of Qt's: {error!r}")

    def _handle(self, source: str, message: str, error: BaseException | None) -> None:
        if getattr(self._busy, "now", False):
            self._last_words(f"while a crash was handled: {source}: {message} {type(error).__name__}")
            return
        self._busy.now = True
        try:
            info = (type(error), error, error.__traceback__) if error is not None else None
            logger.critical("uncaught in %s%s", source, f": {message}" if message else "", exc_info=info)
            if self.on_crash is not None:
                self.on_crash(Crash(source, message, error))
        except Exception as second:  # noqa: BLE001 - a hook that raises would call itself
            self._last_words(f"while a crash in {source} was handled: {type(second).__name__}")
        finally:
            self._busy.now = False

    def _last_words(self, text: str) -> None:
        stream = self.faults
        if stream is not None and not stream.closed:
            stream.write(text + "\n")
            stream.flush()
