"""gui.crash: whoever notices an error that nobody caught, it is logged once, with its traceback, and never raises."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import shiboken6
from PySide6.QtCore import QObject, QTimer, qInfo, qWarning
from PySide6.QtWidgets import QApplication

from gui.crash import FAULTS_FILE, Crash, CrashHandler
from gui.loop import LeydenLoop


@pytest.fixture
def handler() -> Iterator[CrashHandler]:
    """Installed for the test, with what it noticed in `crashes`."""
    handler = CrashHandler()
    handler.install()
    yield handler
    handler.uninstall()


@pytest.fixture
def crashes(handler: CrashHandler) -> list[Crash]:
    crashes: list[Crash] = []
    handler.on_crash = crashes.append
    return crashes


def raised(text: str) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_an_error_at_the_top_is_logged_with_its_traceback(
    handler: CrashHandler, crashes: list[Crash], caplog: pytest.LogCaptureFixture
) -> None:
    error = raised("at the top")
    sys.excepthook(ValueError, error, error.__traceback__)
    assert crashes == [Crash("main", "", error)]
    assert "at the top" in caplog.text and "in raised" in caplog.text


def test_an_error_in_a_thread_names_the_thread(handler: CrashHandler, crashes: list[Crash]) -> None:
    def work() -> None:
        raise ValueError("in a thread")

    thread = threading.Thread(target=work, name="keyring")
    thread.start()
    thread.join()
    assert [(crash.source, str(crash.error)) for crash in crashes] == [("thread keyring", "in a thread")]


def test_a_thread_that_exits_is_no_crash(handler: CrashHandler, crashes: list[Crash]) -> None:
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    assert crashes == []


def test_an_error_in_a_finalizer_is_noticed_without_a_look_at_its_object(
    handler: CrashHandler, crashes: list[Crash], caplog: pytest.LogCaptureFixture
) -> None:
    class Holder:
        def __del__(self) -> None:
            raise ValueError("in a finalizer")

        def __repr__(self) -> str:
            return "a secret"

    holder = Holder()
    error = raised("in a finalizer")
    sys.unraisablehook(SimpleNamespace(exc_type=ValueError, exc_value=error, err_msg=None, object=holder))
    del holder
    gc.collect()
    assert [(crash.source, str(crash.error)) for crash in crashes] == [("unraisable", "in a finalizer")] * 2
    assert "a secret" not in caplog.text


def test_an_error_in_the_loop_and_in_a_slot_is_noticed(
    handler: CrashHandler, crashes: list[Crash], qapp: QApplication
) -> None:
    qapp.setQuitOnLastWindowClosed(False)

    async def fail() -> None:
        raise ValueError("in a task")

    def slot() -> None:
        raise ValueError("in a slot")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(handler.on_loop_error)
        lost = asyncio.create_task(fail())
        QTimer.singleShot(0, slot)
        await asyncio.sleep(0.01)
        del lost
        gc.collect()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: LeydenLoop(qapp)) as runner:
        runner.run(main())
    assert sorted((crash.source, str(crash.error)) for crash in crashes) == [
        ("loop", "in a task"),
        ("main", "in a slot"),
    ]


@pytest.mark.qt_log_ignore("a warning of Qt's")
def test_qt_messages_go_to_the_log_at_their_level(handler: CrashHandler, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "qt"):
        qInfo("100 % of it")
        qWarning("a warning of Qt's")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "default: 100 % of it"),
        ("WARNING", "default: a warning of Qt's"),
    ]


def test_an_error_while_a_crash_is_handled_is_told_and_not_handled_again(
    handler: CrashHandler, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stderr)
    calls: list[Crash] = []

    def broken(crash: Crash) -> None:
        calls.append(crash)
        error = raised("second")
        sys.excepthook(ValueError, error, error.__traceback__)
        raise RuntimeError("the listener is broken")

    handler.on_crash = broken
    error = raised("first")
    sys.excepthook(ValueError, error, error.__traceback__)
    assert [str(crash.error) for crash in calls] == ["first"]
    assert "while a crash was handled: main" in stderr.getvalue()
    assert "RuntimeError" in stderr.getvalue()


def test_ctrl_c_that_reached_a_hook_is_a_wish_to_stop(handler: CrashHandler, crashes: list[Crash]) -> None:
    asked: list[str] = []
    handler.on_interrupt = lambda: asked.append("stop")
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert (asked, crashes) == (["stop"], [])


def test_uninstall_puts_every_hook_back(tmp_path: Path) -> None:
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    handler = CrashHandler()
    handler.install(tmp_path)
    with pytest.raises(RuntimeError, match="installed already"):
        handler.install()
    assert sys.excepthook is not before[0]
    handler.uninstall()
    handler.uninstall()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before


def run_child(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_fault_of_the_interpreter_leaves_the_stacks_in_the_log_folder(tmp_path: Path) -> None:
    child = run_child(
        """
import faulthandler, pathlib, sys
from gui.crash import CrashHandler
CrashHandler().install(pathlib.Path(sys.argv[1]))
def deep_inside():
    faulthandler._sigsegv()
deep_inside()
""",
        str(tmp_path),
    )
    faults = tmp_path / FAULTS_FILE
    assert child.returncode == -11
    assert "Segmentation fault" in faults.read_text() and "deep_inside" in faults.read_text()
    assert stat.S_IMODE(faults.stat().st_mode) == 0o600


def test_a_fatal_message_of_qt_is_written_before_qt_aborts(tmp_path: Path) -> None:
    run_child(
        """
import pathlib, sys
from PySide6.QtCore import qFatal
from gui.crash import CrashHandler
CrashHandler().install(pathlib.Path(sys.argv[1]))
qFatal("no way on")  # PySide puts a text of its own in its place
""",
        str(tmp_path),
    )
    written = (tmp_path / FAULTS_FILE).read_text()
    assert "qFatal() call" in written.partition("Fatal Python error")[0]


def test_a_destroyed_qt_object_touched_in_a_slot_is_a_crash_and_not_the_end(
    handler: CrashHandler, crashes: list[Crash], qapp: QApplication
) -> None:
    gone = QObject()
    QTimer.singleShot(0, lambda: gone.setObjectName("x"))
    shiboken6.delete(gone)
    qapp.processEvents()
    assert [type(crash.error) for crash in crashes] == [RuntimeError]
