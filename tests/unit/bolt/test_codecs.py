"""Every pair of encode and decode in the room: round trip, and of anything else only the room's own errors."""

from __future__ import annotations

import contextlib
import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.bolt.address import (
    Address,
    AddressError,
    AddressKind,
    NodeIdError,
    is_dns_name,
    parse_literal,
    parse_node_id,
    parse_port,
    split_host_port,
)
from core.bolt.bech32 import bech32_encode
from core.bolt.features import bits, combine, feature_name, from_bits, missing_dependency, unacceptable_bit
from core.bolt.keys import NodeKey, is_public_key
from core.bolt.messages import ErrorMessage, Init, PeerStorage, PeerStorageRetrieval, Pong, WarningMessage
from core.bolt.wire import (
    ShortChannelId,
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

U64 = st.integers(0, 2**64 - 1)
WIDTHS = st.sampled_from([2, 4, 8])
PORTS = st.integers(1, 65_535)
IPS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
LIKE_ADDRESSES = st.text("0123456789abcdef.:[]%/-_xıſK\udcff\0 onioncalhost", max_size=70) | st.text(max_size=40)
CHAIN_HASHES = st.none() | st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(tuple)


def address_of(ip: str, port: int) -> Address:
    kind = AddressKind.IPV4 if ipaddress.ip_address(ip).version == 4 else AddressKind.IPV6
    return Address(kind, ip, port)


@given(WIDTHS, st.data())
def test_truncated_integers_go_round(width: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, 256**width - 1))
    assert decode_truncated(encode_truncated(value, width), width) == value


@given(WIDTHS, st.integers(-(2**70), 2**70))
def test_an_integer_is_encoded_or_out_of_range(width: int, value: int) -> None:
    for encode in (lambda: encode_truncated(value, width), lambda: encode_signed(value), lambda: encode_bigsize(value)):
        try:
            encode()
        except WireError:
            continue


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_integers_go_round(value: int) -> None:
    assert decode_signed(encode_signed(value)) == value


@given(st.binary(max_size=12), WIDTHS)
def test_what_is_decoded_is_the_one_spelling_of_it(data: bytes, width: int) -> None:
    with contextlib.suppress(WireError):
        assert encode_truncated(decode_truncated(data, width), width) == data
    with contextlib.suppress(WireError):
        assert encode_signed(decode_signed(data)) == data
    with contextlib.suppress(WireError):
        value, end = decode_bigsize(data)
        assert encode_bigsize(value) == data[:end]


@given(st.binary(max_size=60), st.sets(st.integers(0, 300)))
def test_a_tlv_stream_that_is_read_is_the_one_spelling_of_it(data: bytes, known: set[int]) -> None:
    try:
        records = parse_tlv_stream(data, known)
    except WireError:
        return
    assert encode_tlv_stream(records) == data


@given(U64)
def test_short_channel_ids_go_round(value: int) -> None:
    scid = ShortChannelId.from_int(value)
    assert int(scid) == value
    assert ShortChannelId.parse(str(scid)) == scid


@given(
    st.text("0123456789x", max_size=30)
    | st.text(max_size=20)
    | st.integers(0, 6_000).map(lambda count: "9" * count + "x1x1")
)
def test_any_text_is_a_short_channel_id_or_out_of_range(text: str) -> None:
    try:
        scid = ShortChannelId.parse(text)
    except WireError:
        return
    assert ShortChannelId.from_int(int(scid)) == scid


@given(st.binary(max_size=40), st.binary(max_size=40), CHAIN_HASHES, st.none() | st.tuples(IPS, PORTS))
def test_inits_go_round(
    global_features: bytes, features: bytes, networks: tuple[bytes, ...] | None, seen: tuple[str, int] | None
) -> None:
    init = Init(global_features, features, networks, None if seen is None else address_of(*seen))
    assert Init.decode(init.encode()) == init


