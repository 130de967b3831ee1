"""Each kind of leftover turns a test red; a clean test stays green. Shown by inner pytest runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
INI = """
[pytest]
qt_api = pyside6
qt_log_level_fail = WARNING
filterwarnings = error
timeout = 30
markers =
    qt_loop: on Qt's loop
"""
CONFTEST = """
pytest_plugins = ["tests.support.isolation", "tests.support.async_tests", "tests.support.police"]

def pytest_configure():
    from tests.support import police
    police.GRACE_S = 0.1
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder whose tests run in a pytest of their own, under the same police."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeini(INI)
    pytester.makeconftest(CONFTEST)
    return pytester


RED = {
    "thread": (
        "import threading\ndef test_it():\n    threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "*thread 'Thread-1*(daemon)*",
    ),
    "child": (
        "import os\ndef test_it():\n    os.posix_spawn('/bin/sleep', ['sleep', '60'], {})",
        "*child process *: sleep 60*",
    ),
    "grandchild whose parent ended": (
        "import subprocess\ndef test_it():\n    subprocess.run(['sh', '-c', 'sleep 60 >/dev/null 2>&1 &'], check=True)",
        "*child process *: sleep 60*",
    ),
    "file descriptor": (
        "import os\ndef test_it():\n    os.open('/etc/passwd', os.O_RDONLY)",
        "*file descriptor *: /etc/passwd*",
    ),
    "socket": (
        "import socket\nkept = []\ndef test_it():\n    kept.append(socket.create_server(('127.0.0.1', 0)))",
        "*file descriptor *: socket:*",
    ),
    "top-level widget": (
        "from PySide6.QtWidgets import QWidget\nkept = []\ndef test_it(qapp):\n    kept.append(QWidget())",
        "*top-level widget QWidget*",
    ),
    "timer": (
        "from PySide6.QtCore import QTimer\nkept = []\ndef test_it(qapp):\n"
        "    kept.append(QTimer())\n    kept[0].start(50)",
        "*active timer QTimer('')*",
    ),
    "connection beyond loopback": (
        "import contextlib, socket\ndef test_it():\n    with contextlib.suppress(OSError), socket.socket() as s:\n"
        "        s.connect(('192.0.2.1', 9735))",
        "*a try to leave loopback: connect 192.0.2.1*",
    ),
    "listening on every address": (
        "import contextlib, socket\ndef test_it():\n    with contextlib.suppress(OSError), socket.socket() as s:\n"
        "        s.bind(('0.0.0.0', 0))",
        "*a try to leave loopback: bind 0.0.0.0*",
    ),
    "name look-up": (
        "import contextlib, socket\ndef test_it():\n    with contextlib.suppress(OSError):\n"
        "        socket.getaddrinfo('example.com', 80)",
        "*a try to leave loopback: name look-up of example.com*",
    ),
}


def test_what_is_left_behind_turns_a_test_red(inner: pytest.Pytester) -> None:
    inner.makepyfile(**{_file(kind): source for kind, (source, _) in RED.items()})
    result = inner.runpytest_subprocess()
    for kind, (_, line) in RED.items():
        result.stdout.fnmatch_lines_random(["*ERROR at teardown of test_it*", line])
        result.stdout.fnmatch_lines_random([f"ERROR {_file(kind)}.py::test_it*"])
    result.assert_outcomes(passed=len(RED), errors=len(RED))


ASYNC_RED = {
    "a task still running": (
        "import asyncio\nasync def test_it():\n    task = asyncio.create_task(asyncio.sleep(60))",
        "*task left running: *",
    ),
    "a task that died unseen": (
        "import asyncio\nasync def fall():\n    raise ValueError('fell')\nasync def test_it():\n"
        "    asyncio.create_task(fall())\n    await asyncio.sleep(0)\n    await asyncio.sleep(0)",
        "*ValueError*fell*",
    ),
    "a wait without end": (
        "import asyncio, pytest\n@pytest.mark.timeout(3)\nasync def test_it():\n"
        "    await asyncio.get_running_loop().create_future()",
        "*TimeoutError*",
    ),
    "a failed assertion": ("async def test_it():\n    assert 1 == 2", "*assert 1 == 2*"),
}


