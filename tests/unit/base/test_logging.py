"""The log file: whose it is, what peer text becomes in it, and that it ends cleanly."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

import core.base.logging
from core.base.logging import printable, set_up_logging


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("two\nlines", "two\\nlines"), ("\x1b[31mred", "\\x1b[31mred"), ("a\u202eb", "a\\u202eb")],
)
def test_control_and_direction_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_long_text_is_cut_and_says_by_how_much() -> None:
    assert printable("x" * 30, limit=10) == "x" * 10 + "… (20 more characters)"


def test_a_peer_cannot_forge_a_line(tmp_path: Path) -> None:
    logs = set_up_logging(tmp_path / "logs", "info")
    logging.getLogger("core.peers").info("warning from peer: %s", "x\n2026-01-01 ERROR forged")
    logs.close()
    lines = (tmp_path / "logs" / "leyden.log").read_text().splitlines()
    assert len(lines) == 1
    assert "\\n2026-01-01" in lines[0]


def test_the_file_is_its_owners_alone_and_the_thread_ends(tmp_path: Path) -> None:
    threads = threading.active_count()
    logs = set_up_logging(tmp_path / "logs", "debug")
    logging.getLogger("core").debug("one line")
    logs.close()
    assert (tmp_path / "logs" / "leyden.log").stat().st_mode & 0o777 == 0o600
    assert threading.active_count() == threads


def test_records_below_the_level_are_not_written(tmp_path: Path) -> None:
    logs = set_up_logging(tmp_path / "logs", "warning")
    logging.getLogger("core").info("quiet")
    logging.getLogger("core").warning("loud")
    logs.close()
    assert "quiet" not in (tmp_path / "logs" / "leyden.log").read_text()


def test_a_traceback_escapes_what_a_peer_put_into_an_error(tmp_path: Path) -> None:
    logs = set_up_logging(tmp_path / "logs", "info")
    try:
        raise ValueError("\x1b[2Jgone\u202e")
    except ValueError:
        logging.getLogger("core").exception("failed")
    logs.close()
    text = (tmp_path / "logs" / "leyden.log").read_text()
    assert "ValueError: \\x1b[2Jgone\\u202e" in text
    assert "Traceback" in text.splitlines()[1]


def test_a_flood_of_records_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.base.logging, "_WAITING_RECORDS", 10)
    held, released = threading.Event(), threading.Event()

    class Slow(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            held.set()
            return released.wait(5)

    logs = set_up_logging(tmp_path / "logs", "info")
    logs._file.addFilter(Slow())
    log = logging.getLogger("core")
    log.info("first")
    assert held.wait(5)
    for number in range(100):
        log.info("flood %d", number)
    released.set()
    logs._listener.queue.join()
    log.info("last")
    logs.close()
    lines = (tmp_path / "logs" / "leyden.log").read_text().splitlines()
    assert sum("flood" in line for line in lines) == 10
    assert "90 records were dropped" in lines[-2]
    assert lines[-1].endswith("last")


def test_the_end_of_the_log_waits_for_what_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.base.logging, "_WAITING_RECORDS", 10)
    logs = set_up_logging(tmp_path / "logs", "info")
    logs._file.addFilter(lambda _record: threading.Event().wait(0.001) or True)
    for number in range(100):
        logging.getLogger("core").info("flood %d", number)
    logs.close()
    assert "flood 0" in (tmp_path / "logs" / "leyden.log").read_text()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
def test_a_fifo_in_the_place_of_the_log_does_not_hold_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "leyden.log")
    logs = set_up_logging(tmp_path / "logs", "info")
    logging.getLogger("core").info("nowhere to go")
    ending = threading.Thread(target=logs.close, daemon=True)
    ending.start()
    ending.join(5)
    assert not ending.is_alive()
    assert "Logging error" in capsys.readouterr().err
