"""The `filter` member of a request: only the named parts of a result are given (CLN common/json_filter.c)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.rpc.errors import RpcError
from core.rpc.params import bad_param
from core.rpc.tokens import Kind, Token

WARNING = "warning_parameter_filter"


@dataclass(slots=True)
class Filter:
    """What is wanted of one value: all of it, some members, or something of each element."""

    members: dict[str, Filter] = field(default_factory=dict)
    element: Filter | None = None

    @property
    def wants_all(self) -> bool:
        return self.element is None and not self.members


def parse_filter(token: Token) -> Filter:
    """RpcError with CLN's text when it has not the shape of a filter."""
    if token.kind is not Kind.OBJECT:
        raise _bad("Expected object", token)
    return _parse(token)


def _bad(should: str, token: Token) -> RpcError:
    return bad_param("filter", should, token, quote=False)


def _parse(token: Token) -> Filter:
    if token.kind is Kind.ARRAY:
        elements = token.elements()
        if len(elements) != 1:
            raise _bad("Arrays can only have one element", token)
        return Filter(element=_parse_value(elements[0]))
    return Filter(members={key.text: _parse_value(value) for key, value in token.members()})


def _parse_value(token: Token) -> Filter:
    if token.kind in (Kind.OBJECT, Kind.ARRAY):
        return _parse(token)
    if token.raw != "true":
        raise _bad("value must be true", token)
    return Filter()


def apply_filter(result: dict[str, Any], wanted: Filter) -> dict[str, Any]:
    """The wanted parts of `result`; a filter of another shape than the result is named in a warning beside them."""
    misuse: list[str] = []
    kept = _apply(result, wanted, "", misuse)
    if misuse:
        kept[WARNING] = misuse[0]
    return dict(kept)


_NOTHING = object()


def _apply(value: Any, wanted: Filter, path: str, misuse: list[str]) -> Any:
    if wanted.wants_all:
        return value
    if isinstance(value, dict):
        if wanted.element is not None:
            misuse.append(f"{path} is an object")
            return _NOTHING
        parts = (
            (name, _apply(value[name], part, f"{path}.{name}", misuse))
            for name, part in _in_order_of(value, wanted.members)
        )
        return {name: part for name, part in parts if part is not _NOTHING}
    if isinstance(value, list):
        if wanted.element is None:
            misuse.append(f"{path} is an array")
            return _NOTHING
        parts_of_each = [_apply(element, wanted.element, f"{path}[]", misuse) for element in value]
        return [part for part in parts_of_each if part is not _NOTHING]
    return value


def _in_order_of(value: dict[str, Any], members: dict[str, Filter]) -> list[tuple[str, Filter]]:
    return [(name, members[name]) for name in value if name in members]
