"""From a request to its result: the one way to the commands, whatever surface the request came by."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping

from core.rpc.commands import COMMANDS
from core.rpc.commands.base import Caller, Command, Context, Json
from core.rpc.errors import METHOD_NOT_FOUND, RpcError
from core.rpc.face import NodeFace
from core.rpc.filters import Filter, apply_filter
from core.rpc.listing import Rows
from core.rpc.network_events import NetworkEvents
from core.rpc.params import read_params
from core.rpc.requests import Request


class Dispatcher:
    """Runs requests against one node."""

    def __init__(
        self, node: NodeFace, network_events: NetworkEvents, commands: Mapping[str, Command] = COMMANDS
    ) -> None:
        self._node = node
        self._network_events = network_events
        self._commands = commands

    def run(self, request: Request, caller: Caller) -> Json | Awaitable[Json] | Rows:
        """The result, at once or to be awaited. Raises RpcError and the core's own errors."""
        command = self._commands.get(request.method)
        if command is None:
            raise RpcError(METHOD_NOT_FOUND, f"Unknown command '{request.method}'")
        if not command.before_active:
            _ = self._node.peers  # raises NodeNotActive
        values = read_params(request.params, command.params, self._node, allow_extra=command.extra_params)
        result = command.run(
            Context(self._node, caller, self._commands, request.params, self._network_events, request.id), **values
        )
        if request.filter is None:
            return result
        if isinstance(result, Rows):
            return result.filtered(request.filter)
        if inspect.isawaitable(result):
            return _filtered(result, request.filter)
        return apply_filter(result, request.filter)


async def _filtered(result: Awaitable[Json], wanted: Filter) -> Json:
    return apply_filter(await result, wanted)
