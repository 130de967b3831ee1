"""A private session bus with a real gnome-keyring on it, for as long as a test lasts; never the user's.

The test process itself speaks to no bus: what is asked of the keyring is asked by `keyring_start.py` as a child, whose
environment names the private bus. Debian packages: dbus-daemon, gnome-keyring.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

PASSWORD = b"testpw"
READY_S = 30.0
END_S = 2.0
DAEMON = "gnome-keyring-daemon"


class SecretServiceMissing(RuntimeError):
    """A program that these tests need is not installed."""


class SecretService:
    """An async context manager; one bus, on which the daemon may be ended and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")},
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self._bus: asyncio.subprocess.Process | None = None
        self._daemon: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        for program in ("dbus-daemon", DAEMON):
            if shutil.which(program) is None:
                raise SecretServiceMissing(f"{program} is not installed")
        (self.folder / "run").mkdir(mode=0o700)
        self._bus = await asyncio.create_subprocess_exec(
            *("dbus-daemon", f"--config-file={self._bus_configuration()}", "--nofork", "--nopidfile"),
            "--print-address=1",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
        )
        assert self._bus.stdout is not None
        address = await asyncio.wait_for(self._bus.stdout.readline(), READY_S)
        self._environment["DBUS_SESSION_BUS_ADDRESS"] = address.decode().strip()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop_daemon()
        if self._bus is not None:
            await _end(self._bus)

    def _bus_configuration(self) -> Path:
        """A bus that starts no service by itself: a daemon nobody asked for would outlive the test."""
        path = self.folder / "bus.conf"
        path.write_text(
            '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
            ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">\n'
            f"<busconfig><type>session</type><listen>unix:dir={self.folder}/run</listen><auth>EXTERNAL</auth>"
            '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>'
            '<allow own="*"/></policy>'
            "</busconfig>\n"
        )
        return path

    async def start_daemon(self, *, unlocked: bool) -> None:
        """Start gnome-keyring; unlocked makes or opens the login collection with the test's password."""
        self._daemon = await asyncio.create_subprocess_exec(
            *(DAEMON, "--foreground", "--components=secrets", *(["--unlock"] if unlocked else [])),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
        )
        assert self._daemon.stdin is not None
        if unlocked:
            self._daemon.stdin.write(PASSWORD)
        self._daemon.stdin.close()
        assert (await self.ask("ready"))["ready"]

    async def stop_daemon(self) -> None:
        """As at logout."""
        if self._daemon is not None:
            await _end(self._daemon)
            self._daemon = None

    async def ask(self, *arguments: str) -> dict[str, Any]:
        """Run `keyring_start.py` with these arguments; its answer, or `{"killed": signal}`."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.interop.keyring_start", *arguments),
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        try:
            output, _ = await asyncio.wait_for(child.communicate(), READY_S * 2)
        except BaseException:
            await _end(child)
            raise
        if child.returncode is not None and child.returncode < 0:
            return {"killed": -child.returncode}
        assert child.returncode == 0, f"keyring_start {arguments} ended with {child.returncode}"
        answer: dict[str, Any] = json.loads(output)
        return answer


async def _end(process: asyncio.subprocess.Process) -> None:
    """Also when the test is cancelled meanwhile: nothing of it may outlive the test."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
