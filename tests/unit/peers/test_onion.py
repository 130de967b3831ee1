"""Our onion service: how Tor is spoken to, what happens when it goes, and what comes in through it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.base.clock import SystemClock
from core.base.events import Direction
from core.bolt.address import Address, AddressKind, parse_literal
from core.bolt.keys import NodeKey
from core.bolt.onion_key import OnionKey
from core.peers.errors import OnionServiceFailed
from core.peers.limits import Limits
from core.peers.onion import OnionConfig, OnionService
from core.peers.onion_protocol import MAX_LINES, ControlError, ReplyReader, auth_methods
from core.peers.reasons import CloseCode
from tests.support.peers import TestNode, node, until
from tests.support.raw_peer import RawPeer
from tests.support.tor_double import TorDouble, service_id, tor_double

KEY = OnionKey(b"\x07" * 32)
LIMITS = Limits(backoff_first_s=0.001, backoff_max_s=0.002)


def service(double: TorDouble, a: TestNode, password: bytes | None = None) -> OnionService:
    said = None if password is None else lambda: password
    config = OnionConfig("127.0.0.1", double.port, KEY, 9735, said)
    return OnionService(config, a.manager.incoming, SystemClock(), LIMITS)


@contextlib.asynccontextmanager
async def running(double: TorDouble, a: TestNode) -> AsyncIterator[OnionService]:
    onion = service(double, a)
    try:
        await onion.start()
        yield onion
    finally:
        await onion.aclose()


def door(double: TorDouble) -> Address:
    """Where Tor leads a caller to."""
    ((_, target),) = double.services.values()
    return target


# -- the key


def test_the_address_is_the_one_that_tor_makes_of_the_expanded_key() -> None:
    assert KEY.host == service_id(KEY.expanded()) + ".onion"
    address = parse_literal(KEY.host, 9735)
    assert address is not None
    assert address.kind is AddressKind.TORV3


def test_the_key_shows_itself_nowhere() -> None:
    shown = repr(KEY) + str(KEY) + f"{KEY}"
    assert shown == f"OnionKey({KEY.host})" * 3
    with pytest.raises(TypeError):
        KEY.__reduce__()


# -- the protocol


def test_an_answer_is_whole_with_its_last_line() -> None:
    reader = ReplyReader()
    assert reader.take(b"250-AUTH METHODS=NULL\r\n") is None
    reply = reader.take(b"250 OK\r\n")
    assert reply is not None
    assert (reply.code, reply.lines) == (250, ("AUTH METHODS=NULL", "OK"))


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"250", b"250 OK", b"250+data=\r\n", b"\xb2\xb3\xb9 OK\r\n"]
)
def test_what_is_no_answer_of_tors(line: bytes) -> None:
    with pytest.raises(ControlError, match="not Tor's control port"):
        ReplyReader().take(line)


def test_an_answer_without_end_is_not_kept() -> None:
    reader = ReplyReader()
    for _ in range(MAX_LINES - 1):
        assert reader.take(b"250-more\r\n") is None
    with pytest.raises(ControlError, match="too long"):
        reader.take(b"250-more\r\n")


def test_the_cookies_path_is_read_as_tor_escapes_it() -> None:
    reader = ReplyReader()
    reader.take(b'250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="/a \\"b\\"\\\\c\\303\\244"\r\n')
    reply = reader.take(b"250 OK\r\n")
    assert reply is not None
    found = auth_methods(reply)
    assert found.cookie_file == '/a "b"\\c\u00e4'
    assert found.methods == {"COOKIE", "SAFECOOKIE"}


# -- the service


async def test_tor_gets_the_service_and_loses_it_with_us(tmp_path: Path) -> None:
    async with tor_double(tmp_path) as double, node(listen=False) as a:
        async with running(double, a) as onion:
            assert onion.is_up
            (made,) = double.services
            assert f"{made}.onion" == KEY.host == onion.address.host
            assert double.services[made][0] == 9735
            target = door(double)
            assert target.host == "127.0.0.1"
            assert a.manager.bound == (), "its listener is its own"
        assert not onion.is_up
        assert double.services == {}
        assert double.commands == ["PROTOCOLINFO", "AUTHCHALLENGE", "AUTHENTICATE", "ADD_ONION", "DEL_ONION", "QUIT"]
        with pytest.raises(OSError):
            await asyncio.open_connection(target.host, target.port)


@pytest.mark.parametrize(("methods", "password"), [("NULL", None), ("HASHEDPASSWORD,COOKIE", b'p "w\xc3\xa4')])
async def test_other_ways_to_authenticate(tmp_path: Path, methods: str, password: bytes | None) -> None:
    async with tor_double(tmp_path) as double, node(listen=False) as a:
        double.methods, double.password = methods, password or b""
        onion = service(double, a, password)
        await onion.start()
        assert len(double.services) == 1
        await onion.aclose()


async def fails(double: TorDouble, a: TestNode, password: bytes | None = None) -> str:
    """The reason; afterwards nothing is left of it."""
    onion = service(double, a, password)
    with pytest.raises(OnionServiceFailed) as caught:
        await onion.start()
    await onion.aclose()
    await until(lambda: not double.connections)
    assert double.services == {}
    assert caught.value.control == f"127.0.0.1:{double.port}"
    blob = base64.b64encode(KEY.expanded()).decode()
    assert blob not in str(caught.value)
    return caught.value.reason


async def test_each_failure_is_told_in_plain_words(tmp_path: Path) -> None:
    async with tor_double(tmp_path) as double, node(listen=False) as a:
        double.knows_cookie = False
        assert await fails(double, a) == "what answers there does not know Tor's cookie"
        assert "AUTHENTICATE" not in double.commands, "nothing is said to one who is not Tor"
        double.knows_cookie = True
        double.answers = {"ADD_ONION": b"550 Onion address collision\r\n"}
        assert await fails(double, a) == "Tor answers ADD_ONION with 550 Onion address collision"
        double.answers = {"ADD_ONION": b"250-ServiceID=" + b"a" * 56 + b"\r\n250 OK\r\n"}
        assert await fails(double, a) == "Tor made another onion address than ours"
        double.answers = {"AUTHCHALLENGE": b"250 AUTHCHALLENGE SERVERHASH=00 SERVERNONCE=00\r\n"}
        assert await fails(double, a) == "Tor's answer to AUTHCHALLENGE makes no sense"
        double.answers = {"PROTOCOLINFO": b"SSH-2.0-OpenSSH\r\n"}
        assert await fails(double, a) == "what answers there is not Tor's control port"
        double.answers = {"PROTOCOLINFO": b"2" * 100_000}
        assert await fails(double, a) == "a line of Tor's answer is too long"
        double.answers, double.hangs_up_at = {"PROTOCOLINFO": b""}, "PROTOCOLINFO"
        assert await fails(double, a) == "Tor closed the connection"
        double.answers, double.hangs_up_at = {}, ""
        double.methods = "COOKIE"
        assert await fails(double, a) == "Tor offers no way to authenticate that is known here"
        double.methods = "HASHEDPASSWORD"
        assert await fails(double, a) == "Tor wants a password: --tor-control-password-file FILE"
        double.password = b"right"
        assert (await fails(double, a, b"wrong")).startswith("Tor answers AUTHENTICATE with 515 ")
        double.methods = "SAFECOOKIE,COOKIE"
        assert await fails(double, a, b"right") == "Tor has no HashedControlPassword"
        double.cookie_file.write_bytes(b"x" * 33)
        assert (await fails(double, a)).endswith("is not Tor's cookie")
        double.cookie_file.unlink()
        assert (await fails(double, a)).endswith("cannot be read: No such file or directory")


async def test_no_tor_at_all(tmp_path: Path) -> None:
    async with tor_double(tmp_path) as double:
        pass
    async with node(listen=False) as a:
        assert await fails(double, a) == "Connection refused"


async def test_a_lost_control_port_is_asked_again_until_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with node(listen=False) as a, tor_double(tmp_path) as double, running(double, a) as onion:
        keeping = asyncio.create_task(onion.run())
        target = door(double)
        double.answers = {"ADD_ONION": b"551 Not now\r\n"}
        double.drop()
        await until(lambda: double.commands.count("ADD_ONION") >= 4)
        assert not onion.is_up
        assert double.services == {}
        assert "has gone" in caplog.text
        assert "551 Not now" in caplog.text
        double.answers = {}
        await until(lambda: onion.is_up)
        assert door(double) == target, "the listener stood all the while"
        keeping.cancel()
        await asyncio.wait([keeping])


# -- who comes in


async def test_a_caller_is_incoming_and_is_not_told_an_address(tmp_path: Path) -> None:
    async with node() as a, tor_double(tmp_path) as double, running(double, a) as onion:
        for address, told in ((door(double), False), (a.address, True)):
            assert address is not None
            key = NodeKey.generate()
            async with RawPeer.dialled(key, a.node_id, address.host, address.port) as peer:
                init = await peer.exchange_init()
                assert (init.remote_addr is not None) is told
                await until(lambda key=key: a.manager.peer(key.node_id) is not None)
                info = a.manager.peer(key.node_id)
                assert info is not None
                assert info.direction is Direction.IN
                assert (info.address == onion.address) is not told


async def test_only_a_ban_of_the_id_is_about_a_caller(tmp_path: Path) -> None:
    async with node(listen=False) as a, tor_double(tmp_path) as double, running(double, a):
        key, target = NodeKey.generate(), door(double)
        async with RawPeer.dialled(key, a.node_id, target.host, target.port) as peer:
            await peer.exchange_init()
            await until(lambda: a.manager.peer(key.node_id) is not None)
            await a.manager.ban("127.0.0.0/8", a.clock.time() + 60)
            assert a.manager.peer(key.node_id) is not None
        async with RawPeer.dialled(NodeKey.generate(), a.node_id, target.host, target.port) as peer:
            await peer.exchange_init()
        await a.closed(count=2)
        await a.manager.ban(key.node_id.hex(), a.clock.time() + 60)
        async with RawPeer.dialled(key, a.node_id, target.host, target.port):
            await a.closed(CloseCode.BANNED, count=3)


async def test_callers_have_a_limit_of_their_own(tmp_path: Path) -> None:
    async with (
        node(unauthenticated_by_onion=2, unauthenticated_per_host=3) as a,
        tor_double(tmp_path) as double,
        running(double, a),
    ):
        target = door(double)
        silent = [await asyncio.open_connection(target.host, target.port) for _ in range(3)]
        await a.closed(CloseCode.REFUSED)
        assert len(a.manager._sessions) == 2
        silent += [await asyncio.open_connection(a.host, a.port) for _ in range(3)]
        await until(lambda: len(a.manager._sessions) == 5)
        for _, writer in silent:
            writer.close()
