"""JSON values read into typed fields, with the error texts of Rust's serde, which programs compare.

Pure. Where the texts of 2023's serde and today's differ (whole floating point numbers) an error carries both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

T = TypeVar("T")
Read = Callable[[object], T]
"""Gives the value in its type; raises SerdeError."""

REQUIRED: Any = object()
"""Default of a field that may not be left out."""
_MAX_U64 = 2**64 - 1
_MIN_I64 = -(2**63)


class SerdeError(ValueError):
    """A value is not what a field takes; `text` is today's serde's, `seed_text` that of 2023."""

    def __init__(self, text: str, seed_text: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.seed_text = text if seed_text is None else seed_text


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct, in the order of its declaration."""

    name: str
    read: Read[Any]
    default: Any = REQUIRED


def invalid_type(value: object, expected: str) -> SerdeError:
    """`value` is of the wrong JSON type."""
    return _invalid("type", value, expected)


def invalid_value(value: object, expected: str) -> SerdeError:
    """`value` is of the right type and not allowed."""
    return _invalid("value", value, expected)


def missing_field(name: str) -> SerdeError:
    """A required field is not there."""
    return SerdeError(f"missing field `{name}`")


def unknown_variant(name: str, variants: Sequence[str]) -> SerdeError:
    """`name` is none of an enum's variants."""
    return SerdeError(f"unknown variant `{name}`, {_one_of(variants)}")


def u8(value: object) -> int:
    return _unsigned(value, 2**8 - 1, "u8")


def u16(value: object) -> int:
    return _unsigned(value, 2**16 - 1, "u16")


def u32(value: object) -> int:
    return _unsigned(value, 2**32 - 1, "u32")


def u64(value: object) -> int:
    return _unsigned(value, _MAX_U64, "u64")


def usize(value: object) -> int:
    return _unsigned(value, _MAX_U64, "usize")


def string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise invalid_type(value, "a string")


def boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise invalid_type(value, "a boolean")


def anything(value: object) -> object:
    """Any JSON value, as serde_json's own `Value`."""
    return value


def nullable(read: Read[T]) -> Read[T | None]:
    """Rust's `Option`: null is None."""
    return lambda value: None if value is None else read(value)


def sequence(read: Read[T]) -> Read[tuple[T, ...]]:
    """An array whose elements `read` takes."""

    def read_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise invalid_type(value, "a sequence")
        return tuple(read(each) for each in value)

    return read_all


def variant(*names: str) -> Read[str]:
    """One of the unit variants of an enum."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise invalid_type(value, "string or map")
        if value not in names:
            raise unknown_variant(value, names)
        return value

    return read


def struct(
    value: object, name: str, fields: Sequence[Field], *, deny_unknown: bool = False, flat: bool = False
) -> dict[str, Any]:
    """The struct's fields by name, defaults included.

    Values are read in the order of their sorted keys, as serde_json's maps are kept, and then missing fields are told
    in the order of declaration. An array gives the fields by position, unless `flat` (Rust's `flatten`).
    """
    if isinstance(value, list) and not flat:
        return _positional(value, name, fields)
    if not isinstance(value, dict):
        raise invalid_type(value, f"struct {name}")
    known = {field.name: field for field in fields}
    found: dict[str, Any] = {}
    for key in sorted(value):
        if key in known:
            found[key] = known[key].read(value[key])
        elif deny_unknown:
            raise SerdeError(f"unknown field `{key}`, {_one_of([field.name for field in fields])}")
    return {field.name: found[field.name] if field.name in found else _default(field) for field in fields}


def describe(value: object, *, seed: bool = False) -> str:
    """How serde names an unexpected value; `seed` as it did in 2023."""
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int() if _MIN_I64 <= value <= _MAX_U64:
            return f"integer `{value}`"
        case int():
            # By its text: an integer beyond every float raises, and one that a text holds is at most infinite.
            return f"floating point `{_float(float(str(value)), seed)}`"
        case float():
            return f"floating point `{_float(value, seed)}`"
        case str():
            return f"string {quoted(value)}"
        case list():
            return "sequence"
        case _:
            return "map"


def quoted(text: str) -> str:
    """As Rust's `{:?}` prints a string."""
    return '"' + "".join(_ESCAPES.get(letter) or _plain(letter) for letter in text) + '"'


_ESCAPES: Mapping[str, str] = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def _plain(letter: str) -> str:
    return letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"


def _float(number: float, seed: bool) -> str:
    text = format(Decimal(repr(number)), "f")
    if seed:
        return text.removesuffix(".0")
    return text if "." in text else f"{text}.0"


def _invalid(what: str, value: object, expected: str) -> SerdeError:
    return SerdeError(
        f"invalid {what}: {describe(value)}, expected {expected}",
        f"invalid {what}: {describe(value, seed=True)}, expected {expected}",
    )


def _one_of(names: Sequence[str]) -> str:
    marked = [f"`{name}`" for name in names]
    match marked:
        case [one]:
            return f"expected {one}"
        case [one, other]:
            return f"expected {one} or {other}"
        case _:
            return f"expected one of {', '.join(marked)}"


def _unsigned(value: object, most: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not _MIN_I64 <= value <= _MAX_U64:
        raise invalid_type(value, name)
    if not 0 <= value <= most:
        raise invalid_value(value, name)
    return value


def _positional(values: list[object], name: str, fields: Sequence[Field]) -> dict[str, Any]:
    found = {field.name: field.read(value) for field, value in zip(fields, values, strict=False)}
    for field in fields[len(values) :]:
        if field.default is REQUIRED:
            raise SerdeError(f"invalid length {len(values)}, expected struct {name} with {_elements(len(fields))}")
        found[field.name] = field.default
    if len(values) > len(fields):
        raise SerdeError(f"invalid length {len(values)}, expected fewer elements in array")
    return found


def _elements(count: int) -> str:
    return "1 element" if count == 1 else f"{count} elements"


def _default(field: Field) -> Any:
    if field.default is REQUIRED:
        raise missing_field(field.name)
    return field.default
