"""The contract, row by row: what is sent and what must come back, byte for byte.

The texts are Core Lightning's in production mode (v26.06), as observed on a running one or read from its sources.
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace

import pytest

from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from tests.support.peers import node as peer_node
from tests.support.peers import until
from tests.support.raw_peer import RawListener, regtest_init
from tests.unit.rpc.parts import Served, served

ANY_ID = NodeKey(bytes(31) + b"\x01").node_id.hex()
"""A point of the curve that nobody here has the key of: the generator."""
NO_POINT = "02" + "ff" * 32
UNKNOWN_PARAMETER = (
    "unknown parameter: {}, this may be caused by a failure to autodetect key=value-style parameters. "
    "Please try using the -k flag and explicit key=value pairs of parameters."
)
INTERNAL_TYPE = (
    "Cannot send messages of type {} ({}). It is not possible to send messages that have a type managed internally "
    "since that might cause issues with the internal state tracking."
)
EVEN_TYPE = (
    "Cannot send even-typed {} custom message. Currently custom messages are limited to odd-numbered message types, "
    "as even-numbered types might result in disconnections."
)


def reply(code: int, message: str, request_id: str = "null") -> str:
    error = json.dumps({"code": code, "message": message}, separators=(",", ":"), ensure_ascii=False)
    return f'{{"jsonrpc":"2.0","id":{request_id},"error":{error}}}'


def invalid(name: str, should: str) -> tuple[int, str]:
    return -32602, f"{name}: {should}: invalid token (see logs for details)"


STOPS_READING = {
    "{}": """JSON-RPC message does not contain "jsonrpc" field: '{}'""",
    '{"id":1,"method":"getinfo","params":{}}': (
        """JSON-RPC message does not contain "jsonrpc" field: '{"id":1,"method":"getinfo","params":{}}'"""
    ),
    '[{"jsonrpc":"2.0"}]': """JSON-RPC message does not contain "jsonrpc" field: '[{"jsonrpc":"2.0"}]'""",
    "hello}": "Failed to parse RPC JSON response 'hello}'",
    '{"jsonrpc":"2.0",}': """Failed to parse RPC JSON response '{"jsonrpc":"2.0",}'""",
    '{"jsonrpc":]}': """Failed to parse RPC JSON response '{"jsonrpc":]'""",
    '{"jsonrpc" "2.0"}': """Failed to parse RPC JSON response '{"jsonrpc" "2.0"}'""",
    '{"jsonrpc":NaN}': "Failed to parse RPC JSON response '{\"jsonrpc\":NaN}'",
}


@pytest.mark.parametrize("sent", STOPS_READING)
async def test_what_is_no_request_is_answered_with_a_null_id_and_nothing_more_is_read(sent: str) -> None:
    async with served() as rpc, rpc.client() as client:
        # Of what begins with no bracket nobody knows where it ends: CLN quotes all that came.
        behind = '{"jsonrpc":"2.0","id":2,"method":"getinfo","params":{}}' if sent[0] in "{[" else ""
        await client.send(sent + behind)
        assert await client.next() == reply(-32600, STOPS_READING[sent])
        assert await client.next() is None


STAYS_OPEN = [
    ('{"jsonrpc":"2.0"}', reply(-32600, "No id")),
    ('{"jsonrpc":"2.0","id":[]}', reply(-32600, "Expected string/primitive for id")),
    ('{"jsonrpc":"2.0","id":{}}', reply(-32600, "Expected string/primitive for id")),
    ('{"jsonrpc":"1.0","id":1}', reply(-32600, 'jsonrpc: "2.0" must be specified in the request')),
    ('{"jsonrpc":2.0,"id":1}', reply(-32600, 'jsonrpc: "2.0" must be specified in the request')),
    ('{"jsonrpc":"2.0","id":1}', reply(-32600, "No method", "1")),
    ('{"jsonrpc":"2.0","id":1,"params":{}}', reply(-32600, "No method", "1")),
    ('{"jsonrpc":"2.0","id":1,"method":"getinfo"}', reply(-32600, "No params", "1")),
    ('{"jsonrpc":"2.0","id":1,"method":5,"params":{}}', reply(-32600, "Expected string for method", "1")),
    ('{"jsonrpc":"2.0","id":1,"method":"nope","params":{}}', reply(-32601, "Unknown command 'nope'", "1")),
    (
        '{"jsonrpc":"2.0","id":1,"method":"getinfo","params":null}',
        reply(-32602, "Expected array or object for params", "1"),
    ),
    (
        '{"jsonrpc":"2.0","id":1,"method":"getinfo","params":"x"}',
        reply(-32602, "Expected array or object for params", "1"),
    ),
    (
        '{"jsonrpc":"2.0","id":1,"method":"getinfo","params":[1,2]}',
        reply(-32602, "too many parameters: got 2, expected 0", "1"),
    ),
    (
        '{"jsonrpc":"2.0","id":1,"method":"disconnect","params":{"id":"00","id":"01"}}',
        reply(*invalid("id", "invalid peer id"), "1"),
    ),
    (
        '{"jsonrpc":"2.0","id":1,"method":"getinfo","params":{"x\\u0020y":1}}',
        reply(-32602, UNKNOWN_PARAMETER.format("x\\u0020y"), "1"),
    ),
]


@pytest.mark.parametrize(("sent", "expected"), STAYS_OPEN, ids=[sent for sent, _ in STAYS_OPEN])
async def test_a_request_that_is_refused_leaves_the_connection_open(sent: str, expected: str) -> None:
    async with served() as rpc, rpc.client() as client:
        await client.send(sent)
        assert await client.next() == expected
        assert await client.result("getinfo")


@pytest.mark.parametrize("written", ["7", "1.5", "1e3", "-0", "null", "true", '"a\\"b"', '"\\u00e9"', '"é"', '""'])
async def test_an_id_comes_back_as_it_was_written(written: str) -> None:
    async with served() as rpc, rpc.client() as client:
        await client.send(f'{{"jsonrpc":"2.0","id":{written},"method":"notifications","params":[true]}}')
        assert await client.next() == f'{{"jsonrpc":"2.0","id":{written},"result":{{}}}}'


async def test_the_reply_to_lightning_clis_first_request_fits_its_buffer_of_100_bytes() -> None:
    async with served(active=False) as rpc, rpc.client() as client:
        await client.send(
            '{"jsonrpc":"2.0","method":"notifications","id":"cli:notifications#4194304","params":{"enable":true}}'
        )
        answer = await client.next()
        assert answer == '{"jsonrpc":"2.0","id":"cli:notifications#4194304","result":{}}'
        assert len(answer) + 2 < 100


async def test_text_beyond_ascii_is_sent_as_it_is() -> None:
    async with served() as rpc, rpc.client() as client:
        await client.send('{"jsonrpc":"2.0","id":1,"method":"émission","params":{}}')
        assert await client.next() == reply(-32601, "Unknown command 'émission'", "1")


CONNECT_REFUSED = [
    ({}, (-32602, "missing required parameter: id")),
    ([], (-32602, "missing required parameter: id")),
    ([None, "host"], (-32602, "missing required parameter: id")),
    ({"host": "127.0.0.1"}, (-32602, "missing required parameter: id")),
    ({"id": None}, invalid("id", "should be a node id")),
    ({"id": "nope"}, invalid("id", "should be a node id")),
    ({"id": 7}, invalid("id", "should be a node id")),
    ({"id": NO_POINT}, invalid("id", "should be a node id")),
    ({"id": "00" + ANY_ID}, invalid("id", "should be a node id")),
    ([ANY_ID, "127.0.0.1", 1, 2], (-32602, "too many parameters: got 4, expected 3")),
    ({"id": ANY_ID, "hots": "x"}, (-32602, UNKNOWN_PARAMETER.format("hots"))),
    ({"hots": "x", "id": "nope"}, (-32602, UNKNOWN_PARAMETER.format("hots"))),
    ({"id": "nope", "hots": "x"}, invalid("id", "should be a node id")),
    (
        [f"{ANY_ID}@127.0.0.1", "127.0.0.1"],
        (-32602, "Can't specify host as both xxx@yyy and separate argument"),
    ),
    (
        {"host": "127.0.0.1", "id": f"{ANY_ID}@127.0.0.1"},
        (-32602, "Can't specify host as both xxx@yyy and separate argument"),
    ),
    (
        [f"{ANY_ID}@127.0.0.1:9735", None, 9735],
        (-32602, "Can't specify port as both xxx@yyy:port and separate argument"),
    ),
    (
        {"port": 9735, "id": f"{ANY_ID}@127.0.0.1:9735"},
        (-32602, "Can't specify port as both xxx@yyy:port and separate argument"),
    ),
    ([f"{ANY_ID}@127.0.0.1:0"], (-32602, "malformed host @part")),
    ([f"{ANY_ID}@127.0.0.1:x"], (-32602, "malformed host @part")),
    ([f"{ANY_ID}@127.0.0.1:70000"], (-32602, "malformed host @part")),
    ([f"{ANY_ID}@[::1"], (-32602, "malformed host @part")),
    ([ANY_ID, "127.0.0.1", 0], invalid("port", "should be non-zero")),
    ([ANY_ID, "127.0.0.1", "0"], invalid("port", "should be non-zero")),
    ([ANY_ID, "127.0.0.1", 70000], invalid("port", "should be a 16-bit integer")),
    ([ANY_ID, "127.0.0.1", -1], invalid("port", "should be a 16-bit integer")),
    ([ANY_ID, "127.0.0.1", "x"], invalid("port", "should be a 16-bit integer")),
    ({"id": ANY_ID, "host": "127.0.0.1", "port": None}, invalid("port", "should be a 16-bit integer")),
    ([ANY_ID, None, 9735], (-32602, "Can't specify port without host")),
    ([ANY_ID, "no-such-name"], (-1, "Host no-such-name:19846 not valid: Name or service not known")),
    ([ANY_ID, "no-such-name", 9], (-1, "Host no-such-name:9 not valid: Name or service not known")),
    ([ANY_ID, "127.0.0.1:"], (-1, "Host 127.0.0.1::19846 not valid: Name or service not known")),
    ([ANY_ID, "expyuzz4wqqyqhjn.onion"], (-1, "Host expyuzz4wqqyqhjn.onion:19846 not valid: Invalid Tor address")),
    ([ANY_ID, "/" + "x" * 108], (-1, f"Host /{'x' * 108}:19846 not valid: Socket name too long")),
    ([ANY_ID, ""], (-1, "Host :19846 not a simple type")),
    ([ANY_ID, ":9735"], (-1, "Host :9735:19846 not a simple type")),
    ([ANY_ID, "autotor:127.0.0.1"], (-1, "Host autotor:127.0.0.1:19846 not a simple type")),
    ([ANY_ID, "127.0.0.1:70000"], (-1, "Host 127.0.0.1:70000:19846 not valid: port 70000 is not between 1 and 65535")),
    ([ANY_ID], (400, "Unable to connect, no address known for peer")),
]


@pytest.mark.parametrize(("params", "expected"), CONNECT_REFUSED, ids=[str(params) for params, _ in CONNECT_REFUSED])
async def test_connect_refuses(params: object, expected: tuple[int, str]) -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.error("connect", params) == expected


async def test_duplicate_names_are_refused_where_the_second_stands() -> None:
    async with served() as rpc, rpc.client() as client:
        await client.send(f'{{"jsonrpc":"2.0","id":1,"method":"connect","params":{{"id":"{ANY_ID}","id":"{ANY_ID}"}}}}')
        assert await client.next() == reply(-32602, "duplicate json names: id", "1")


async def test_connect_says_how_each_address_failed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with served() as rpc, rpc.client() as client:
            assert await client.error("connect", [ANY_ID, "127.0.0.1", port]) == (
                401,
                f"All addresses failed: 127.0.0.1:{port}: Connection establishment: Connection refused. ",
            )


async def test_connect_suspects_a_wrong_key_when_the_peer_closes_in_the_handshake() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        assert await client.error("connect", [f"{ANY_ID}@{peer.host}:{peer.port}"]) == (
            401,
            f"All addresses failed: 127.0.0.1:{peer.port}: Cryptographic handshake: "
            "peer closed connection (wrong key?). ",
        )


async def test_connect_says_that_the_peer_closed_while_inits_were_exchanged() -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        asking = asyncio.create_task(client.error("connect", [peer.node_id.hex(), "127.0.0.1", peer.port]))
        await (await peer.accept()).close()
        assert await asking == (
            401,
            f"All addresses failed: 127.0.0.1:{peer.port}: Exchanging init messages: peer closed connection. ",
        )


async def test_connect_to_ourselves_ends_as_a_disconnect_does() -> None:
    async with served() as rpc, rpc.client() as client:
        (bound,) = rpc.node.manager.bound
        uri = f"{rpc.node.node_id.hex()}@{bound}"
        assert await client.error("connect", [uri]) == (402, "disconnected during connection")


async def test_disconnect_fails_a_connect_that_waits() -> None:
    async with served() as rpc, rpc.client() as waiting, rpc.client() as other, RawListener() as peer:
        asking = asyncio.create_task(waiting.error("connect", [peer.node_id.hex(), "127.0.0.1", peer.port]))
        await peer.accept()
        assert await other.result("disconnect", [peer.node_id.hex()]) == {}
        assert await asking == (402, "disconnected during connection")


async def test_connect_answers_in_the_contracts_order_and_again_at_once() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        expected = {
            "id": peer.node_id.hex(),
            "features": "20000080a202",
            "direction": "out",
            "address": {"type": "ipv4", "address": "127.0.0.1", "port": peer.port},
        }
        uri = f"{peer.node_id.hex().upper()}@127.0.0.1:{peer.port}"
        await client.send(f'{{"jsonrpc":"2.0","id":1,"method":"connect","params":["{uri}"]}}')
        compact = json.dumps(expected, separators=(",", ":"))
        assert await client.next() == f'{{"jsonrpc":"2.0","id":1,"result":{compact}}}'
        assert await client.result("connect", [peer.node_id.hex()]) == expected
        assert await client.result("connect", [peer.node_id.hex(), "127.0.0.9", "1"]) == expected


async def test_connect_reports_a_peer_that_came_to_us_as_incoming() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        (bound,) = rpc.node.manager.bound
        await peer.manager.connect(rpc.node.node_id, bound.host, bound.port)
        await until(lambda: rpc.node.manager.peer(peer.node_id))
        found = await client.result("connect", {"id": peer.node_id.hex()})
        assert (found["direction"], found["address"]["address"]) == ("in", "127.0.0.1")


DISCONNECT_REFUSED = [
    ({}, (-32602, "missing required parameter: id")),
    (["nope"], invalid("id", "invalid peer id")),
    ([NO_POINT], invalid("id", "invalid peer id")),
    ([ANY_ID], (-32602, f"Unknown peer '{ANY_ID}'")),
    ([ANY_ID.upper()], (-32602, f"Unknown peer '{ANY_ID.upper()}'")),
    # Parameters are looked at in the order they were sent, and whether the peer is known with its id.
    ([ANY_ID, "true"], (-32602, f"Unknown peer '{ANY_ID}'")),
    ({"id": ANY_ID, "force": None}, (-32602, f"Unknown peer '{ANY_ID}'")),
    ({"force": "true", "id": ANY_ID}, invalid("force", "should be 'true' or 'false'")),
    ({"force": 1, "id": "nope"}, invalid("force", "should be 'true' or 'false'")),
    ({"force": None, "id": ANY_ID}, invalid("force", "should be 'true' or 'false'")),
    ([ANY_ID, None], (-32602, f"Unknown peer '{ANY_ID}'")),
]


@pytest.mark.parametrize(("params", "expected"), DISCONNECT_REFUSED, ids=[str(row[0]) for row in DISCONNECT_REFUSED])
async def test_disconnect_refuses(params: object, expected: tuple[int, str]) -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.error("disconnect", params) == expected


async def _connected(rpc: Served, peer: object) -> str:
    await rpc.node.manager.connect(peer.node_id, peer.host, peer.port)  # type: ignore[attr-defined]
    await until(lambda: peer.manager.peer(rpc.node.node_id))  # type: ignore[attr-defined]
    return str(peer.node_id.hex())  # type: ignore[attr-defined]


async def test_disconnect_answers_once_the_peer_is_gone() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        peer_id = await _connected(rpc, peer)
        assert await client.result("disconnect", {"id": peer_id, "force": False}) == {}
        assert rpc.node.manager.peer(peer.node_id) is None
        assert await client.result("listpeers") == {"peers": []}


async def test_disconnect_spares_a_peer_with_a_channel_unless_forced() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        peer_id = await _connected(rpc, peer)
        rpc.node.channels.states[peer.node_id] = "CHANNELD_NORMAL"
        assert await client.error("disconnect", [peer_id]) == (
            -1,
            "Peer has (at least one) channel in state CHANNELD_NORMAL",
        )
        assert await client.result("disconnect", [peer_id, True]) == {}
        assert await client.error("disconnect", [peer_id]) == (-1, "Peer not connected")


SENDCUSTOMMSG_REFUSED = [
    ({}, (-32602, "missing required parameter: node_id")),
    ([ANY_ID], (-32602, "missing required parameter: msg")),
    (["nope", "8001"], invalid("node_id", "should be a node id")),
    ([ANY_ID, "xy"], invalid("msg", "should be a hex value")),
    ([ANY_ID, "800"], invalid("msg", "should be a hex value")),
    ([ANY_ID, "80 01"], invalid("msg", "should be a hex value")),
    ({"node_id": ANY_ID, "msg": None}, invalid("msg", "should be a hex value")),
    ([ANY_ID, ""], invalid("msg", "should be a hex value of 2 to 65535 bytes")),
    ([ANY_ID, "80"], invalid("msg", "should be a hex value of 2 to 65535 bytes")),
    ([ANY_ID, "8001" + "00" * 65534], invalid("msg", "should be a hex value of 2 to 65535 bytes")),
    ([ANY_ID, "0012"], (-32600, INTERNAL_TYPE.format(18, "WIRE_PING"))),
    ([ANY_ID, "0001"], (-32600, INTERNAL_TYPE.format(1, "WIRE_WARNING"))),
    ([ANY_ID, "0000"], (-32600, INTERNAL_TYPE.format(0, "WIRE_PROTOCOL_BATCH_ELEMENT"))),
    ([ANY_ID, "0201"], (-32600, INTERNAL_TYPE.format(513, "WIRE_ONION_MESSAGE"))),
    ([ANY_ID, "a864"], (-32600, EVEN_TYPE.format(43108))),
    ([ANY_ID, "0104"], (-32600, EVEN_TYPE.format(260))),
    ([ANY_ID, "8001"], (-32600, f"No such peer: {ANY_ID}")),
    ([ANY_ID, "0007"], (-32600, f"No such peer: {ANY_ID}")),
]


@pytest.mark.parametrize(
    ("params", "expected"), SENDCUSTOMMSG_REFUSED, ids=[str(row[0])[:90] for row in SENDCUSTOMMSG_REFUSED]
)
async def test_sendcustommsg_refuses_and_the_node_stays_up(params: object, expected: tuple[int, str]) -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        await _connected(rpc, peer)
        assert await client.error("sendcustommsg", params) == expected
        assert len((await client.result("listpeers"))["peers"]) == 1


REFUSED_TYPES = [
    *(0, 1, 2, *range(16, 20), *range(32, 37), *range(38, 42), *range(64, 75), 77, 80, 81, 127, 128),
    *(*range(130, 138), *range(256, 260), *range(261, 266), 513),
]


@pytest.mark.parametrize("type_", REFUSED_TYPES)
async def test_sendcustommsg_refuses_every_type_that_cln_manages_itself(type_: int) -> None:
    async with served() as rpc, rpc.client() as client:
        code, text = await client.error("sendcustommsg", [ANY_ID, f"{type_:04x}"])
        assert (code, text.startswith(f"Cannot send messages of type {type_} (WIRE_")) == (-32600, True)


async def test_sendcustommsg_to_a_peer_that_is_only_being_dialled() -> None:
    async with served() as rpc, rpc.client() as client, rpc.client() as other, RawListener() as peer:
        peer_id = peer.node_id.hex()
        asking = asyncio.create_task(other.error("connect", [peer_id, "127.0.0.1", peer.port]))
        await peer.accept()
        assert await client.error("sendcustommsg", [peer_id, "8001"]) == (-32600, "Peer is not connected")
        await client.result("disconnect", [peer_id])
        await asking


async def test_sendcustommsg_delivers_the_longest_and_the_shortest_message() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        peer_id = await _connected(rpc, peer)
        sent = {"status": "Message sent to connectd for delivery"}
        assert await client.result("sendcustommsg", {"node_id": peer_id, "msg": "8001"}) == sent
        assert await client.result("sendcustommsg", {"node_id": peer_id, "msg": "8003" + "AB" * 65533}) == sent
        await until(lambda: len(peer.manager.custom_messages()) == 2)
        first, second = peer.manager.custom_messages()
        assert (first.type, first.payload) == (0x8001, b"")
        assert (second.type, second.payload) == (0x8003, b"\xab" * 65533)


PING_REFUSED = [
    (["nope"], invalid("id", "should be a node id")),
    ([ANY_ID, "x"], invalid("len", "should be an integer")),
    ([ANY_ID, -1], invalid("len", "should be an integer")),
    ([ANY_ID, 1, 1.5], invalid("pongbytes", "should be an integer")),
    ([ANY_ID, 65530], (-32602, "65530 would result in oversize ping")),
    ([ANY_ID, 1, 65536], (-32602, "pongbytes 65536 > 65535")),
    ([ANY_ID], (-1, "Peer not connected")),
]


@pytest.mark.parametrize(("params", "expected"), PING_REFUSED, ids=[str(row[0]) for row in PING_REFUSED])
async def test_ping_refuses(params: object, expected: tuple[int, str]) -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.error("ping", params) == expected


async def test_ping_gives_the_length_of_the_whole_pong() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        peer_id = await _connected(rpc, peer)
        rows = [([], 132), ([0, 0], 4), ([1000, 1000], 1004), ([128, "65531"], 65535), ([128, 65532], 0)]
        for sizes, totlen in rows:
            assert await client.result("ping", [peer_id, *sizes]) == {"totlen": totlen}, sizes


async def test_a_second_ping_waits_for_nobody() -> None:
    async with served() as rpc, rpc.client() as client, rpc.client() as other, RawListener() as listener:
        asking = asyncio.create_task(other.result("connect", [listener.node_id.hex(), "127.0.0.1", listener.port]))
        peer = await listener.accept()
        await peer.exchange_init()
        await asking
        first = asyncio.create_task(other.error("ping", [listener.node_id.hex()]))
        assert (await peer.receive() or b"")[:2] == b"\x00\x12"
        assert await client.error("ping", [listener.node_id.hex()]) == (-1, "Ping already pending")
        await peer.close()
        assert await first == (-1, "Peer not connected")


async def test_listpeers_has_the_contracts_rows() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        peer_id = await _connected(rpc, peer)
        row = {
            "id": peer_id,
            "connected": True,
            "num_channels": 0,
            "netaddr": [f"127.0.0.1:{peer.port}"],
            "features": "20000080a202",
        }
        found = await client.result("listpeers")
        assert found == {"peers": [row]}
        assert list(found["peers"][0]) == list(row)
        assert await client.result("listpeers", {"id": peer_id}) == {"peers": [row]}
        assert await client.result("listpeers", [ANY_ID]) == {"peers": []}
        assert await client.result("listpeers", [None, "debug"]) == {"peers": [row | {"log": []}]}
        assert await client.error("listpeers", ["nope"]) == invalid("id", "should be a node id")
        assert await client.error("listpeers", {"level": "x"}) == invalid(
            "level", "should be 'io', 'debug', 'info', or 'unusual'"
        )


async def test_listpeers_names_peers_with_a_channel_also_when_they_are_away() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        peer_id = await _connected(rpc, peer)
        rpc.node.channels.states[peer.node_id] = "CHANNELD_NORMAL"
        (row,) = (await client.result("listpeers", [peer_id]))["peers"]
        assert (row["connected"], row["num_channels"]) == (True, 1)
        await client.result("disconnect", [peer_id, True])
        away = {"id": peer_id, "connected": False, "num_channels": 1, "features": ""}
        found = await client.result("listpeers")
        assert found == {"peers": [away]}
        assert list(found["peers"][0]) == list(away)
        assert await client.result("listpeers", [peer_id, "io"]) == {"peers": [away | {"log": []}]}
        assert await client.result("listpeers", [ANY_ID]) == {"peers": []}


async def test_listpeers_says_how_the_peer_sees_us() -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as listener:
        asking = asyncio.create_task(client.result("connect", [listener.node_id.hex(), "127.0.0.1", listener.port]))
        seen = Address(AddressKind.IPV4, "8.8.4.4", 9735)
        await (await listener.accept()).exchange_init(replace(regtest_init(), remote_addr=seen))
        await asking
        (row,) = (await client.result("listpeers"))["peers"]
        assert row["remote_addr"] == "8.8.4.4:9735"
        assert list(row) == ["id", "connected", "num_channels", "netaddr", "remote_addr", "features"]


async def test_getinfo_has_the_contracts_order_and_the_port_really_bound() -> None:
    async with served() as rpc, rpc.client() as client:
        (bound,) = rpc.node.manager.bound
        info = await client.result("getinfo", {})
        assert list(info) == [
            *("id", "alias", "color", "num_peers", "num_pending_channels", "num_active_channels"),
            *("num_inactive_channels", "address", "binding", "version", "blockheight", "network"),
            *("fees_collected_msat", "lightning-dir", "our_features"),
        ]
        assert info["id"] == rpc.node.node_id.hex()
        assert info["binding"] == [{"type": "ipv4", "address": "127.0.0.1", "port": bound.port}]
        assert (info["network"], info["blockheight"], info["num_peers"]) == ("regtest", 7, 0)
        assert info["lightning-dir"] == str(rpc.node.paths.folder)
        assert info["our_features"] == {"init": "20000080aa82", "node": "", "channel": "", "invoice": ""}


async def test_getinfo_names_the_onion_service_while_tor_has_it() -> None:
    async with served() as rpc, rpc.client() as client:
        assert (await client.result("getinfo"))["address"] == []
        onion = "a" * 56 + ".onion"
        rpc.node.onion_address = Address(AddressKind.TORV3, onion, 9735)
        assert (await client.result("getinfo"))["address"] == [{"type": "torv3", "address": onion, "port": 9735}]


async def test_getinfo_of_an_offline_node_has_no_binding() -> None:
    async with served(offline=True, listen=False) as rpc, rpc.client() as client:
        assert "binding" not in await client.result("getinfo")


USAGES = {
    "connect id [host] [port]",
    "disconnect id [force]",
    "sendcustommsg node_id msg",
    "listpeers [id] [level]",
    "ping id [len] [pongbytes]",
    "help [command]",
    "getinfo",
    "stop",
    "notifications enable",
}


async def test_help_lists_usages_and_describes_one_command() -> None:
    async with served() as rpc, rpc.client() as client:
        found = await client.result("help")
        assert found["format-hint"] == "simple"
        usages = [row["command"] for row in found["help"]]
        assert set(usages) >= USAGES
        assert usages == sorted(usages)
        one = (await client.result("help", ["connect"]))["help"]
        assert [row["command"] for row in one] == ["connect id [host] [port]"]
        assert await client.error("help", ["nope"]) == (-32601, "Unknown command nope")


CHECK_REFUSED = [
    ([], (-32602, "missing required parameter: command_to_check")),
    (["nope"], (-32601, "Unknown command 'nope'")),
    (["check"], (-32602, "missing required parameter: command_to_check")),
    (["connect"], (-32602, "missing required parameter: id")),
    (["connect", "nope"], (-32602, "id: should be a node id: invalid token '\"nope\"'")),
    (["connect", ANY_ID, "127.0.0.1", 0], (-32602, "port: should be non-zero: invalid token '0'")),
    ({"command_to_check": "connect", "id": None}, (-32602, "id: should be a node id: invalid token 'null'")),
    ({"id": ANY_ID, "x": 1, "command_to_check": "connect"}, (-32602, UNKNOWN_PARAMETER.format("x"))),
    (["connect", ANY_ID, None, 9], (-32602, "Can't specify port without host")),
    (["connect", ANY_ID, ""], (-1, "Host :19846 not a simple type")),
    (["disconnect", ANY_ID], (-32602, f"Unknown peer '{ANY_ID}'")),
    (["sendcustommsg", ANY_ID, "0012"], (-32600, INTERNAL_TYPE.format(18, "WIRE_PING"))),
    (["sendcustommsg", ANY_ID, "a864"], (-32600, EVEN_TYPE.format(43108))),
    (["sendcustommsg", ANY_ID, "8001"], (-32600, f"No such peer: {ANY_ID}")),
    (["ping", ANY_ID], (-1, "Peer not connected")),
    (["getinfo", 1], (-32602, "too many parameters: got 1, expected 0")),
]


@pytest.mark.parametrize(("params", "expected"), CHECK_REFUSED, ids=[str(row[0]) for row in CHECK_REFUSED])
async def test_check_refuses_and_shows_the_token(params: object, expected: tuple[int, str]) -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.error("check", params) == expected


async def test_check_runs_nothing() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        uri = f"{peer.node_id.hex()}@{peer.host}:{peer.port}"
        assert await client.result("check", ["connect", uri]) == {"command_to_check": "connect"}
        assert await client.result("check", ["connect", ANY_ID, "some.name"]) == {"command_to_check": "connect"}
        assert await client.result("check", ["check", "stop"]) == {"command_to_check": "stop"}
        peer_id = await _connected(rpc, peer)
        params = {"msg": "8001", "command_to_check": "sendcustommsg", "node_id": peer_id}
        assert await client.result("check", params) == {"command_to_check": "sendcustommsg"}
        assert await client.result("check", ["disconnect", peer_id]) == {"command_to_check": "disconnect"}
        assert rpc.node.manager.peer(peer.node_id) is not None
        assert rpc.node.manager.custom_messages() == []
        assert not rpc.node.stop_requested.is_set()


WORK_BEFORE_ACTIVE = {
    "activatenode",
    "getinfo",
    "help",
    "check",
    "notifications",
    "listconfigs",
    "listnetworkevents",
    "minepractice",
    "mmrpcbans",
    "mmrpcunban",
    "payfaucet",
    "stop",
    "trustcertificate",
}


NOT_ACTIVE = {"code": -1, "message": "Node is not active"}


async def test_until_the_node_is_active_only_a_few_commands_work() -> None:
    async with served(active=False) as rpc, rpc.client() as client:
        usages = [row["command"] for row in (await client.result("help"))["help"]]
        params = {"notifications": [True], "check": ["help"]}
        for name in [usage.split()[0] for usage in usages]:
            answer = await client.ask(name, params.get(name, []))
            if name in WORK_BEFORE_ACTIVE:
                assert answer.get("error") != NOT_ACTIVE, answer
            else:
                assert answer["error"] == NOT_ACTIVE
        assert await client.error("check", ["connect", "nope"]) == (
            -32602,
            "id: should be a node id: invalid token '\"nope\"'",
        )
        assert await client.result("check", ["connect", ANY_ID]) == {"command_to_check": "connect"}
        info = await client.result("getinfo")
        assert (info["num_peers"], info["binding"]) == (0, [])


async def test_the_node_is_activated_by_command_and_its_task_named() -> None:
    async with served(active=False) as rpc, rpc.client() as client:
        assert await client.result("activatenode") == {"task_id": 7}
        assert rpc.node.activations == 1


async def test_stop_answers_before_the_node_is_asked_to_stop() -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.result("stop") == {"result": "Shutdown complete"}
        await asyncio.wait_for(rpc.node.stop_requested.wait(), 30)


async def test_listconfigs_says_where_each_value_comes_from() -> None:
    chosen = {"bind": "cmdline", "alias": "config"}
    async with served(bind=("127.0.0.1:0",), origins=chosen) as rpc, rpc.client() as client:
        configs = (await client.result("listconfigs"))["configs"]
        assert configs["network"] == {"value_str": "regtest", "source": "default"}
        assert configs["bind"] == {"values_str": ["127.0.0.1:0"], "sources": ["cmdline"]}
        assert configs["offline"] == {"set": False, "source": "default"}
        assert configs["alias"] == {"value_str": "practice jar", "source": str(rpc.node.paths.config)}
        assert await client.result("listconfigs", ["network"]) == {"configs": {"network": configs["network"]}}
        assert await client.error("listconfigs", ["nope"]) == invalid("config", "Unknown config option")


async def test_batching_and_deprecations_are_taken_without_effect() -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.result("batching", [True]) == {}
        assert await client.result("deprecations", {"enable": False}) == {}
        assert await client.error("batching", ["yes"]) == invalid("enable", "should be 'true' or 'false'")
