"""Queries of BOLT 7 against its own vectors: plain ones to the byte, compressed ones refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bolt.gossip_queries import (
    WANT_ANNOUNCEMENT,
    WANT_CHECKSUMS,
    WANT_NODE_1,
    WANT_NODE_2,
    WANT_TIMESTAMPS,
    WANT_UPDATE_1,
    WANT_UPDATE_2,
    CountMismatch,
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    UnknownEncoding,
    most_ids_in_query,
    most_ids_in_reply,
    range_end,
)
from core.bolt.networks import NETWORKS
from core.bolt.wire import (
    MAX_MESSAGE_BYTES,
    NotCanonical,
    OutOfRange,
    ShortChannelId,
    TrailingBytes,
    Truncated,
    UnknownEvenTlv,
    WireError,
)
from tests.vectors import load_json

VECTORS = load_json("bolt7_extended_queries.json")
CHAIN = NETWORKS["regtest"].chain_hash
KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        QueryShortChannelIds,
        ReplyShortChannelIdsEnd,
        QueryChannelRange,
        ReplyChannelRange,
        GossipTimestampFilter,
    )
}
_OPTIONS = {"WANT_TIMESTAMPS | WANT_CHECKSUMS": WANT_TIMESTAMPS | WANT_CHECKSUMS}


def is_compressed(vector: dict[str, Any]) -> bool:
    return "COMPRESSED_ZLIB" in str(vector["msg"]).replace("UNCOMPRESSED", "")


def ids_of(vector: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(ShortChannelId.parse(text)) for text in vector["msg"]["shortChannelIds"]["array"])


def expected(vector: dict[str, Any]) -> Any:
    """The value that a plain vector stands for."""
    told = vector["msg"]
    chain = bytes.fromhex(told["chainHash"])
    if told["type"] == "QueryShortChannelIds":
        return QueryShortChannelIds(chain, ids_of(vector))
    first, number = told["firstBlockNum"], told["numberOfBlocks"]
    if told["type"] == "QueryChannelRange":
        records = told["tlvStream"]["records"]
        return QueryChannelRange(chain, first, number, _OPTIONS[records[0]] if records else None)
    pairs = {
        name: tuple((pair[f"{word}1"], pair[f"{word}2"]) for pair in told[name][name])
        for name, word in (("timestamps", "timestamp"), ("checksums", "checksum"))
        if name in told
    }
    return ReplyChannelRange(chain, first, number, bool(told["complete"]), ids_of(vector), **pairs)


PLAIN = [vector for vector in VECTORS if not is_compressed(vector)]
COMPRESSED = [vector for vector in VECTORS if is_compressed(vector)]


def test_the_vectors_are_all_there() -> None:
    assert (len(PLAIN), len(COMPRESSED)) == (5, 5)


@pytest.mark.parametrize("vector", PLAIN)
def test_plain_vectors_are_read_and_written_to_the_byte(vector: dict[str, Any]) -> None:
    message = bytes.fromhex(vector["hex"])
    value = KINDS[vector["msg"]["type"]].decode(message)
    assert value == expected(vector)
    assert value.encode() == message


@pytest.mark.parametrize("vector", COMPRESSED)
def test_compressed_vectors_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(UnknownEncoding) as refused:
        KINDS[vector["msg"]["type"]].decode(bytes.fromhex(vector["hex"]))
    assert refused.value.encoding == 1


ids = st.sets(st.integers(0, 2**64 - 1), max_size=20).map(lambda found: tuple(sorted(found)))
u32 = st.integers(0, 2**32 - 1)
pair = st.tuples(u32, u32)


@given(st.data(), ids)
def test_id_queries_go_round(data: st.DataObject, asked: tuple[int, ...]) -> None:
    flag = st.one_of(st.integers(0, 31), st.integers(0, 2**64 - 1))
    flags = data.draw(st.none() | st.lists(flag, min_size=len(asked), max_size=len(asked)).map(tuple))
    query = QueryShortChannelIds(CHAIN, asked, flags)
    assert QueryShortChannelIds.decode(query.encode()) == query


@given(st.data(), ids, u32, u32, st.booleans())
def test_range_replies_go_round(
    data: st.DataObject, found: tuple[int, ...], first: int, number: int, complete: bool
) -> None:
    pairs = st.none() | st.lists(pair, min_size=len(found), max_size=len(found)).map(tuple)
    reply = ReplyChannelRange(CHAIN, first, number, complete, found, data.draw(pairs), data.draw(pairs))
    assert ReplyChannelRange.decode(reply.encode()) == reply
    assert range_end(reply.encode()) == reply.end_blocknum
    assert reply.end_blocknum == first + number


@given(u32, u32, st.none() | st.integers(0, 2**64 - 1), st.booleans())
def test_the_others_go_round(first: int, second: int, option: int | None, full: bool) -> None:
    for value in (
        QueryChannelRange(CHAIN, first, second, option),
        GossipTimestampFilter(CHAIN, first, second),
        ReplyShortChannelIdsEnd(CHAIN, full),
    ):
        assert type(value).decode(value.encode() + b"\x07\x01x") == value


@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=120))
def test_any_bytes_are_a_value_or_a_wire_error(name: str, body: bytes) -> None:
    kind = KINDS[name]
    try:
        value = kind.decode(kind.TYPE.to_bytes(2, "big") + body)
    except WireError:
        return
    if list(getattr(value, "short_channel_ids", ())) == sorted(set(getattr(value, "short_channel_ids", ()))):
        assert kind.decode(value.encode()) == value


@pytest.mark.parametrize(
    "value",
    [
        QueryShortChannelIds(CHAIN, (1, 2)),
        ReplyShortChannelIdsEnd(CHAIN, True),
        QueryChannelRange(CHAIN, 1, 2),
        ReplyChannelRange(CHAIN, 1, 2, True, (1, 2)),
        GossipTimestampFilter(CHAIN, 1, 2),
    ],
)
def test_every_cut_another_type_and_unknown_even_records_are_refused(value: Any) -> None:
    message = value.encode()
    for length in range(len(message)):
        with pytest.raises(Truncated):
            type(value).decode(message[:length])
    with pytest.raises(OutOfRange):
        type(value).decode(b"\x00\x10" + message[2:])
    if not isinstance(value, ReplyShortChannelIdsEnd | GossipTimestampFilter):
        with pytest.raises(UnknownEvenTlv):
            type(value).decode(message + b"\x02\x00")


def test_lists_out_of_order_are_read_and_never_written() -> None:
    for wrong in ((2, 1), (1, 1)):
        with pytest.raises(OutOfRange):
            QueryShortChannelIds(CHAIN, wrong).encode()
        with pytest.raises(OutOfRange):
            ReplyChannelRange(CHAIN, 0, 1, True, wrong).encode()
    message = QueryShortChannelIds(CHAIN, (1, 2)).encode()
    swapped = message[:-16] + message[-8:] + message[-16:-8]
    assert QueryShortChannelIds.decode(swapped).short_channel_ids == (2, 1)


def test_a_list_without_any_byte_is_empty_and_a_part_of_an_id_is_none() -> None:
    head = b"\x01\x05" + CHAIN
    assert QueryShortChannelIds.decode(head + b"\x00\x00").short_channel_ids == ()
    with pytest.raises(Truncated):
        QueryShortChannelIds.decode(head + b"\x00\x05\x00" + bytes(4))


def test_records_that_do_not_count_as_many_as_the_ids_are_refused() -> None:
    head = b"\x01\x05" + CHAIN + b"\x00\x09\x00" + bytes(8)
    for flags in (b"\x01\x01\x00", b"\x01\x03\x00\x01\x02", b"\x01\x00"):
        with pytest.raises(CountMismatch):
            QueryShortChannelIds.decode(head + flags)
    with pytest.raises(NotCanonical):
        QueryShortChannelIds.decode(head + b"\x01\x04\x00\xfd\x00\x01")
    reply = ReplyChannelRange(CHAIN, 0, 1, True, (5,)).encode()
    for record in (b"\x01\x01\x00", b"\x01\x11\x00" + bytes(16), b"\x03\x07" + bytes(7), b"\x03\x10" + bytes(16)):
        with pytest.raises(CountMismatch):
            ReplyChannelRange.decode(reply + record)
    with pytest.raises(UnknownEncoding):
        ReplyChannelRange.decode(reply + b"\x01\x09\x02" + bytes(8))


def test_records_that_do_not_count_as_many_as_the_ids_are_never_written() -> None:
    for wrong in (
        QueryShortChannelIds(CHAIN, (1,), ()),
        ReplyChannelRange(CHAIN, 0, 1, True, (1,), timestamps=()),
        ReplyChannelRange(CHAIN, 0, 1, True, (1,), checksums=((1, 2), (3, 4))),
    ):
        with pytest.raises(CountMismatch):
            wrong.encode()


def test_a_query_option_is_one_number_and_no_more() -> None:
    head = QueryChannelRange(CHAIN, 1, 2).encode()
    with pytest.raises(TrailingBytes):
        QueryChannelRange.decode(head + b"\x01\x02\x01\x00")
    with pytest.raises(Truncated):
        QueryChannelRange.decode(head + b"\x01\x00")
    query = QueryChannelRange(CHAIN, 4_294_967_295, 4_294_967_295, WANT_CHECKSUMS)
    assert (query.wants(WANT_CHECKSUMS), query.wants(WANT_TIMESTAMPS)) == (True, False)
    assert not QueryChannelRange(CHAIN, 0, 1).wants(WANT_CHECKSUMS)
    assert query.end_blocknum == 2**33 - 2


@pytest.mark.parametrize("timestamps", [False, True])
@pytest.mark.parametrize("checksums", [False, True])
def test_as_many_ids_as_a_reply_holds_fit_and_one_more_does_not(timestamps: bool, checksums: bool) -> None:
    count = most_ids_in_reply(timestamps=timestamps, checksums=checksums)

    def encoded(number: int) -> bytes:
        pairs = ((1, 2),) * number
        records = {"timestamps": pairs if timestamps else None, "checksums": pairs if checksums else None}
        return ReplyChannelRange(CHAIN, 0, 1, True, tuple(range(number)), **records).encode()

    assert len(encoded(count)) <= MAX_MESSAGE_BYTES
    with pytest.raises(OutOfRange):
        encoded(count + 1)


@pytest.mark.parametrize("flags", [False, True])
def test_as_many_ids_as_a_query_holds_fit_and_one_more_does_not(flags: bool) -> None:
    count = most_ids_in_query(flags=flags)

    def encoded(number: int) -> bytes:
        return QueryShortChannelIds(CHAIN, tuple(range(number)), (31,) * number if flags else None).encode()

    assert len(encoded(count)) <= MAX_MESSAGE_BYTES
    with pytest.raises(OutOfRange):
        encoded(count + 1)


def test_a_filter_lets_its_range_through() -> None:
    wanted = GossipTimestampFilter(CHAIN, 100, 10)
    assert [wanted.lets_through(timestamp) for timestamp in (99, 100, 109, 110)] == [False, True, True, False]
    assert not GossipTimestampFilter(CHAIN, 0xFFFFFFFF, 0).lets_through(0xFFFFFFFF)
    with pytest.raises(OutOfRange):
        GossipTimestampFilter(CHAIN, 1 << 32, 0).encode()


def test_numbers_of_the_wire() -> None:
    assert [KINDS[name].TYPE for name in KINDS] == [261, 262, 263, 264, 265]
    asked = (WANT_ANNOUNCEMENT, WANT_UPDATE_1, WANT_UPDATE_2, WANT_NODE_1, WANT_NODE_2)
    assert asked == (1, 2, 4, 8, 16)
    assert (WANT_TIMESTAMPS, WANT_CHECKSUMS) == (1, 2)


def test_bytes_of_one_great_flag_are_not_as_many_small_ones() -> None:
    query = QueryShortChannelIds(CHAIN, (1, 2, 3), (1, 2, 3)).encode()
    assert query.endswith(b"\x04\0\1\2\3")
    assert QueryShortChannelIds.decode(query).query_flags == (1, 2, 3)
    with pytest.raises(CountMismatch, match="1 query flags for 3"):
        QueryShortChannelIds.decode(query[:-3] + b"\xfd\1\0")


def test_an_unknown_encoding_is_told() -> None:
    query = QueryShortChannelIds(CHAIN, ()).encode()
    with pytest.raises(UnknownEncoding, match="encoding 1 where only 0"):
        QueryShortChannelIds.decode(query[:-1] + b"\1")


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_message_is_a_value(kind: Any) -> None:
    """It is handed around between peers and tasks."""
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)
