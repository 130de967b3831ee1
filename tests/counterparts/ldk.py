"""LDK 0.1 through its npm package, driven as a child process."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.counterparts.process import REPOSITORY, Counterpart, CounterpartMissing, required

SCRIPT = Path(__file__).with_name("ldk_peer.mjs")


def ldk_packages() -> Path:
    """The folder whose node_modules hold LDK."""
    packages = Path(os.environ.get("LEYDEN_LDK_DIR", REPOSITORY / ".bootstrap" / "ldk"))
    required("LDK (npm lightningdevkit)", packages / "node_modules" / "lightningdevkit" / "liblightningjs.wasm")
    return packages


def node_program() -> str:
    """Node.js."""
    node = shutil.which("node")
    if node is None:
        raise CounterpartMissing("Node.js", Path("/usr/bin/node"))
    return node


class Ldk(Counterpart):
    """Events: socket open, init, message (custom, odd), disconnected, socket closed, and log with LDK's own words.

    `start(folder, seed)`: a seed of 64 hex digits gives another node id; `--quiet` leaves out its log.
    """

    name = "LDK"

    def _command_line(self, *args: str) -> Sequence[str]:
        seed = [word for arg in args for word in ([arg] if arg.startswith("--") else ["--seed", arg])]
        return [node_program(), str(SCRIPT), "--packages", str(ldk_packages()), "--log", str(self.log_file), *seed]

    async def send(self, node_id: bytes, message_type: int, payload: bytes) -> None:
        """Sends one custom message through LDK's custom message handler."""
        await self.command("send", node_id=node_id.hex(), type=message_type, payload=payload.hex())

    async def channel_count(self) -> int:
        """Channels in its graph."""
        return int((await self.command("counts"))["channels"])

    async def graph(self) -> dict[str, Any]:
        """All that its graph holds: channels with both directions, and nodes."""
        file = self.folder / "graph.json"
        await self.command("graph", path=str(file))
        found: dict[str, Any] = json.loads(file.read_text())
        return found
