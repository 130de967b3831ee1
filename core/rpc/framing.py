"""CLN's framing: requests are JSON objects one after the other with nothing between them, replies end in `\\n\\n`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from core.rpc.tokens import NotJson, Token, member

MAX_REQUEST_BYTES = 1 << 20
"""The longest request: eight times the hex of the longest message."""
MAX_SIGNS = 4096
"""Commas, brackets and strings of one request; no command takes a hundred. Each costs microseconds of the loop."""
MAX_DEPTH = 20
"""Of nesting; each level is parsed anew by who looks into it. The deepest filter that finds something has four."""

_SPACE = re.compile(rb"[ \t\n\r]*")
_OUTSIDE_STRING = re.compile(rb'[",{}\[\]]')
_INSIDE_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
"""What certainly belongs to the string; behind it stands its end, or a backslash whose sign is still under way."""
_OPENING = b"{["
_QUOTE, _COMMA = b'",'
_UNPAIRED = "backslashreplace"
"""A path that is no UTF-8 holds half surrogates; written as `\\udc80` they are JSON still."""


class Malformed(Exception):
    """What came cannot be a request, and nothing after it can be trusted: answer with an id of null, read no more."""


class RequestSplitter:
    """Cuts a stream of bytes into requests, however it arrives.

    The scan goes on where it stopped, so a long request that comes in small pieces is looked at once.
    """

    def __init__(
        self, max_bytes: int = MAX_REQUEST_BYTES, *, max_signs: int = MAX_SIGNS, max_depth: int = MAX_DEPTH
    ) -> None:
        self._max_bytes = max_bytes
        self._max_signs = max_signs
        self._max_depth = max_depth
        self._buffer = bytearray()
        self._brace_sought = 0
        """No `}` stands before this place; CLN does not look at a request before one came."""
        self._brace_found = False
        self._restart()

    def _restart(self) -> None:
        self._scanned = 0
        self._depth = 0
        self._signs = 0
        self._in_string = False

    def feed(self, data: bytes) -> None:
        """Take in what arrived."""
        self._buffer += data

    def next(self) -> list[tuple[Token, Token]] | None:
        """The members of the next request, or None until more arrives. Malformed when there can be no next one."""
        if not self._begun() or not self._has_brace():
            return None
        end = self._find_end()
        if (end or len(self._buffer)) > self._max_bytes:
            raise Malformed(f"Request is longer than {self._max_bytes} bytes")
        if end is None:
            return None
        value = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._brace_sought, self._brace_found = 0, False
        self._restart()
        return _checked(value)

    def _begun(self) -> bool:
        """Drop the space before a request; whether anything is left."""
        if self._scanned:
            return True
        space = _SPACE.match(self._buffer)
        if space is not None and space.end():
            del self._buffer[: space.end()]
            self._brace_sought = 0
        return bool(self._buffer)

    def _has_brace(self) -> bool:
        if not self._brace_found:
            self._brace_found = self._buffer.find(b"}", self._brace_sought) >= 0
            self._brace_sought = len(self._buffer)
            if not self._brace_found and len(self._buffer) > self._max_bytes:
                raise Malformed(f"Request is longer than {self._max_bytes} bytes")
        return self._brace_found

    def _find_end(self) -> int | None:
        """Where the first value ends, or None while it is not whole."""
        buffer = self._buffer
        if self._scanned == 0:
            if buffer[0] not in _OPENING:
                raise Malformed(_failed_to_parse(bytes(buffer)))
            self._depth, self._scanned = 1, 1
        at, size = self._scanned, len(buffer)
        while at < size:
            if self._in_string:
                inside = _INSIDE_STRING.match(buffer, at)
                assert inside is not None  # it matches nothing at all, if need be
                at = inside.end()
                if at == size or buffer[at] != _QUOTE:
                    break
                self._in_string = False
                at += 1
                continue
            found = _OUTSIDE_STRING.search(buffer, at)
            if found is None:
                at = size
                break
            at = found.end()
            if self._take_sign(buffer[found.start()]):
                return at
        self._scanned = at
        return None

    def _take_sign(self, sign: int) -> bool:
        """Note a sign outside of strings; whether the value ends with it. Malformed when there are too many."""
        self._signs += 1
        if sign == _QUOTE:
            self._in_string = True
        elif sign in _OPENING:
            self._depth += 1
        elif sign != _COMMA:
            self._depth -= 1
        if self._signs > self._max_signs or self._depth > self._max_depth:
            raise Malformed(_failed_to_parse(bytes(self._buffer)))
        return self._depth == 0


def _checked(value: bytes) -> list[tuple[Token, Token]]:
    """The members of a value that has an end; CLN demands a member `jsonrpc` before it looks at anything else."""
    try:
        token = Token(value.decode())
        members = token.members() if token.raw.startswith("{") else _array_of(token)
    except (UnicodeDecodeError, NotJson):
        raise Malformed(_failed_to_parse(value)) from None
    if member(members, "jsonrpc") is None:
        raise Malformed(f"JSON-RPC message does not contain \"jsonrpc\" field: '{token.raw}'")
    return members


def _array_of(token: Token) -> list[tuple[Token, Token]]:
    """A batch has no members, so it lacks `jsonrpc`; NotJson when it is damaged besides."""
    token.elements()
    return []


def _failed_to_parse(raw: bytes) -> str:
    return f"Failed to parse RPC JSON response '{raw.decode(errors='replace')}'"


def compact(value: Any) -> str:
    """JSON without spaces, in UTF-8 rather than escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encode_text(text: str) -> bytes:
    """Part of a reply, as it goes over the socket."""
    return text.encode(errors=_UNPAIRED)


def encode_result(request_id: str, result: Any) -> bytes:
    """A success; `request_id` is the id as it was written."""
    return _reply(request_id, "result", result)


def encode_error(request_id: str, code: int, message: str, data: Any = None) -> bytes:
    """A failure; `data` is left out when None."""
    error = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return _reply(request_id, "error", error)


def _reply(request_id: str, kind: str, value: Any) -> bytes:
    return f'{{"jsonrpc":"2.0","id":{request_id},"{kind}":{compact(value)}}}\n\n'.encode(errors=_UNPAIRED)


def encode_notification(method: str, params: Any) -> bytes:
    """Something that nobody asked for at this moment; it has no id."""
    return f'{{"jsonrpc":"2.0","method":{compact(method)},"params":{compact(params)}}}\n\n'.encode(errors=_UNPAIRED)


def encode_about(request_id: str, method: str, params: Mapping[str, Any]) -> bytes:
    """A notification about a request that is under way; its id is the first of `params`, as it was written."""
    members = compact(params)[1:]
    text = f'{{"jsonrpc":"2.0","method":{compact(method)},"params":{{"id":{request_id},{members}}}\n\n'
    return text.encode(errors=_UNPAIRED)
