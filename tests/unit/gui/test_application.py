"""gui.application: one orderly stop, however it is asked for, and a start that refuses a broken Qt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gui import application
from gui.application import QtBuildUnusable, check_qt_build, has_display

PROGRAM = """
import asyncio, logging, sys, time
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget, QApplication
from gui import application
from gui.application import Application, run

logging.basicConfig(level=logging.INFO, stream=sys.stderr)

def say(*words):
    print(*words, flush=True)

def part(name, pause_s=0.0):
    async def undo():
        say("stopping", name)
        await asyncio.sleep(pause_s)
    return undo
"""

STANDARD_MAIN = """
async def main(app):
    app.at_stop(part("lock"))
    app.at_stop(part("sessions", 0.02))
    window = QWidget()
    app.stop_when_closed(window)
    app.stop_began.connect(lambda: say("visible", window.isVisible()))
    window.show()
    say("ready")
    code = await app.until_stopped()
    say("ended", code, window.isVisible())
    return code

sys.exit(run(main))
"""


@contextmanager
def program(code: str) -> Iterator[subprocess.Popen[str]]:
    """A program of its own on the offscreen platform; killed at the end when it is still there."""
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(application.__file__).parents[1],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    guard = threading.Timer(30, child.kill)
    guard.start()
    try:
        yield child
    finally:
        guard.cancel()
        child.kill()
        child.communicate()
        guard.join()


def until(child: subprocess.Popen[str], word: str) -> list[str]:
    """Lines of stdout up to `word`."""
    assert child.stdout is not None
    lines: list[str] = []
    for line in child.stdout:
        lines.append(line.strip())
        if lines[-1] == word:
            return lines
    assert child.stderr is not None
    raise AssertionError(f"{word!r} never came: {lines} {child.stderr.read()}")


def rest(child: subprocess.Popen[str]) -> list[str]:
    assert child.stdout is not None
    return [line.strip() for line in child.stdout]


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_in_order_last_first_with_exit_code_0(sig: signal.Signals) -> None:
    with program(STANDARD_MAIN) as child:
        until(child, "ready")
        child.send_signal(sig)
        assert rest(child) == ["visible True", "stopping sessions", "stopping lock", "ended 0 True"]
        assert child.wait() == 0


@pytest.mark.parametrize(
    "ask",
    ["window.close()", "QApplication.quit()", "QApplication.closeAllWindows()", "app.request_stop()"],
)
def test_closing_the_window_is_ignored_and_starts_one_shutdown(ask: str) -> None:
    asking = f'say("ready")\n    QTimer.singleShot(0, lambda: [{ask}, {ask}, say("asked")])'
    with program(STANDARD_MAIN.replace('say("ready")', asking)) as child:
        assert rest(child) == ["ready", "visible True", "asked", "stopping sessions", "stopping lock", "ended 0 True"]
        assert child.wait() == 0


def test_waiting_for_the_stop_takes_no_processor() -> None:
    slow = STANDARD_MAIN.replace('part("lock")', 'part("lock", 1.0)')
    slow = slow.replace(
        'say("ended", code, window.isVisible())', 'say("ended", code)\n    say("cpu", time.process_time() - begun)'
    )
    slow = slow.replace('say("ready")', "begun = time.process_time()\n    QTimer.singleShot(0, window.close)")
    with program(slow) as child:
        lines = rest(child)
        assert child.wait() == 0
    spent_s = float(lines[-1].split()[1])
    assert spent_s < 0.5, "asyncClose spent 1.0 s of processor in such a second"


def test_a_second_signal_ends_the_process_at_once() -> None:
    stuck = STANDARD_MAIN.replace('part("sessions", 0.02)', 'part("sessions", 60)')
    with program(stuck) as child:
        until(child, "ready")
        child.send_signal(signal.SIGTERM)
        until(child, "stopping sessions")
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30) == -signal.SIGINT


BLOCKED = """
async def blocked():
    while True:
        try:
            say("blocked")
            time.sleep(60)
        except KeyboardInterrupt:
            say("went on")

