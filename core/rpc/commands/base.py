"""What a command is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from core.rpc.face import NodeFace
from core.rpc.listing import Rows
from core.rpc.network_events import NetworkEvents
from core.rpc.params import Param
from core.rpc.tokens import Token

Json = dict[str, Any]
"""A result: a JSON object, its members in the order of the contract."""


class Caller(Protocol):
    """The client behind a request; lives as long as its connection."""

    @property
    def notifications(self) -> bool:
        """Whether it asked to be told of what happens."""

    def enable_notifications(self, enable: bool, request_id: str) -> None:
        """As the request of that id asks."""

    def tell_progress(self, request_id: str, number: int, total: int, words: str) -> None:
        """Its request has come to stage `number` (from 0) of `total`; told at once, before the reply."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a command works with besides its parameters."""

    node: NodeFace
    caller: Caller
    commands: Mapping[str, Command]
    params: Token
    """As they were sent."""
    network_events: NetworkEvents
    request_id: str
    """As it was written, quotes included."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command, declared once."""

    name: str
    category: str
    description: str
    run: Callable[..., Json | Awaitable[Json] | Rows]
    """Called with the context and the parameters by name; what waits is a coroutine function."""
    params: tuple[Param, ...] = ()
    verify: Callable[..., Awaitable[None] | None] | None = None
    """What `check` looks at beyond the parameters themselves; same arguments as `run`, raises like it."""
    before_active: bool = False
    """Whether it works until the node is active."""
    extra_params: bool = False
    """Whether parameters that are not declared are let through."""
    usage_words: str | None = None
    """How the parameters are shown, where they are not declared."""

    @property
    def usage(self) -> str:
        """As CLN's `help` prints it."""
        if self.usage_words is not None:
            return f"{self.name} {self.usage_words}".rstrip()
        return " ".join([self.name, *(param.usage for param in self.params)])
