"""What every command has, whichever it is: help, check, a filter, and CLN's refusals of its parameters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.bolt.keys import NodeKey
from core.rpc.commands import COMMANDS
from tests.support.peers import node as peer_node
from tests.support.peers import until
from tests.unit.rpc.parts import served

ANY_ID = NodeKey(bytes(31) + b"\x01").node_id.hex()
EVERY = sorted(COMMANDS)
BAD = "invalid token (see logs for details)"


@pytest.mark.parametrize("name", EVERY)
async def test_help_describes_it_and_names_each_parameter(name: str) -> None:
    async with served() as rpc, rpc.client() as client:
        (row,) = (await client.result("help", {"command": name}))["help"]
        assert list(row) == ["command", "category", "description"]
        assert row["command"].split()[0] == name
        assert row["description"]
        words = row["command"].split()[1:]
        assert words == [param.name if param.required else f"[{param.name}]" for param in COMMANDS[name].params]


@pytest.mark.parametrize("name", EVERY)
async def test_check_refuses_what_it_refuses_and_shows_the_token(name: str) -> None:
    async with served() as rpc, rpc.client() as client:
        code, text = await client.error("check", {"command_to_check": name, "no such": 1})
        assert code == -32602
        if name != "check":
            assert text.startswith("unknown parameter: no such, this may be caused by")
        else:
            assert text == "missing required parameter: command_to_check"
        required = [param.name for param in COMMANDS[name].params if param.required]
        if required:
            assert (await client.error("check", [name]))[1] == f"missing required parameter: {required[0]}"


@pytest.mark.parametrize("name", EVERY)
async def test_a_damaged_filter_is_refused_before_it_runs(name: str) -> None:
    async with served() as rpc, rpc.client() as client:
        for filter_, should in (
            (1, "Expected object"),
            ([], "Expected object"),
            ("x", "Expected object"),
            ({"a": False}, "value must be true"),
            ({"a": 1}, "value must be true"),
            ({"a": []}, "Arrays can only have one element"),
            ({"a": [True, True]}, "Arrays can only have one element"),
        ):
            assert await client.error(name, [], filter=filter_) == (-32602, f"filter: {should}: {BAD}")
        assert not rpc.node.stop_requested.is_set()


RUNS: dict[str, Any] = {
    "check": ["help"],
    "activatenode": [],
    "batching": [True],
    "deprecations": [True],
    "notifications": [False],
}
"""Parameters for those that cannot do without; those with a peer are tested beside."""
WANT_A_SETTING = {"importrapidgossip"}
"""They take no parameter only where the settings name what they do."""


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in EVERY
        if name in RUNS or (name not in WANT_A_SETTING and not any(p.required for p in COMMANDS[name].params))
    ],
)
async def test_an_unknown_member_in_a_filter_leaves_nothing(name: str) -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.result(name, RUNS.get(name, []), filter={"no such member": True}) == {}


async def test_a_filter_picks_from_the_results_that_need_a_peer() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        peer_id = peer.node_id.hex()
        connect = [f"{peer_id}@127.0.0.1:{peer.port}"]
        assert await client.result("connect", connect, filter={"address": {"port": True}}) == {
            "address": {"port": peer.port}
        }
        await until(lambda: peer.manager.peer(rpc.node.node_id))
        assert await client.result("ping", [peer_id], filter={"totlen": True}) == {"totlen": 132}
        sent = await client.result("sendcustommsg", [peer_id, "8001"], filter={"x": True})
        assert sent == {}
        wrong = await client.result("listpeers", [], filter={"peers": {"id": True}})
        assert wrong == {"warning_parameter_filter": ".peers is an array"}
        refused = await client.ask("ping", [ANY_ID], filter={"code": True})
        assert refused["error"] == {"code": -1, "message": "Peer not connected"}
        assert await client.result("disconnect", [peer_id], filter={"x": True}) == {}


async def test_help_of_nothing_is_an_error_without_quotes_and_check_of_nothing_with() -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.error("help", ["nope"]) == (-32601, "Unknown command nope")
        assert await client.error("check", ["nope"]) == (-32601, "Unknown command 'nope'")


@pytest.mark.parametrize("name", ["batching", "deprecations", "notifications"])
async def test_a_switch_wants_true_or_false(name: str) -> None:
    async with served() as rpc, rpc.client() as client:
        for enable in (True, False):
            assert await client.result(name, {"enable": enable}) == {}
        for wrong in ("true", 1, None):
            assert await client.error(name, {"enable": wrong}) == (
                -32602,
                f"enable: should be 'true' or 'false': {BAD}",
            )


MALFORMED = [
    ("no object at all", "hello}", "Failed to parse RPC JSON response 'hello}'"),
    ("a number", "5}", "Failed to parse RPC JSON response '5}'"),
    ("a batch", '[{"jsonrpc":"2.0","id":1}]', None),
    ("an empty batch", "[{}]", None),
    ("an empty object", "{}", None),
    ("no jsonrpc", '{"id":1,"method":"getinfo","params":{}}', None),
    ("a key without a value", '{"jsonrpc":"2.0","id"}', 'Failed to parse RPC JSON response \'{"jsonrpc":"2.0","id"}\''),
    ("a comma too many", '{"jsonrpc":"2.0",}', 'Failed to parse RPC JSON response \'{"jsonrpc":"2.0",}\''),
    ("a key that is none", "{5:1}", "Failed to parse RPC JSON response '{5:1}'"),
    ("single quotes", "{'jsonrpc':'2.0'}", "Failed to parse RPC JSON response '{'jsonrpc':'2.0'}'"),
    ("infinity", '{"jsonrpc":Infinity}', "Failed to parse RPC JSON response '{\"jsonrpc\":Infinity}'"),
    ("a raw control sign", '{"jsonrpc":"\x01"}', 'Failed to parse RPC JSON response \'{"jsonrpc":"\x01"}\''),
    ("a bad escape", '{"jsonrpc":"\\x"}', 'Failed to parse RPC JSON response \'{"jsonrpc":"\\x"}\''),
    ("a leading zero", '{"jsonrpc":007}', "Failed to parse RPC JSON response '{\"jsonrpc\":007}'"),
]


@pytest.mark.parametrize(("sent", "text"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
@pytest.mark.parametrize("piecewise", [False, True])
async def test_what_is_no_request_ends_the_connection_after_clns_words(
    sent: str, text: str | None, piecewise: bool
) -> None:
    async with served() as rpc, rpc.client() as client, rpc.client() as other:
        for piece in sent if piecewise else [sent]:
            await client.send(piece)
        answer = json.loads(await client.next() or "")
        expected = text or f"JSON-RPC message does not contain \"jsonrpc\" field: '{sent}'"
        assert answer == {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": expected}}
        assert await client.next() is None
        assert await other.result("getinfo")


async def test_bytes_that_are_no_text_are_answered_as_text() -> None:
    async with served() as rpc, rpc.client() as client:
        await client.send(b'{"jsonrpc":"\xff\xfe"}')
        answer = json.loads(await client.next() or "")
        assert answer["error"]["message"] == 'Failed to parse RPC JSON response \'{"jsonrpc":"\ufffd\ufffd"}\''
        assert await client.next() is None
