"""How far a connect has come, told to the client that waits for it (CLN's `progress`, jsonrpc.c)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from core.base.events import ConnectPhase, ConnectProgress
from core.rpc.commands.base import Context

PROGRESS_AFTER_S = 1.0
"""Who is answered sooner is told nothing before: a bar that is gone at once tells nobody anything."""
_PHASES = tuple(ConnectPhase)


@contextlib.contextmanager
def telling_progress(context: Context, peer_id: bytes) -> Iterator[None]:
    """Within, the caller is told of each phase that a dial of `peer_id` reaches, if it asked for notifications."""
    if not context.caller.notifications:
        yield
        return
    waiting_long = False
    latest: ConnectProgress | None = None

    def tell(event: ConnectProgress) -> None:
        number, words = _PHASES.index(event.phase), f"{event.address}: {event.phase.value}"
        context.caller.tell_progress(context.request_id, number, len(_PHASES), words)

    def heard(event: ConnectProgress) -> None:
        nonlocal latest
        if event.peer_id == peer_id:
            latest = event
            if waiting_long:
                tell(event)

    def now_it_is_long() -> None:
        nonlocal waiting_long
        waiting_long = True
        if latest is not None:
            tell(latest)

    timer = asyncio.get_running_loop().call_later(PROGRESS_AFTER_S, now_it_is_long)
    subscription = context.node.bus.subscribe(ConnectProgress, heard)
    try:
        yield
    finally:
        timer.cancel()
        subscription.close()