def test_an_async_test_fails_for_what_it_leaves_on_its_loop(inner: pytest.Pytester) -> None:
    inner.makepyfile(**{_file(kind): source for kind, (source, _) in ASYNC_RED.items()})
    result = inner.runpytest_subprocess()
    for kind, (_, line) in ASYNC_RED.items():
        result.stdout.fnmatch_lines_random([line, f"FAILED {_file(kind)}.py::test_it*"])
    result.assert_outcomes(failed=len(ASYNC_RED))


def _file(kind: str) -> str:
    return "test_" + "".join(letter if letter.isalpha() else "_" for letter in kind)


def test_clean_tests_and_wider_fixtures_stay_green(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import asyncio, os, socket, subprocess, threading
        import pytest

        @pytest.fixture(scope="module")
        def shared():
            child = subprocess.Popen(["sleep", "60"])
            listener = socket.create_server(("127.0.0.1", 0))
            yield listener
            listener.close()
            child.kill()
            child.wait()

        @pytest.mark.parametrize("turn", range(2))
        def test_uses_what_the_module_shares(shared, turn):
            with socket.create_connection(shared.getsockname()):
                pass

        def test_ends_what_it_starts():
            thread = threading.Thread(target=lambda: None)
            thread.start()
            subprocess.run(["true"], check=True)

        async def test_awaits(tmp_path):
            server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
            server.close()
            await server.wait_closed()
            await asyncio.to_thread(os.getpid)

        def test_widget_of_qtbot(qtbot):
            from PySide6.QtWidgets import QWidget
            widget = QWidget()
            qtbot.addWidget(widget)
            widget.show()
        """
    )
    inner.runpytest_subprocess().assert_outcomes(passed=5)


def test_a_test_marked_qt_loop_runs_on_ours_and_others_on_a_plain_one(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import asyncio
        import pytest

        async def test_plain():
            assert isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)
            assert "gui" not in type(asyncio.get_running_loop()).__module__

        @pytest.mark.qt_loop
        async def test_marked():
            assert type(asyncio.get_running_loop()).__name__ == "LeydenLoop"
            await asyncio.sleep(0.01)
            await asyncio.to_thread(lambda: None)
        """
    )
    inner.runpytest_subprocess().assert_outcomes(passed=2)


def test_each_test_has_a_home_of_its_own_and_nothing_of_the_users(home: Path) -> None:
    assert Path.home() == home
    assert sorted(path.name for path in home.iterdir()) == [".cache", ".config", ".local", "run"]
    assert (home / "run").stat().st_mode & 0o777 == 0o700
    assert not {"DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"} & os.environ.keys()
    assert os.environ["XDG_CONFIG_HOME"].startswith(str(home))


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", {"failed": 1, "errors": 1, "xfailed": 1}), ("", {"skipped": 2, "xfailed": 1})]
)
def test_only_ci_takes_a_skip_for_a_failure(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    inner.makeconftest('pytest_plugins = ["tests.support.no_skips"]')
    inner.makepyfile(
        """
        import pytest

        @pytest.mark.skip(reason="not today")
        def test_marked():
            pass

        def test_by_itself():
            pytest.skip("nor tomorrow")

        @pytest.mark.xfail(strict=True)
        def test_expected():
            assert False
        """
    )
    inner.runpytest_subprocess().assert_outcomes(**outcome)


def test_ci_takes_a_module_that_skips_itself_for_an_error(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    inner.makeconftest('pytest_plugins = ["tests.support.no_skips"]')
    inner.makepyfile("import pytest\npytest.importorskip('no_such_module_here')")
    result = inner.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*skipped, which CI does not allow: *no_such_module_here*"])
    result.assert_outcomes(errors=1)
