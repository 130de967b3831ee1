"""Announcements of BOLT 7: layout to the byte, every byte kept, what is signed, the checksum of an update."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from coincurve import PrivateKey, PublicKey
from hypothesis import given
from hypothesis import strategies as st

from core.bolt.address import AddressKind
from core.bolt.addresses import Descriptor
from core.bolt.gossip import (
    AnnouncementSignatures,
    ChannelAnnouncement,
    ChannelUpdate,
    NodeAnnouncement,
    signed_part,
    update_checksum,
)
from core.bolt.networks import NETWORKS
from core.bolt.wire import MAX_MESSAGE_BYTES, OutOfRange, ShortChannelId, Truncated, WireError
from tests.support.announcements import compact_verifies

CHAIN = NETWORKS["regtest"].chain_hash
SCID = ShortChannelId(103, 1, 0)
KEYS = [PrivateKey(bytes([number]) * 32) for number in (1, 2, 3, 4)]
NODE_1, NODE_2, BITCOIN_1, BITCOIN_2 = (key.public_key.format() for key in KEYS)
UPDATE = ChannelUpdate(
    signature=b"\x51" * 64,
    chain_hash=CHAIN,
    short_channel_id=SCID,
    timestamp=0x5D50F933,
    message_flags=1,
    channel_flags=3,
    cltv_expiry_delta=144,
    htlc_minimum_msat=1,
    fee_base_msat=1000,
    fee_proportional_millionths=10,
    htlc_maximum_msat=100_000,
)
CHANNEL = ChannelAnnouncement(
    b"\x01" * 64, b"\x02" * 64, b"\x03" * 64, b"\x04" * 64, b"\x80", CHAIN, SCID, NODE_1, NODE_2, BITCOIN_1, BITCOIN_2
)
NODE = NodeAnnouncement(
    b"\x61" * 64,
    b"\x02\xa2",
    1_700_000_000,
    NODE_1,
    b"\x12\x34\x56",
    b"SLEEPYWATCH".ljust(32, b"\x00"),
    (Descriptor(1, bytes.fromhex("7f0000012607")),),
)
HALF = AnnouncementSignatures(b"\x77" * 32, SCID, b"\x01" * 64, b"\x02" * 64)
ALL = [CHANNEL, NODE, UPDATE, HALF]
SCID_HEX = "000067" + "000001" + "0000"


def test_an_update_lies_as_the_specification_says() -> None:
    expected = (
        "0102"
        + "51" * 64
        + CHAIN.hex()
        + SCID_HEX
        + "5d50f933"
        + "01"
        + "03"
        + "0090"
        + "0000000000000001"
        + "000003e8"
        + "0000000a"
        + "00000000000186a0"
    )
    assert UPDATE.encode().hex() == expected
    assert (UPDATE.direction, UPDATE.disabled, UPDATE.dont_forward) == (1, True, False)
    assert not replace(UPDATE, channel_flags=1).disabled
    other = replace(UPDATE, channel_flags=0xFC, message_flags=2)
    assert (other.direction, other.disabled, other.dont_forward) == (0, False, True)


def test_a_channel_announcement_lies_as_the_specification_says() -> None:
    expected = "0100" + "01" * 64 + "02" * 64 + "03" * 64 + "04" * 64 + "0001" + "80" + CHAIN.hex() + SCID_HEX
    assert CHANNEL.encode().hex() == expected + (NODE_1 + NODE_2 + BITCOIN_1 + BITCOIN_2).hex()


def test_a_node_announcement_lies_as_the_specification_says() -> None:
    expected = "0101" + "61" * 64 + "0002" + "02a2" + "6553f100" + NODE_1.hex() + "123456" + NODE.alias.hex()
    assert NODE.encode().hex() == expected + "0007" + "01" + "7f000001" + "2607"
    (address,) = NODE.usable_addresses
    assert (address.kind, address.port) == (AddressKind.IPV4, 9735)
    assert NODE.may_be_forwarded


def test_announcement_signatures_lie_as_the_specification_says() -> None:
    assert HALF.encode().hex() == "0103" + "77" * 32 + SCID_HEX + "01" * 64 + "02" * 64


@pytest.mark.parametrize("value", ALL, ids=lambda value: type(value).__name__)
def test_every_cut_is_refused_and_what_is_appended_is_kept(value: Any) -> None:
    message = value.encode()
    assert type(value).decode(message) == value
    for length in range(len(message)):
        with pytest.raises(Truncated):
            type(value).decode(message[:length])
    longer = message + b"\x07\x01later"
    again = type(value).decode(longer)
    assert again.encode() == (message if value is HALF else longer)


@pytest.mark.parametrize("value", ALL, ids=lambda value: type(value).__name__)
def test_another_type_is_refused(value: Any) -> None:
    with pytest.raises(OutOfRange):
        type(value).decode(b"\x00\x10" + value.encode()[2:])


@pytest.mark.parametrize(
    "wrong",
    [
        replace(UPDATE, signature=bytes(63)),
        replace(UPDATE, chain_hash=bytes(33)),
        replace(UPDATE, timestamp=1 << 32),
        replace(UPDATE, cltv_expiry_delta=-1),
        replace(UPDATE, htlc_maximum_msat=1 << 64),
        replace(UPDATE, rest=bytes(MAX_MESSAGE_BYTES)),
        replace(CHANNEL, node_id_2=bytes(32)),
        replace(CHANNEL, bitcoin_signature_2=bytes(65)),
        replace(CHANNEL, short_channel_id=ShortChannelId(1 << 24, 0, 0)),
        replace(CHANNEL, features=bytes(65_535)),
        replace(CHANNEL, features=bytes(65_536)),
        replace(NODE, alias=b"short"),
        replace(NODE, rgb_color=b"\x00\x00"),
        replace(NODE, timestamp=-1),
        replace(HALF, channel_id=b""),
    ],
)
def test_what_fits_no_field_is_not_written(wrong: Any) -> None:
    with pytest.raises(OutOfRange):
        wrong.encode()


def test_a_message_as_long_as_the_transport_carries_is_written() -> None:
    rest = bytes(MAX_MESSAGE_BYTES - len(UPDATE.encode()))
    assert len(replace(UPDATE, rest=rest).encode()) == MAX_MESSAGE_BYTES


def test_addresses_that_do_not_fill_their_length_are_refused() -> None:
    message = bytearray(NODE.encode())
    message[-8] -= 1
    with pytest.raises(Truncated):
        NodeAnnouncement.decode(bytes(message))


bytes_of = lambda size: st.binary(min_size=size, max_size=size)
u8, u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64))
scids = u64.map(ShortChannelId.from_int)


@given(
    st.builds(
        ChannelUpdate, bytes_of(64), bytes_of(32), scids, u32, u8, u8, u16, u64, u32, u32, u64, st.binary(max_size=50)
    )
)
def test_updates_go_round(update: ChannelUpdate) -> None:
    assert ChannelUpdate.decode(update.encode()) == update


@given(
    st.builds(
        ChannelAnnouncement,
        *[bytes_of(64)] * 4,
        st.binary(max_size=300),
        bytes_of(32),
        scids,
        *[bytes_of(33)] * 4,
        st.binary(max_size=50),
    )
)
def test_channel_announcements_go_round(channel: ChannelAnnouncement) -> None:
    assert ChannelAnnouncement.decode(channel.encode()) == channel


@given(st.builds(AnnouncementSignatures, bytes_of(32), scids, bytes_of(64), bytes_of(64)))
def test_announcement_signatures_go_round(half: AnnouncementSignatures) -> None:
    assert AnnouncementSignatures.decode(half.encode()) == half


@given(st.sampled_from([256, 257, 258, 259]), st.binary(max_size=700))
def test_any_bytes_are_a_value_or_a_wire_error(type_: int, body: bytes) -> None:
    message = type_.to_bytes(2, "big") + body
    decoder = {256: ChannelAnnouncement, 257: NodeAnnouncement, 258: ChannelUpdate, 259: AnnouncementSignatures}[type_]
    try:
        value = decoder.decode(message)
    except WireError:
        return
    again = value.encode()
    assert message.startswith(again) if type_ == 259 else message == again


@given(
    bytes_of(64),
    st.binary(max_size=40),
    u32,
    bytes_of(33),
    st.lists(
        st.one_of(
            st.builds(Descriptor, st.just(1), bytes_of(6)),
            st.builds(Descriptor, st.just(2), bytes_of(18)),
            st.builds(Descriptor, st.just(4), bytes_of(37)),
        ),
        max_size=5,
    ),
    st.builds(Descriptor, st.integers(6, 255), st.binary(max_size=30)),
    st.binary(max_size=50),
)
def test_node_announcements_go_round(
    signature: bytes,
    features: bytes,
    timestamp: int,
    node_id: bytes,
    known: list[Descriptor],
    unknown: Descriptor,
    rest: bytes,
) -> None:
    node = NodeAnnouncement(signature, features, timestamp, node_id, b"rgb", bytes(32), (*known, unknown), rest)
    assert NodeAnnouncement.decode(node.encode()) == node


def sign(message: bytes, skipped: int, key: PrivateKey) -> bytes:
    return key.sign_recoverable(hashlib.sha256(message[skipped:]).digest())[:64]


@pytest.mark.parametrize("rest", [b"", b"\x01\x02later"])
def test_the_signed_part_of_a_channel_announcement_verifies_with_its_four_keys(rest: bytes) -> None:
    message = replace(CHANNEL, rest=rest).encode()
    names = ("node_signature_1", "node_signature_2", "bitcoin_signature_1", "bitcoin_signature_2")
    signatures = {name: sign(message, 258, key) for name, key in zip(names, KEYS, strict=True)}
    genuine = replace(CHANNEL, rest=rest, **signatures).encode()
    digest, checks = signed_part(genuine)
    assert [key for _, key in checks] == [NODE_1, NODE_2, BITCOIN_1, BITCOIN_2]
    assert all(compact_verifies(digest, signature, key) for signature, key in checks)
    other = signed_part(genuine[:-1] + bytes([genuine[-1] ^ 1]))
    assert not compact_verifies(other.digest, other.checks[0][0], NODE_1)


def test_the_signed_part_of_a_node_announcement_verifies_with_its_id() -> None:
    for node in (NODE, replace(NODE, rest=b"later", features=b"", addresses=())):
        genuine = replace(node, signature=sign(node.encode(), 66, KEYS[0])).encode()
        digest, ((signature, key),) = signed_part(genuine)
        assert key == NODE_1
        assert compact_verifies(digest, signature, key)
        assert digest == hashlib.sha256(hashlib.sha256(genuine[66:]).digest()).digest()


def test_an_update_verifies_with_the_id_that_its_direction_means() -> None:
    genuine = replace(UPDATE, signature=sign(UPDATE.encode(), 66, KEYS[1])).encode()
    digest, ((signature, key),) = signed_part(genuine, NODE_2)
    assert key == NODE_2
    assert compact_verifies(digest, signature, key)
    assert not compact_verifies(digest, signature, NODE_1)
    assert PublicKey(key)
    with pytest.raises(ValueError, match="who signed"):
        signed_part(genuine)


def test_what_bears_no_signature_has_no_signed_part() -> None:
    with pytest.raises(ValueError, match="type 265"):
        signed_part(b"\x01\x09" + bytes(40))


@pytest.mark.parametrize(("value", "needed"), [(CHANNEL, 432 + 1 - 2), (NODE, 66 + 2 + 2 + 4 + 33), (UPDATE, 66)])
def test_a_signed_part_cut_short_is_refused(value: Any, needed: int) -> None:
    message = value.encode()
    for length in range(needed):
        with pytest.raises(Truncated):
            signed_part(message[:length], NODE_1)
    if value is not CHANNEL:
        assert signed_part(message[:needed], NODE_1)


def crc32c(data: bytes) -> int:
    """Bit by bit, as RFC 3720 defines it."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_the_checksum_leaves_out_type_signature_and_timestamp() -> None:
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    message = replace(UPDATE, rest=b"later").encode()
    assert update_checksum(message) == crc32c(message[66:106] + message[110:])


def test_the_checksum_changes_with_the_terms_alone() -> None:
    same = update_checksum(UPDATE.encode())
    assert update_checksum(replace(UPDATE, signature=bytes(64), timestamp=0).encode()) == same
    for change in ({"fee_base_msat": 1}, {"channel_flags": 1}, {"rest": b"x"}, {"htlc_maximum_msat": 5}):
        assert update_checksum(replace(UPDATE, **change).encode()) != same
    with pytest.raises(Truncated):
        update_checksum(UPDATE.encode()[:109])
    assert update_checksum(UPDATE.encode()[:110]) == crc32c(UPDATE.encode()[66:106])
