"""Walking `gossip_store`: what counts, what is torn, what is mended and what is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gossip.store_format import (
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    FLAG_COMPLETED,
    FLAG_DELETED,
    HEADER,
    MAX_MESSAGE_BYTES,
    StoreCounts,
    checksum,
    encode_record,
)
from core.gossip.store_index import StoreIndex
from core.gossip.store_walk import MAX_DAMAGED, Walker
from tests.unit.gossip.stores import VERSION, message, record, store

LONG = encode_record(message(CHANNEL_UPDATE, MAX_MESSAGE_BYTES - 2), 1)


def walk(data: bytes, pieces: list[int] | None = None) -> tuple[Walker, StoreIndex]:
    walker, parts, offset = Walker(), [], 0
    for size in pieces or []:
        parts.append(StoreIndex.of(walker.feed(data[offset : offset + size])))
        offset += size
    parts.append(StoreIndex.of(walker.feed(data[offset:])))
    parts.append(StoreIndex.of(walker.feed(b"", last=True)))
    assert walker.size == len(data)
    return walker, StoreIndex.joined(parts)


def repaired(data: bytes, walker: Walker) -> bytes:
    content = bytearray(data[: walker.end])
    for repair in walker.repairs:
        content[repair.offset : repair.offset + len(repair.content)] = repair.content
    return bytes(content)


def test_the_checksum_goes_on_from_the_timestamp() -> None:
    # RFC 3720, B.4: 32 bytes of zeroes; a timestamp of 0 adds nothing.
    assert checksum(0, bytes(32)) == 0x8A9136AA
    assert checksum(0, bytes(64)) == checksum(0x8A9136AA, bytes(32))


def test_a_store_is_counted_by_kind() -> None:
    content = store(3)
    walker, index = walk(content)
    assert walker.version == 16
    assert index.counts(walker.end) == StoreCounts(
        records=16, channels=3, channel_updates=6, nodes=3, other=4, deleted=0, bytes=len(content)
    )
    assert (walker.repairs, walker.problem) == ([], None)


def test_deleted_records_are_counted_as_that_alone() -> None:
    deleted = record(CHANNEL_UPDATE, flags=FLAG_COMPLETED | FLAG_DELETED)
    walker, index = walk(VERSION + deleted + record(CHANNEL_ANNOUNCEMENT))
    counts = index.counts(walker.end)
    assert (counts.records, counts.deleted, counts.channel_updates, counts.channels) == (2, 1, 0, 1)


def test_a_deleted_record_whose_checksum_does_not_fit_is_no_loss() -> None:
    deleted = bytearray(record(CHANNEL_UPDATE, flags=FLAG_COMPLETED | FLAG_DELETED))
    deleted[-1] ^= 1
    walker, index = walk(VERSION + deleted + record(CHANNEL_ANNOUNCEMENT))
    assert (walker.lost_records, walker.problem, len(index)) == (0, None, 1)
    walker, index = walk(VERSION + record(CHANNEL_ANNOUNCEMENT) + deleted)
    assert (walker.lost_records, walker.torn, len(index)) == (0, False, 1)


@given(sizes=st.lists(st.integers(1, 400), max_size=30))
def test_how_the_file_is_cut_into_pieces_changes_nothing(sizes: list[int]) -> None:
    content = store(4)
    walker, index = walk(content, sizes)
    other, whole = walk(content)
    assert walker.end == other.end
    assert index.offset.tolist() == whole.offset.tolist()


@given(end=st.integers(1, len(store(3)) - 1))
def test_a_store_cut_anywhere_keeps_every_whole_record(end: int) -> None:
    content = store(3)
    walker, index = walk(content[:end])
    expected, start = 0, 1
    while start + HEADER.size <= end and (after := start + HEADER.size + HEADER.unpack_from(content, start)[1]) <= end:
        expected, start = expected + 1, after
    assert (len(index), walker.end) == (expected, start)
    assert walker.torn == (start < end)
    assert walker.problem is None


@pytest.mark.parametrize("last", [record(CHANNEL_UPDATE, flags=0)[:-1] + b"?", record(CHANNEL_UPDATE)[:-1] + b"?"])
def test_a_last_record_that_a_kill_left_unfinished_is_torn(last: bytes) -> None:
    walker, _ = walk(store(1) + last)
    assert (walker.end, walker.torn, walker.size) == (len(store(1)), True, len(store(1) + last))


@pytest.mark.parametrize("behind", [b"", record(CHANNEL_UPDATE), record(CHANNEL_UPDATE)[:20]])
def test_a_whole_record_that_is_not_marked_as_completed_gets_its_mark(behind: bytes) -> None:
    content = store(1) + record(CHANNEL_UPDATE, flags=0) + behind
    walker, index = walk(content)
    assert repaired(content, walker) == (store(1) + record(CHANNEL_UPDATE) + behind)[: walker.end]
    assert (walker.lost_records, index.flags.tolist()) == (0, [FLAG_COMPLETED] * len(index))


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("place", [4, 8, 12, 50])
def test_one_damaged_record_is_left_out_and_marked_as_deleted(before: int, place: int) -> None:
    bad = bytearray(record(CHANNEL_UPDATE))
    bad[place] ^= 0x40
    content = VERSION + record(CHANNEL_ANNOUNCEMENT) * before + bad * 2 + LONG + record(CHANNEL_ANNOUNCEMENT)
    walker, index = walk(content)
    assert (walker.lost_records, walker.lost_bytes, len(index)) == (2, 2 * len(bad), before + 2)
    assert walker.problem == f"record at byte {1 + before * len(record(CHANNEL_ANNOUNCEMENT))}: checksum does not match"
    again, _index = walk(repaired(content, walker))
    assert (again.lost_records, again.problem, len(index)) == (0, None, before + 2), "told once"


@pytest.mark.parametrize("length", [0, 1, 2, 3, 99, 101, 200, 0x7FFF, 0xFFFF])
@pytest.mark.parametrize("behind", [b"", record(CHANNEL_ANNOUNCEMENT), LONG + record(CHANNEL_ANNOUNCEMENT)])
def test_a_damaged_length_comes_back_from_the_checksum(length: int, behind: bytes) -> None:
    good = record(CHANNEL_UPDATE)
    bad = good[:2] + length.to_bytes(2, "big") + good[4:]
    walker, index = walk(store(1) + bad + behind)
    assert walker.lost_bytes == 0
    assert walker.problem == f"record at byte {len(store(1))}: its length was wrong"
    assert repaired(store(1) + bad + behind, walker) == store(1) + good + behind
    assert index.length.tolist() == walk(store(1) + good + behind)[1].length.tolist()


def test_records_inside_a_message_are_never_taken_for_records() -> None:
    within = message(CHANNEL_UPDATE, 0) + record(CHANNEL_ANNOUNCEMENT) * 5
    bad = bytearray(encode_record(within, 7))
    bad[2:5] = bytes(3)  # the length and the checksum: nothing tells any more where it ends
    walker, index = walk(store(1) + bad + record(CHANNEL_UPDATE))
    assert (len(index), walker.end, walker.torn) == (6, len(store(1)), False)
    assert walker.problem == f"record at byte {len(store(1))}: cannot be read, nor what follows it"


def test_what_follows_too_many_damaged_records_is_given_up() -> None:
    bad = bytearray(record(CHANNEL_UPDATE))
    bad[-1] ^= 1
    one = bytes(bad) + record(CHANNEL_ANNOUNCEMENT)
    walker, index = walk(VERSION + one * (MAX_DAMAGED + 3))
    assert (walker.lost_records, len(index), walker.end) == (MAX_DAMAGED, MAX_DAMAGED, 1 + MAX_DAMAGED * len(one))
    assert not walker.torn


@given(
    records=st.lists(st.tuples(st.binary(min_size=2, max_size=300), st.integers(0, 2**32 - 1)), max_size=20),
)
def test_what_is_encoded_is_read_back_whole(records: list[tuple[bytes, int]]) -> None:
    content = VERSION + b"".join(encode_record(message, timestamp) for message, timestamp in records)
    walker, index = walk(content)
    assert (len(index), walker.end, walker.problem) == (len(records), len(content), None)
    assert index.timestamp.tolist() == [timestamp for _, timestamp in records]


@given(content=st.binary(max_size=400).map(VERSION.__add__))
def test_any_bytes_are_walked_to_an_end(content: bytes) -> None:
    walker, _ = walk(content)
    again, _index = walk(repaired(content, walker))
    assert (again.end, again.problem, again.lost_records) == (walker.end, None, 0)


@pytest.mark.parametrize("minor", range(9, 15))
def test_older_versions_know_no_completed_mark(minor: int) -> None:
    walker, index = walk(bytes([minor]) + record(CHANNEL_ANNOUNCEMENT, flags=0) * 2)
    assert (walker.version, len(index), walker.repairs) == (minor, 2, [])


@pytest.mark.parametrize("minor", [15, 16, 17, 31])
def test_any_later_minor_version_can_be_walked(minor: int) -> None:
    assert len(walk(bytes([minor]) + record(CHANNEL_ANNOUNCEMENT))[1]) == 1


@pytest.mark.parametrize("byte", [0, 8, 1 << 5 | 16, 0xFF])
def test_other_versions_are_named_and_taken_for_damage(byte: int) -> None:
    walker, index = walk(bytes([byte]) + store(1)[1:])
    assert walker.problem == f"version {byte >> 5}.{byte & 31} is not known"
    assert (walker.version, len(index), walker.version_damaged) == (16, 6, True)
