"""What happens to plugins, for whoever watches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.base.events import Event


class PluginState(StrEnum):
    """A plugin starts once and ends once."""

    STARTING = "starting"
    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class PluginChanged(Event):
    """A plugin came up, or ended."""

    path: str
    state: PluginState
    problem: str = ""
    """Why it ended, in plain words; empty while it runs."""
