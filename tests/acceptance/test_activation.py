"""The acceptance of activation in a small size, and that no part is without mutations that still apply."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.acceptance.activation import PARTS
from tests.acceptance.activation_cancel import sweep
from tests.acceptance.activation_kill import kills
from tests.acceptance.activation_mutations import MUTATIONS
from tests.acceptance.activation_timed import timed
from tests.acceptance.mmrpc_errors import error_table
from tests.acceptance.mmrpc_seed import seed_session
from tests.acceptance.mutations import Mutation, apply
from tests.counterparts.process import REPOSITORY

SEED = 4
SMALL_GRAPH = 5_000


@pytest.mark.timeout(60)
async def test_the_seed_s_session(home: Path) -> None:
    assert (await seed_session(home, 1, SEED)).bad == []


@pytest.mark.timeout(120)
async def test_the_error_table(home: Path) -> None:
    assert (await error_table(home, 1, SEED)).bad == []


@pytest.mark.timeout(120)
async def test_a_timed_activation_on_each_backend(home: Path) -> None:
    assert (await timed(home, 1, SEED, SMALL_GRAPH)).bad == []


@pytest.mark.timeout(120)
async def test_a_small_cancel_sweep(home: Path) -> None:
    assert (await sweep(home, 4, SEED, SMALL_GRAPH, timed=False)).bad == []


@pytest.mark.timeout(120)
async def test_a_few_kills(home: Path) -> None:
    assert (await kills(home, 2, SEED, SMALL_GRAPH)).bad == []


@pytest.mark.parametrize("name", PARTS)
def test_every_part_has_mutations_that_apply(name: str, home: Path) -> None:
    for number, mutation in enumerate(MUTATIONS[name]):
        assert mutation.new in _applied(mutation, home / str(number))


def _applied(mutation: Mutation, folder: Path) -> str:
    copy = folder / mutation.file
    copy.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / mutation.file, copy)
    apply(mutation, folder)
    return copy.read_text()
