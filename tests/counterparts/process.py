"""A counterpart is a child process that tells, event by event, what it saw.

Every event is one JSON object: in the counterpart's own log file, and here in `Counterpart.events`. Waiting is always
for an event, with a deadline; nothing sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

Event = dict[str, Any]
REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE_S = 30.0
LONGEST_LINE = 1 << 20
"""Bytes of one event: a message of 65,535 bytes in hex, and room for the rest."""


class CounterpartMissing(AssertionError):
    """The counterpart is not installed; the words name the command that installs it."""

    def __init__(self, name: str, where: Path) -> None:
        super().__init__(f"{name} is not installed at {where}: run `python3 packaging/bootstrap.py test`")


class CounterpartDied(AssertionError):
    """The process ended while somebody still waited for it."""


class CommandFailed(AssertionError):
    """The counterpart refused a command; `error` is its own word."""

    def __init__(self, command: str, error: str) -> None:
        super().__init__(f"{command}: {error}")
        self.error = error


def required(name: str, path: Path) -> Path:
    """`path` when it exists, else CounterpartMissing."""
    if not path.exists():
        raise CounterpartMissing(name, path)
    return path


class Counterpart:
    """One child process in a process group of its own, with a HOME of its own, on loopback.

    `events` holds all that it reported, oldest first. `node_id` (33 bytes) and `port` are known once `start` returned.
    """

    name = "counterpart"
    environment: Mapping[str, str] = {}
    """What the process needs beside HOME, PATH and LANG."""
    grace_s = 2.0
    """How long the process may take to end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log_file = folder / "events.jsonl"
        self.events: list[Event] = []
        self.node_id = b""
        self.port = 0
        self.exit_code: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._ids = itertools.count(1)
        self._stderr: list[str] = []

    # -- life

    @classmethod
    async def start(cls, folder: Path, *args: str) -> Self:
        """Starts the counterpart in `folder` (made when absent) and returns once it listens."""
        folder.mkdir(parents=True, exist_ok=True)
        self = cls(folder)
        try:
            await self._launch(self._command_line(*args))
            ready = await self.wait_for(event="ready")
        except BaseException:
            await self.stop()
            raise
        self.node_id = bytes.fromhex(ready.get("node_id", ""))
        self.port = int(ready.get("port", 0))
        return self

    def _command_line(self, *args: str) -> Sequence[str]:
        raise NotImplementedError

    async def _launch(self, command_line: Sequence[str]) -> None:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **self.environment}
        # Not every program notices that its parent was killed; the kernel tells it where util-linux can ask for that.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._process = await asyncio.create_subprocess_exec(
            *guard,
            *command_line,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env=environment,
            start_new_session=True,
            limit=LONGEST_LINE,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self._readers = [
            asyncio.create_task(self._read(self._process.stdout, self._take_output)),
            asyncio.create_task(self._read(self._process.stderr, self._take_error)),
        ]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def ended(self, timeout_s: float = DEADLINE_S) -> int:
        """Waits until the process has ended by itself; its exit code."""
        assert self._process is not None
        async with asyncio.timeout(timeout_s):
            return await self._process.wait()

    def pause(self) -> None:
        """Stops the process where it stands: its ports stay open and nothing answers, until `resume`."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused process go on."""
        os.killpg(self.pid, signal.SIGCONT)

    async def kill(self) -> None:
        """Ends the process as a power cut does; returns when it is gone."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await self.stop()

    async def stop(self) -> None:
        """Ends the process and everything it started, paused or not; returns when all of it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
        self._end(process)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), self.grace_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self.exit_code = await process.wait()
        await asyncio.gather(*self._readers)

    def _end(self, process: asyncio.subprocess.Process) -> None:
        """Asks the process to end; what is left of it after `grace_s` is killed."""
        assert process.stdin is not None
        process.stdin.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # -- what it says

    async def _read(self, stream: asyncio.StreamReader, take: Callable[[str], None]) -> None:
        while line := await stream.readline():
            take(line.decode(errors="replace").rstrip("\n"))
        self._changed.set()

    def _take_output(self, line: str) -> None:
        if line.startswith("{"):
            self._add(json.loads(line))

    def _take_error(self, line: str) -> None:
        self._stderr.append(line)

    def _add(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    def seen(self, *, since: int = 0, **facts: Any) -> list[Event]:
        """The events from index `since` on that have all `facts`; a callable fact is a test of the value."""
        return [event for event in self.events[since:] if _has(event, facts)]

    async def wait_for(
        self,
        predicate: Callable[[Event], bool] | None = None,
        *,
        since: int = 0,
        count: int = 1,
        timeout_s: float = DEADLINE_S,
        **facts: Any,
    ) -> Event:
        """The `count`-th event from index `since` on that satisfies `predicate` and has all `facts`.

        Raises AssertionError with the last events when the deadline passes, CounterpartDied when the process ends.
        """
        position, found = since, 0
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    while position < len(self.events):
                        event = self.events[position]
                        position += 1
                        if _has(event, facts) and (predicate is None or predicate(event)):
                            found += 1
                            if found == count:
                                return event
                    if all(reader.done() for reader in self._readers):
                        raise CounterpartDied(f"{self.name} ended while waiting for {facts}{self._tail()}")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                f"{self.name} reported {found} of {count} x {facts} within {timeout_s} s{self._tail()}"
            ) from None

    def _tail(self) -> str:
        shown = [json.dumps(event)[:300] for event in self.events[-25:]] + self._stderr[-25:]
        return "".join(f"\n    {line}" for line in shown)

    # -- what it is told

    async def command(self, command: str, *, timeout_s: float = DEADLINE_S, **args: Any) -> Any:
        """Gives one command and returns its result; raises CommandFailed with the counterpart's own word."""
        assert self._process is not None and self._process.stdin is not None
        identity, since = next(self._ids), len(self.events)
        self._process.stdin.write(json.dumps({"id": identity, "command": command, **args}).encode() + b"\n")
        reply = await self.wait_for(event="reply", id=identity, since=since, timeout_s=timeout_s)
        if not reply["ok"]:
            raise CommandFailed(command, str(reply["error"]))
        return reply["result"]

    async def connect(self, node_id: bytes, port: int, host: str = "127.0.0.1") -> Any:
        """Lets the counterpart dial `node_id`."""
        return await self.command("connect", node_id=node_id.hex(), host=host, port=port)

    async def disconnect(self, node_id: bytes) -> Any:
        """Lets the counterpart close its connection with `node_id`."""
        return await self.command("disconnect", node_id=node_id.hex())

    @property
    def mark(self) -> int:
        """The place in `events` to wait from, so that only what comes later counts."""
        return len(self.events)


def _has(event: Event, facts: Mapping[str, Any]) -> bool:
    for key, wanted in facts.items():
        if key not in event:
            return False
        if not (wanted(event[key]) if callable(wanted) else event[key] == wanted):
            return False
    return True
