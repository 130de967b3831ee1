"""A process that asked for it may hold as many files as the system allows."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CHILD = """
import resource
from core.base import descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(descriptors.file_limit(), descriptors.raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize(
    ("soft", "hard", "found"),
    [(256, 1000, [256, 1000, 1000, 1000]), (1000, 1000, [1000, 1000, 1000, 1000])],
)
def test_the_soft_limit_becomes_the_hard_one(soft: int, hard: int, found: list[int]) -> None:
    code = _CHILD.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [int(word) for word in done.stdout.split()] == found


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_the_headless_program_asks_for_it_before_its_node_exists() -> None:
    code = (
        "import resource, core.headless as headless\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (300, 900))\n"
        "async def run(settings): return resource.getrlimit(resource.RLIMIT_NOFILE)[0]\n"
        "headless._run = run\n"
        "print(headless.run(None))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["900"]
