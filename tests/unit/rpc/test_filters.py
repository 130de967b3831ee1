"""`filter`: the shape of the request and what is left of the result."""

from __future__ import annotations

from typing import Any

import pytest

from core.rpc.errors import RpcError
from core.rpc.filters import apply_filter, parse_filter
from core.rpc.tokens import Token
from tests.unit.rpc.parts import served

RESULT = {"id": "02", "peers": [{"id": "03", "n": 1}, {"id": "04"}], "one": {"a": 1, "b": {"c": 2}}}


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ("{}", RESULT),
        ('{"id":true}', {"id": "02"}),
        ('{"peers":true}', {"peers": RESULT["peers"]}),
        ('{"peers":[{"id":true}]}', {"peers": [{"id": "03"}, {"id": "04"}]}),
        ('{"peers":[{"n":true}]}', {"peers": [{"n": 1}, {}]}),
        ('{"one":{"b":{"c":true}},"id":true}', {"id": "02", "one": {"b": {"c": 2}}}),
        ('{"nothing":true}', {}),
        ('{"peers":{"id":true}}', {"warning_parameter_filter": ".peers is an array"}),
        ('{"id":true,"one":[{"a":true}]}', {"id": "02", "warning_parameter_filter": ".one is an object"}),
        (
            '{"peers":[{"id":true}],"one":{"b":[true]}}',
            {
                "peers": [{"id": "03"}, {"id": "04"}],
                "one": {},
                "warning_parameter_filter": ".one.b is an object",
            },
        ),
    ],
)
def test_only_what_is_named_is_left(wanted: str, left: dict[str, Any]) -> None:
    assert apply_filter(RESULT, parse_filter(Token(wanted))) == left


@pytest.mark.parametrize(
    ("wanted", "should"),
    [
        ("true", "Expected object"),
        ("[]", "Expected object"),
        ('{"a":[]}', "Arrays can only have one element"),
        ('{"a":[true,true]}', "Arrays can only have one element"),
        ('{"a":false}', "value must be true"),
        ('{"a":{"b":"true"}}', "value must be true"),
    ],
)
def test_what_is_no_filter_is_refused(wanted: str, should: str) -> None:
    with pytest.raises(RpcError) as caught:
        parse_filter(Token(wanted))
    assert (caught.value.code, caught.value.message) == (
        -32602,
        f"filter: {should}: invalid token (see logs for details)",
    )


async def test_a_filter_touches_results_and_never_errors() -> None:
    async with served() as rpc, rpc.client() as client:
        assert await client.result("getinfo", filter={"network": True}) == {"network": "regtest"}
        assert await client.error("connect", ["nope"], filter={"code": True}) == (
            -32602,
            "id: should be a node id: invalid token (see logs for details)",
        )
        assert (await client.error("getinfo", filter=5))[1].startswith("filter: Expected object")
