"""Walking `gossip_store`: what counts, what is torn, what is damage."""

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
    StoreCounts,
    StoreDamaged,
    StoreParser,
    checksum,
    encode_record,
)
from tests.unit.gossip.stores import VERSION, record, store


def parse(data: bytes) -> StoreParser:
    parser = StoreParser()
    parser.feed(data)
    return parser


def test_the_checksum_goes_on_from_the_timestamp() -> None:
    # RFC 3720, B.4: 32 bytes of zeroes; a timestamp of 0 adds nothing.
    assert checksum(0, bytes(32)) == 0x8A9136AA
    assert checksum(0, bytes(64)) == checksum(0x8A9136AA, bytes(32))


def test_a_store_is_counted_by_kind() -> None:
    content = store(3)
    parser = parse(content)
    assert parser.version == 16
    assert parser.counts == StoreCounts(
        records=16, channels=3, channel_updates=6, nodes=3, other=4, deleted=0, bytes=len(content)
    )
    assert parser.torn_bytes == 0


def test_deleted_records_are_counted_as_that_alone_and_not_checked() -> None:
    deleted = bytearray(record(CHANNEL_UPDATE, flags=FLAG_COMPLETED | FLAG_DELETED))
    deleted[-1] ^= 1
    counts = parse(VERSION + deleted + record(CHANNEL_ANNOUNCEMENT)).counts
    assert (counts.records, counts.deleted, counts.channel_updates, counts.channels) == (2, 1, 0, 1)


@given(sizes=st.lists(st.integers(1, 400), max_size=30))
def test_how_the_file_is_cut_into_pieces_changes_nothing(sizes: list[int]) -> None:
    content = store(4)
    parser, offset = StoreParser(), 0
    for size in sizes:
        parser.feed(content[offset : offset + size])
        offset += size
    parser.feed(content[offset:])
    assert parser.counts == parse(content).counts


@given(end=st.integers(1, len(store(3)) - 1))
def test_a_store_cut_anywhere_keeps_every_whole_record(end: int) -> None:
    parser = parse(store(3)[:end])
    assert parser.counts.bytes + parser.torn_bytes == end
    again = parse(store(3)[: parser.counts.bytes])
    assert (again.counts, again.torn_bytes) == (parser.counts, 0)


@given(position=st.integers(1, len(store(3)) - 1), change=st.integers(1, 255))
def test_a_changed_byte_never_adds_to_what_is_counted(position: int, change: int) -> None:
    content = bytearray(store(3))
    content[position] ^= change
    whole = parse(store(3)).counts
    try:
        counts = parse(bytes(content)).counts
    except StoreDamaged:
        return
    assert counts.records <= whole.records
    assert counts.channels + counts.channel_updates + counts.nodes + counts.other <= whole.records


@given(position=st.integers(HEADER.size + 1, len(store(1)) - 1), change=st.integers(1, 255))
def test_a_changed_byte_of_a_message_with_others_behind_it_is_damage(position: int, change: int) -> None:
    content, offset = bytearray(store(1) + record(CHANNEL_UPDATE)), 1
    while offset + HEADER.size <= position:
        length = int.from_bytes(content[offset + 2 : offset + 4], "big")
        if offset + HEADER.size <= position < offset + HEADER.size + length:
            content[position] ^= change
            with pytest.raises(StoreDamaged, match=f"record at byte {offset}: checksum does not match"):
                parse(bytes(content))
            return
        offset += HEADER.size + length


@given(st.binary(max_size=300))
def test_any_bytes_are_walked_or_refused(data: bytes) -> None:
    parser = StoreParser()
    try:
        parser.feed(VERSION + data)
    except StoreDamaged:
        return
    assert parser.counts.bytes + parser.torn_bytes == 1 + len(data)


@given(st.lists(st.tuples(st.binary(min_size=2, max_size=50), st.integers(0, 2**32 - 1)), max_size=20))
def test_what_is_encoded_is_read_back_whole(records: list[tuple[bytes, int]]) -> None:
    content = VERSION + b"".join(encode_record(message, timestamp) for message, timestamp in records)
    parser = parse(content)
    assert (parser.counts.records, parser.counts.bytes, parser.torn_bytes) == (len(records), len(content), 0)


@pytest.mark.parametrize("last", [record(CHANNEL_UPDATE, flags=0), record(CHANNEL_UPDATE)[:-1] + b"?"])
def test_a_last_record_that_a_kill_left_unfinished_is_torn(last: bytes) -> None:
    parser = parse(store(1) + last)
    assert (parser.counts.bytes, parser.torn_bytes) == (len(store(1)), len(last))


def test_an_unfinished_record_with_others_behind_it_is_damage() -> None:
    with pytest.raises(StoreDamaged, match="not marked as completed"):
        parse(store(1) + record(CHANNEL_UPDATE, flags=0) + record(CHANNEL_UPDATE))


def test_a_message_too_short_for_a_type_is_damage() -> None:
    with pytest.raises(StoreDamaged, match="no message type"):
        parse(VERSION + encode_record(b"x", 0) + record(CHANNEL_UPDATE))


@pytest.mark.parametrize("minor", range(9, 15))
def test_older_versions_know_no_completed_mark(minor: int) -> None:
    parser = parse(bytes([minor]) + record(CHANNEL_ANNOUNCEMENT, flags=0) * 2)
    assert (parser.version, parser.counts.channels) == (minor, 2)


@pytest.mark.parametrize("minor", [15, 16, 17, 31])
def test_any_later_minor_version_can_be_walked(minor: int) -> None:
    assert parse(bytes([minor]) + record(CHANNEL_ANNOUNCEMENT)).counts.channels == 1


@pytest.mark.parametrize("byte", [0, 8, 1 << 5 | 16, 0xFF])
def test_other_versions_are_named_and_not_walked(byte: int) -> None:
    with pytest.raises(StoreDamaged, match=rf"version {byte >> 5}\.{byte & 31} is not known"):
        parse(bytes([byte]) + record(CHANNEL_ANNOUNCEMENT))
