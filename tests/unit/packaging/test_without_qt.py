"""`leyden --headless` and `leyden-cli` run where PySide6 is not installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.packaging.conftest import ROOT

ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("PySide6", "shiboken6", "qasync"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which no Python finds Qt."""
    (tmp_path / "sitecustomize.py").write_text(ABSENT)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    seen = subprocess.run([sys.executable, "-c", "import PySide6"], env=environment, capture_output=True, check=False)
    assert b"No module named 'PySide6'" in seen.stderr
    return environment


def test_the_headless_node_runs_and_stops(environment: dict[str, str], home: Path) -> None:
    options = ["--headless", "--network", "regtest", "--keystore", "memory", "--bind", "127.0.0.1:0"]
    command = [sys.executable, "-m", "gui.main", *options, "--data-dir", str(home / "d")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        try:
            assert "running\n" in iter(node.stdout.readline, "")
            node.send_signal(signal.SIGTERM)
            assert node.wait(10) == 0
        finally:
            node.kill()


def test_the_window_says_what_it_lacks(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "gui.main", "--network", "regtest", "--keystore", "memory"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "leyden --headless" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_client_starts(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "core.client", "--help"]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
