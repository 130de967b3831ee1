"""The server as the settings say: what stops the start, in which words, and that nothing is left."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from core.base.settings import SettingInvalid, Settings, parse_arguments
from core.rpc.mmrpc.base import Context
from core.rpc.mmrpc.face import MmNode
from core.rpc.mmrpc.server import MAX_CONNECTIONS, MmrpcServer
from tests.unit.rpc.mmrpc.parts import PASSWORD, STATUS, SmallNode, served


def _settings(folder: Path, text: str | None = PASSWORD + "\n", *, mode: int = 0o600, port: int = 0) -> Settings:
    path = folder / "password"
    if text is not None:
        path.write_text(text, encoding="utf-8")
        os.chmod(path, mode)
    flags = ["--network", "regtest", "--mmrpc", f"127.0.0.1:{port}", "--rpc-password-file", str(path)]
    return parse_arguments([*flags, "--data-dir", str(folder)], {})


async def _start(settings: Settings) -> MmrpcServer:
    node = SmallNode()
    node.settings = settings
    return await MmrpcServer.start(cast("MmNode", node))


async def test_it_serves_on_loopback_with_the_password_of_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    server = await _start(_settings(tmp_path))
    port = server.port
    try:
        body = {"mmrpc": "2.0", "userpass": PASSWORD, "method": STATUS, "params": [0]}
        async with aiohttp.ClientSession() as http, http.post(f"http://127.0.0.1:{port}/any", json=body) as response:
            assert (await response.json())["error_type"] == "NoSuchTask"
    finally:
        await server.aclose()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (None, 0, "No such file"),
        ("", 0o600, "empty"),
        ("\n", 0o600, "empty"),
        ("sh0rt!A", 0o600, "too weak: it has fewer than 8 characters"),
        ("My_password1", 0o600, 'too weak: it contains the word "password"'),
        (PASSWORD, 0o640, "others may use it"),
        (PASSWORD, 0o604, "others may use it"),
    ],
)
async def test_a_password_that_guards_nothing_stops_the_start(
    tmp_path: Path, text: str | None, mode: int, words: str
) -> None:
    with pytest.raises(SettingInvalid) as caught:
        await _start(_settings(tmp_path, text, mode=mode))
    assert caught.value.name == "rpc-password-file"
    assert words in caught.value.reason
    assert text is None or not text.strip() or text not in str(caught.value)


async def test_a_password_file_of_somebody_else_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(SettingInvalid, match="belongs to another user"):
        await _start(settings)


async def test_a_taken_port_stops_the_start_in_plain_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingInvalid) as caught:
            await _start(_settings(tmp_path, port=taken.getsockname()[1]))
    assert (caught.value.name, caught.value.reason) == ("mmrpc", "cannot listen there: Address already in use")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--mmrpc", "127.0.0.1:7783"], "it needs --rpc-password-file"),
        (["--mmrpc", "0.0.0.0:7783", "--rpc-password-file", "p"], "not loopback"),
        (["--mmrpc", "[::]:7783", "--rpc-password-file", "p"], "not loopback"),
        (["--mmrpc", "example.com:7783", "--rpc-password-file", "p"], "not an IP address"),
        (["--mmrpc", "127.0.0.1", "--rpc-password-file", "p"], "HOST:PORT"),
        (["--mmrpc-origin", "*"], "not an origin"),
        (["--mmrpc-origin", "null"], "not an origin"),
        (["--mmrpc-origin", "http://localhost:3000/"], "not an origin"),
        (["--mmrpc-origin", "http://LOCALHOST"], "not an origin"),
    ],
)
def test_settings_that_would_open_it_to_others_are_refused(
    flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(flags, {})
    assert words in capsys.readouterr().err


def test_it_is_off_by_default_and_an_origin_is_taken_as_browsers_write_it() -> None:
    assert (parse_arguments([], {}).mmrpc, parse_arguments([], {}).mmrpc_texts) == ("", "seed")
    assert parse_arguments(["--mmrpc-origin", "http://localhost:3000"], {}).mmrpc_origin == ("http://localhost:3000",)


async def _silent(port: int, sent: bytes = b"") -> asyncio.StreamWriter:
    """A connection that sends this and no more."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    return writer


@pytest.mark.parametrize(
    "sent", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_connections_are_bounded_and_those_that_ask_nothing_keep_nobody_out(sent: bytes) -> None:
    async with served() as rpc:
        silent = [await _silent(rpc.server.port, sent) for _ in range(2 * MAX_CONNECTIONS)]
        try:
            assert (await rpc.call(STATUS, [0]))[1]["error_type"] == "NoSuchTask"
            assert rpc.server.connections <= MAX_CONNECTIONS
        finally:
            for each in silent:
                each.transport.abort()


async def test_a_request_that_is_being_answered_keeps_its_connection() -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def method(_context: Context, _params: object) -> object:
        begun.set()
        await end.wait()
        return "done"

    async with served({"slow": method}) as rpc:
        asked = asyncio.create_task(rpc.call("slow"))
        await begun.wait()
        silent = [await _silent(rpc.server.port) for _ in range(MAX_CONNECTIONS + 9)]
        try:
            assert (await rpc.call(STATUS, [0]))[1]["error_type"] == "NoSuchTask"
            end.set()
            assert (await asked)[1]["result"] == "done"
        finally:
            for each in silent:
                each.transport.abort()
