"""Logging that never blocks the loop: records go to a queue, one thread writes them to a rotated file.

What a peer says is data: control characters are escaped and long text is cut, whatever the caller did.
"""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
import queue
from pathlib import Path
from typing import cast

_MAX_MESSAGE_CHARACTERS = 2_000
_FILE_BYTES = 5_000_000
_KEPT_FILES = 5
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def printable(text: str, limit: int = _MAX_MESSAGE_CHARACTERS) -> str:
    """One line of `text`: control and direction characters escaped, cut at `limit` characters."""
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text) - limit} more characters)"
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


class _LineFormatter(logging.Formatter):
    """One record, one line; a traceback keeps its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = printable(record.message)
        return super().formatMessage(record)


class _PrivateRotatingFile(logging.handlers.RotatingFileHandler):
    """A log that only its owner reads, from its first byte on."""

    def _open(self) -> io.TextIOWrapper:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)

        return cast("io.TextIOWrapper", open(self.baseFilename, self.mode, encoding=self.encoding, opener=private))


class Logs:
    """What `set_up_logging` started; `close` writes the rest and stops the thread."""

    def __init__(
        self, listener: logging.handlers.QueueListener, handler: logging.Handler, file: logging.Handler
    ) -> None:
        self._listener = listener
        self._handler = handler
        self._file = file

    def close(self) -> None:
        logging.getLogger().removeHandler(self._handler)
        self._listener.stop()
        self._file.close()


def set_up_logging(folder: Path, level: str) -> Logs:
    """Log to `folder/leyden.log` (0600, rotated) from a thread of its own. Returns what to close at the end."""
    folder.mkdir(mode=0o700, exist_ok=True)
    file = _PrivateRotatingFile(
        folder / "leyden.log", maxBytes=_FILE_BYTES, backupCount=_KEPT_FILES, encoding="utf-8", delay=True
    )
    file.setFormatter(_LineFormatter(_FORMAT))
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(records)
    listener = logging.handlers.QueueListener(records, file)
    root = logging.getLogger()
    root.setLevel(level.upper())
    # Libraries that chat at DEBUG would drown our own lines.
    for name in ("asyncio", "qasync", "keyring", "aiosqlite"):
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    root.addHandler(handler)
    listener.start()
    return Logs(listener, handler, file)
