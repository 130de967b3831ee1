"""What plugins write for people, in our log, in bounded amounts."""

from __future__ import annotations

import logging

from core.base.clock import Clock
from core.base.logging import printable

LINES_A_MINUTE = 200
"""Of one plugin; what is more is counted."""
LINE_CHARACTERS = 1_000
PARTIAL_BYTES = 4_096
"""Of a line without an end, from which on it is taken as one."""
_MINUTE_S = 60.0
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "unusual": logging.WARNING,
    "error": logging.ERROR,
    "broken": logging.ERROR,
}
_log = logging.getLogger(__name__)


class PluginWords:
    """One plugin's."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._since = clock.monotonic()
        self._lines = 0
        self._left_out = 0
        self._partial = b""

    def said(self, level: object, text: object) -> None:
        """Its `log` notification; the levels are CLN's and pyln's."""
        self._line(_LEVELS.get(str(level), logging.INFO), str(text))

    def feed(self, data: bytes) -> None:
        """What it wrote to stderr."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > PARTIAL_BYTES:
            lines.append(self._partial)
            self._partial = b""
        self._look_at_time()
        room = max(0, LINES_A_MINUTE - self._lines)
        for line in lines[:room]:
            self._line(logging.INFO, line[:PARTIAL_BYTES].decode(errors="replace"))
        self._left_out += len(lines[room:])

    def close(self) -> None:
        """The rest."""
        if self._partial:
            self._line(logging.INFO, self._partial.decode(errors="replace"))
            self._partial = b""
        self._tell_left_out()

    def _line(self, level: int, text: str) -> None:
        self._look_at_time()
        if self._lines >= LINES_A_MINUTE:
            self._left_out += 1
            return
        self._lines += 1
        _log.log(level, "plugin %s: %s", self._name, printable(text, LINE_CHARACTERS))

    def _look_at_time(self) -> None:
        now = self._clock.monotonic()
        if now - self._since >= _MINUTE_S:
            self._tell_left_out()
            self._since, self._lines = now, 0

    def _tell_left_out(self) -> None:
        if self._left_out:
            _log.warning("plugin %s: %d more lines were left out", self._name, self._left_out)
            self._left_out = 0
