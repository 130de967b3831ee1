"""The installed programs `leyden` and `leyden-cli`, driven from outside: arguments, sockets, signals, exit codes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.counterparts import Leyden
from tests.counterparts.process import LONGEST_LINE

PROGRAMS = Path(sys.executable).parent
DEADLINE_S = 30.0


class ProgramFailed(AssertionError):
    """The program did not do what was awaited."""


class InstalledLeyden(Leyden):
    """`leyden --headless` as it is installed.

    `start(folder, *options)` waits until it runs, `launch` only starts it.
    """

    program = (str(PROGRAMS / "leyden"),)
    overlay: Path | None = None
    """A changed tree that shadows the installed one, set by the mutation run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._request_ids = itertools.count(1)
        self.environment: Mapping[str, str] = {} if self.overlay is None else {"PYTHONPATH": str(self.overlay)}

    @classmethod
    async def launch(cls, folder: Path, *args: str) -> InstalledLeyden:
        """Start it in `folder` without waiting for anything."""
        folder.mkdir(parents=True, exist_ok=True)
        program = cls(folder)
        await program._launch(program._command_line(*args))
        return program

    def lines(self) -> list[str]:
        """All that it printed."""
        return [event["text"] for event in self.seen(event="line")]

    def errors(self) -> list[str]:
        """All that it printed on stderr."""
        return list(self._stderr)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        await self.stop()

    async def requests(self, calls: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
        """Pipelined over one connection to the RPC socket; the replies in the order of the calls."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket), limit=LONGEST_LINE)
        numbers = [next(self._request_ids) for _ in calls]
        replies: dict[int, dict[str, Any]] = {}
        try:
            for number, (method, params) in zip(numbers, calls, strict=True):
                request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                writer.write(json.dumps(request).encode())
            async with asyncio.timeout(DEADLINE_S * 2):
                while len(replies) < len(calls):
                    reply = json.loads(await reader.readuntil(b"\n\n"))
                    if reply["id"] is None:  # told to the connection, not to a request
                        raise ProgramFailed(str(reply["error"]))
                    replies[reply["id"]] = reply
        finally:
            writer.close()
            await writer.wait_closed()
        return [replies[number] for number in numbers]

    async def request(self, method: str, params: Any) -> dict[str, Any]:
        """One request and its whole reply."""
        (reply,) = await self.requests([(method, params)])
        return reply

    async def call(self, method: str, *params: Any) -> Any:
        """The result; ProgramFailed with the error object otherwise."""
        reply = await self.request(method, list(params))
        if "error" in reply:
            raise ProgramFailed(f"{method}: {reply['error']}")
        return reply["result"]

    async def cli(self, *arguments: str) -> tuple[int, Any]:
        """Exit code of `leyden-cli` and its output, parsed where it is JSON."""
        process = await asyncio.create_subprocess_exec(
            str(PROGRAMS / "leyden-cli"),
            *("--data-dir", str(self.data_dir), "--network", "regtest"),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"HOME": str(self.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **self.environment},
        )
        async with asyncio.timeout(DEADLINE_S):
            output, errors = await process.communicate()
        text = (output or errors).decode()
        try:
            return process.returncode or 0, json.loads(text)
        except json.JSONDecodeError:
            return process.returncode or 0, text
