"""What the recorded session writes down: commands, their answers, and what the counterparts' own logs hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.program import InstalledLeyden
from tests.counterparts import Electrum, Ldk
from tests.counterparts.process import Event

_HEAD = """# A session with LDK and Electrum

Written by `python -m tests.acceptance.recorded_session`, which drives the installed `leyden --headless` and
`leyden-cli` from outside against LDK 0.1 and Electrum 4.3.4; every line below a command is what came back, and every
line of a log is the counterpart's own. `leyden-cli` is called with `--data-dir` and `--network regtest` before each
command. Keys are fresh in each run.
"""
_NOT_TOLD = ("event", "line", "time", "id")


@dataclass
class Record:
    """Markdown that grows."""

    folder: Path
    """The run's own; it is written as FOLDER."""
    parts: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        self.parts.append(f"\n## {text}\n")

    def text(self, text: str) -> None:
        self.parts.append(f"\n{text}\n")

    async def cli(self, leyden: InstalledLeyden, *arguments: str) -> tuple[int, Any]:
        """One call of `leyden-cli`: exit code and answer, both written down."""
        code, answer = await leyden.cli(*arguments)
        shown = answer if isinstance(answer, str) else json.dumps(answer, indent=1, ensure_ascii=False)
        self._block("console", [f"$ leyden-cli {' '.join(arguments)}", shown, f"exit code {code}"])
        return code, answer

    def told(self, command: str, counterpart: Ldk | Electrum) -> None:
        """What the counterpart was asked to do."""
        self.text(f"{counterpart.name} is told: `{command}`.")

    async def saw(self, counterpart: Ldk | Electrum, *, since: int = 0, **facts: Any) -> Event:
        """The event that the counterpart must report, with what its log says of it; AssertionError without it."""
        event = await counterpart.wait_for(since=since, **facts)
        line = event.get("line") or _facts(event)
        self.text(f"In {counterpart.name}'s log:")
        self._block("text", [line])
        return event

    def markdown(self) -> str:
        return (_HEAD + "".join(self.parts)).replace(str(self.folder), "FOLDER")

    def _block(self, kind: str, lines: list[str]) -> None:
        self.parts.append("\n```{}\n{}\n```\n".format(kind, "\n".join(lines)))


def _facts(event: Event) -> str:
    shown = {key: value for key, value in event.items() if key not in _NOT_TOLD}
    return f"{event['event']} {json.dumps(shown)}"
