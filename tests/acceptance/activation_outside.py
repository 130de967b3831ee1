"""What a process holds, counted by the system and not by the process: sockets, descriptors, threads, children."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import time
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from tests.acceptance.activation_profile import files, rows

_DEADLINE_S = 3.0
"""How long somebody waits for a process to let go of what it holds."""


@dataclass(frozen=True, slots=True)
class Held:
    """At one moment."""

    listening: frozenset[int]
    """Ports."""
    connections: int
    """TCP connections that are open."""
    descriptors: int
    threads: int
    children: int

    def more_than(self, before: Held) -> dict[str, int]:
        """What there is more of than before, by name; nothing is named that there is less of."""
        more = {"listening": len(self.listening - before.listening)}
        for name in ("connections", "descriptors", "threads", "children"):
            more[name] = getattr(self, name) - getattr(before, name)
        return {name: count for name, count in more.items() if count > 0}


@dataclass(frozen=True, slots=True)
class Written:
    """In a data folder at one moment."""

    rows: dict[str, int]
    files: frozenset[str]

    def more_than(self, before: Written) -> dict[str, int]:
        """Rows and files that were not there before, and those that are gone."""
        tables = self.rows.keys() | before.rows.keys()
        changed = sum(abs(self.rows.get(table, 0) - before.rows.get(table, 0)) for table in tables)
        found = {"rows": changed, "files": len(self.files ^ before.files)}
        return {name: count for name, count in found.items() if count}


LEFT = (*(field.name for field in fields(Held)), "rows", "files")
"""What can be left over, by name."""


def held(pid: int) -> Held:
    """Of a running process; its sockets of the unix domain count as descriptors."""
    process = psutil.Process(pid)
    with process.oneshot():
        links = process.net_connections("tcp")
        return Held(
            frozenset(link.laddr.port for link in links if link.status == psutil.CONN_LISTEN),
            sum(link.status == psutil.CONN_ESTABLISHED for link in links),
            process.num_fds(),
            process.num_threads(),
            len(process.children(recursive=True)),
        )


def written(data_dir: Path) -> Written:
    """In a profile on regtest below `data_dir`."""
    return Written(rows(data_dir / "regtest"), files(data_dir))


async def freed(pid: int, before: Held, since: float) -> tuple[float, dict[str, int]]:
    """Seconds from `since` (monotonic) until the process holds no more than before, and what it still does.

    That is nothing, unless it held it for longer than anybody waits.
    """
    while True:
        now = await asyncio.to_thread(held, pid)
        seconds = time.monotonic() - since
        more = now.more_than(before)
        if not more or seconds > _DEADLINE_S:
            return seconds, more
        await asyncio.sleep(0)


def left_of(group: int) -> int:
    """How many processes are left of the group that a killed process led."""
    return sum(_group(pid) == group for pid in psutil.pids())


def _group(pid: int) -> int:
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return 0
        return os.getpgid(pid)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return 0


def is_free(port: int) -> bool:
    """Whether somebody else may listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def is_locked(profile: Path) -> bool:
    """Whether somebody holds the profile's lock."""
    with open(profile / "leyden.lock", "rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
    return False
