"""JSON as serde_json reads it: the same strictness, the same texts for the faults that its users see. Pure."""

from __future__ import annotations

import json
import re
from typing import NoReturn

MAX_DEPTH = 127
"""Of arrays and objects in each other."""
_LITERALS = ("true", "false", "null")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class JsonFault(ValueError):
    """The text is no JSON; the message is serde_json's."""


def parse(data: bytes) -> object:
    """The value. Raises JsonFault."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise JsonFault(f"invalid unicode code point {_place_of_bytes(data, error.start)}") from None
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise JsonFault(_words(error.msg, text, error.pos)) from None
    except RecursionError:
        raise JsonFault("recursion limit exceeded at line 1 column 128") from None
    except ValueError:  # an integer of thousands of digits, NaN or Infinity
        raise JsonFault("expected value at line 1 column 1") from None
    if _SURROGATE.search(text) and not _encodable(value):
        raise JsonFault("lone leading surrogate in hex escape at line 1 column 1")
    if _too_deep(value):
        raise JsonFault("recursion limit exceeded at line 1 column 128")
    return value


def dump(value: object) -> bytes:
    """Compact, as serde_json writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _encodable(value: object) -> bool:
    try:
        dump(value)
    except UnicodeEncodeError:
        return False
    return True


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [each for parent in level for each in _children(parent)]
        if not level:
            return False
    return True


def _children(value: object) -> list[object]:
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in found if isinstance(each, dict | list)]


def _words(message: str, text: str, at: int) -> str:
    """serde_json's text for a fault that Python's parser names `message`, which it found at `at`."""
    rest = text[at:].lstrip(" \t\r\n")
    if message.startswith("Unterminated"):
        what = "EOF while parsing a string"
    elif message == "Extra data":
        what = "trailing characters"
    elif rest[:1] in ("}", "]") and text[:at].rstrip(" \t\r\n,") != text[:at].rstrip(" \t\r\n"):
        what = "trailing comma"  # as newer parsers of Python say themselves, at the comma
    elif message == "Expecting value" and rest:
        what = "expected ident" if any(word.startswith(rest[:1]) for word in _LITERALS) else "expected value"
    elif message.startswith("Expecting"):
        what = _expected(message, _innermost(text[:at]), ended=not rest)
    elif message.startswith("Illegal trailing comma"):
        what = "trailing comma"
    elif message.startswith("Invalid control"):
        what = "control character (\\u0000-\\u001F) found while parsing a string"
    else:
        what = "invalid escape"
    ended = what.startswith("EOF")
    return f"{what} {_place(text, len(text) if ended else len(text) - len(rest) + 1)}"


def _expected(message: str, inside: str, *, ended: bool) -> str:
    if ended:
        what = "a value" if message == "Expecting value" else "an object" if inside == "{" else "a list"
        return f"EOF while parsing {what}"
    if "delimiter" not in message:
        return "key must be a string"
    if "':'" in message:
        return "expected `:`"
    return f"expected `,` or `{'}' if inside == '{' else ']'}`"


def _innermost(text: str) -> str:
    """The bracket that is still open at the end of `text`; empty when none is."""
    open_ones: list[str] = []
    for sign in _STRING.sub("", text):
        if sign in "{[":
            open_ones.append(sign)
        elif sign in "}]" and open_ones:
            open_ones.pop()
    return open_ones[-1] if open_ones else ""


def _place(text: str, read: int) -> str:
    """After `read` characters; columns are counted in bytes."""
    before = text[:read]
    lines = before.split("\n")
    return f"at line {len(lines)} column {len(lines[-1].encode())}"


def _place_of_bytes(data: bytes, read: int) -> str:
    before = data[:read]
    lines = before.split(b"\n")
    return f"at line {len(lines)} column {len(lines[-1])}"
