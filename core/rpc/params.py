"""Parameters as CLN reads them: by position or by name, each checked as it comes, in the order they were sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.base.logging import printable
from core.bolt.address import NodeIdError, parse_node_id
from core.rpc.errors import INVALID_PARAMS, RpcError
from core.rpc.face import NodeFace
from core.rpc.tokens import Kind, Token

logger = logging.getLogger(__name__)

_UNKNOWN = (
    "unknown parameter: {name}, this may be caused by a failure to autodetect key=value-style parameters. Please try "
    "using the -k flag and explicit key=value pairs of parameters."
)


class BadParam(Exception):
    """A parameter is not what it should be; `should` is CLN's text, such as `should be a node id`."""

    def __init__(self, should: str) -> None:
        super().__init__(should)
        self.should = should


@dataclass(slots=True)
class Scope:
    """What the check of one parameter may look at."""

    node: NodeFace
    values: dict[str, Any] = field(default_factory=dict)
    """By name: what was read so far, defaults included."""


Parse = Callable[[Token, Scope], Any]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a command."""

    name: str
    parse: Parse
    """Gives the value. Raises BadParam, or RpcError where CLN has a text of its own."""
    required: bool = True
    default: Any = None

    @property
    def usage(self) -> str:
        return self.name if self.required else f"[{self.name}]"


def optional(name: str, parse: Parse, default: Any = None) -> Param:
    """A parameter that may be left out."""
    return Param(name, parse, required=False, default=default)


def read_params(
    sent: Token, declared: Sequence[Param], node: NodeFace, *, quote: bool = False, allow_extra: bool = False
) -> dict[str, Any]:
    """The values by name. RpcError with CLN's text at the first thing that is wrong.

    `quote` shows the offending token, as CLN does for `check`; otherwise it goes to the log alone, since it may be a
    secret in the wrong place.
    """
    scope = Scope(node, {param.name: param.default for param in declared if not param.required})
    if sent.kind is Kind.ARRAY:
        given = _by_position(sent.elements(), declared, allow_extra)
    elif sent.kind is Kind.OBJECT:
        given = _by_name(sent.members(), declared, allow_extra)
    else:
        raise RpcError(INVALID_PARAMS, "Expected array or object for params")
    seen: set[str] = set()
    for param, token in given:
        if isinstance(param, RpcError):
            raise param
        if param.name in seen:
            raise RpcError(INVALID_PARAMS, f"duplicate json names: {param.name}")
        seen.add(param.name)
        try:
            scope.values[param.name] = param.parse(token, scope)
        except BadParam as bad:
            raise bad_param(param.name, bad.should, token, quote=quote) from None
    for param in declared:
        if param.required and param.name not in seen:
            raise RpcError(INVALID_PARAMS, f"missing required parameter: {param.name}")
    return scope.values


_Given = list[tuple[Param | RpcError, Token]]
"""Each parameter with its token; an error stands where CLN would come upon it, after those before it were checked."""


def _by_position(elements: list[Token], declared: Sequence[Param], allow_extra: bool) -> _Given:
    given: _Given = [(param, token) for param, token in zip(declared, elements, strict=False) if not token.is_null]
    if len(elements) > len(declared) and not allow_extra:
        text = f"too many parameters: got {len(elements)}, expected {len(declared)}"
        given.append((RpcError(INVALID_PARAMS, text), elements[-1]))
    return given


def _by_name(members: list[tuple[Token, Token]], declared: Sequence[Param], allow_extra: bool) -> _Given:
    by_name = {param.name: param for param in declared}
    given: _Given = []
    for key, token in members:
        if key.text in by_name:
            given.append((by_name[key.text], token))
        elif not allow_extra:
            given.append((RpcError(INVALID_PARAMS, _UNKNOWN.format(name=key.text)), token))
    return given


def bad_param(name: str, should: str, token: Token, *, quote: bool) -> RpcError:
    """CLN's command_fail_badparam (common/json_command.c)."""
    if quote:
        return RpcError(INVALID_PARAMS, f"{name}: {should}: invalid token '{token.raw}'")
    logger.info("Invalid parameter %s (%s): token '%s'", name, should, printable(token.raw, 200))
    return RpcError(INVALID_PARAMS, f"{name}: {should}: invalid token (see logs for details)")


def raw_text(token: Token, _scope: Scope) -> str:
    """Whatever was sent, unquoted and not unescaped (CLN param_string)."""
    return token.text


def node_id(token: Token, _scope: Scope) -> bytes:
    """33 bytes that are a point of the curve."""
    try:
        return parse_node_id(token.text)
    except NodeIdError:
        raise BadParam("should be a node id") from None


def boolean(token: Token, _scope: Scope) -> bool:
    """`true` or `false`, not in quotes."""
    if token.raw not in ("true", "false"):
        raise BadParam("should be 'true' or 'false'")
    return token.raw == "true"


def integer(token: Token, _scope: Scope) -> int:
    """An unsigned 32-bit number; CLN takes it in quotes too."""
    number = decimal(token.text)
    if number is None or number >= 1 << 32:
        raise BadParam("should be an integer")
    return number


def whole_number(token: Token, _scope: Scope) -> int:
    """An unsigned 64-bit number."""
    number = decimal(token.text)
    if number is None or number >= 1 << 64:
        raise BadParam("should be an unsigned 64 bit integer")
    return number


def decimal(text: str) -> int | None:
    """The number that these decimal digits are; None for anything else."""
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        return None
    return int(text)
