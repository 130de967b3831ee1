"""A plugin's process: pipes on its stdin, stdout and stderr, and a process group that ends as a whole.

Nothing of ours is forked: the program is executed at once, with our environment and no file descriptor but its pipes.
When we are killed ourselves its stdin ends, which is the sign for a plugin to end too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class ProcessOwner(Protocol):
    """Told in the loop what the process does."""

    def output(self, data: bytes) -> None:
        """It wrote to stdout."""

    def complained(self, data: bytes) -> None:
        """It wrote to stderr."""

    def ended(self, how: str) -> None:
        """It is gone, in plain words how."""


class PluginProcess(asyncio.SubprocessProtocol):
    """Made by `start`."""

    def __init__(self, owner: ProcessOwner) -> None:
        self._owner = owner
        self._transport: asyncio.SubprocessTransport | None = None
        self._reading = True
        self._told_to_end = False
        self._closed_pipe = ""
        self._gone = asyncio.get_running_loop().create_future()

    @classmethod
    async def start(
        cls, path: Path, folder: Path, environment: Mapping[str, str], owner: ProcessOwner
    ) -> PluginProcess:
        """Run the executable file `path` in `folder`. OSError when that cannot be."""
        _, protocol = await asyncio.get_running_loop().subprocess_exec(
            lambda: cls(owner),
            os.fspath(path),
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        return protocol

    @property
    def unread_bytes(self) -> int:
        """Written for the plugin and not yet taken by the operating system."""
        pipe = self._input()
        return pipe.get_write_buffer_size() if pipe is not None else 0

    def write(self, data: bytes) -> None:
        """Queue for its stdin; without effect once that is closed."""
        pipe = self._input()
        if pipe is not None and not pipe.is_closing():
            pipe.write(data)

    def read(self, wanted: bool) -> None:
        """Whether its stdout is read."""
        if wanted is self._reading or self._transport is None:
            return
        self._reading = wanted
        pipe = cast("asyncio.ReadTransport | None", self._transport.get_pipe_transport(_STDOUT))
        if pipe is not None and not pipe.is_closing():
            (pipe.resume_reading if wanted else pipe.pause_reading)()

    def close_input(self) -> None:
        """Ask it to end."""
        self._told_to_end = True
        pipe = self._input()
        if pipe is not None:
            pipe.close()

    def kill(self) -> None:
        """End it and everything that it started, as far as that stayed in its process group."""
        if self._transport is None:
            return
        if sys.platform == "win32":
            self._transport.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: the latter when only zombies are left
            os.killpg(self._transport.get_pid(), signal.SIGKILL)

    async def gone(self) -> None:
        """Wait until the process has ended and its pipes are closed."""
        await asyncio.shield(self._gone)

    def _input(self) -> asyncio.WriteTransport | None:
        if self._transport is None:
            return None
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(_STDIN))

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        (self._owner.output if fd == _STDOUT else self._owner.complained)(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Most often its end, of which `process_exited` tells; one that lives on without its pipes is of no use."""
        if fd != _STDERR and not self._closed_pipe:
            self._closed_pipe = "it closed its stdin" if fd == _STDIN else "it closed its stdout"
            if fd == _STDOUT or not self._told_to_end:
                self.kill()

    def process_exited(self) -> None:
        assert self._transport is not None
        code = self._transport.get_returncode()
        self.kill()  # what it may have started
        self._transport.close()
        if code is not None and code < 0:
            killed = code == -signal.SIGKILL and self._closed_pipe
            self._owner.ended(self._closed_pipe if killed else f"it was ended by signal {-code}")
        else:
            self._owner.ended(f"it ended with code {code}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self._gone.done():
            self._gone.set_result(None)
