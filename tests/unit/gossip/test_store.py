"""Opening the file: progress, what is cut, what is set aside."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.gossip.store import open_gossip_store
from core.gossip.store_format import CHANNEL_UPDATE
from core.storage.errors import ProfileUnusable
from tests.unit.gossip.stores import record, store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gossip_store"


async def test_no_file_is_an_empty_graph_that_says_so(path: Path) -> None:
    for where in (path, None):
        found = await open_gossip_store(where)
        assert str(found) == "no file yet: an empty graph"
        assert found.counts.records == 0
    assert not path.exists()


async def test_a_store_is_counted_with_progress_in_bytes(path: Path) -> None:
    content = store(500)
    path.write_bytes(content)
    told: list[tuple[int, int]] = []
    found = await open_gossip_store(path, lambda done, total: told.append((done, total)))
    assert str(found) == "500 channels, 500 nodes in 2501 records"
    assert told[-1] == (len(content), len(content))
    assert len(told) > 1
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert path.read_bytes() == content


async def test_an_unfinished_last_record_is_cut_off_and_told(path: Path) -> None:
    path.write_bytes(store(2) + record(CHANNEL_UPDATE)[:40])
    found = await open_gossip_store(path)
    assert str(found) == "2 channels, 2 nodes in 11 records; 40 bytes of an unfinished record cut off"
    assert path.read_bytes() == store(2)
    assert (await open_gossip_store(path)).torn_bytes == 0


async def test_a_file_that_is_no_store_is_set_aside_whole(path: Path) -> None:
    path.write_bytes(b"nothing of the kind")
    found = await open_gossip_store(path)
    assert found.damage is not None
    assert found.damage.set_aside.read_bytes() == b"nothing of the kind"
    assert not path.exists()
    assert found.counts.records == 0
    assert str(found) == (
        f"damaged, set aside as {found.damage.set_aside.name} (version 3.14 is not known): an empty graph"
    )


async def test_an_empty_file_is_set_aside(path: Path) -> None:
    path.touch()
    found = await open_gossip_store(path)
    assert found.damage is not None and found.damage.reason == "the file is empty"


async def test_something_that_is_no_file_is_told_and_left(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ProfileUnusable) as caught:
        await open_gossip_store(path)
    assert caught.value.path == path
    assert path.is_dir()


async def test_a_reading_that_is_cancelled_ends_and_leaves_the_file(path: Path) -> None:
    content = store(2000)
    path.write_bytes(content)
    reached = asyncio.Event()
    reading = asyncio.ensure_future(open_gossip_store(path, lambda _done, _total: reached.set()))
    await reached.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert path.read_bytes() == content
