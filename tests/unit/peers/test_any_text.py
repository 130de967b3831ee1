"""What people write as the subject of a ban, and what Tor's control port may answer: values, or our own refusals."""

from __future__ import annotations

import contextlib
import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.bolt.onion_key import OnionKey
from core.peers.bans import banned_node, covers, parse_subject
from core.peers.onion_protocol import (
    ControlError,
    Reply,
    ReplyReader,
    add_onion,
    auth_methods,
    authenticate_by_cookie,
    check_service,
)

IPS = (st.ip_addresses(v=4) | st.ip_addresses(v=6)).map(str)
REPLIES = st.lists(st.binary(max_size=60).map(lambda line: line + b"\r\n"), max_size=5)
KEY = OnionKey(bytes(32))


@given(st.text("0123456789abcdef.:/%-x", max_size=50) | st.text(max_size=70))
@example("0" * 66)
@example("02" + "ff" * 32)
@example("::ffff:1.2.3.4/96")
@example("1.2.3.4/" + "9" * 5_000)
def test_any_text_is_a_subject_in_its_one_spelling_or_refused(text: str) -> None:
    try:
        subject = parse_subject(text)
    except ValueError as refused:
        assert not isinstance(refused, UnicodeError)  # noqa: PT017
        return
    assert parse_subject(subject) == subject


@given(IPS, st.integers(0, 128))
def test_a_range_covers_the_address_it_was_made_of(ip: str, prefix: int) -> None:
    kind = AddressKind.IPV6 if ":" in ip else AddressKind.IPV4
    length = prefix if kind is AddressKind.IPV6 else prefix % 33
    if ipaddress.ip_address(ip) in ipaddress.ip_network("::ffff:0:0/96"):
        length = max(96, length)  # it is shown as IPv4, which no wider range of IPv6 is about
    for text in (ip, f"{ip}/{length}"):
        assert covers(parse_subject(text), None, Address.from_socket_name((ip, 1)))


@given(st.binary(min_size=31, max_size=31))
def test_a_node_id_goes_round(secret: bytes) -> None:
    node_id = NodeKey(b"\1" + secret).node_id
    assert banned_node(parse_subject(node_id.hex().upper())) == node_id


@given(REPLIES | st.lists(st.binary(max_size=30), max_size=5))
@example([b"abc OK\r\n"])
@example([b"250-x\r\n"] * 100)
def test_any_lines_are_an_answer_or_refused(lines: list[bytes]) -> None:
    reader = ReplyReader()
    for line in lines:
        try:
            reader.take(line)
        except ControlError:
            return


@given(st.integers(0, 999), st.lists(st.text(max_size=80), min_size=1, max_size=4), st.binary(min_size=32, max_size=32))
@example(250, ['AUTH METHODS=SAFECOOKIE COOKIEFILE="/\\777"'], bytes(32))
def test_any_answer_is_understood_or_refused(code: int, lines: list[str], cookie: bytes) -> None:
    reply = Reply(code, tuple(lines))
    for look in (
        lambda: auth_methods(reply),
        lambda: authenticate_by_cookie(reply, cookie, bytes(32)),
        lambda: check_service(reply, KEY),
    ):
        with contextlib.suppress(ControlError):
            look()


@given(st.binary(max_size=20).map(lambda path: path.replace(b'"', b"").replace(b"\\", b"")))
@example("/ä/cookie".encode())
@example(b"\xff")
def test_the_path_of_the_cookie_is_understood_or_refused_whatever_bytes_it_has(path: bytes) -> None:
    reader = ReplyReader()
    line = b'250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="' + path + b'"\r\n'
    try:
        reader.take(line)
        reply = reader.take(b"250 OK\r\n")
        assert reply is not None
        auth_methods(reply)
    except ControlError:
        return


@given(st.binary(min_size=32, max_size=32))
def test_an_onion_key_asks_for_its_own_address(seed: bytes) -> None:
    key = OnionKey(seed)
    service = key.host.removesuffix(".onion")
    assert "ED25519-V3:" in add_onion(key, 9735, "127.0.0.1:1")
    check_service(Reply(250, (f"ServiceID={service}", "OK")), key)
