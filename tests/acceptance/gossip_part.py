"""One part of the acceptance of the graph: what it found, how that is written down, and what it runs on."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.base.settings import SETTINGS
from tests.acceptance.mutations import Mutation, apply
from tests.acceptance.program import InstalledLeyden
from tests.counterparts.process import REPOSITORY

REPORTS = Path(__file__).parent
TODAY = int(time.time()) // 86_400 * 86_400

UNASKED = ("--gossip-check-chain", "off") if any(row.name == "gossip-check-chain" for row in SETTINGS) else ()
"""The channels here are on no chain, and it is not the chain that is tried here."""


@dataclass(frozen=True, slots=True)
class Part:
    """Good when `bad` is empty."""

    name: str
    command: str
    facts: dict[str, Any]
    bad: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """As `gossip_NAME_report.json`."""
        whole = {
            "command": self.command,
            "python": sys.version.split()[0],
            "system": platform.system(),
            "green": not self.bad,
            "facts": self.facts,
            "bad": self.bad,
        }
        text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
        (folder / f"gossip_{self.name}_report.json").write_text(text)


@contextlib.contextmanager
def changed(*mutations: Mutation) -> Iterator[None]:
    """Programs that are started meanwhile run a copy of the code with these changes, on top of those of others."""
    before = InstalledLeyden.overlay
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        tree = Path(folder)
        for part in ("core", "gui", "resources"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree((before or REPOSITORY) / part, tree / part, ignore=ignored)
        for mutation in mutations:
            apply(mutation, tree)
        InstalledLeyden.overlay = tree
        try:
            yield
        finally:
            InstalledLeyden.overlay = before


HURRIED = (
    Mutation("core/activation/services.py", "COMPACT_INTERVAL_S = 300.0", "COMPACT_INTERVAL_S = 0.05"),
    Mutation("core/gossip/store.py", "_DEAD_TO_LIVE = 4", "_DEAD_TO_LIVE = 1"),
    Mutation("core/gossip/store.py", "_MIN_DEAD = 1000", "_MIN_DEAD = 200"),
    Mutation("core/gossip/limits.py", "UPDATES_A_PERIOD = 10\n", "UPDATES_A_PERIOD = 1_000_000_000\n"),
)
"""A program that compacts as often as it can: nobody can wait minutes for each. It is fed updates of a few channels."""
