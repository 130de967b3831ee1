"""One part of the acceptance of activation: what it found, and how that is written down."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPORTS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Part:
    """Good when `bad` is empty."""

    name: str
    count: int
    seed: int
    facts: dict[str, Any]
    """For a reader: the figures."""
    table: list[str]
    """Markdown, row by row."""
    bad: list[str] = field(default_factory=list)
    """Everything that was not as it should be."""

    @property
    def command(self) -> str:
        return f"python -m tests.acceptance.activation {self.name} --count {self.count} --seed {self.seed}"

    def write(self, folder: Path = REPORTS) -> None:
        """As `activation_NAME.json` and `.md`."""
        stem = folder / f"activation_{self.name}_report"
        whole = {
            "command": self.command,
            "python": sys.version.split()[0],
            "system": platform.system(),
            "green": not self.bad,
            "facts": self.facts,
            "bad": self.bad,
        }
        stem.with_suffix(".json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        stem.with_suffix(".md").write_text(self.markdown())

    def markdown(self) -> str:
        """With the figures above the table."""
        figures = [f"- {name}: {_line(value)}" for name, value in self.facts.items()]
        verdict = "Green." if not self.bad else f"**Red**: {len(self.bad)} of what follows was not as it should be."
        failures = [f"- {words}" for words in self.bad]
        return "\n".join([f"`{self.command}`", "", verdict, "", *failures, *figures, "", *self.table, ""])


def cell(text: str) -> str:
    """For a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_line(each)}" for name, each in value.items())
    return str(value)
