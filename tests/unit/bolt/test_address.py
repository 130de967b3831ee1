"""Node ids and addresses as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bolt.address import (
    Address,
    AddressError,
    AddressKind,
    NodeIdError,
    is_dns_name,
    parse_literal,
    parse_node_id,
    split_host_port,
)
from core.bolt.keys import NodeKey

ONION = "4acth47i6kxnvkewtm6q7ib2s3ufpo5sqbsnzjpbi7utijcltosqemad.onion"


def test_a_node_id_is_read_in_either_case() -> None:
    node_id = NodeKey.generate().node_id
    assert parse_node_id(node_id.hex()) == node_id
    assert parse_node_id(node_id.hex().upper()) == node_id


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("02ab", "66 characters, this has 4"),
        ("zz" * 33, "hex digits only"),
        ("02" + " " * 2 + "ab" * 31, "hex digits only"),
        ("05" + "11" * 32, "start with 02 or 03"),
        ("02" + "ff" * 32, "not a point"),
    ],
)
def test_what_is_no_node_id_says_why(text: str, reason: str) -> None:
    with pytest.raises(NodeIdError, match=reason):
        parse_node_id(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("1.2.3.4", "1.2.3.4", None),
        ("1.2.3.4:1", "1.2.3.4", 1),
        ("[::1]", "::1", None),
        ("[::1]:65535", "::1", 65535),
        ("::1:1", "::1:1", None),
        ("example.com:9735", "example.com", 9735),
        ("127.0.0.1:", "127.0.0.1:", None),
        ("", "", None),
    ],
)
def test_hosts_and_ports_split_as_in_core_lightning(text: str, host: str, port: int | None) -> None:
    assert split_host_port(text) == (host, port)


@pytest.mark.parametrize("text", ["1.2.3.4:0", "1.2.3.4:70000", "1.2.3.4:9735x", "[::1", "[::1]x", "a:+1", "a:²"])
def test_a_bad_port_or_bracket_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        split_host_port(text)


@pytest.mark.parametrize(
    ("host", "kind", "printed"),
    [
        ("127.0.0.1", AddressKind.IPV4, "127.0.0.1:9735"),
        ("localhost", AddressKind.IPV4, "127.0.0.1:9735"),
        ("::1", AddressKind.IPV6, "[::1]:9735"),
        ("ip6-localhost", AddressKind.IPV6, "[::1]:9735"),
        (ONION, AddressKind.TORV3, f"{ONION}:9735"),
        (ONION.upper(), AddressKind.TORV3, f"{ONION}:9735"),
        ("/run/peer.sock", AddressKind.LOCAL, "/run/peer.sock"),
    ],
)
def test_literals_need_no_resolving_and_print_as_in_core_lightning(host: str, kind: AddressKind, printed: str) -> None:
    address = parse_literal(host, 9735)
    assert address is not None
    assert (address.kind, str(address)) == (kind, printed)


@pytest.mark.parametrize("host", ["example.com", "dns:example.com", "1.2.3.4.5", "127.0.0.1:"])
def test_names_are_left_to_be_resolved(host: str) -> None:
    assert parse_literal(host, 9735) is None


@pytest.mark.parametrize(
    ("host", "reason"), [("expyuzz4wqqyqhjn.onion", "Invalid Tor address"), ("/" + "x" * 107, "Socket name too long")]
)
def test_what_can_never_be_an_address_says_so_in_core_lightnings_words(host: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        parse_literal(host, 9735)


def test_a_local_socket_may_have_as_long_a_path_as_the_system_takes() -> None:
    longest = "/" + "x" * 106
    assert parse_literal(longest, 9735) == Address(AddressKind.LOCAL, longest, 0)


def test_ports_reach_to_the_ends_of_their_range() -> None:
    assert split_host_port("a:1") == ("a", 1)
    assert split_host_port("a:65535") == ("a", 65_535)
    for port in ("0", "65536", "065535"):
        with pytest.raises(AddressError):
            split_host_port(f"a:{port}")


def test_dns_names_reach_to_the_ends_of_their_lengths() -> None:
    longest = ".".join(["x" * 63] * 4)
    one_more = ".".join(["x" * 63] * 3 + ["x" * 62, "y"])
    assert (len(longest), len(one_more)) == (255, 256)
    assert is_dns_name(longest)
    assert not is_dns_name(one_more)


def test_addresses_come_from_what_the_socket_says() -> None:
    assert str(Address.from_socket_name(("10.0.0.1", 5))) == "10.0.0.1:5"
    assert str(Address.from_socket_name(("::ffff:10.0.0.1", 5, 0, 0))) == "10.0.0.1:5"
    assert str(Address.from_socket_name(("fe80::1%eth0", 5, 0, 2))) == "[fe80::1]:5"


@pytest.mark.parametrize("name", ["example.com", "a-b.example", "_dmarc.example", "x" * 63 + ".org", "localhost."])
def test_dns_names_are_known(name: str) -> None:
    assert is_dns_name(name)


@pytest.mark.parametrize("name", ["", ".", "a..b", "-a.b", "a-.b", "a._b", "x" * 64, "ä.de", "a b", "x." * 128])
def test_what_is_no_dns_name_is_known(name: str) -> None:
    assert not is_dns_name(name)


@given(st.text(max_size=60))
def test_any_text_is_split_or_refused_with_an_address_error(text: str) -> None:
    try:
        host, port = split_host_port(text)
        parse_literal(host, port or 9735)
    except AddressError:
        return
    assert len(host) <= len(text)
