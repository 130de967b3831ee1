"""`leyden` as a process with its window: start, stop by signal and by command, and what it says without a screen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PYTHON = sys.executable
CLI = (PYTHON, "-m", "core.client", "--network", "regtest")
TIMEOUT_S = 30


def start(home: Path, *options: str) -> subprocess.Popen[str]:
    arguments = ["--network", "regtest", "--keystore", "memory", "--bind", "127.0.0.1:0", "--data-dir", str(home / "d")]
    return subprocess.Popen(
        [PYTHON, "-m", "gui.main", *arguments, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def cli(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, "--data-dir", str(home / "d"), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def wait_until_active(home: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if cli(home, "listpeers").returncode == 0:
            return
    pytest.fail(f"not active: {process.poll()}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_window_runs_an_active_node_and_a_signal_stops_it_in_order(home: Path, number: signal.Signals) -> None:
    with start(home) as process:
        wait_until_active(home, process)
        assert json.loads(cli(home, "getinfo").stdout)["binding"][0]["port"] > 0
        process.send_signal(number)
        output, errors = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, output) == (0, "")
    assert "Traceback" not in errors
    assert not (home / "d" / "regtest" / "lightning-rpc").exists()


def test_the_stop_command_ends_the_window_too(home: Path) -> None:
    with start(home) as process:
        wait_until_active(home, process)
        assert cli(home, "stop").returncode == 0
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0


def test_without_a_display_it_says_so_and_names_headless(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QT_QPA_PLATFORM")
    with start(home) as process:
        _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 2
    assert "leyden --headless" in errors
    assert not (home / "d").exists()
