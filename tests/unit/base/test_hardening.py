"""A process that asked for it leaves no core file and shows its memory to nobody."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CHILD = """
import ctypes, resource
from core.base.hardening import keep_memory_private
keep_memory_private()
print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="being dumpable is Linux's")
def test_no_core_file_and_not_dumpable() -> None:
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_headless_program_asks_for_it_before_its_node_exists() -> None:
    code = (
        "import ctypes, core.headless as headless\n"
        "async def run(settings): return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)\n"
        "headless._run = run\n"
        "print(headless.run(None))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0"]
