"""leyden-cli: what it sends, what it prints, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import core
from core import client
from core.rpc.commands import progress
from tests.support.peers import turns
from tests.support.raw_peer import RawListener
from tests.unit.rpc.parts import served


def request_of(*argv: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(client.make_request(client.read_command_line(argv, {}), "x"))
    return found


@pytest.mark.parametrize(
    ("argv", "params"),
    [
        (("m",), []),
        (("m", "text", "7", "007", "0", "1.5"), ["text", 7, "007", 0, "1.5"]),
        (("m", "true", "false", "null", "True"), [True, False, None, "True"]),
        (("m", '{"a":1}', "[1,2]", '"7"', "{", ""), [{"a": 1}, [1, 2], "7", "{", ""]),
        (("m", 'a"b\\', "é"), ['a"b\\', "é"]),
        (("m", "id=02ab", "force=true", "x=1=2"), {"id": "02ab", "force": True, "x": "1=2"}),
        (("m", "02ab", "b=c"), ["02ab", "b=c"]),
        (("-k", "m"), {}),
        (("m", "-k", "id=1"), {"id": 1}),
        (("-o", "m", "id=1"), ["id=1"]),
        (("m", "--", "-k", "-7"), ["-k", "-7"]),
        (("m", "-"), ["-"]),
    ],
)
def test_arguments_become_parameters_as_clns_own_client_makes_them(argv: tuple[str, ...], params: object) -> None:
    assert request_of(*argv) == {"jsonrpc": "2.0", "id": "x", "method": "m", "params": params}


def test_a_filter_goes_with_the_request() -> None:
    assert request_of("m", "--filter", '{"a":true}')["filter"] == {"a": True}
    assert request_of("m", '-l={"a":true}')["filter"] == {"a": True}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "which METHOD?"),
        (("--nope", "m"), "unknown option --nope"),
        (("m", "--network"), "--network wants a value"),
        (("-N", "loud", "m"), "'loud' is none of io, debug, info, unusual, broken, none"),
        (("--network", "mars", "m"), "'mars' is none of bitcoin, testnet, testnet4, signet, regtest"),
        (("-k", "m", "novalue"), "Expected key=value in 'novalue'"),
        (("m", "[1,]"), "an argument is no valid JSON"),
        (("m", "--filter", "{"), "an argument is no valid JSON"),
    ],
)
def test_wrong_usage_ends_with_3(argv: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert client.run(argv, {}) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"leyden-cli: {words}")
    assert "usage: leyden-cli" in shown.err


def test_the_socket_is_found_by_option_environment_and_default(tmp_path: Path, home: Path) -> None:
    def path(*argv: str, **environ: str) -> Path:
        return client.read_command_line([*argv, "m"], environ).socket_path

    assert path("--data-dir", "/d", "--network=regtest") == Path("/d/regtest/lightning-rpc")
    assert path(LEYDEN_DATA_DIR="/e", LEYDEN_NETWORK="signet") == Path("/e/signet/lightning-rpc")
    assert path("--network", "testnet", LEYDEN_NETWORK="signet", LEYDEN_DATA_DIR="/e").parent.name == "testnet"
    assert path("--rpc-file", str(tmp_path / "s")) == tmp_path / "s"
    assert path().parts[-3:] == ("leyden", "bitcoin", "lightning-rpc")


def test_help_and_version_need_no_node(capsys: pytest.CaptureFixture[str]) -> None:
    assert client.run(["--help"], {}) == 0
    assert capsys.readouterr().out == client.USAGE
    assert client.run(["-V"], {}) == 0
    assert capsys.readouterr().out == f"{core.__version__}\n"


def test_where_no_node_runs_it_says_so_and_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert client.run(["--data-dir", str(tmp_path), "getinfo"], {}) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        f"leyden-cli: no node answers at {tmp_path}/bitcoin/lightning-rpc: No such file or directory. "
        "Is Leyden running with this --data-dir and --network?\n"
    )


async def _run(*argv: str | os.PathLike[str]) -> tuple[int, str, str]:
    """The real program as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "core.client", *argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_answers_are_printed_as_json_and_errors_end_with_1() -> None:
    async with served() as rpc:
        where = ("--data-dir", rpc.node.settings.data_dir, "--network", "regtest")
        code, out, err = await _run(*where, "getinfo")
        assert (code, err) == (0, "")
        assert out.startswith('{\n   "id": "')
        assert json.loads(out)["alias"] == "practice jar"
        code, out, _ = await _run(*where, "connect", "id=nope")
        assert (code, json.loads(out)["code"]) == (1, -32602)
        code, out, _ = await _run(*where, "nope")
        assert (code, json.loads(out)) == (1, {"code": -32601, "message": "Unknown command 'nope'"})
        code, out, _ = await _run(*where, "--filter", '{"network":true}', "getinfo")
        assert json.loads(out) == {"network": "regtest"}


async def test_help_is_shown_as_plain_lines_unless_json_is_wanted() -> None:
    async with served() as rpc:
        code, out, _ = await _run("--rpc-file", rpc.path, "help")
        assert code == 0
        assert "connect id [host] [port]" in out.splitlines()
        code, out, _ = await _run("--rpc-file", rpc.path, "-J", "help", "stop")
        assert json.loads(out)["help"][0]["command"] == "stop"
        code, out, _ = await _run("--rpc-file", rpc.path, "help", "stop")
        assert out.splitlines() == ["command=stop", "category=utility", "description=Shut down the node"]


