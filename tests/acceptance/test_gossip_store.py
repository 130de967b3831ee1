"""The acceptance of the store in a small size, and that no part is without mutations that still apply."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.acceptance.gossip_connect import connects
from tests.acceptance.gossip_damage import damages
from tests.acceptance.gossip_hostile import CASES
from tests.acceptance.gossip_kill import kills
from tests.acceptance.gossip_mutations import MUTATIONS
from tests.acceptance.gossip_read import gossmaps, imports
from tests.acceptance.gossip_store import PARTS
from tests.acceptance.mutations import Mutation, apply
from tests.counterparts.process import REPOSITORY

SEED = 2


@pytest.mark.timeout(120)
async def test_a_kill(home: Path) -> None:
    assert (await kills(home, 1, SEED, 60)).bad == []


@pytest.mark.timeout(120)
async def test_a_few_damages(home: Path) -> None:
    assert (await damages(home, 20, SEED)).bad == []


@pytest.mark.timeout(120)
async def test_a_connect_by_what_the_store_says(home: Path) -> None:
    assert (await connects(home, 1, SEED)).bad == []


@pytest.mark.timeout(120)
async def test_gossmap_beside_the_program(home: Path) -> None:
    assert (await gossmaps(home, 3, SEED, 60)).bad == []


@pytest.mark.timeout(120)
async def test_imports_of_core_lightning_s_stores(home: Path) -> None:
    assert (await imports(home, 20, SEED)).bad == []


@pytest.mark.parametrize("name", [*PARTS, *CASES])
def test_every_part_has_mutations_that_apply(name: str, home: Path) -> None:
    assert MUTATIONS[name]
    for number, mutation in enumerate(MUTATIONS[name]):
        assert mutation.new in _applied(mutation, home / str(number))


def _applied(mutation: Mutation, folder: Path) -> str:
    copy = folder / mutation.file
    copy.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / mutation.file, copy)
    apply(mutation, folder)
    return copy.read_text()
