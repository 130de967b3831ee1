"""The rows of the error table that need a node of another kind; they are quick enough for the suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.error_limits import REPLIES, limit_failures


@pytest.mark.timeout(90)
async def test_every_failure_has_core_lightnings_words(home: Path) -> None:
    rows = [row async for row in limit_failures(home)]
    assert [row for row in rows if row[1] != row[2]] == []
    assert len(rows) == len(REPLIES) + 8
