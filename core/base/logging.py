"""Logging that never blocks the loop: records go to a queue, one thread writes them to a rotated file.

What a peer says is data: control characters are escaped and long text is cut, whatever the caller did.
"""

from __future__ import annotations

import codecs
import copy
import errno
import io
import logging
import logging.handlers
import os
import queue
import stat
import traceback
from pathlib import Path
from typing import cast

_MAX_MESSAGE_CHARACTERS = 2_000
_FILE_BYTES = 5_000_000
_KEPT_FILES = 5
_WAITING_RECORDS = 10_000
"""Records that wait for the thread; who logs faster than a disk writes must not fill the memory."""
codecs.lookup("unicode_escape")
"""Here, because Python reads a codec's file at its first use: the log must be written when no file can be opened."""
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


class _BoundedQueueHandler(logging.handlers.QueueHandler):
    """Drops what finds no room, and says how much that was as soon as there is some again."""

    def __init__(self, records: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(records)
        self._records = records
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Text is made here, where its objects still are as they were; the traceback stays apart from the message."""
        prepared = copy.copy(record)
        prepared.msg, prepared.args = record.getMessage(), None
        if record.exc_info and record.exc_info[0] is not None:
            lines = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n").split("\n")
            prepared.exc_text = "\n".join(printable(line) for line in lines)
        prepared.exc_info = None
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        """Called under the handler's lock."""
        try:
            if self._dropped:
                self._records.put_nowait(_dropped_record(self._dropped))
                self._dropped = 0
            self._records.put_nowait(record)
        except queue.Full:
            self._dropped += 1


class _Listener(logging.handlers.QueueListener):
    def __init__(self, records: queue.Queue[logging.LogRecord], file: logging.Handler) -> None:
        super().__init__(records, file)
        self._records = cast("queue.Queue[logging.LogRecord | None]", records)

    def enqueue_sentinel(self) -> None:
        self._records.put(None)  # waits for room, where logging's own would fail


def _dropped_record(count: int) -> logging.LogRecord:
    message = f"{count} records were dropped: they came faster than they could be written"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, None, None)


class _PrivateRotatingFile(logging.handlers.RotatingFileHandler):
    """A log that only its owner reads, from its first byte on."""

    def _open(self) -> io.TextIOWrapper:
        def private(path: str, flags: int) -> int:
            # Not blocking, lest a FIFO that lies there holds the thread, and with it the end of the program, for ever.
            handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o600)
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                raise OSError(errno.EINVAL, "is not a regular file", path)
            return handle

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
    records: queue.Queue[logging.LogRecord] = queue.Queue(_WAITING_RECORDS)
    handler = _BoundedQueueHandler(records)
    listener = _Listener(records, file)
    root = logging.getLogger()
    root.setLevel(level.upper())
    # Libraries that chat at DEBUG would drown our own lines.
    for name in ("asyncio", "qasync", "keyring", "aiosqlite"):
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    root.addHandler(handler)
    listener.start()
    return Logs(listener, handler, file)
