"""The network over RPC, in CLN's shapes and with its refusals (plugins/topology.c)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from core.bolt.address import parse_literal
from core.bolt.addresses import Descriptor
from core.bolt.keys import NodeKey
from core.gossip.graph_values import Trust
from core.rpc.framing import encode_result
from core.rpc.listing import Rows
from tests.unit.gossip.graphs import NOW, channel, node, scid, update
from tests.unit.rpc.parts import Client, Served, served

KEYS = [NodeKey(bytes(31) + bytes([number])).node_id for number in range(1, 6)]
ID = [key.hex() for key in KEYS]
INVALID = "invalid token (see logs for details)"


def put(rpc: Served, number: int, first: int, second: int, *, trust: Trust = Trust.CHECKED, **terms: Any) -> None:
    """A channel between the nodes of these numbers; their ids are points of the curve, since the commands ask that."""
    ends = {"node_id_1": KEYS[first], "node_id_2": KEYS[second]}
    announced = replace(channel(number, 1, 2, features=b"\x01"), **ends)
    capacity = 1_000_000 if trust is Trust.CHECKED else None
    rpc.node.graph.add_channel(announced, capacity_sat=capacity, trust=trust, heard=NOW)
    for direction in (0, 1):
        rpc.node.graph.update_channel(update(number, direction, **terms))


def line(rpc: Served) -> None:
    """0 - 1 - 2, and 3 - 4 by themselves."""
    put(rpc, 1, 0, 1)
    put(rpc, 2, 1, 2, base_msat=7)
    put(rpc, 3, 3, 4)


def row(number: int, direction: int, source: int, destination: int, **other: Any) -> dict[str, Any]:
    return {
        "source": ID[source],
        "destination": ID[destination],
        "short_channel_id": str(scid(number)),
        "direction": direction,
        "public": True,
        "amount_msat": 1_000_000_000,
        "message_flags": 1,
        "channel_flags": direction,
        "active": True,
        "last_update": NOW,
        "base_fee_millisatoshi": 1000,
        "fee_per_millionth": 10,
        "delay": 40,
        "htlc_minimum_msat": 1,
        "htlc_maximum_msat": 1_000_000_000,
        "features": "01",
    } | other


async def channels(client: Client, params: Any) -> list[dict[str, Any]]:
    result = await client.result("listchannels", params)
    assert list(result) == ["channels"]
    found: list[dict[str, Any]] = result["channels"]
    return found


async def test_listchannels_gives_directions_by_any_selector() -> None:
    async with served() as rpc, rpc.client() as client:
        assert await channels(client, []) == []
        line(rpc)
        second = [row(2, 0, 1, 2, base_fee_millisatoshi=7), row(2, 1, 2, 1, base_fee_millisatoshi=7)]
        assert await channels(client, [str(scid(2))]) == second
        assert list((await channels(client, [str(scid(2))]))[0]) == list(row(2, 0, 1, 2))
        assert await channels(client, {"source": ID[1]}) == [row(1, 1, 1, 0), second[0]]
        assert await channels(client, {"destination": ID[1]}) == [row(1, 0, 0, 1), second[1]]
        assert await channels(client, {"source": rpc.node.node_id.hex()}) == []
        assert await channels(client, ["1x1x1"]) == []
        everything = await channels(client, {})
        assert everything == [row(1, 0, 0, 1), row(1, 1, 1, 0), *second, row(3, 0, 3, 4), row(3, 1, 4, 3)]


async def test_listchannels_says_what_is_disabled_unknown_and_unchecked() -> None:
    async with served() as rpc, rpc.client() as client:
        put(rpc, 1, 0, 1, disabled=True)
        put(rpc, 2, 0, 1, trust=Trust.UNCHECKED)
        rpc.node.graph.add_channel(
            replace(channel(3, 1, 2), node_id_1=KEYS[0], node_id_2=KEYS[1]),
            capacity_sat=1,
            trust=Trust.CHECKED,
            heard=NOW,
        )
        rows = await channels(client, {})
        assert [(found["active"], found.get("trust")) for found in rows] == [
            (False, None),
            (False, None),
            (True, "unchecked"),
            (True, "unchecked"),
        ]
        assert rows[2]["amount_msat"] == 0


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ([1], f"short_channel_id: should be a short_channel_id of form NxNxN: {INVALID}"),
        ({"source": "02"}, f"source: should be a node id: {INVALID}"),
        (
            {"source": ID[0], "destination": ID[1]},
            "Can only specify one of `short_channel_id`, `source` or `destination`",
        ),
    ],
)
async def test_listchannels_refuses(params: Any, text: str) -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.error("listchannels", params) == (-32602, text)


async def test_listnodes_gives_what_nodes_announced_and_lone_ids_of_others() -> None:
    async with served() as rpc, rpc.client() as client:
        line(rpc)
        where = [parse_literal(host, 9735) for host in ("1.2.3.4", "::1")]
        announced = replace(
            node(1, alias="héllo\x1b".encode() + b"\0junk"),
            node_id=KEYS[1],
            addresses=tuple(Descriptor.of(address) for address in where if address is not None),
        )
        rpc.node.graph.update_node(announced)
        assert await client.result("listnodes", [ID[1]]) == {
            "nodes": [
                {
                    "nodeid": ID[1],
                    "alias": "héllo\x1b",
                    "color": "010203",
                    "last_timestamp": NOW,
                    "features": "80",
                    "addresses": [
                        {"type": "ipv4", "address": "1.2.3.4", "port": 9735},
                        {"type": "ipv6", "address": "::1", "port": 9735},
                    ],
                }
            ]
        }
        assert await client.result("listnodes", [ID[0]]) == {"nodes": [{"nodeid": ID[0]}]}
        assert await client.result("listnodes", [rpc.node.node_id.hex()]) == {"nodes": []}
        assert [found["nodeid"] for found in (await client.result("listnodes"))["nodes"]] == ID


async def test_a_filter_picks_from_a_list_of_any_length() -> None:
    async with served() as rpc, rpc.client() as client:
        for number in range(150):
            put(rpc, number, number % 2, 2)
        wanted = {"channels": [{"short_channel_id": True}]}
        found = await client.result("listchannels", {}, filter=wanted)
        assert found == {"channels": [{"short_channel_id": str(scid(n // 2))} for n in range(300)]}
        misused = await client.result("listchannels", {}, filter={"channels": {"source": True}})
        assert misused == {"warning_parameter_filter": ".channels is an array"}
        misused = await client.result("listchannels", {}, filter={"channels": [[True]]})
        assert misused["warning_parameter_filter"] == ".channels[] is an object"


async def test_a_list_in_pieces_is_the_reply_in_one_piece() -> None:
    async def batches(*sizes: int) -> Any:
        for size in sizes:
            yield [{"a": number, "ü": "\ud800\n"} for number in range(size)]

    for sizes in ((), (0,), (3,), (2, 0, 1)):
        whole = [found async for batch in batches(*sizes) for found in batch]
        assert b"".join(await Rows("x", batches(*sizes)).encoded("7")) == encode_result("7", {"x": whole})


async def test_several_lists_and_other_replies_come_whole() -> None:
    async with served() as rpc, rpc.client() as client:
        for number in range(200):
            put(rpc, number, 0, 1)
        for request, method in enumerate(["listchannels", "getinfo", "listchannels", "listnodes"]):
            await client.send(json.dumps({"jsonrpc": "2.0", "id": request, "method": method, "params": {}}))
        replies = {reply["id"]: reply["result"] for reply in [json.loads(await client.next() or "") for _ in range(4)]}
        assert [len(replies[number]["channels"]) for number in (0, 2)] == [400, 400]
        assert len(replies[3]["nodes"]) == 2


async def test_who_asks_and_sends_no_more_gets_the_whole_list_and_the_end() -> None:
    async with served() as rpc:
        for number in range(3000):
            put(rpc, number, 0, 1)
        reader, writer = await asyncio.open_unix_connection(rpc.path, limit=1 << 26)
        writer.write(b'{"jsonrpc":"2.0","id":1,"method":"listchannels","params":{}}')
        writer.write(b'{"jsonrpc":"2.0","id":2,"method":"getinfo","params":{}}')
        writer.write_eof()
        async with asyncio.timeout(20):
            replies = [json.loads(reply) for reply in (await reader.read()).split(b"\n\n") if reply]
        assert sorted(reply["id"] for reply in replies) == [1, 2]
        rows = next(reply["result"]["channels"] for reply in replies if reply["id"] == 1)
        assert len(rows) == 6000
        writer.close()


async def test_getroute_gives_the_way_with_its_amounts() -> None:
    async with served() as rpc, rpc.client() as client:
        line(rpc)
        params = {"id": ID[2], "amount_msat": 1_000_000, "riskfactor": 1, "fromid": ID[0]}
        hop = {"id": ID[1], "channel": str(scid(1)), "direction": 0, "amount_msat": 1_000_017, "delay": 49}
        last = {"id": ID[2], "channel": str(scid(2)), "direction": 0, "amount_msat": 1_000_000, "delay": 9}
        route = (await client.result("getroute", params))["route"]
        assert route == [hop | {"style": "tlv"}, last | {"style": "tlv"}]
        assert list(route[0]) == [*hop, "style"]
        for amount in ("1000000", "1000000msat", "1000sat", "0.00001btc"):
            assert (await client.result("getroute", params | {"amount_msat": amount}))["route"] == route
        later = await client.result("getroute", params | {"cltv": 20, "fuzzpercent": 5, "maxhops": 2})
        assert [found["delay"] for found in later["route"]] == [60, 20]


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"id": ID[3]}, 205, "Could not find a route"),
        ({"maxhops": 1}, 205, "Shortest route was 2"),
        ({"exclude": [ID[1]]}, 205, "Could not find a route"),
        ({"exclude": [f"{scid(2)}/0"]}, 205, "Could not find a route"),
        ({"amount_msat": 2_000_000_000}, 205, "Could not find a route"),
        ({"fromid": None}, -32602, f"fromid: should be a node id: {INVALID}"),
        ({"exclude": 1}, -32602, f"exclude: should be an array: {INVALID}"),
        ({"exclude": ["x"]}, -32602, f"exclude: should be short_channel_id_dir or node_id: {INVALID}"),
        ({"exclude": ["1x1x1/2"]}, -32602, f"exclude: should be short_channel_id_dir or node_id: {INVALID}"),
        ({"riskfactor": "x"}, -32602, f"riskfactor: should be a decimal number: {INVALID}"),
        ({"riskfactor": -1}, -32602, f"riskfactor: should be a decimal number: {INVALID}"),
        ({"amount_msat": "1.5sat"}, -32602, f"amount_msat: should be a millisatoshi amount: {INVALID}"),
        ({"amount_msat": "1e3"}, -32602, f"amount_msat: should be a millisatoshi amount: {INVALID}"),
        ({"amount_msat": "22000000btc"}, -32602, f"amount_msat: should be a millisatoshi amount: {INVALID}"),
        ({"amount_msat": -1}, -32602, f"amount_msat: should be a millisatoshi amount: {INVALID}"),
    ],
)
async def test_getroute_refuses(change: dict[str, Any], code: int, text: str) -> None:
    async with served() as rpc, rpc.client() as client:
        line(rpc)
        params = {"id": ID[2], "amount_msat": 1000, "riskfactor": 10, "fromid": ID[0]} | change
        assert await client.error("getroute", params) == (code, text)


async def test_getroute_names_the_end_that_it_does_not_know_and_begins_at_us() -> None:
    async with served() as rpc, rpc.client() as client:
        line(rpc)
        ours = rpc.node.node_id.hex()
        text = f"{ours}: unknown source node_id (no public channels?)"
        assert await client.error("getroute", [ID[2], 1000, 1]) == (-32602, text)
        text = f"{ours}: unknown destination node_id (no public channels?)"
        assert await client.error("getroute", [ours, 1000, 1, 9, ID[0]]) == (-32602, text)


async def test_getroute_goes_around_what_is_excluded() -> None:
    async with served() as rpc, rpc.client() as client:
        line(rpc)
        put(rpc, 9, 1, 2, base_msat=900_000)
        params = {"id": ID[2], "amount_msat": 1000, "riskfactor": 0.001, "fromid": ID[0]}
        usual = (await client.result("getroute", params))["route"]
        around = (await client.result("getroute", params | {"exclude": [f"{scid(2)}/0"]}))["route"]
        assert [hop["channel"] for hop in usual] == [str(scid(1)), str(scid(2))]
        assert [hop["channel"] for hop in around] == [str(scid(1)), str(scid(9))]


async def test_importgossipstore_tells_what_became_of_it_and_how_far_it_is() -> None:
    async with served() as rpc, rpc.client() as client:
        whole = {"channels": 1, "channel_updates": 2, "nodes": 3, "known": 4, "passed_over": 5, "refused": 6}
        assert await client.result("importgossipstore", ["/a/gossip_store"]) == whole
        cut = whole | {"left_out": "7 bytes could not be read"}
        assert await client.result("importgossipstore", {"path": '/ü "x"/cut'}) == cut
        assert [str(path) for path in rpc.node.imported] == ["/a/gossip_store", '/ü "x"/cut']
        await client.result("notifications", [True])
        await client.send('{"jsonrpc":"2.0","id":5,"method":"importgossipstore","params":["/a/b"]}')
        told = [json.loads(await client.next() or "") for _ in range(4)]
        assert [note["params"]["num"] for note in told[:3]] == [0, 50, 99]
        assert told[3]["result"] == whole


@pytest.mark.parametrize("path", ["gossip_store", "", 7, "/a\0b", "/\ud800"])
async def test_importgossipstore_refuses_what_is_no_path_of_its_own(path: Any) -> None:
    async with served() as rpc, rpc.client() as client:
        text = f"path: should be an absolute path: {INVALID}"
        assert await client.error("importgossipstore", [path]) == (-32602, text)
        assert rpc.node.imported == []


@pytest.mark.parametrize("method", ["listnodes", "listchannels", "getroute", "importgossipstore"])
async def test_nothing_of_it_works_before_the_node_is_active(method: str) -> None:
    async with served(active=False) as rpc, rpc.client() as client:
        assert await client.error(method, {}) == (-1, "Node is not active")
