"""A store cut or damaged anywhere: the start succeeds, and what is lost is told exactly."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.gossip.store import GossipStore, open_gossip_store
from core.gossip.store_format import FLAG_COMPLETED, FLAG_DELETED, HEADER, STORE_ID, delete_channel, encode_record
from tests.unit.gossip.stores import VERSION, announcement, live, network, node, record, store, update, walked

PLACES = 1000
UUID = STORE_ID.to_bytes(2, "big")


async def made(path: Path, channels: int = 30) -> bytes:
    """A store with a history: channels that ended, updates and nodes that were replaced."""
    store = await open_gossip_store(path)
    records = network(11, channels)
    offsets = dict(zip([message for message, _ in records], await store.append(records), strict=True))
    for scid in (3, 7):
        await store.append([(delete_channel(scid), 0)])
        await store.mark_deleted(offset for message, offset in offsets.items() if _is_of(message, scid))
    for scid in (1, 9, 20):
        await store.append([(update(scid, 1, 1_800_000_000), 1_800_000_000)])
        (old,) = (offset for message, offset in offsets.items() if _is_of(message, scid, 1))
        await store.mark_deleted([old])
    for message, offset in offsets.items():
        if message[:2] == node(1)[:2] and random.Random(message).random() < 0.3:
            number = int.from_bytes(message[72 + 29 : 72 + 33], "big")
            await store.append([(node(number, 1_900_000_000), 1_900_000_000)])
            await store.mark_deleted([offset])
    await store.aclose()
    return path.read_bytes()


def _is_of(message: bytes, scid: int, direction: int | None = None) -> bool:
    if message[:2] == update(1, 0)[:2]:
        return message[98:106] == scid.to_bytes(8, "big") and direction in (None, message[111] & 1)
    if message[:2] != b"\x01\x00" or direction is not None:
        return False
    features = 2 + int.from_bytes(message[258:260], "big")
    return message[258 + features + 32 :][:8] == scid.to_bytes(8, "big")


async def messages(store: GossipStore) -> list[bytes]:
    found = [batch.message(number) async for batch in store.batches() for number in range(len(batch))]
    return [message for message in found if not message.startswith(UUID)]


def missing(before: list[bytes], after: list[bytes], restored: int) -> list[bytes]:
    """What is in `before` alone. No more may have come in than was told as restored; the order is the same."""
    new = [message for message in after if message not in before]
    assert len(new) <= restored, "something came back or in"
    after = [message for message in after if message not in new]
    left = iter(after)
    upcoming = next(left, None)
    gone = []
    for message in before:
        if message == upcoming:
            upcoming = next(left, None)
        else:
            gone.append(message)
    assert upcoming is None, "in another order"
    return gone


async def test_the_store_that_is_damaged_here_has_a_history(tmp_path: Path) -> None:
    content = await made(tmp_path / "gossip_store")
    deleted = sum(bool(flags & FLAG_DELETED) for flags, _ in walked(content))
    found = await open_gossip_store(tmp_path / "gossip_store")
    assert (found.counts.deleted, found.report.restored, found.report.problem) == (deleted, 0, None)
    assert deleted > 12
    assert (tmp_path / "gossip_store").read_bytes() == content


async def test_a_store_cut_at_any_place_keeps_every_record_before_it(tmp_path: Path) -> None:
    path, chance = tmp_path / "gossip_store", random.Random(21)
    content = await made(path)
    for end in chance.sample(range(1, len(content)), PLACES // 2):
        path.write_bytes(content[:end])
        found = await open_gossip_store(path)
        whole = found.counts.bytes
        assert (found.torn_bytes, found.report.lost_bytes, found.damage) == (end - whole, 0, None)
        assert path.stat().st_size == whole
        assert len(walked(content[:whole])) == found.counts.records, "the cut is between two records"
        assert end - whole < HEADER.size + 500
        again = await open_gossip_store(path)
        assert (again.torn_bytes, again.report.problem, again.counts) == (0, None, found.counts), "told once"


async def test_a_store_with_a_damaged_byte_anywhere_loses_at_most_that_record(tmp_path: Path) -> None:
    path, chance = tmp_path / "gossip_store", random.Random(22)
    content = await made(path)
    before = live(content)
    lost = mended = restored = 0
    for place in chance.sample(range(len(content)), PLACES // 2):
        bad = bytearray(content)
        bad[place] ^= chance.randrange(1, 256)
        path.write_bytes(bad)
        found = await open_gossip_store(path)
        after, told = await messages(found), found.report
        gone = missing(before, after, told.restored)
        assert not told.lost_records or not told.restored, "what it was deleted for may be what is lost"
        assert told.damage is None, place
        assert [message[:2].hex() for message in gone[1:]] in ([], ["1005"]), "a channel's amount goes with it"
        if told.torn_bytes:
            assert (len(gone), told.torn_bytes) == (1, HEADER.size + len(gone[0])), place
        elif gone:
            assert told.lost_bytes == sum(HEADER.size + len(message) for message in gone), place
            assert told.lost_records == len(gone)
        else:
            assert told.lost_records <= 1, "a tombstone or a store's id"
        again = await open_gossip_store(path)
        assert await messages(again) == after
        assert (again.report.problem, again.report.lost_bytes, again.torn_bytes) == (None, 0, 0), "told once"
        lost, mended, restored = lost + len(gone), mended + told.mended, restored + told.restored
    assert lost > PLACES // 4
    assert mended > 0


async def test_every_mark_of_deletion_that_has_no_reason_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    content = await made(path)
    start, flipped = 1, 0
    while start < len(content):
        flags, length, _crc, _timestamp = HEADER.unpack_from(content, start)
        message = content[start + HEADER.size :][:length]
        if not flags & FLAG_DELETED and message[:2] in (b"\x01\x00", b"\x01\x02", b"\x10\x05"):
            bad = bytearray(content)
            bad[start] ^= FLAG_DELETED >> 8
            path.write_bytes(bad)
            found = await open_gossip_store(path)
            assert found.report.restored >= 1, f"{start} of type {message[:2].hex()}"
            assert path.read_bytes() == content
            assert "back that nothing had deleted" in str(found)
            flipped += 1
        start += HEADER.size + length
    assert flipped > 80


async def test_a_node_that_had_a_channel_all_along_was_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    head = VERSION + b"".join(encode_record(each, 1) for each in (node(5), announcement(1, 4, 5), node(4)))
    gone = encode_record(node(4), 1, FLAG_COMPLETED | FLAG_DELETED)
    path.write_bytes(head[: -len(gone)] + gone)
    assert (await open_gossip_store(path)).report.restored == 1
    assert path.read_bytes() == head
    first = encode_record(node(5), 1, FLAG_COMPLETED | FLAG_DELETED)
    path.write_bytes(VERSION + first + head[1 + len(first) :])
    assert (await open_gossip_store(path)).report.restored == 0, "its channel may have come later"


async def test_a_deletion_that_a_kill_interrupted_is_seen_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    store = await open_gossip_store(path)
    records = network(12, 5)
    await store.append(records)
    await store.append([(delete_channel(2), 0)])
    await store.aclose()
    found = await open_gossip_store(path)
    left = await messages(found)
    gone = [message for message, _ in records if message not in left]
    assert [message[:2].hex() for message in gone] == ["0100", "1005", "0102", "0102"]
    assert (found.report.restored, found.report.problem) == (0, None)
    assert live(path.read_bytes()) == left


async def test_from_where_a_store_cannot_be_read_it_is_set_aside_and_the_beginning_stays(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    content = await made(path)
    half = len(content) // 2
    bad = content[:half] + bytes(4096) + content[half + 4096 :]
    path.write_bytes(bad)
    found = await open_gossip_store(path)
    assert found.damage is not None
    assert found.damage.set_aside.read_bytes() == bad
    assert found.report.lost_bytes == len(content) - found.counts.bytes
    assert path.read_bytes()[: found.counts.bytes] == path.read_bytes()
    assert half - 500 < found.counts.bytes <= half
    assert f"{found.report.lost_bytes} bytes lost in all; the damaged file is kept as" in str(found)
    await found.append([(node(1), 1)])
    await found.aclose()
    assert (await open_gossip_store(path)).report.problem is None


@pytest.mark.parametrize("version", [0, 1 << 5 | 16, 0xFF])
async def test_a_damaged_version_byte_loses_nothing(tmp_path: Path, version: int) -> None:
    path = tmp_path / "gossip_store"
    path.write_bytes(bytes([version]) + store(3)[1:])
    found = await open_gossip_store(path)
    assert (found.counts.channels, found.report.lost_bytes, found.report.mended) == (3, 0, 1)
    assert path.read_bytes() == store(3)


async def test_one_damaged_record_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    bad = bytearray(record(258))
    bad[-1] ^= 1
    path.write_bytes(VERSION + record(256) + bad + record(257))
    found = await open_gossip_store(path)
    assert str(found) == (
        "1 channels, 1 nodes in 2 records; 1 damaged records left out; 1 damaged headers mended; 114 bytes lost in all;"
        " record at byte 115: checksum does not match"
    )
    assert HEADER.unpack_from(path.read_bytes(), 115)[0] == FLAG_COMPLETED | FLAG_DELETED
