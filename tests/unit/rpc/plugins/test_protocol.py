"""core.rpc.plugins.protocol: messages of plugins, cut and read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rpc.plugins.protocol import MAX_MESSAGE_BYTES, Answer, BadMessage, Failure, Inbox, Said, encode_request


def all_of(inbox: Inbox) -> list[Answer | Said]:
    found = []
    while (message := inbox.next()) is not None:
        found.append(message)
    return found


@pytest.mark.parametrize("delimiter", [b"\n\n", b"", b"\n"])
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_messages_are_read_however_they_arrive(delimiter: bytes, step: int) -> None:
    said = delimiter.join(
        [
            b'{"jsonrpc": "2.0", "id": "a", "result": {"x": [1, 2.5, "}{"]}}',
            b'{"jsonrpc":"2.0","method":"log","params":{"level":"info","message":"\xc3\xa4"}}',
            b'{"jsonrpc":"2.0","id":"b","error":{"code":-3,"message":"no","data":7,"traceback":"x"}}',
            b'{"jsonrpc":"2.0","id":"c","result":null}',
        ]
    )
    inbox, found = Inbox(), []
    for start in range(0, len(said), step):
        inbox.feed(said[start : start + step])
        found += all_of(inbox)
    assert found == [
        Answer("a", {"x": [1, 2.5, "}{"]}),
        Said("log", {"level": "info", "message": "ä"}),
        Answer("b", failure=Failure(-3, "no", 7)),
        Answer("c", None),
    ]


@pytest.mark.parametrize(
    "said",
    [
        b"hello {}\n",
        b"{}",
        b'{"id":"a","result":1}',
        b'{"jsonrpc":"2.0"}',
        b'{"jsonrpc":"2.0","id":"a"}',
        b'{"jsonrpc":"2.0","id":"a","error":"no"}',
        b'{"jsonrpc":"2.0","id":"a","error":{"code":"1","message":"no"}}',
        b'{"jsonrpc":"2.0","method":7}',
        b'{"jsonrpc":"2.0","id":"a","result":' + b"9" * 5000 + b"}",
        b'{"jsonrpc":"2.0","id":"a","result":[1e999]}',
        b'{"jsonrpc":"2.0","id":"a","result":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"jsonrpc":"2.0","id":"a","result":"' + b"x" * MAX_MESSAGE_BYTES + b'"}',
    ],
)
def test_what_is_none_of_json_rpc_is_refused_in_few_words(said: bytes) -> None:
    inbox = Inbox()
    inbox.feed(said)
    with pytest.raises(BadMessage) as caught:
        inbox.next()
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=80))
def test_nothing_else_than_a_refusal_comes_of_any_bytes(said: bytes) -> None:
    inbox = Inbox()
    inbox.feed(b'{"jsonrpc":"2.0",' + said + b"}")
    try:
        all_of(inbox)
    except BadMessage:
        return


def test_a_request_ends_as_pyln_wants_it_and_keeps_the_parameters_as_they_were_written() -> None:
    request = encode_request("a#1", "greet", '{"x": 1.50}')
    assert request.endswith(b'"params":{"x": 1.50}}\n\n')
    assert json.loads(request)["id"] == "a#1"
