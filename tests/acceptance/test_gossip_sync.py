"""The acceptance of sync in a small size, and that its mutations still apply."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.acceptance.gossip_sync import MUTATIONS, SEED, SMALL, syncs
from tests.acceptance.mutations import Mutation, apply
from tests.counterparts.process import REPOSITORY


@pytest.mark.timeout(400)
async def test_a_small_network_reaches_the_other_program_and_ldk_and_comes_back(home: Path) -> None:
    part = await syncs(home, SMALL, SMALL, SEED)
    assert part.bad == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.new[:20])
def test_every_mutation_applies(mutation: Mutation, home: Path) -> None:
    copy = home / mutation.file
    copy.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / mutation.file, copy)
    apply(mutation, home)
    assert mutation.new in copy.read_text()
