"""BigSize, integers, TLV streams and short channel ids against BOLT 1's own vectors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bolt.keys import is_public_key
from core.bolt.wire import (
    NotCanonical,
    OutOfRange,
    Reader,
    ShortChannelId,
    TlvOrder,
    TrailingBytes,
    Truncated,
    WireError,
    decode_bigsize,
    decode_signed,
    decode_truncated,
    encode_bigsize,
    encode_signed,
    encode_tlv_stream,
    encode_truncated,
    parse_tlv_stream,
)
from tests.vectors import load_json

BIGSIZE = load_json("bolt1_bigsize.json")
TLV = load_json("bolt1_tlv.json")
SIGNED = load_json("bolt1_signed.json")
_ERRORS = {"decoded bigsize is not canonical": NotCanonical, "unexpected EOF": Truncated, "EOF": Truncated}


@pytest.mark.parametrize("vector", BIGSIZE["decode"], ids=lambda vector: vector["name"])
def test_bigsize_decodes_as_the_specification_says(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["bytes"])
    if "exp_error" in vector:
        with pytest.raises(_ERRORS[vector["exp_error"]]):
            decode_bigsize(data)
    else:
        assert decode_bigsize(data) == (vector["value"], len(data))


@pytest.mark.parametrize("vector", BIGSIZE["encode"], ids=lambda vector: vector["name"])
def test_bigsize_encodes_as_the_specification_says(vector: dict[str, Any]) -> None:
    assert encode_bigsize(vector["value"]).hex() == vector["bytes"]


def test_bigsize_holds_no_more_than_64_bits() -> None:
    for value in (-1, 2**64):
        with pytest.raises(OutOfRange):
            encode_bigsize(value)


@pytest.mark.parametrize("vector", SIGNED, ids=lambda vector: str(vector["value"]))
def test_signed_integers_go_both_ways(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["bytes"])
    assert encode_signed(vector["value"]) == data
    assert decode_signed(data) == vector["value"]


def test_a_signed_integer_in_too_many_bytes_is_refused() -> None:
    with pytest.raises(NotCanonical):
        decode_signed(b"\x00\x2a")
    with pytest.raises(OutOfRange):
        decode_signed(b"\x00\x00\x2a")


def _read_n1(records: dict[int, bytes]) -> None:
    """The namespace `n1` of BOLT 1, Appendix B, read with this module's own tools."""
    for type_, value in records.items():
        reader = Reader(value)
        if type_ == 1:
            decode_truncated(reader.rest(), 8)
        elif type_ == 2:
            ShortChannelId.from_int(reader.u64())
        elif type_ == 3:
            if not is_public_key(reader.take(33)):
                raise WireError("not a point")
            reader.u64(), reader.u64()
        elif type_ == 254:
            reader.u16()
        else:
            continue
        reader.finish()


def _read_n2(records: dict[int, bytes]) -> None:
    """The namespace `n2`: a tu64 and a tu32, none of which the vectors fill."""


_NAMESPACES = {"n1": ((1, 2, 3, 254), _read_n1), "n2": ((0, 11), _read_n2)}


@pytest.mark.parametrize(
    ("vector", "namespace"),
    [(vector, namespace) for vector in TLV for namespace in vector["ns"]],
    ids=lambda part: part if isinstance(part, str) else part["note"][:40],
)
def test_tlv_streams_stand_or_fall_as_the_specification_says(vector: dict[str, Any], namespace: str) -> None:
    known, read = _NAMESPACES[namespace]
    stream = bytes.fromhex(vector["stream"])
    if vector["valid"]:
        records = parse_tlv_stream(stream, known)
        read(records)
        assert encode_tlv_stream(records) == stream
    else:
        with pytest.raises(WireError):
            read(parse_tlv_stream(stream, known))


def test_appending_a_record_of_lower_or_equal_type_breaks_any_stream() -> None:
    for vector in TLV:
        if not vector["valid"] or not vector["stream"]:
            continue
        stream = bytes.fromhex(vector["stream"])
        known, _ = _NAMESPACES[vector["ns"][0]]
        last = max(parse_tlv_stream(stream, known))
        for type_ in {last, last - 1 if last > 1 else last}:
            with pytest.raises(WireError):
                parse_tlv_stream(stream + encode_tlv_stream({type_: b""}), known)


def test_a_repeated_type_is_named_as_disorder() -> None:
    with pytest.raises(TlvOrder):
        parse_tlv_stream(bytes.fromhex("1f001f012a"))


@given(st.dictionaries(st.integers(0, 2**64 - 1), st.binary(max_size=300), max_size=6))
def test_every_stream_of_known_records_goes_round(records: dict[int, bytes]) -> None:
    assert parse_tlv_stream(encode_tlv_stream(records), records) == records


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_raise_only_a_wire_error(data: bytes) -> None:
    try:
        records = parse_tlv_stream(data)
    except WireError:
        return
    assert encode_tlv_stream(records) == data


@given(st.integers(0, 2**64 - 1))
def test_bigsize_goes_round_at_any_offset(value: int) -> None:
    encoded = encode_bigsize(value)
    assert decode_bigsize(b"\xaa" + encoded + b"\xbb", 1) == (value, 1 + len(encoded))


@pytest.mark.parametrize(("width", "value"), [(2, 0), (2, 1), (2, 0xFFFF), (4, 0x10000), (8, 2**64 - 1)])
def test_truncated_integers_go_round_without_leading_zeros(width: int, value: int) -> None:
    encoded = encode_truncated(value, width)
    assert not encoded.startswith(b"\x00")
    assert decode_truncated(encoded, width) == value


def test_truncated_integers_refuse_what_does_not_fit() -> None:
    with pytest.raises(OutOfRange):
        encode_truncated(0x10000, 2)
    with pytest.raises(OutOfRange):
        decode_truncated(b"\x01\x00\x00", 2)
    with pytest.raises(NotCanonical):
        decode_truncated(b"\x00\x01", 2)


def test_short_channel_ids_have_three_forms() -> None:
    scid = ShortChannelId.parse("539268x845x1")
    assert (scid.block, scid.transaction, scid.output) == (539268, 845, 1)
    assert str(scid) == "539268x845x1"
    assert ShortChannelId.from_int(int(scid)) == scid


def test_short_channel_ids_reach_the_ends_of_their_fields() -> None:
    last = ShortChannelId(0xFFFFFF, 0xFFFFFF, 0xFFFF)
    assert ShortChannelId.parse("16777215x16777215x65535") == last
    assert ShortChannelId.from_int(2**64 - 1) == last
    assert ShortChannelId.from_int(0) == ShortChannelId.parse("0x0x0")
    for value in (-1, 2**64):
        with pytest.raises(OutOfRange):
            ShortChannelId.from_int(value)


@pytest.mark.parametrize("text", ["", "1x2", "1x2x3x4", "ax1x1", "16777216x0x0", "1x16777216x0", "1x1x65536", "1x1x²"])
def test_what_is_no_short_channel_id_is_refused(text: str) -> None:
    with pytest.raises(OutOfRange):
        ShortChannelId.parse(text)


def test_a_reader_tells_too_little_from_too_much() -> None:
    reader = Reader(bytes.fromhex("0102030405060708090a0b0c0d0e0fff"))
    assert (reader.u8(), reader.u16(), reader.u32(), reader.u64()) == (1, 0x0203, 0x04050607, 0x08090A0B0C0D0E0F)
    with pytest.raises(TrailingBytes):
        reader.finish()
    with pytest.raises(Truncated):
        reader.u16()
    assert reader.rest() == b"\xff"
    reader.finish()
