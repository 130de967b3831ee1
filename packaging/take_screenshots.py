"""Take the pictures under resources/screenshots.

The views and the failed row are the running program's, driven by keys as a person would. What stands before them, the
wizard and what asks for a key, and the network on the graph page, its import and the settings are painted by
`tests.support` with the program's own widgets, for a picture must not depend on the keyring of whoever takes it, nor
show nodes that are there.

    .venv/bin/python packaging/take_screenshots.py

Wants Xvfb and xdotool (Debian: `apt-get install xvfb xdotool`) and the `.venv` that bootstrap.py makes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtGui import QGuiApplication, QImage

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "resources" / "screenshots"
BIN = Path(sys.executable).parent
SIZE = (1296, 840)
"""Pixels; the window's own first size."""
DEADLINE_S = 30.0
PAINTED_S = 0.8
"""Until a picture holds what the core already says: frames, figures read ten times a second, no tooltip."""
LARGEST_BYTES = 150_000


class Stage:
    """A display with the demo's window on it and a client on the socket."""

    def __init__(self, display: str, data_dir: str, network: str = "regtest") -> None:
        self._display, self._data_dir, self._network = display, data_dir, network
        self.answers = False
        """Whether somebody has answered `rpc`, be it with an error."""

    def rpc(self, method: str) -> Any:
        """The result of a method; None while nobody answers or the answer is an error."""
        command = [str(BIN / "leyden-cli"), "--network", self._network, "--data-dir", self._data_dir, method]
        answer = subprocess.run(command, capture_output=True, check=False)
        self.answers = self.answers or answer.stdout.startswith(b"{")
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def press(self, *keys: str) -> None:
        self._xdotool("key", "--delay", "60", *keys)

    def write(self, text: str) -> None:
        self._xdotool("type", "--delay", "4", text)

    def click(self, x: int, y: int) -> None:
        """Also what gives the window the keys, for there is no window manager."""
        self._xdotool("mousemove", str(x), str(y), "click", "1")

    def _xdotool(self, *arguments: str) -> None:
        subprocess.run(["xdotool", *arguments], env=_on(self._display), check=True)

    def take(self, name: str) -> None:
        time.sleep(PAINTED_S)
        picture = QGuiApplication.primaryScreen().grabWindow(0).toImage()
        path = PICTURES / f"{name}.png"
        # Quality 0 is zlib's best compression, and no alpha saves a quarter.
        if not picture.convertToFormat(QImage.Format.Format_RGB888).save(str(path), quality=0):
            raise OSError(f"{path} could not be written")
        size = path.stat().st_size
        print(f"{path.relative_to(ROOT)}: {size:,} bytes")
        if size > LARGEST_BYTES:
            raise ValueError(f"{path} is larger than {LARGEST_BYTES:,} bytes")


def _on(display: str) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("QT_", "WAYLAND_"))}
    return {**environment, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}


def _wait(what: str, come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not come():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {DEADLINE_S:.0f} s")
        time.sleep(0.1)


@contextlib.contextmanager
def _child(command: Sequence[str | Path], display: str | None, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is asked to stop at the end."""
    environment = None if display is None else _on(display)
    with subprocess.Popen(command, env=environment, **options) as child:
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(DEADLINE_S)


@contextlib.contextmanager
def _display() -> Iterator[str]:
    """A free display that has exactly the window's size."""
    reading, writing = os.pipe()
    screen = f"{SIZE[0]}x{SIZE[1]}x24"
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", screen, "-nolisten", "tcp"]
    with _child(command, None, pass_fds=(writing,), stderr=subprocess.DEVNULL):
        os.close(writing)
        with os.fdopen(reading) as told:
            yield f":{told.readline().strip()}"


def _session(stage: Stage) -> None:
    """README's first session."""
    _wait("the node", lambda: bool((stage.rpc("getinfo") or {}).get("binding")))
    stage.click(SIZE[0] // 2, SIZE[1] - 8)
    stage.take("node")
    # From the connect field one Tab leads to the first practice peer, for Connect is disabled while nothing is typed.
    for number, tabs in enumerate((2, 1), 1):  # quiet, then echo, which stays selected
        stage.press("ctrl+n", *["Tab"] * tabs, "space", "Return")
        _wait(f"peer {number}", lambda number=number: len(stage.rpc("listpeers")["peers"]) == number)  # type: ignore[misc]
    stage.press("F5", "ctrl+m")
    for text in ("hello, echo", "the first message of a new node"):
        stage.write(text.encode().hex(" "))
        before = len(stage.rpc("listcustommsgs")["custommsgs"])
        stage.press("ctrl+Return")
        _wait("the echo", lambda before=before: len(stage.rpc("listcustommsgs")["custommsgs"]) > before)  # type: ignore[misc]
    stage.press("ctrl+2")
    stage.take("peers")
    # Back from the payload: dice, type, peer, then the table.
    stage.press("ctrl+3", *["shift+Tab"] * 4, "End")
    stage.take("messages")
    stage.press("alt+v", "d")
    for keys, name in (("ctrl+1", "node"), ("ctrl+2", "peers"), ("ctrl+3", "messages")):
        stage.press(keys)
        stage.take(f"{name}-dark")


def _failed_row(display: str) -> None:
    """A start on an Electrum server that is not there, light and dark."""
    with tempfile.TemporaryDirectory(prefix="leyden-pictures-") as folder:
        options = ["--network", "signet", "--keystore", "memory", "--alias", "practice", "--color", "3a4bd0"]
        # Port 1 of loopback: nobody may listen there but root, and nobody does.
        dead = ["--electrum-server", "127.0.0.1:1:t", "--disable-dns", "--offline"]
        with _child([BIN / "leyden", *options, *dead, "--data-dir", folder], display):
            stage = Stage(display, folder, "signet")
            _wait("the socket", lambda: stage.rpc("getinfo") is not None or stage.answers)
            time.sleep(PAINTED_S)
            stage.click(SIZE[0] // 2, SIZE[1] - 8)
            stage.take("failed")
            stage.press("alt+v", "d")
            stage.take("failed-dark")


def _painted(display: str) -> None:
    """The wizard, what stands around a key, and a network that is not there."""
    for module in ("tests.support.wizard_preview", "tests.support.access_preview", "tests.support.graph_preview"):
        command = [sys.executable, "-m", module, str(PICTURES)]
        subprocess.run(command, cwd=ROOT, env=_on(display), check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="leyden-pictures-") as folder, _display() as display:
        os.environ.update(_on(display))
        application = QGuiApplication([])
        practice = ["--network", "regtest", "--keystore", "memory", "--alias", "practice", "--color", "3a4bd0"]
        with _child([BIN / "leyden", *practice, "--data-dir", folder, "--demo"], display):
            _session(Stage(display, folder))
        _failed_row(display)
        _painted(display)
        application.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
