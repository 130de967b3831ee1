"""The envelope over HTTP: every row of the contract's table on it, in the contract's texts."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import aiohttp
import pytest

from core.base.serde import SerdeError
from core.rpc.mmrpc.base import Context, LegacyError, MmError
from core.rpc.mmrpc.desk import MAX_BATCH
from core.rpc.mmrpc.server import MAX_BODY_BYTES
from tests.unit.rpc.mmrpc.parts import PASSWORD, STATUS, served


async def _echo(_context: Context, params: object) -> object:
    return params


async def _fails(_context: Context, params: object) -> object:
    raise RuntimeError(params)


METHODS = {"echo": _echo, "fails": _fails}


def _error(text: str, kind: str, path: str, trace: str, **more: object) -> dict[str, object]:
    data = {"error_data": more.pop("data")} if "data" in more else {}
    head = {"mmrpc": "2.0", "error": text, "error_path": path, "error_trace": trace, "error_type": kind}
    return {**head, **data, "id": None, **more}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"x", "expected value at line 1 column 1"),
        (b"{", "EOF while parsing an object at line 1 column 1"),
        (b'{"a":1,}', "trailing comma at line 1 column 8"),
        (b'{"a" 1}', "expected `:` at line 1 column 6"),
        (b'{"a":1 "b":2}', "expected `,` or `}` at line 1 column 8"),
        (b"{a:1}", "key must be a string at line 1 column 2"),
        (b"[1", "EOF while parsing a list at line 1 column 2"),
        (b"1 2", "trailing characters at line 1 column 3"),
        (b"NaN", "expected value at line 1 column 1"),
        (b"[" * 5000, "recursion limit exceeded at line 1 column 128"),
        (b"[" * 128 + b"]" * 128, "recursion limit exceeded at line 1 column 128"),
        (b'"\\ud800"', "lone leading surrogate in hex escape at line 1 column 1"),
        (b"\xff", "invalid unicode code point at line 1 column 0"),
    ],
)
async def test_what_is_no_json_is_told_outside_the_envelope(body: bytes, text: str) -> None:
    async with served() as rpc:
        assert await rpc.post(body) == (500, {"error": text})


async def test_only_post_is_answered_and_json_is_looked_at_first() -> None:
    async with served() as rpc:
        async with rpc.http.get(rpc.url) as response:
            assert (response.status, await response.json()) == (
                500,
                {"error": "EOF while parsing a value at line 1 column 0"},
            )
        async with rpc.http.put(rpc.url, data=b"{}") as response:
            assert (response.status, await response.json()) == (
                500,
                {"error": "rpc:244] Only POST requests are supported!"},
            )


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.0", "unknown variant `1.0`, expected `2.0`"),
        (2, "invalid type: integer `2`, expected string or map"),
        (True, "invalid type: boolean `true`, expected string or map"),
    ],
)
async def test_another_version_is_refused_before_the_envelope_is_read(version: object, words: str) -> None:
    async with served() as rpc:
        assert await rpc.post({"mmrpc": version, "foo": 1}) == (
            400,
            _error(f"Error parsing mmrpc version: {words}", "InvalidMmRpcVersion", "rpc", "rpc:204]", data=words),
        )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"foo": 1}, "unknown field `foo`, expected one of `mmrpc`, `userpass`, `method`, `params`, `id`"),
        ({"id": "5"}, 'invalid type: string "5", expected usize'),
        ({"id": -1}, "invalid value: integer `-1`, expected usize"),
        ({"userpass": 5}, "invalid type: integer `5`, expected a string"),
        ({"method": None}, "invalid type: null, expected a string"),
    ],
)
async def test_a_bad_envelope_is_refused_and_its_id_is_null(more: dict[str, object], words: str) -> None:
    async with served(METHODS) as rpc:
        assert await rpc.post({"mmrpc": "2.0", "userpass": PASSWORD, "method": "echo", **more}) == (
            400,
            _error(f"Error parsing request: {words}", "InvalidRequest", "dispatcher", "dispatcher:84]", data=words),
        )


async def test_a_request_without_a_method_is_refused() -> None:
    async with served() as rpc:
        status, body = await rpc.post({"mmrpc": "2.0", "userpass": PASSWORD})
        assert (status, body["error"]) == (400, "Error parsing request: missing field `method`")


@pytest.mark.parametrize("value", [5, "text", None, True])
async def test_a_body_that_is_no_object_is_refused_like_any_bad_envelope(value: object) -> None:
    async with served() as rpc:
        status, body = await rpc.post(value)
        assert (status, body["error_type"]) == (400, "InvalidRequest")
        assert body["error_data"].endswith("expected struct MmRpcRequest")


async def test_the_id_is_echoed_and_the_keys_stand_in_the_contracts_order() -> None:
    async with served(METHODS) as rpc:
        assert await rpc.call("echo", {"a": 1}, id=3) == (200, {"mmrpc": "2.0", "result": {"a": 1}, "id": 3})
        assert await rpc.call("echo") == (200, {"mmrpc": "2.0", "result": None, "id": None})
        status, body = await rpc.call("nonsense", id=7)
        assert (status, body["id"]) == (400, 7)
        _, body = await rpc.post({"mmrpc": "2.0", "method": "echo", "userpass": "wrong", "id": 7})
        order = ["mmrpc", "error", "error_path", "error_trace", "error_type", "error_data", "id"]
        assert list(body) == order
        assert body["id"] == 7


@pytest.mark.parametrize(
    ("method", "line"), [("task::no", 372), ("lightning::no", 464), ("no", 271), (STATUS + "x", 372)]
)
async def test_an_unknown_method_has_no_data(method: str, line: int) -> None:
    async with served() as rpc:
        expected = _error("No such method", "NoSuchMethod", "dispatcher", f"dispatcher:{line}]")
        assert await rpc.call(method) == (400, expected)


async def test_no_password_is_not_counted_and_a_wrong_one_is_until_the_address_is_banned() -> None:
    async with served(METHODS) as rpc:
        request = {"mmrpc": "2.0", "method": "echo"}
        for userpass in ({}, {"userpass": None}):
            assert await rpc.post({**request, **userpass}) == (
                403,
                _error("Userpass is not set!", "UserpassIsNotSet", "dispatcher", "dispatcher:118]"),
            )
        for left in range(9, -1, -1):
            assert await rpc.post({**request, "userpass": "guess"}) == (
                403,
                _error(
                    f"Userpass is invalid! - Rate Limit attempts left: {left}",
                    "UserpassIsInvalid",
                    "rate_limiter",
                    f"rate_limiter:{56 if left == 9 else 50}]",
                    data={"error_type": "NbAttemptsLeft", "error_data": left},
                ),
            )
        assert await rpc.call("echo") == (403, _error("Your ip is banned.", "Banned", "dispatcher", "dispatcher:103]"))
        assert rpc.server.attempts.banned() == ("127.0.0.1",)
        assert rpc.server.attempts.lift("127.0.0.1")
        assert (await rpc.call("echo"))[0] == 200


async def test_a_right_password_forgives_nothing() -> None:
    async with served(METHODS) as rpc:
        await rpc.post({"mmrpc": "2.0", "method": "echo", "userpass": "guess"})
        assert (await rpc.call("echo"))[0] == 200
        _, body = await rpc.post({"mmrpc": "2.0", "method": "echo", "userpass": "guess"})
        assert body["error_data"]["error_data"] == 8


async def test_a_batch_is_answered_in_order_with_200_and_runs_at_once() -> None:
    second = asyncio.Event()

    async def waits(_context: Context, _params: object) -> object:
        await second.wait()
        return 1

    async def frees(_context: Context, _params: object) -> object:
        second.set()
        return 2

    async with served({**METHODS, "waits": waits, "frees": frees}) as rpc:
        common = {"mmrpc": "2.0", "userpass": PASSWORD}
        status, bodies = await rpc.post(
            [{**common, "method": "waits"}, {**common, "method": "frees", "id": 4}, {**common, "method": "no"}, 5]
        )
        assert status == 200
        assert [body.get("result") for body in bodies] == [1, 2, None, None]
        assert [body.get("id") for body in bodies] == [None, 4, None, None]
        assert [body.get("error_type") for body in bodies[2:]] == ["NoSuchMethod", "InvalidRequest"]
        assert await rpc.post([]) == (200, [])


async def test_a_batch_is_bounded_and_each_wrong_password_in_it_counts() -> None:
    async with served(METHODS) as rpc:
        assert await rpc.post([1] * (MAX_BATCH + 1)) == (400, {"error": f"A batch has at most {MAX_BATCH} requests"})
        guess = {"mmrpc": "2.0", "method": "echo", "userpass": "guess"}
        _, bodies = await rpc.post([guess] * 12)
        assert [body["error_type"] for body in bodies] == ["UserpassIsInvalid"] * 10 + ["Banned"] * 2


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_is_bounded(chunked: bool) -> None:
    async with served() as rpc:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
        if chunked:
            size = MAX_BODY_BYTES + 1
            sent = head + b"Transfer-Encoding: chunked\r\n\r\n" + f"{size:x}\r\n".encode() + b" " * size
        else:
            sent = head + f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
        answer = await rpc.raw(sent)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert f"at most {MAX_BODY_BYTES} bytes".encode() in answer


async def _balance(_context: Context, request: object) -> object:
    assert isinstance(request, dict)
    if request.get("coin") == "X":
        raise LegacyError("legacy:239] No such coin: X")
    if "coin" not in request:
        raise SerdeError("missing field `coin`")
    if request["coin"] == "Y":
        raise MmError(500, "Internal", "Internal error: words", path="a", trace="a:1]")
    return {"coin": request["coin"]}


@pytest.mark.parametrize("version", [{}, {"mmrpc": None}])
async def test_without_a_version_the_legacy_methods_are_asked_first(version: dict[str, Any]) -> None:
    async with served(METHODS, {"my_balance": _balance}) as rpc:
        common = {**version, "userpass": PASSWORD, "method": "my_balance"}
        assert await rpc.post({**common, "coin": "A", "anything": 1}) == (200, {"coin": "A"})
        for more, words in (
            ({"coin": "X"}, "legacy:239] No such coin: X"),
            ({}, "missing field `coin`"),
            ({"coin": "Y"}, "Internal error: words"),
        ):
            assert await rpc.post({**common, **more}) == (500, {"error": f"rpc:195] RPC call failed: {words}"})
        echo = {**version, "userpass": PASSWORD, "method": "echo", "params": 1}
        assert await rpc.post(echo) == (200, {"mmrpc": "2.0", "result": 1, "id": None})
        status, body = await rpc.post({**version, "userpass": PASSWORD, "method": "nonsense"})
        assert (status, body["error_type"]) == (400, "NoSuchMethod")
        assert (await rpc.call("my_balance"))[0] == 400


async def test_a_wrong_password_without_a_version_is_refused_by_the_legacy_dispatcher_and_counts() -> None:
    async with served() as rpc:
        failed = "rpc:195] RPC call failed: "
        assert await rpc.post({"method": "x"}) == (500, {"error": f"{failed}Userpass is not set!"})
        assert await rpc.post({"method": "x", "userpass": 5}) == (500, {"error": f"{failed}Userpass is not set!"})
        for left in range(9, -1, -1):
            text = f"Userpass is invalid! - Rate Limit attempts left: {left}"
            line = 56 if left == 9 else 50
            assert await rpc.post({"method": "x", "userpass": "y"}) == (
                500,
                {"error": f"{failed}rate_limiter:{line}] {text}"},
            )
        banned = {"error": "rpc:195] Selected method is not allowed: Your IP is banned."}
        assert await rpc.post({"method": "x", "userpass": PASSWORD}) == (500, banned)


async def test_what_a_method_fails_with_unforeseen_is_internal_and_says_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served(METHODS) as rpc:
        status, body = await rpc.call("fails", "a fact of ours", id=1)
        assert (status, body["error"], body["error_type"]) == (500, "Internal error: RuntimeError", "Internal")
        assert "a fact of ours" not in json.dumps(body)
    assert "mmrpc: a method failed" in caplog.text


async def test_a_method_goes_on_when_its_client_leaves() -> None:
    begun, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def works(_context: Context, _params: object) -> object:
        begun.set()
        await go_on.wait()
        done.set()
        return None

    async with served({"works": works}) as rpc:
        _, writer = await asyncio.open_connection("127.0.0.1", rpc.server.port)
        body = json.dumps({"mmrpc": "2.0", "userpass": PASSWORD, "method": "works"}).encode()
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await begun.wait()
        writer.transport.abort()
        while rpc.server.connections:
            await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait_for(done.wait(), 30)


async def test_when_it_closes_what_runs_is_given_up() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def works(_context: Context, _params: object) -> object:
        begun.set()
        try:
            return await asyncio.Event().wait()
        finally:
            ended.set()

    async with served({"works": works}) as rpc:
        calling = asyncio.create_task(rpc.call("works"))
        await begun.wait()
        await rpc.server.aclose()
        assert ended.is_set()
        with pytest.raises(aiohttp.ClientError):
            await calling
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "mmrpc"]


async def test_a_packed_body_is_not_unpacked() -> None:
    async with served(METHODS) as rpc:
        body = json.dumps({"mmrpc": "2.0", "userpass": PASSWORD, "method": "echo"}).encode()
        status, answer = await rpc.post(zlib.compress(body), **{"Content-Encoding": "deflate"})
        assert status == 500
        assert "error_type" not in answer