async def main"""


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_even_a_process_that_holds_its_loop(sig: signal.Signals) -> None:
    stuck = STANDARD_MAIN.replace('part("sessions", 0.02)', "blocked").replace("async def main", BLOCKED)
    with program(stuck) as child:
        until(child, "ready")
        child.send_signal(signal.SIGTERM)
        until(child, "blocked")
        child.send_signal(sig)
        assert child.wait(timeout=30) == -sig


def test_a_stop_that_hangs_is_given_up_and_the_exit_code_tells() -> None:
    stuck = "application.STOP_LIMIT_S = 0.1\n" + STANDARD_MAIN.replace('part("sessions", 0.02)', 'part("sessions", 60)')
    with program(stuck) as child:
        until(child, "ready")
        child.send_signal(signal.SIGTERM)
        assert rest(child)[-2:] == ["stopping sessions", "ended 1 True"]
        assert child.wait() == 1
        assert child.stderr is not None
        assert "given up" in child.stderr.read()


def test_a_process_that_will_not_end_is_ended_with_its_stacks_shown() -> None:
    stuck = "application.WATCHDOG_S = 0.2\n" + STANDARD_MAIN.replace(
        "sys.exit(run", "async def blocked():\n    time.sleep(60)\n\nsys.exit(run"
    ).replace('part("sessions", 0.02)', "blocked")
    with program(stuck) as child:
        until(child, "ready")
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == 1
        assert child.stderr is not None
        assert "in blocked" in child.stderr.read()


def test_a_failing_part_does_not_keep_the_others_from_stopping() -> None:
    failing = STANDARD_MAIN.replace('part("sessions", 0.02)', "failing").replace(
        "async def main", "async def failing():\n    raise OSError('disk full')\n\nasync def main"
    )
    with program(failing) as child:
        until(child, "ready")
        child.send_signal(signal.SIGTERM)
        assert rest(child) == ["visible True", "stopping lock", "ended 1 True"]
        assert child.stderr is not None
        assert "disk full" in child.stderr.read()


def test_a_start_that_is_still_going_on_is_cancelled_by_a_stop_and_undone() -> None:
    starting = """
async def main(app):
    app.at_stop(part("lock"))
    say("ready")
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        say("start cancelled")

sys.exit(run(main))
"""
    with program(starting) as child:
        until(child, "ready")
        child.send_signal(signal.SIGINT)
        assert rest(child) == ["start cancelled", "stopping lock"]
        assert child.wait() == 0


def test_what_main_returns_is_the_exit_code_and_an_error_comes_out_after_the_stop() -> None:
    for end, code in (("return 3", 3), ("raise OSError('no profile')", 1)):
        body = f"""
async def main(app):
    app.at_stop(part("lock"))
    {end}

sys.exit(run(main))
"""
        with program(body) as child:
            assert rest(child) == ["stopping lock"]
            assert child.wait() == code


def test_quit_without_a_window_stops_in_order_too() -> None:
    body = """
async def main(app):
    app.at_stop(part("lock"))
    QTimer.singleShot(0, QApplication.quit)
    return await app.until_stopped()

sys.exit(run(main))
"""
    with program(body) as child:
        assert rest(child) == ["stopping lock"]
        assert child.wait() == 0


def test_the_last_window_may_close_without_ending_the_program() -> None:
    body = """
async def main(app):
    window = QWidget()
    window.show()
    await asyncio.sleep(0.01)
    window.close()
    await asyncio.sleep(0.05)
    say(app.qt.applicationName(), app.qt.applicationDisplayName(), app.qt.desktopFileName(), app.qt.style().name())
    return 0

sys.exit(run(main))
"""
    with program(body) as child:
        assert rest(child) == ["leyden Leyden org.leyden.Leyden fusion"]
        assert child.wait() == 0


def test_this_qt_keeps_its_references_to_none() -> None:
    check_qt_build()


def test_a_qt_that_loses_references_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Losing(application.QObject):
        lost = 0

        def setObjectName(self, _name: str) -> None:
            Losing.lost += 1

    real = sys.getrefcount
    monkeypatch.setattr(application, "QObject", Losing)
    monkeypatch.setattr(application.sys, "getrefcount", lambda thing: real(thing) - Losing.lost)
    with pytest.raises(QtBuildUnusable, match=r"PySide6 6\..* does not work with Python 3.*Install a PySide6 below"):
        check_qt_build()


def test_a_display_is_looked_for_before_qt_would_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_display(), "the offscreen platform needs none"
    monkeypatch.delenv("QT_QPA_PLATFORM")
    monkeypatch.setattr(sys, "platform", "linux")
    assert not has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_display()
