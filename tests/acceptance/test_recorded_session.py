"""The recorded session as part of the suite, and that no step is without a mutation that still applies."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.mutations import apply
from tests.acceptance.recorded_session import RECORD
from tests.acceptance.session_mutations import SESSION_MUTATIONS
from tests.acceptance.session_steps import STEPS
from tests.counterparts.process import REPOSITORY

_ANSWER = re.compile(r"^\$ leyden-cli (.*)\n([\s\S]*?)\nexit code (\d+)$", re.MULTILINE)


@pytest.mark.timeout(120)
def test_every_step_is_green_and_written_down(home: Path) -> None:
    record = home / "session.md"
    command = [sys.executable, "-m", "tests.acceptance.recorded_session", "--record", str(record)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(STEPS)} of {len(STEPS)} steps green" in result.stdout
    assert _shape(record.read_text()) == _shape(RECORD.read_text()), "session.md is of another session: write it again"


def _shape(record: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """Of each command its name, its exit code, and what its answer consists of."""
    shape = []
    for command, answer, code in _ANSWER.findall(record):
        shape.append((command.split()[0], code, tuple(json.loads(answer))))
    assert shape
    return shape


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_a_mutation_that_applies(name: str, home: Path) -> None:
    mutation = SESSION_MUTATIONS[name]
    copy = home / mutation.file
    copy.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / mutation.file, copy)
    apply(mutation, home)
    assert mutation.new in copy.read_text()
