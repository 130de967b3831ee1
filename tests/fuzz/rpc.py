"""The RPC parser: any bytes in any pieces are requests or refused in the ways of the contract, and the JSON is JSON."""

from __future__ import annotations

import json
from typing import Any, cast

import atheris

with atheris.instrument_imports(include=["core.rpc", "core.bolt"]):
    from core.rpc.commands import COMMANDS
    from core.rpc.errors import RpcError
    from core.rpc.filters import apply_filter
    from core.rpc.framing import Malformed, RequestSplitter, encode_error, encode_result
    from core.rpc.params import read_params
    from core.rpc.requests import Refused, Request, read_request
    from core.rpc.tokens import NotJson

from core.rpc.face import NodeFace
from tests.fuzz.harness import Source, Surprise, fuzz

RESULT: dict[str, Any] = {"id": "02", "peers": [{"id": "03", "netaddr": ["a"]}, {"id": "04"}], "one": {"a": {"b": 1}}}
MAX_BYTES = 3000
"""Of a request; small, so that the bound is met."""


class _Peers:
    """Knows every second peer."""

    def is_known(self, node_id: bytes) -> bool:
        return node_id[-1] % 2 == 0


class _SmallNode:
    """All that is asked of the node while parameters are read."""

    peers = _Peers()


def try_one(data: bytes) -> None:
    """First byte: the size of the pieces."""
    source = Source(data)
    size, data = source.byte() + 1, source.rest()
    splitter = RequestSplitter(MAX_BYTES)
    try:
        for at in range(0, len(data), size):
            splitter.feed(data[at : at + size])
            while (members := splitter.next()) is not None:
                for key, value in members:
                    json.loads(key.raw), json.loads(value.raw)
                _answer(read_request(members))
    except Malformed as refusal:
        _reads_back(encode_error("null", -32600, str(refusal)))
    except Refused as refusal:
        _reads_back(encode_error(refusal.id, refusal.error.code, refusal.error.message))


def _answer(request: Request) -> None:
    command = COMMANDS.get(request.method)
    try:
        for declared in (command,) if command else COMMANDS.values():
            values = read_params(
                request.params, declared.params, cast("NodeFace", _SmallNode()), allow_extra=declared.extra_params
            )
            if not set(values) <= {param.name for param in declared.params}:
                raise Surprise(f"{declared.name} has values {sorted(values)}")
        kept = apply_filter(RESULT, request.filter) if request.filter else RESULT
        _reads_back(encode_result(request.id, kept))
    except RpcError as refusal:
        _reads_back(encode_error(request.id, refusal.code, refusal.message))
    except NotJson as error:
        raise Surprise("a checked token is not JSON") from error


def _reads_back(reply: bytes) -> None:
    if reply.find(b"\n\n") != len(reply) - 2:
        raise Surprise(f"an empty line inside {reply!r}")
    json.loads(reply)


if __name__ == "__main__":
    node_id = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    begin = '{"jsonrpc":"2.0","id":1,"method":'
    samples = [
        f'{begin}"getinfo","params":[]}}',
        f'{begin}"connect","params":["{node_id}@127.0.0.1:9735"]}}',
        f'{begin}"connect","params":{{"id":"{node_id}","host":"::1","port":9735}}}}',
        f'{begin}"disconnect","params":["{node_id}",true]}}',
        f'{begin}"sendcustommsg","params":{{"node_id":"{node_id}","msg":"9c4100"}}}}',
        f'{begin}"listpeers","params":[null,"debug"],"filter":{{"peers":[{{"id":true}}]}}}}',
        f'{begin}"check","params":{{"command_to_check":"ping","id":"{node_id}","len":"12"}}}}\n\n{begin}"stop","params":[]}}',
        '{"jsonrpc":"2.0","id":"\\u00e9\\"","method":"help","params":["ping"]}',
    ]
    fuzz(try_one, [b"\x40" + sample.encode() for sample in samples])
