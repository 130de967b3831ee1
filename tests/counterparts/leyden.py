"""Our own node as a program: `leyden --headless` on regtest, started and stopped from outside like the counterparts."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.counterparts.process import REPOSITORY, Counterpart

NODE = re.compile(r"node (?P<node_id>[0-9a-f]{66}) on \w+")
LISTENING = re.compile(r"listening on 127\.0\.0\.1:(?P<port>\d+)")


class Leyden(Counterpart):
    """Events: line (text) for every line it prints, and ready once it says that it runs.

    `start(folder, *options)`: options of the program beyond regtest, a key in memory and this data directory.
    After `stop` (SIGTERM) `exit_code` is the program's.
    """

    name = "leyden"
    program: Sequence[str] = (sys.executable, "-m", "gui.main")
    environment: Mapping[str, str] = {"PYTHONPATH": str(REPOSITORY)}
    grace_s = 10.0

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def socket(self) -> Path:
        """The RPC socket."""
        return self.data_dir / "regtest" / "lightning-rpc"

    def _command_line(self, *args: str) -> Sequence[str]:
        node = ["--headless", "--network", "regtest", "--keystore", "memory", "--data-dir", str(self.data_dir)]
        bind = [] if "--bind" in args else ["--bind", "127.0.0.1:0"]
        return [*self.program, *node, *bind, *args]

    def _take_output(self, line: str) -> None:
        self._add({"event": "line", "text": line})
        if line == "running":
            printed = "\n".join(event["text"] for event in self.seen(event="line"))
            facts: dict[str, Any] = {}
            for words in (NODE, LISTENING):
                if match := words.search(printed):
                    facts |= match.groupdict()
            self._add({"event": "ready", **facts})

    def _end(self, process: asyncio.subprocess.Process) -> None:
        super()._end(process)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
