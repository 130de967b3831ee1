"""Whatever kills the process: what was reported stored is there, and the next start has nothing to complain of."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from core.gossip.store import open_gossip_store
from core.gossip.store_format import FLAG_DELETED
from tests.support.gossip_kills import sweep
from tests.unit.gossip.stores import live, network, node, walked
from tests.unit.storage.children import run_until_byte

APPEND = """
import asyncio, sys
from pathlib import Path
from core.gossip.store import open_gossip_store
from tests.unit.gossip.stores import node

async def main():
    store = await open_gossip_store(Path(sys.argv[1]))
    await store.append([(node(number), 1) for number in range(20)])

asyncio.run(main())
"""
COMPACT = """
import asyncio, sys
from pathlib import Path
from core.gossip.store import open_gossip_store

async def main():
    store = await open_gossip_store(Path(sys.argv[1]))
    print(len((await store.compact()).new))

asyncio.run(main())
"""


def test_kills_at_random_moments_lose_nothing_that_was_reported(tmp_path: Path) -> None:
    found = sweep(tmp_path / "gossip_store", kills=5, seed=1)
    assert found.faults == []
    assert (found.kills, found.reported > 60) == (5, True)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
async def test_a_kill_at_any_byte_of_an_append_leaves_what_was_there(tmp_path: Path, share: float) -> None:
    path, records = tmp_path / "gossip_store", network(1, 10)
    store = await open_gossip_store(path)
    await store.append(records)
    await store.aclose()
    before = path.read_bytes()
    child = run_until_byte(len(before) + round(share * 3000), APPEND, path)
    assert child.returncode == -signal.SIGXFSZ, child.stderr
    found = await open_gossip_store(path)
    assert path.read_bytes()[: len(before)] == before
    assert [message for _, message in walked(path.read_bytes())][len(records) + 1 :] == [
        node(number) for number in range(found.counts.records - len(records) - 1)
    ]
    assert (found.report.problem, found.report.restored, found.damage) == (None, 0, None)


@pytest.mark.parametrize("limit", [0, 1, 30, *random.Random(5).sample(range(50, 9000), 3)])
async def test_a_kill_at_any_byte_of_a_compaction_leaves_the_old_store(tmp_path: Path, limit: int) -> None:
    path, records = tmp_path / "gossip_store", network(2, 30)
    store = await open_gossip_store(path)
    await store.append(records)
    await store.aclose()
    before = path.read_bytes()
    child = run_until_byte(limit, COMPACT, path)
    assert child.returncode == -signal.SIGXFSZ, child.stderr
    assert path.read_bytes() == before
    store = await open_gossip_store(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["gossip_store"], "the leftover is gone"
    await store.compact()
    await store.aclose()
    assert live(path.read_bytes()) == [message for message, _ in records]
    assert not any(flags & FLAG_DELETED for flags, _ in walked(path.read_bytes()))
