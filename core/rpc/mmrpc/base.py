"""What a method is, what it works with, and how it refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.rpc.mmrpc.face import MmNode


@dataclass(frozen=True, slots=True)
class Context:
    """What a method works with besides its parameters."""

    node: MmNode
    watch: Callable[[int, int], None]
    """Has the event stream of a client id (the second) told how the task of an id (the first) goes on."""


Handler = Callable[[Context, object], Awaitable[object]]
"""Called with the context and `params` (of a legacy method: the whole request); gives the JSON of `result` (of a legacy
method: the whole reply).

Raises SerdeError for bad params, MmError, and every error that has a row in `core.rpc.mmrpc.errors`."""


class LegacyError(Exception):
    """What a legacy method refuses with; its text, such as `legacy:239] No such coin: X`, is prefixed by the server."""


class MmError(Exception):
    """A refusal in mmrpc's shape."""

    def __init__(
        self, status: int, kind: str, text: str, *, path: str, trace: str, data: object = None, has_data: bool = True
    ) -> None:
        super().__init__(status, kind, text)
        self.status = status
        """Of HTTP."""
        self.kind = kind
        """`error_type`."""
        self.text = text
        self.data = data
        self.has_data = has_data
        """Whether there is `error_data` at all; a unit variant has none."""
        self.path = path
        self.trace = trace
        """`file:line]`, newest first, joined by a space. The lines are no contract."""
