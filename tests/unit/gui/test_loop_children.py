"""gui.loop: child processes of asyncio's, as plugins are, on Qt's loop."""

from __future__ import annotations

import asyncio
import sys

import pytest

from gui.loop import LeydenLoop

ECHO = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)\nsys.exit('bye')"


@pytest.mark.qt_loop
async def test_a_child_is_talked_with_over_its_pipes_and_its_end_is_noticed() -> None:
    assert type(asyncio.get_running_loop()) is LeydenLoop
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ECHO, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdin.write(b"hello\n")
    assert await child.stdout.readline() == b"HELLO\n"
    child.stdin.close()
    assert await child.stderr.read() == b"bye\n"
    async with asyncio.timeout(30):
        assert await child.wait() == 1


@pytest.mark.qt_loop
async def test_a_child_that_is_killed_is_reaped() -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    child.kill()
    async with asyncio.timeout(30):
        assert await child.wait() == -9
