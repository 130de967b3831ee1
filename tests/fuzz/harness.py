"""What the harnesses share: libFuzzer through atheris, begun from inputs that are sound."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris


class Surprise(Exception):
    """The code said something that it must not."""


def fuzz(try_one: Callable[[bytes], None], seeds: Iterable[bytes]) -> None:
    """Never returns: libFuzzer ends the process. Its options and its corpus come from the command line."""
    with tempfile.TemporaryDirectory(prefix="leyden-fuzz-") as folder:
        for number, seed in enumerate(seeds):
            Path(folder, str(number)).write_bytes(seed)
        # A file is one input to try again; a folder is a corpus, and the seeds are a second one.
        alone = any(Path(argument).is_file() for argument in sys.argv[1:])
        atheris.Setup([*sys.argv, *([] if alone else [folder])], try_one)
        atheris.Fuzz()


class Source:
    """Takes small decisions off an input's front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """The next byte, 0 past the end."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def number(self) -> int:
        """Two bytes."""
        return self.byte() << 8 | self.byte()

    def rest(self) -> bytes:
        """Everything left."""
        return self._data[self._at :]
