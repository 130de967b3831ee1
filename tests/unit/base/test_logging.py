"""The log file: whose it is, what peer text becomes in it, and that it ends cleanly."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

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
