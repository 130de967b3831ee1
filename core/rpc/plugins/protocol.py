"""CLN's plugin protocol, pure: JSON-RPC over stdin and stdout, bytes in and values out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from core.rpc.framing import Malformed, RequestSplitter, compact
from core.rpc.tokens import Kind, Token, member

MAX_MESSAGE_BYTES = 4 << 20
"""The longest thing that a plugin may say."""
MAX_SIGNS = 1 << 16
"""Commas, brackets and strings of it; each costs the loop about a microsecond."""
MAX_DEPTH = 100
_SHOWN_CHARACTERS = 200


class BadMessage(Exception):
    """What a plugin said is none of JSON-RPC; nothing after it can be trusted."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error object."""

    code: int
    message: str
    data: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to a request of ours."""

    id: str
    result: Any = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A notification of the plugin's."""

    method: str
    params: Any


class Inbox:
    """Cuts what a plugin writes into messages, however it arrives."""

    def __init__(self) -> None:
        self._splitter = RequestSplitter(MAX_MESSAGE_BYTES, max_signs=MAX_SIGNS, max_depth=MAX_DEPTH)

    def feed(self, data: bytes) -> None:
        """Take in what arrived."""
        self._splitter.feed(data)

    def next(self) -> Answer | Said | None:
        """The next message, or None until more arrives. Raises BadMessage."""
        try:
            members = self._splitter.next()
            return None if members is None else _read(members)
        except (Malformed, ValueError) as error:  # a number beyond Python's limit is a ValueError
            text = str(error)
            raise BadMessage(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…") from None


def _read(members: list[tuple[Token, Token]]) -> Answer | Said:
    found_id, method, params, result, error = (
        member(members, name) for name in ("id", "method", "params", "result", "error")
    )
    if found_id is None:
        if method is None or method.kind is not Kind.STRING:
            raise ValueError("a message with neither id nor method")
        return Said(method.text, None if params is None else _value(params))
    if error is not None and not error.is_null:
        return Answer(found_id.text, failure=_failure(_value(error)))
    if result is None:
        raise ValueError("a reply with neither result nor error")
    return Answer(found_id.text, _value(result))


def _value(token: Token) -> Any:
    return json.loads(token.raw, parse_float=_finite)


def _finite(text: str) -> float:
    """What Python would read as infinite no JSON of ours could hold."""
    found = float(text)
    if math.isinf(found):
        raise ValueError(f"the number {text} is too large")
    return found


def _failure(error: Any) -> Failure:
    if not isinstance(error, dict) or type(error.get("code")) is not int or not isinstance(error.get("message"), str):
        raise ValueError("an error without code and message")
    return Failure(error["code"], error["message"], error.get("data"))


def encode_request(request_id: str, method: str, params: str) -> bytes:
    """`params` is JSON already, so that what a client sent passes as it was written."""
    text = f'{{"jsonrpc":"2.0","id":{compact(request_id)},"method":{compact(method)},"params":{params}}}\n\n'
    return text.encode(errors="backslashreplace")
