"""Address descriptors of node announcements: every type, the unknown kept, what may be dialled and passed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bolt.address import Address, AddressKind
from core.bolt.addresses import (
    Descriptor,
    ascending,
    decode_descriptors,
    encode_descriptors,
    may_be_forwarded,
    usable,
)
from core.bolt.wire import OutOfRange, Truncated

PORT = "2607"
V4 = "01" + "7f000001" + PORT
V6 = "02" + "20010db8" + "00" * 11 + "01" + PORT
TORV2 = "03" + "11" * 10 + PORT
TORV3 = "04" + "00" * 34 + "03" + PORT
NAME = "05" + "0b" + b"example.org".hex() + PORT
UNKNOWN = "09" + "aabb" + V4
ONION = "a" * 55 + "d.onion"


def descriptors(*parts: str) -> tuple[Descriptor, ...]:
    return decode_descriptors(bytes.fromhex("".join(parts)))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (V4, Address(AddressKind.IPV4, "127.0.0.1", 9735)),
        (V6, Address(AddressKind.IPV6, "2001:db8::1", 9735)),
        (TORV3, Address(AddressKind.TORV3, ONION, 9735)),
        (NAME, Address(AddressKind.DNS, "example.org", 9735)),
        (TORV2, None),
        (UNKNOWN, None),
    ],
)
def test_each_type_says_where_it_can_be_dialled(part: str, expected: Address | None) -> None:
    (found,) = descriptors(part)
    assert found.address == expected
    assert found.encode() == bytes.fromhex(part)
    if expected is not None:
        assert Descriptor.of(expected) == found


@pytest.mark.parametrize("part", [V4, V6, NAME])
def test_port_zero_is_passed_over(part: str) -> None:
    (found,) = descriptors(part[:-4] + "0000")
    assert found.address is None


@pytest.mark.parametrize("name", [b"ex\xc3\xa4mple.org", b"", b"a b", b"x\x00y", b"a..b"])
def test_a_name_that_is_none_is_kept_and_not_dialled(name: bytes) -> None:
    data = b"\x05" + bytes([len(name)]) + name + b"\x26\x07"
    (found,) = decode_descriptors(data)
    assert found.address is None
    assert found.encode() == data


def test_an_unknown_type_takes_the_rest_and_hides_what_follows() -> None:
    found = descriptors(V6, UNKNOWN)
    assert [descriptor.type for descriptor in found] == [2, 9]
    assert found[1].data.hex() == UNKNOWN[2:]
    assert [address.kind for address in usable(found)] == [AddressKind.IPV6]


@pytest.mark.parametrize("part", [V4, V6, TORV2, TORV3, NAME])
def test_a_known_type_cut_short_is_refused_at_every_length(part: str) -> None:
    data = bytes.fromhex(part)
    for length in range(1, len(data)):
        with pytest.raises(Truncated):
            decode_descriptors(data[:length])


def test_of_two_names_the_first_counts_and_nothing_is_passed_on() -> None:
    other = "05" + "01" + b"b".hex() + PORT
    found = descriptors(V4, NAME, other)
    assert [address.host for address in usable(found)] == ["127.0.0.1", "example.org"]
    assert not may_be_forwarded(found)
    assert may_be_forwarded(descriptors(V4, NAME))


def test_our_own_are_ascending_without_doubles_and_with_one_name() -> None:
    (name,), (v4,) = usable(descriptors(NAME)), usable(descriptors(V4))
    found = ascending([name, Address(AddressKind.DNS, "zzz.example.org", 1), v4, v4])
    assert [descriptor.type for descriptor in found] == [1, 5]
    assert found == descriptors(V4, NAME)


@pytest.mark.parametrize(
    "address",
    [
        Address(AddressKind.LOCAL, "/run/ln.sock", 0),
        Address(AddressKind.LOCAL, "/run/ln.sock", 1),
        Address(AddressKind.UNRESOLVED, "example.org", 9735),
        Address(AddressKind.IPV4, "1.2.3.4", 0),
        Address(AddressKind.IPV4, "1.2.3.4", 65_536),
        Address(AddressKind.IPV4, "example.org", 9735),
        Address(AddressKind.TORV3, "short.onion", 9735),
        Address(AddressKind.DNS, "a b", 9735),
    ],
)
def test_what_cannot_be_announced_is_refused(address: Address) -> None:
    with pytest.raises(OutOfRange):
        Descriptor.of(address)


def test_a_type_beyond_a_byte_is_refused() -> None:
    with pytest.raises(OutOfRange):
        Descriptor(256, b"").encode()


@given(st.binary(max_size=200))
def test_whatever_is_read_is_written_again(data: bytes) -> None:
    try:
        found = decode_descriptors(data)
    except Truncated:
        return
    assert encode_descriptors(found) == data
    for address in usable(found):
        assert usable([Descriptor.of(address)]) == (address,)


def test_of_a_flood_of_addresses_a_thousand_are_read_and_all_kept() -> None:
    data = bytes.fromhex(V4) * 1000
    assert len(usable(decode_descriptors(data))) == 1000
    assert may_be_forwarded(decode_descriptors(data))
    for more in (bytes.fromhex(V4) * 2, bytes.fromhex(NAME) * 2, b"\x01"):
        found = decode_descriptors(data + more)
        assert len(found) == 1001
        assert len(usable(found)) == 1000
        assert encode_descriptors(found) == data + more
        assert not may_be_forwarded(found)


def test_a_descriptor_of_the_wrong_length_is_no_address() -> None:
    for wrong in (Descriptor(1, bytes(5) + b"\x01" * 2), Descriptor(5, b""), Descriptor(5, b"\x02a\x26\x07")):
        assert not wrong.is_known
        assert wrong.address is None


@pytest.mark.parametrize("before", ["", V4])
def test_zeros_behind_the_addresses_are_one_descriptor_of_a_type_that_nobody_knows(before: str) -> None:
    """BOLT 7 once had type 0 as padding of no length: read so, one message would hold 65,000 of them."""
    data = bytes.fromhex(before) + bytes(65_000)
    *known, padding = decode_descriptors(data)
    assert padding == Descriptor(0, bytes(64_999))
    assert (padding.is_known, padding.address) == (False, None)
    assert encode_descriptors([*known, padding]) == data
    assert len(usable([*known, padding])) == len(known) == bool(before)
    assert may_be_forwarded([*known, padding])
