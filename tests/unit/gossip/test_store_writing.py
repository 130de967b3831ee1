"""What is appended, marked and compacted is in the file as Core Lightning writes it, and is found again."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from core.gossip import store as gossip_store
from core.gossip.store import GossipStore, open_gossip_store
from core.gossip.store_format import (
    CHANNEL_ANNOUNCEMENT,
    ENDED,
    FLAG_COMPLETED,
    FLAG_DELETED,
    FLAG_DYING,
    HEADER,
    STORE_ID,
    StoreDamaged,
    channel_amount,
    channel_dying,
    delete_channel,
)
from core.storage.errors import ProfileUnusable
from tests.unit.gossip.stores import announcement, live, message, network, node, record, update, walked

FIRST = 1 + HEADER.size + 34
"""Where the record after the store's id begins."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gossip_store"


async def found_in(store: GossipStore) -> list[bytes]:
    return [batch.message(number) async for batch in store.batches() for number in range(len(batch))]


async def test_the_first_record_makes_the_file_with_an_id_of_its_own(path: Path) -> None:
    store = await open_gossip_store(path)
    assert await store.append([]) == []
    assert not path.exists()
    assert await store.append([(node(1), 7)]) == [FIRST + HEADER.size]
    await store.aclose()
    content = path.read_bytes()
    assert content[0] == 16
    assert [(flags, message[:2]) for flags, message in walked(content)] == [
        (FLAG_COMPLETED, STORE_ID.to_bytes(2, "big")),
        (FLAG_COMPLETED, node(1)[:2]),
    ]
    assert HEADER.unpack_from(content, FIRST)[3] == 7
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_was_appended_is_read_by_offset_and_at_the_next_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gossip_store, "LOADED_BYTES", 64 * 1024)
    records = network(1, 300)
    store = await open_gossip_store(path)
    offsets = await store.append(records[:700]) + await store.append(records[700:])
    assert await store.read(offsets) == [message for message, _ in records]
    await store.aclose()
    again = await open_gossip_store(path)
    assert str(again) == (
        f"300 channels, {sum(message[:2] == node(1)[:2] for message, _ in records)} nodes in {len(records) + 1} records"
    )
    batches = [batch async for batch in again.batches()]
    assert len(batches) > 2
    assert [int(offset) for batch in batches for offset in batch.offset][1:] == offsets
    stamps = [int(stamp) for batch in batches for stamp in batch.timestamp]
    assert stamps[1:] == [timestamp for _, timestamp in records]
    assert [batch.message(number) for batch in batches for number in range(len(batch))][1:] == [m for m, _ in records]
    assert [batch async for batch in again.batches()] == [], "once: the index is not kept"
    assert await again.append([(node(5), 1)]) == [path.stat().st_size - len(node(5))]
    await again.aclose()


async def test_a_deleted_channel_takes_its_amount_along(path: Path) -> None:
    store = await open_gossip_store(path)
    offsets = await store.append(
        [(announcement(1), 5), (channel_amount(9), 0), (update(1, 0), 5), (node(1), 5), (delete_channel(1), 0)]
    )
    await store.mark_deleted([offsets[0], offsets[2]])
    await store.aclose()
    marked = [bool(flags & FLAG_DELETED) for flags, _ in walked(path.read_bytes())]
    assert marked == [False, True, True, True, False, False]
    again = await open_gossip_store(path)
    assert (again.counts.deleted, again.report.restored) == (3, 0)
    assert await found_in(again) == [walked(path.read_bytes())[0][1], node(1), delete_channel(1)]


async def test_a_dying_channel_is_marked_and_stays(path: Path) -> None:
    store = await open_gossip_store(path)
    (offset, *_) = await store.append([(announcement(1), 5), (channel_amount(9), 0), (channel_dying(1, 800_000), 0)])
    await store.mark_dying([offset])
    await store.aclose()
    assert walked(path.read_bytes())[1] == (FLAG_COMPLETED | FLAG_DYING, announcement(1))
    assert (await open_gossip_store(path)).counts.channels == 1


async def test_an_offset_that_is_none_is_refused(path: Path) -> None:
    store = await open_gossip_store(path)
    offset = (await store.append([(node(1), 5)]))[0]
    for wrong in (0, 5, offset + 3, offset + 10_000):
        with pytest.raises(StoreDamaged):
            await store.mark_deleted([wrong])
        with pytest.raises(StoreDamaged):
            await store.read([wrong])
    await store.aclose()
    assert [flags for flags, _ in walked(path.read_bytes())] == [FLAG_COMPLETED] * 2


async def test_compaction_keeps_what_lives_in_its_order_and_says_where_it_went(path: Path) -> None:
    records = network(2, 400)
    store = await open_gossip_store(path)
    offsets = await store.append(records)
    before = walked(path.read_bytes())[0]
    gone = set(random.Random(3).sample(range(len(records)), 700))
    await store.mark_deleted(offset for number, offset in enumerate(offsets) if number in gone)
    await store.append([(delete_channel(1), 0)])
    expected = [message for message in live(path.read_bytes()) if message != delete_channel(1)]

    with path.open("rb") as old:
        moved = await store.compact()
        ended = walked(old.read())[-1][1]
    content = path.read_bytes()
    assert live(content) == expected
    assert ended[:10] == ENDED.to_bytes(2, "big") + len(content).to_bytes(8, "big")
    assert ended[10:] == walked(content)[0][1][2:] != before[1][2:]

    assert await store.read(moved.new.tolist()) == expected
    kept = np.array([offset for offset in offsets if offset in set(moved.old.tolist())], dtype=np.uint64)
    assert moved(kept).tolist() == moved.new.tolist()
    with pytest.raises(KeyError):
        moved(np.array([moved.old[0], moved.old[0] + np.uint64(1)]))
    assert store.records == len(expected) + 1
    more = await store.append([(node(9), 1)])
    assert more == [len(content) + HEADER.size]
    await store.aclose()
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["gossip_store"]
    assert await found_in(await open_gossip_store(path)) == [walked(content)[0][1], *expected, node(9)]