@given(st.sampled_from([ErrorMessage, WarningMessage]), st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_errors_and_warnings_go_round_and_show_nothing_but_ascii(
    kind: type[ErrorMessage | WarningMessage], channel_id: bytes, data: bytes
) -> None:
    message = kind(channel_id, data)
    assert kind.decode(message.encode()) == message
    assert message.text.isascii()
    assert message.text.isprintable()


@given(st.sampled_from([Pong, PeerStorage, PeerStorageRetrieval]), st.binary(max_size=300))
def test_pongs_and_stored_blobs_go_round(kind: type[Pong | PeerStorage | PeerStorageRetrieval], blob: bytes) -> None:
    message = kind(blob)
    assert kind.decode(message.encode()) == message


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_features_break_what_is_asked_about_them(theirs: bytes, ours: bytes) -> None:
    refused = unacceptable_bit(theirs, ours)
    assert refused is None or (refused in bits(theirs) and refused % 2 == 0)
    assert unacceptable_bit(theirs, theirs) is None
    missing = missing_dependency(theirs)
    assert missing is None or not {missing[1], missing[1] + 1} & set(bits(theirs))
    assert set(bits(combine(theirs, ours))) == {*bits(theirs), *bits(ours)}
    assert from_bits(bits(theirs)) == theirs.lstrip(b"\0")
    assert all(feature_name(bit) for bit in bits(theirs))


@given(st.text("abcdefln", min_size=1, max_size=8), st.binary(max_size=40))
def test_bech32_has_the_data_in_it(prefix: str, data: bytes) -> None:
    text = bech32_encode(prefix, data)
    assert text.startswith(f"{prefix}1")
    digits = [LETTERS.index(letter) for letter in text[len(prefix) + 1 : -6]]
    number = 0
    for digit in digits:
        number = number << 5 | digit
    assert (number >> len(digits) * 5 - len(data) * 8).to_bytes(len(data), "big") == data


@given(IPS, PORTS)
def test_addresses_go_round_as_text(ip: str, port: int) -> None:
    address = address_of(ip, port)
    host, read_port = split_host_port(str(address))
    assert read_port == port
    assert parse_literal(host, port) == address


@given(LIKE_ADDRESSES, PORTS)
@example("/\0", 1)
@example("/\ud800", 1)
def test_any_text_is_an_address_that_can_be_used_or_refused_as_one(text: str, port: int) -> None:
    try:
        found = parse_literal(text, port)
    except AddressError:
        return
    if found is not None:
        assert "\0" not in found.host
        if found.kind is AddressKind.LOCAL:
            assert len(found.host.encode(errors="surrogateescape")) <= 107
        else:
            assert found.host.isascii() or "%" in found.host


def test_letters_that_only_look_like_an_onions_are_none() -> None:
    assert parse_literal("i" * 56 + ".onion", 1) is not None
    with pytest.raises(AddressError):
        parse_literal("ı" * 56 + ".onion", 1)


@given(st.text("0123456789abcdef ", min_size=66, max_size=66) | st.text(max_size=70))
def test_any_text_is_a_node_id_or_refused_as_one(text: str) -> None:
    try:
        assert parse_node_id(text).hex() == text.lower()
    except NodeIdError:
        return


@given(st.binary(min_size=32, max_size=32).filter(any))
def test_node_ids_go_round(secret: bytes) -> None:
    try:
        node_id = NodeKey(secret).node_id
    except ValueError:  # beyond the group's order
        return
    assert parse_node_id(node_id.hex()) == node_id
    assert parse_node_id(node_id.hex().upper()) == node_id


@given(st.binary(max_size=40))
def test_any_bytes_are_a_public_key_or_not(data: bytes) -> None:
    assert is_public_key(data) in (True, False)


@given(st.text(max_size=8) | st.integers(-9, 70_000).map(str))
def test_any_text_is_a_port_or_refused_as_one(text: str) -> None:
    try:
        assert str(parse_port(text)) == text.lstrip("0")
    except AddressError:
        return


@given(st.text(max_size=300))
def test_any_text_is_a_dns_name_or_not(text: str) -> None:
    assert not is_dns_name(text) or text.isascii()
