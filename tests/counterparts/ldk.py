"""LDK 0.1 through its npm package, driven as a child process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

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

    `start(folder, seed)`: a seed of 64 hex digits gives another node id.
    """

    name = "LDK"

    def _command_line(self, *args: str) -> Sequence[str]:
        seed = ["--seed", args[0]] if args else []
        return [node_program(), str(SCRIPT), "--packages", str(ldk_packages()), "--log", str(self.log_file), *seed]

    async def send(self, node_id: bytes, message_type: int, payload: bytes) -> None:
        """Sends one custom message through LDK's custom message handler."""
        await self.command("send", node_id=node_id.hex(), type=message_type, payload=payload.hex())
