"""Whatever a client sends: tokens, requests, filters and parameters, or the surface's own refusals."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.client import CommandLine, Usage, make_request, read_command_line
from core.rpc.commands import COMMANDS
from core.rpc.errors import RpcError
from core.rpc.filters import apply_filter, parse_filter
from core.rpc.framing import (
    Malformed,
    RequestSplitter,
    compact,
    encode_about,
    encode_error,
    encode_notification,
    encode_result,
)
from core.rpc.params import decimal, read_params
from core.rpc.plugins.protocol import Answer, Inbox, encode_request
from core.rpc.requests import Refused, read_request
from core.rpc.tokens import Kind, NotJson, Token, member
from tests.unit.rpc.parts import SmallNode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=8), JSON, max_size=5)
LIKE_JSON = st.text('{}[]",:\\ 0123456789eE+-.truefalsn\n', max_size=60)
COMMAND_NAMES = sorted(COMMANDS)
ID = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
LIKELY = st.sampled_from([ID, f"{ID}@", f"{ID}@[::1", f"{ID}@127.0.0.1:70000", "true", "9c41", "", "0", "1" * 5_000])
VALUES = (LIKELY | JSON | st.text(max_size=12)).map(compact) | st.sampled_from(
    ["1e999", "-0", '"\\ud800"', '"\\u0000"']
)


@pytest.fixture(scope="module")
def face() -> Iterator[Any]:
    """A node that the check of a parameter may ask; no test here changes it."""
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        yield SmallNode(Path(folder))


@given(OBJECTS, st.sampled_from([None, 1]))
def test_the_members_of_an_object_are_its_keys_and_values(value: dict[str, Any], indent: int | None) -> None:
    members = Token(json.dumps(value, indent=indent)).members()
    assert {json.loads(key.raw): json.loads(each.raw) for key, each in members} == value
    assert all(key.kind is Kind.STRING for key, _ in members)


@given(st.lists(JSON, max_size=5))
def test_the_elements_of_an_array_are_its_values(value: list[Any]) -> None:
    assert [json.loads(each.raw) for each in Token(json.dumps(value)).elements()] == value


@given(LIKE_JSON.filter(bool))
@example("{" * 5_000)
@example("[" * 5_000)
def test_any_text_has_members_or_elements_or_is_no_json(text: str) -> None:
    for read in (Token(text).members, Token(text).elements):
        try:
            read()
        except NotJson:
            continue
        json.loads(text, parse_int=str)


@given(OBJECTS, st.sampled_from(["id", "jsonrpc", "method", "params", "filter"]))
def test_a_request_is_read_or_refused_with_its_id(some: dict[str, Any], left_out: str) -> None:
    whole = {"jsonrpc": "2.0", "id": 1, "method": "getinfo", "params": {}, "filter": {"id": True}}
    for fields in (whole | some, {key: value for key, value in whole.items() if key != left_out}, some):
        members = Token(json.dumps(fields)).members()
        try:
            request = read_request(members)
        except Refused as refused:
            found = member(members, "id")
            allowed = ["null"] if found is None else ["null", found.raw]
            assert refused.id in allowed  # noqa: PT017 - the refusal carries the id
        else:
            assert json.loads(request.id) == fields["id"]
            assert request.method == fields["method"]


@given(st.text('{}[]":,true a', max_size=30) | JSON.map(compact))
def test_any_filter_is_applied_or_refused(text: str) -> None:
    splitter = RequestSplitter()
    splitter.feed(f'{{"jsonrpc":"2.0","filter":{text}}}'.encode(errors="surrogatepass"))
    try:
        members = splitter.next()
    except Malformed:
        return
    found = None if members is None else member(members, "filter")
    if found is None:
        return
    try:
        wanted = parse_filter(found)
    except RpcError as refused:
        assert refused.code == -32602  # noqa: PT017
        return
    result = {"a": [1, {"true": 2}], "true": {"a": 3}, "": None}
    assert json.loads(compact(apply_filter(result, wanted))) is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.sampled_from(COMMAND_NAMES), st.lists(VALUES, max_size=5), st.booleans(), st.data())
def test_any_parameters_of_any_command_are_read_or_refused(
    face: Any, name: str, values: list[str], by_name: bool, data: st.DataObject
) -> None:
    declared = COMMANDS[name].params
    if by_name:
        names = st.sampled_from([*(param.name for param in declared), "no such"])
        sent = "{" + ",".join(f'"{data.draw(names)}":{value}' for value in values) + "}"
    else:
        sent = "[" + ",".join(values) + "]"
    try:
        found = read_params(Token(sent), declared, face, quote=data.draw(st.booleans()))
    except RpcError as refused:
        assert -32_700 <= refused.code <= -1  # noqa: PT017
        compact(refused.message)
        return
    assert found.keys() >= {param.name for param in declared if param.required}


@given(st.text(max_size=30) | st.integers().map(str))
@example("9" * 5_000)
@example("²")
def test_a_decimal_is_a_number_or_none(text: str) -> None:
    number = decimal(text)
    assert number is None or number == int(text)


@given(JSON, OBJECTS, st.text(max_size=20), st.integers(-40_000, 40_000))
def test_what_is_said_to_a_client_goes_round(value: Any, params: dict[str, Any], text: str, code: int) -> None:
    request_id = compact(text)
    said = [
        encode_result(request_id, value),
        encode_error(request_id, code, text, value),
        encode_notification(text, params),
        encode_about(request_id, text, {"x": value}),
    ]
    assert all(each.endswith(b"\n\n") and b"\n" not in each[:-2] for each in said)
    result, error, notification, about = (json.loads(each) for each in said)
    assert (result["id"], result["result"]) == (text, value)
    expected = {"code": code, "message": text} | ({} if value is None else {"data": value})
    assert error["error"] == expected
    assert (notification["method"], notification["params"]) == (text, params)
    assert about["params"] == {"id": text, "x": value}


@given(st.text(max_size=20), st.text(max_size=20), OBJECTS)
def test_what_is_asked_of_a_plugin_goes_round_and_so_does_its_answer(name: str, text: str, params: Any) -> None:
    asked = json.loads(encode_request(name, text, compact(params)))
    assert asked == {"jsonrpc": "2.0", "id": name, "method": text, "params": params}
    inbox = Inbox()
    inbox.feed(json.dumps({"jsonrpc": "2.0", "id": "1", "result": params}).encode())
    answer = inbox.next()
    assert isinstance(answer, Answer)
    assert answer.result == params


@given(
    st.lists(
        st.sampled_from(["-k", "-o", "-l", "-R", "--", "-", "--network=regtest"]) | st.text(max_size=10), max_size=6
    )
)
@example(["help", "[" * 5_000 + "]"])
@example(["help", "[" * 200_000 + "]"])
@example(["-k", "help", '={"' + "a" * 10])
def test_any_command_line_is_a_request_or_wrong_usage(words: list[str]) -> None:
    try:
        line = read_command_line(words, {})
        request = json.loads(make_request(line, "1"), parse_int=str)
    except Usage:
        return
    assert isinstance(line, CommandLine)
    assert request["method"] == line.words[0]
