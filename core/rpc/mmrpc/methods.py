"""The methods by name: those of mmrpc 2.0, and the legacy ones that have no envelope."""

from __future__ import annotations

from core.rpc.mmrpc.base import Handler
from core.rpc.mmrpc.tasks import TASKS

METHODS: dict[str, Handler] = {**TASKS}
"""Each gives what stands under `result`."""

LEGACY: dict[str, Handler] = {}
"""Called with the whole request; each gives the whole reply."""
