"""Python children that die in the middle of what they do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

_DIE_AT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it; by default it kills like SIGKILL, at that byte
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
"""


def run_child(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `code` to its end; `sys.argv[1:]` are the arguments."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_until_byte(limit: int, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The same; the kernel kills the child when it writes beyond byte `limit` of any file."""
    return run_child(_DIE_AT.format(limit=limit) + textwrap.dedent(code), *arguments)


def start_child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start `code` and wait for its first line; the caller ends it."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def end_child(child: subprocess.Popen[str]) -> None:
    """Kill it as a crash would, and take what is left of it."""
    child.kill()
    child.communicate(timeout=20)
