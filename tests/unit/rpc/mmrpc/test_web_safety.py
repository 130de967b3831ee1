"""No web page reaches mmrpc: refused before the body is read, and none of it counts as an attempt."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import unicodedata
from unittest import mock

import aiohttp
import pytest

from core.rpc.mmrpc.guard import (
    ATTEMPTS,
    MAX_ADDRESSES,
    MAX_COMPOSED_CHARACTERS,
    Attempts,
    RpcPassword,
    page_fault,
    password_fault,
)
from tests.unit.rpc.mmrpc.parts import PASSWORD, STATUS, served

PAGE = "http://localhost:3000"
REQUEST = {"mmrpc": "2.0", "userpass": PASSWORD, "method": STATUS, "params": {"task_id": 1}}


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: localhost\r\nOrigin: https://evil.example\r\n",
        b"Host: localhost\r\nOrigin: null\r\n",
        b"Host: localhost\r\nOrigin: http://localhost:3000\r\nOrigin: http://localhost:3000\r\n",
        b"Host: localhost\r\nOrigin: http://localhost:3000.evil.example\r\n",
        b"Host: evil.example\r\n",
        b"Host: 127.0.0.1.evil.example:80\r\n",
        b"Host: localhost.evil.example\r\n",
        b"Host: 192.0.2.1\r\n",
        b"Host: localhost\r\nHost: evil.example\r\n",
        b"Host: evil.example\r\nOrigin: http://localhost:3000\r\n",
        b"Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
        b"Host: localhost\r\nSec-Fetch-Site: same-origin\r\n",
        b"Host:\r\n",
        b"",
    ],
)
@pytest.mark.parametrize("start", [b"POST / ", b"GET /event-stream?id=1 ", b"OPTIONS / "])
async def test_a_page_that_is_not_on_the_list_gets_403_before_its_body_is_read(start: bytes, lines: bytes) -> None:
    async with served(mmrpc_origin=(PAGE,)) as rpc:
        # The body is announced and never sent: an answer that waited for it would not come.
        answer = await rpc.raw(start + b"HTTP/1.1\r\n" + lines + b"Userpass: wrong\r\nContent-Length: 500\r\n\r\n")
        head = answer.partition(b"\r\n")[0]
        assert head.split()[1] in (b"403", b"400"), answer
        if head.split()[1] == b"400":  # what aiohttp itself refuses, since there is no HTTP/1.1 without a Host
            assert lines in (b"", b"Host: localhost\r\nHost: evil.example\r\n")
        assert b"Access-Control" not in answer
        assert rpc.server.attempts.wrong("127.0.0.1") == ATTEMPTS - 1


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.2:7783", "[::1]", "[::1]:7783"])
async def test_a_host_that_is_this_computer_is_served(host: str) -> None:
    async with served() as rpc:
        assert (await rpc.post(REQUEST, Host=host))[1]["error_type"] == "NoSuchTask"


async def test_a_page_on_the_list_is_served_and_told_so_by_its_browser() -> None:
    async with served(mmrpc_origin=(PAGE,)) as rpc:
        asked = {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}
        async with rpc.http.options(rpc.url, headers=asked) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == PAGE
            assert "Userpass" in response.headers["Access-Control-Allow-Headers"]
        async with rpc.http.post(rpc.url, data=json.dumps(REQUEST), headers=asked) as response:
            assert response.status == 400
            assert response.headers["Access-Control-Allow-Origin"] == PAGE
        async with rpc.http.post(rpc.url, data=json.dumps(REQUEST)) as response:
            assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("host", ["localhost:", "localhost:x", "::1", "127.0.0.1:80:80", "", "0.0.0.0"])
def test_a_host_that_is_damaged_is_not_here(host: str) -> None:
    assert page_fault(host, (), (), None) is not None


async def test_the_event_stream_wants_the_password_and_counts_wrong_ones() -> None:
    async with served() as rpc:
        url = rpc.url + "event-stream?id=1"
        async with rpc.http.get(url) as response:
            assert (response.status, await response.json()) == (403, {"error": "Userpass is not set!"})
        async with rpc.http.get(f"{url}&userpass={PASSWORD}") as response:
            assert response.status == 403
        for left in range(9, -1, -1):
            async with rpc.http.get(url, headers={"Userpass": "guess"}) as response:
                assert response.status == 403
                assert str(left) in (await response.json())["error"]
        async with rpc.http.get(url, headers={"Userpass": PASSWORD}) as response:
            assert await response.json() == {"error": "Your ip is banned."}


def test_passwords_are_compared_in_constant_time_over_hashes_of_one_length() -> None:
    password = RpcPassword(PASSWORD.encode())
    with mock.patch("core.rpc.mmrpc.guard.hmac.compare_digest", wraps=hmac.compare_digest) as compared:
        assert password.matches(PASSWORD)
        for wrong in ("", PASSWORD[:-1], PASSWORD + "x", "\ud800", PASSWORD.lower()):
            assert not password.matches(wrong)
        assert compared.call_count == 6
        assert {len(side) for call in compared.call_args_list for side in call.args} == {hashlib.sha256().digest_size}


def test_a_composed_and_a_decomposed_password_are_the_same() -> None:
    assert RpcPassword("é".encode()).matches("e\u0301")


async def test_the_password_is_in_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served() as rpc:
        await rpc.post(REQUEST)
        await rpc.post({**REQUEST, "userpass": PASSWORD + "x"})
        await rpc.raw(
            b"GET /event-stream HTTP/1.1\r\nHost: localhost\r\nUserpass: " + PASSWORD.encode() + b"\0\r\n\r\n"
        )
        await rpc.raw(b"\x16\x03" + PASSWORD.encode() + b"\r\n\r\n")
        assert PASSWORD not in repr(rpc.server._desk)
    assert "a wrong password from 127.0.0.1, attempts left: 9" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "fewer than 8"),
        ("aA1!aA1", "fewer than 8"),
        ("aAb!aAb!", "no digit"),
        ("1Ab!".upper() * 2, "no small letter"),
        ("1ab!" * 2, "no capital letter"),
        ("1aAb" * 2, "no special character"),
        ("1aAb!!!b", "three times"),
        ("1aA!PassWord", 'word "password"'),
        (PASSWORD, None),
        ("1aAb!!bb", None),
    ],
)
def test_the_policy_is_that_of_kdf(password: str, words: str | None) -> None:
    fault = password_fault(password)
    assert fault is None if words is None else fault is not None and words in fault
    assert fault is None or not password or password not in fault


def test_attempts_are_counted_by_address_and_their_memory_is_bounded() -> None:
    attempts = Attempts()
    for number in range(MAX_ADDRESSES):
        assert attempts.wrong(f"127.0.{number // 256}.{number % 256}") == ATTEMPTS - 1
    for number in range(ATTEMPTS):
        attempts.wrong(f"127.1.0.{number}")
    assert attempts.is_banned("127.1.0.99")
    assert not attempts.is_banned("127.0.0.1")
    assert not attempts.lift("127.0.0.1")
    (banned,) = attempts.banned()
    assert attempts.lift(banned)
    assert attempts.banned() == ()


async def test_every_address_of_this_computer_has_the_same_attempts() -> None:
    async with served() as rpc:
        for number in range(1, ATTEMPTS + 1):
            connector = aiohttp.TCPConnector(local_addr=(f"127.0.0.{number}", 0))
            wrong = {**REQUEST, "userpass": "x"}
            async with aiohttp.ClientSession(connector=connector) as http, http.post(rpc.url, json=wrong) as response:
                assert (await response.json())["error_data"]["error_data"] == ATTEMPTS - number
        assert rpc.server.attempts.banned() == ("127.0.0.1",)


def test_a_long_password_takes_no_time_of_its_square() -> None:
    with mock.patch.object(unicodedata, "normalize", wraps=unicodedata.normalize) as normalize:
        assert not RpcPassword(PASSWORD.encode()).matches("a" + "\u0301\u0316" * 15_000)
        assert RpcPassword("\u00e9".encode()).matches("e\u0301")
    assert max(len(call.args[1]) for call in normalize.call_args_list) <= MAX_COMPOSED_CHARACTERS


async def test_a_number_beyond_all_others_is_a_bad_request() -> None:
    async with served() as rpc:
        status, body = await rpc.post(b'{"mmrpc":"2.0","method":"x","id":%s}' % (b"9" * 4000))
        assert (status, body["error_type"]) == (400, "InvalidRequest")
