"""Requests made to hold the loop: each is refused or answered before anybody would notice."""

from __future__ import annotations

import pytest

from core.rpc.dispatch import Dispatcher
from core.rpc.errors import RpcError
from core.rpc.framing import MAX_DEPTH, MAX_SIGNS, Malformed, RequestSplitter
from core.rpc.requests import read_request
from tests.support.work import least_cpu_s

_HEAD = b'{"jsonrpc":"2.0","id":1,"method":"help","params":'
_MILLION = 1_000_000
_MUCH_S = 0.2
"""Each took 0.3 to 5.3 s before it was bounded, and takes under 0.03 s since."""


def _refuse(request: bytes) -> None:
    splitter = RequestSplitter()
    splitter.feed(request)
    with pytest.raises(Malformed):
        splitter.next()


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(_HEAD + b"[" * (_MILLION // 2) + b"]" * (_MILLION // 2) + b"}", id="deep"),
        pytest.param(b'{"a":[' + b"[]," * (_MILLION // 3) + b"[]]}", id="brackets"),
        pytest.param(b"{" + b",".join([b'"a":1'] * (_MILLION // 6)) + b"}", id="members"),
        pytest.param(_HEAD + b"[" + b",".join([b"1"] * (_MILLION // 2)) + b"]}", id="parameters"),
        pytest.param(_HEAD + b"{" + b",".join([b'"a":1'] * (_MILLION // 6)) + b"}}", id="named parameters"),
    ],
)
def test_a_million_bytes_of_structure_do_not_hold_the_loop(request_: bytes) -> None:
    assert least_cpu_s(lambda: _refuse(request_)) < _MUCH_S


@pytest.mark.parametrize("inside", [b"a", b"\\\\", b'\\"', b"[,"])
def test_a_long_string_does_not_hold_the_loop_and_is_one_value(inside: bytes) -> None:
    request = _HEAD + b'["' + inside * (_MILLION // 2 // len(inside)) + b'"]}'

    def take() -> None:
        splitter = RequestSplitter()
        splitter.feed(request)
        assert splitter.next() is not None

    assert least_cpu_s(take) < _MUCH_S


def test_as_many_values_and_as_deep_as_is_allowed() -> None:
    splitter = RequestSplitter()
    splitter.feed(_HEAD + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}")
    splitter.feed(_HEAD + b"[" + b",".join([b"1"] * (MAX_SIGNS - 100)) + b"]}")
    assert splitter.next() is not None
    assert splitter.next() is not None


def test_a_check_of_checks_is_refused_before_it_costs_anything() -> None:
    checks = b",".join([b'"check"'] * 1000)
    splitter = RequestSplitter()
    splitter.feed(_HEAD.replace(b"help", b"check") + b"[" + checks + b"]}")
    members = splitter.next()
    assert members is not None

    def refuse() -> None:
        with pytest.raises(RpcError):
            Dispatcher(None, None).run(read_request(members), None)  # type: ignore[arg-type]  # none is asked

    assert least_cpu_s(refuse) < _MUCH_S