async def test_a_store_is_worth_compacting_at_four_dead_to_one_alive(path: Path) -> None:
    store = await open_gossip_store(path)
    offsets = await store.append([(update(number, 0), 5) for number in range(1250)])
    await store.mark_deleted(offsets[:1000])
    assert not store.is_worth_compacting, "the store's id lives too"
    await store.mark_deleted(offsets[:1001])
    assert store.is_worth_compacting
    await store.compact()
    assert not store.is_worth_compacting
    await store.aclose()


async def test_who_stores_during_a_compaction_waits_and_loses_nothing(path: Path) -> None:
    store = await open_gossip_store(path)
    records = network(4, 500)
    offsets = await store.append(records)
    moved, more = await asyncio.gather(store.compact(), store.append([(node(number), 1) for number in range(50)]))
    assert await store.read(more) == [node(number) for number in range(50)]
    assert await store.read(moved(np.array(offsets, dtype=np.uint64)).tolist()) == [message for message, _ in records]
    await store.aclose()


async def test_a_cancelled_compaction_leaves_the_store_as_it_was(path: Path) -> None:
    store = await open_gossip_store(path)
    offsets = await store.append(network(5, 1000))
    content = path.read_bytes()
    compaction = asyncio.ensure_future(store.compact())
    while not path.with_name("gossip_store.tmp").exists():
        await asyncio.sleep(0)
    compaction.cancel()
    with pytest.raises(asyncio.CancelledError):
        await compaction
    assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == ["gossip_store"]
    assert len(await store.read(offsets)) == len(offsets)
    await store.aclose()


async def test_without_a_path_nothing_is_kept_and_everything_works() -> None:
    store = await open_gossip_store(None)
    offsets = await store.append([(node(1), 1), (node(2), 2)])
    await store.mark_deleted(offsets[:1])
    moved = await store.compact()
    assert await store.read(moved.new.tolist()) == [node(2)]
    folder = store._path
    await store.aclose()
    assert folder is not None and not folder.exists()


async def test_a_full_disk_is_told_and_leaves_whole_records(path: Path) -> None:
    store = await open_gossip_store(path)
    offsets = await store.append([(node(1), 1)])
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 300, hard))
    try:
        with pytest.raises(ProfileUnusable) as caught:
            await store.append([(node(number), 1) for number in range(10)])
        with pytest.raises(ProfileUnusable):
            await store.append([(message(CHANNEL_ANNOUNCEMENT, 400), 0)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.path == path
    assert path.read_bytes() == before
    assert await store.read(offsets) == [node(1)]
    assert await store.append([(node(2), 1)]) == [len(before) + HEADER.size]
    await store.aclose()


async def test_a_batch_is_marked_as_completed_when_all_of_it_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_gossip_store(path)
    await store.append([(node(0), 0)])
    length, seen = path.stat().st_size, []
    write = os.write

    def look(handle: int, content: memoryview) -> int:
        seen.append(path.read_bytes()[length:])
        return write(handle, content[:500])

    monkeypatch.setattr("core.gossip.store_file.os.write", look)
    await store.append([(node(number), 1) for number in range(20)])
    monkeypatch.undo()
    await store.aclose()
    content = path.read_bytes()[length:]
    assert len(seen) > 5
    assert {part[0] for part in seen[1:]} == {0}, "whoever reads stops there"
    assert seen[-1][1:] == content[1:]
    assert content[0] == FLAG_COMPLETED >> 8


@pytest.mark.parametrize("version", [9, 10, 13, 14, 15, 17])
async def test_a_file_of_another_version_is_written_anew(path: Path, version: int) -> None:
    flags = FLAG_COMPLETED if version >= 15 else 0
    short = record(258, 128, flags=flags)
    zombie = record(257, 150, flags=flags | 0x1000)
    private = record(4104, 60, flags=flags) + record(4102, 60, flags=flags)
    kept = record(256, 430, flags=flags) + record(4101, 8, flags=flags) + record(258, 136, flags=flags)
    path.write_bytes(bytes([version]) + kept + short + zombie + private)
    store = await open_gossip_store(path)
    content = path.read_bytes()
    expected = [message(256, 430), message(4101, 8), message(258, 136)]
    expected += [] if version <= 10 else [message(258, 128)]
    expected += [] if version <= 13 else [message(257, 150)]
    assert content[0] == 16
    assert live(content) == expected
    assert (await found_in(store))[1:] == expected
    assert (store.version, store.counts.records) == (16, len(expected) + 1)
    assert await store.append([(node(1), 1)]) == [len(content) + HEADER.size]
    await store.aclose()
