"""JSON as it was written: values that keep their own text.

CLN echoes a request's `id` byte for byte, quotes parameters as they came and takes strings without unescaping them.
Parsed values cannot do that, so the surface works on tokens, as CLN's own parser does.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn, TypeVar

T_ = TypeVar("T_")
_SPACE = re.compile(r"[ \t\n\r]*")


class Kind(Enum):
    """What a token is."""

    OBJECT = "object"
    ARRAY = "array"
    STRING = "string"
    PRIMITIVE = "primitive"
    """A number, `true`, `false` or `null`."""


_KINDS = {"{": Kind.OBJECT, "[": Kind.ARRAY, '"': Kind.STRING}


class NotJson(ValueError):
    """The text is no JSON."""


@dataclass(frozen=True, slots=True)
class Token:
    """One JSON value as written, without the space around it."""

    raw: str

    @property
    def kind(self) -> Kind:
        return _KINDS.get(self.raw[0], Kind.PRIMITIVE)

    @property
    def text(self) -> str:
        """What stands between the quotes of a string, not unescaped; for other kinds all of it."""
        return self.raw[1:-1] if self.kind is Kind.STRING else self.raw

    @property
    def is_null(self) -> bool:
        return self.raw == "null"

    def members(self) -> list[tuple[Token, Token]]:
        """The keys and values of an object in the order they were written. NotJson when it is none, or damaged."""
        return _members(self.raw)

    def elements(self) -> list[Token]:
        """The values of an array. NotJson when it is none, or damaged."""
        return _elements(self.raw)


def member(members: list[tuple[Token, Token]], name: str) -> Token | None:
    """The first value called `name`."""
    quoted = f'"{name}"'
    return next((value for key, value in members if key.raw == quoted), None)


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is no JSON")


# Numbers stay text: nothing here computes with them, and Python refuses to read very long ones.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _value(text: str, at: int) -> tuple[Token, int]:
    """The value that begins at or after `at`, checked through and through, and where it ends."""
    at = _skip_space(text, at)
    try:
        _parsed: Any
        _parsed, end = _decoder.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None
    return Token(text[at:end]), end


def _members(text: str) -> list[tuple[Token, Token]]:
    found: list[tuple[Token, Token]] = []
    at = _expect(text, 0, "{")
    if text[at : at + 1] == "}":
        return _finished(text, at, found)
    while True:
        key, at = _value(text, at)
        if key.kind is not Kind.STRING:
            raise NotJson("a key that is no string")
        value, at = _value(text, _expect(text, at, ":"))
        found.append((key, value))
        at = _skip_space(text, at)
        if text[at : at + 1] == "}":
            return _finished(text, at, found)
        at = _expect(text, at, ",")


def _elements(text: str) -> list[Token]:
    found: list[Token] = []
    at = _expect(text, 0, "[")
    if text[at : at + 1] == "]":
        return _finished(text, at, found)
    while True:
        value, at = _value(text, at)
        found.append(value)
        at = _skip_space(text, at)
        if text[at : at + 1] == "]":
            return _finished(text, at, found)
        at = _expect(text, at, ",")


def _expect(text: str, at: int, sign: str) -> int:
    """Where what follows `sign` and space begins."""
    at = _skip_space(text, at)
    if text[at : at + 1] != sign:
        raise NotJson(f"{sign} expected at {at}")
    return _skip_space(text, at + 1)


def _finished(text: str, at: int, found: list[T_]) -> list[T_]:
    if at + 1 != len(text):
        raise NotJson("text after the end")
    return found