async def test_answers_come_in_the_format_that_is_wanted() -> None:
    async with served() as rpc:
        where = ("--rpc-file", rpc.path)
        raw = (await _run(*where, "-R", "-l", '{"alias":true,"our_features":{"init":true}}', "getinfo"))[1]
        assert raw == '{"alias":"practice jar","our_features":{"init":"20000080aa82"}}\n'
        code, raw, _ = await _run(*where, "--raw", "nope")
        assert (code, raw) == (1, '{"code":-32601,"message":"Unknown command \'nope\'"}\n')
        _, flat, _ = await _run(*where, "-F", "getinfo")
        lines = flat.splitlines()
        assert {"alias=practice jar", "num_peers=0", "our_features.init=20000080aa82"} <= set(lines)
        assert f"binding[0].port={rpc.node.manager.bound[0].port}" in lines
        _, flat, _ = await _run(*where, "--flat", "help", "stop")
        assert flat.splitlines()[0] == "help[0].command=stop"
        assert "format-hint" not in flat
        _, human, _ = await _run(*where, "-H", "-l", '{"alias":true}', "getinfo")
        assert human == "practice jar\n"


async def test_the_progress_of_a_long_connect_is_told_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PROGRESS_AFTER_S", 0.0)
    async with served() as rpc, RawListener() as peer:
        uri = f"{peer.node_id.hex()}@127.0.0.1:{peer.port}"
        for option, told in ((), "# 3 of 3\n"), (("-N", "none"), ""):
            asking = asyncio.create_task(_run("--rpc-file", rpc.path, *option, "connect", uri))
            accepted = await peer.accept()
            await turns(20)
            await accepted.exchange_init()
            code, out, err = await asking
            assert (code, json.loads(out)["id"], err[-len(told) or None :]) == (0, peer.node_id.hex(), told)
            await rpc.node.manager.disconnect(peer.node_id)


@pytest.mark.parametrize(
    ("level", "shown"), [("info", "# two?words\n# three\n"), ("broken", "# three\n"), ("none", "")]
)
async def test_messages_are_shown_from_the_wanted_level_on(level: str, shown: str, tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = b""
        while b'"method":"m"' not in sent:
            sent += await reader.readuntil(b"}")
        request_id = json.loads(sent[sent.rindex(b'{"jsonrpc"') :])["id"]
        for said, words, about in (
            ("debug", "one", request_id),
            ("info", "two\x1bwords", request_id),
            ("broken", "three", request_id),
            ("broken", "of another", "another"),
        ):
            params = {"id": about, "level": said, "message": words}
            writer.write(json.dumps({"jsonrpc": "2.0", "method": "message", "params": params}).encode() + b"\n\n")
        writer.write(json.dumps({"jsonrpc": "2.0", "id": request_id, "result": {}}).encode() + b"\n\n")
        writer.close()

    path = os.path.relpath(tmp_path / "s")
    async with await asyncio.start_unix_server(answer, path):
        assert await _run("--rpc-file", path, "-N", level, "m") == (0, "{}\n", shown)


async def _answering(raw: bytes, folder: Path) -> tuple[int, str, str]:
    """leyden-cli against a server that sends these bytes and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(raw)
        writer.close()

    path = os.path.relpath(folder / "s")
    server = await asyncio.start_unix_server(answer, path)
    async with server:
        return await _run("--rpc-file", path, "m")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "the node closed the connection without an answer"),
        (b"no\n\n", "what answers there is no Leyden: its reply is no JSON"),
        (b"[]\n\n", "what answers there is no Leyden: its reply is no JSON object"),
        (b'{"id":"other","result":1}\n\n', "the node closed the connection without an answer"),
    ],
)
async def test_what_is_no_reply_ends_with_2(raw: bytes, words: str, tmp_path: Path) -> None:
    code, out, err = await _answering(raw, tmp_path)
    assert (code, out, err) == (2, "", f"leyden-cli: {words}\n")


async def test_what_comes_before_the_reply_is_passed_over(tmp_path: Path) -> None:
    early = b'{"jsonrpc":"2.0","method":"message","params":{}}\n\n{"id":"other","result":1}\n\n'
    refusal = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"No id"}}\n\n'
    code, out, _ = await _answering(early + refusal, tmp_path)
    assert (code, json.loads(out)["message"]) == (1, "No id")


def test_it_starts_without_what_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import sys; from core import client; client.run(['--data-dir', sys.argv[1], 'getinfo'], {});"
        "print([name for name in ('asyncio', 'coincurve', 'argparse', 'logging', 'PySide6', 'cryptography')"
        " if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


HOSTILE = "a\x1b]0;b\x07\x9b2J\u202ec\u2028\U000e0041\nnodeid=02"


@pytest.mark.parametrize("wanted", [None, "raw", "flat", "human"])
def test_what_others_call_themselves_steers_no_terminal(wanted: str | None) -> None:
    shown, _code = client.show({"result": {"nodes": [{"alias": HOSTILE, "nodeid": "03"}]}}, wanted)
    assert all(sign.isprintable() or sign == "\n" for sign in shown)
    if wanted in (None, "raw"):
        assert json.loads(shown)["nodes"][0]["alias"] == HOSTILE
    if wanted in ("flat", "human"):
        assert len(shown.splitlines()) == 2, "a name makes no line of its own"
