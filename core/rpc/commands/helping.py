"""`help` and `check`: about the other commands."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from core.rpc.commands.base import Command, Context, Json
from core.rpc.errors import INVALID_PARAMS, METHOD_NOT_FOUND, RpcError
from core.rpc.params import Param, optional, raw_text, read_params
from core.rpc.tokens import Kind, Token

_TO_CHECK = "command_to_check"
_CHECKS_OF_CHECKS = 4
"""Each looks at all parameters again, so a thousand of them would hold the loop for seconds."""


def _help(context: Context, *, command: str | None) -> Json:
    if command is None:
        found: list[Json] = [{"command": one.usage} for _, one in sorted(context.commands.items())]
    elif command in context.commands:
        one = context.commands[command]
        found = [{"command": one.usage, "category": one.category, "description": one.description}]
    else:
        raise RpcError(METHOD_NOT_FOUND, f"Unknown command {command}")
    return {"help": found, "format-hint": "simple"}


HELP = Command(
    "help",
    "utility",
    "List available commands, or describe {command}",
    _help,
    (optional("command", raw_text),),
    before_active=True,
)


def _check(context: Context, *, command_to_check: str, depth: int = 0) -> Json | Awaitable[Json]:
    """Everything that the command looks at before it does something (jsonrpc.c, json_check)."""
    if depth > _CHECKS_OF_CHECKS:
        raise RpcError(INVALID_PARAMS, "too many checks of checks")
    command = context.commands.get(command_to_check)
    if command is None:
        raise RpcError(METHOD_NOT_FOUND, f"Unknown command '{command_to_check}'")
    context = replace(context, params=_without_command(context.params))
    values = read_params(context.params, command.params, context.node, quote=True, allow_extra=command.extra_params)
    if command is CHECK:
        return _check(context, **values, depth=depth + 1)
    verdict = command.verify(context, **values) if command.verify is not None else None
    result: Json = {_TO_CHECK: command_to_check}
    return result if verdict is None else _after(verdict, result)


def _without_command(params: Token) -> Token:
    """The parameters that are meant for the command to check."""
    if params.kind is Kind.ARRAY:
        return Token(f"[{','.join(element.raw for element in params.elements()[1:])}]")
    rest = [(key, value) for key, value in params.members() if key.text != _TO_CHECK]
    return Token("{" + ",".join(f"{key.raw}:{value.raw}" for key, value in rest) + "}")


async def _after(verdict: Awaitable[None], result: Json) -> Json:
    await verdict
    return result


CHECK = Command(
    "check",
    "utility",
    f"Look at the parameters of {{{_TO_CHECK}}}, which follow it, and do not run it",
    _check,
    (Param(_TO_CHECK, raw_text),),
    before_active=True,
    extra_params=True,
)
