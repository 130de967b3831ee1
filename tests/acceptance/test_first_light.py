"""The acceptance program as part of the suite, and that no check is without a mutation that still applies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.checks import CHECKS
from tests.acceptance.mutations import MUTATIONS, apply
from tests.counterparts.process import REPOSITORY


@pytest.mark.timeout(240)
def test_every_check_is_green(home: Path) -> None:
    command = [sys.executable, "-m", "tests.acceptance.first_light"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=230, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(CHECKS)} of {len(CHECKS)} as expected" in result.stdout


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_has_a_mutation_that_applies(name: str, home: Path) -> None:
    mutation = MUTATIONS[name]
    copy = home / mutation.file
    copy.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / mutation.file, copy)
    apply(mutation, home)
    assert mutation.new in copy.read_text()
