"""Requests come out whole however their bytes arrive."""

from __future__ import annotations

import contextlib
import json
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.rpc.framing import Malformed, RequestSplitter, compact, encode_error, encode_notification, encode_result

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
requests = st.dictionaries(st.text(max_size=8), json_values, max_size=5).map(lambda rest: {"jsonrpc": "2.0"} | rest)
space = st.text(" \t\r\n", max_size=3)


def requests_in(chunks: list[bytes]) -> list[dict[str, object]]:
    splitter, found = RequestSplitter(), []
    for chunk in chunks:
        splitter.feed(chunk)
        while (members := splitter.next()) is not None:
            found.append({json.loads(key.raw): json.loads(value.raw) for key, value in members})
    return found


@settings(deadline=None)
@given(st.lists(st.tuples(requests, space, st.booleans()), max_size=4), st.data())
def test_any_split_of_the_bytes_gives_the_same_requests(
    sent: list[tuple[dict[str, object], str, bool]], data: st.DataObject
) -> None:
    stream = "".join(
        between + json.dumps(request, ensure_ascii=escaped, indent=1 if escaped else None)
        for request, between, escaped in sent
    ).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    assert requests_in(chunks) == [request for request, _, _ in sent]


@settings(deadline=None)
@given(requests)
def test_one_byte_at_a_time_is_enough(request: dict[str, object]) -> None:
    stream = json.dumps(request).encode() * 2
    assert requests_in([bytes([byte]) for byte in stream]) == [request, request]


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"", b"}", b'{"jsonrpc":', b"[", b'{"']))
def test_no_bytes_break_the_splitter(noise: bytes, before: bytes) -> None:
    splitter = RequestSplitter()
    splitter.feed(before + noise)
    with contextlib.suppress(Malformed):
        while splitter.next() is not None:
            pass


def test_nothing_is_looked_at_before_a_closing_brace_came() -> None:
    splitter = RequestSplitter()
    splitter.feed(b'hello ["] ')
    assert splitter.next() is None
    splitter.feed(b"}")
    with pytest.raises(Malformed):
        splitter.next()


def test_what_follows_a_request_is_not_looked_at_before_its_own_brace_came() -> None:
    splitter = RequestSplitter()
    splitter.feed(b'{"jsonrpc":"2.0"} hello')
    assert splitter.next() is not None
    assert splitter.next() is None


@pytest.mark.parametrize(
    "long",
    [
        b'{"jsonrpc":"' + b"x" * 900,
        b'{"jsonrpc":"x}"' + b" " * 900,
        b"x" * 1001,
        b'{"jsonrpc":"' + b"x" * 1000 + b'"}',
    ],
)
def test_a_request_has_a_longest_length(long: bytes) -> None:
    splitter = RequestSplitter(max_bytes=1000)
    splitter.feed(long[:900])
    assert splitter.next() is None
    splitter.feed(long[900:] + b"x" * 200)
    with pytest.raises(Malformed, match="Request is longer than 1000 bytes"):
        splitter.next()


def test_deep_nesting_is_refused_and_not_followed() -> None:
    splitter = RequestSplitter()
    splitter.feed(b'{"jsonrpc":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    with pytest.raises(Malformed, match="Failed to parse"):
        splitter.next()


def test_bytes_that_are_no_utf8_are_refused() -> None:
    splitter = RequestSplitter()
    splitter.feed(b'{"jsonrpc":"\xff"}')
    with pytest.raises(Malformed, match="Failed to parse"):
        splitter.next()


def test_numbers_of_any_length_are_only_text() -> None:
    splitter = RequestSplitter()
    splitter.feed(b'{"jsonrpc":' + b"9" * 20_000 + b"}")
    members = splitter.next()
    assert members is not None
    assert members[0][1].raw == "9" * 20_000


def _seconds_for(pieces: int) -> float:
    splitter = RequestSplitter(max_bytes=1 << 24)
    started = time.process_time()
    splitter.feed(b'{"x}":["')
    for _ in range(pieces):
        splitter.feed(b"0123456789abcde\\")
        assert splitter.next() is None
    return time.process_time() - started


def test_a_long_request_in_small_pieces_costs_no_more_than_its_length() -> None:
    small, large = min(_seconds_for(5_000) for _ in range(3)), min(_seconds_for(50_000) for _ in range(3))
    assert large < 40 * small, f"5,000 pieces took {small:.4f} s, 50,000 took {large:.4f} s"


def test_many_short_requests_in_one_piece_cost_no_more_than_their_length() -> None:
    def seconds_for(count: int) -> float:
        splitter = RequestSplitter()
        started = time.process_time()
        splitter.feed(b'{"jsonrpc":"2.0"}\n' * count)
        for _ in range(count):
            assert splitter.next() is not None
        return time.process_time() - started

    small, large = min(seconds_for(1_000) for _ in range(3)), min(seconds_for(10_000) for _ in range(3))
    assert large < 40 * small, f"1,000 took {small:.4f} s, 10,000 took {large:.4f} s"


def test_replies_are_compact_raw_utf8_and_end_in_an_empty_line() -> None:
    success = encode_result('"é"', {"a": ["ü", 1, None]})
    assert success.decode() == '{"jsonrpc":"2.0","id":"é","result":{"a":["ü",1,null]}}\n\n'
    assert encode_error("7", -1, "no") == b'{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}\n\n'
    assert encode_error("7", -1, "no", {"x": 1}).endswith(b'"message":"no","data":{"x":1}}}\n\n')
    assert encode_notification("m", {}) == b'{"jsonrpc":"2.0","method":"m","params":{}}\n\n'


@settings(deadline=None)
@given(st.text())
def test_no_reply_holds_an_empty_line_and_every_reply_is_json(text: str) -> None:
    raw = encode_result("1", {"text": text})
    assert raw.find(b"\n\n") == len(raw) - 2
    assert json.loads(raw)["result"]["text"] == text


def test_a_path_that_is_no_utf8_still_makes_a_reply() -> None:
    raw = encode_result("1", {"path": b"/tmp/\xff".decode(errors="surrogateescape")})
    assert json.loads(raw)["result"]["path"] == "/tmp/\udcff"
    assert compact("é") == '"é"'
