"""The methods by name: those of mmrpc 2.0, and the legacy ones that have no envelope."""

from __future__ import annotations

from core.rpc.mmrpc.base import Handler
from core.rpc.mmrpc.coins import COINS, COINS_NOW
from core.rpc.mmrpc.lightning import LIGHTNING
from core.rpc.mmrpc.tasks import TASKS

METHODS: dict[str, Handler] = {**TASKS, **COINS_NOW, **LIGHTNING}
"""Each gives what stands under `result`."""

LEGACY: dict[str, Handler] = {**COINS}
"""Called with the whole request; each gives the whole reply."""
