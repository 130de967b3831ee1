"""A peer with channels is connected for whoever asked once its channels can be handled."""

from __future__ import annotations

import asyncio
from typing import Protocol

from core.peers.errors import DisconnectedDuringConnect
from core.peers.session import Session


class ChannelReadiness(Protocol):
    """What the channel manager tells the peer core."""

    async def ready(self, node_id: bytes) -> None:
        """Until the active channels with this connected peer can be handled; at once when there are none.

        May be called several times for one connection, and is cancelled when that ends.
        """


async def until_channels_ready(readiness: ChannelReadiness | None, session: Session) -> None:
    """What CLN's `connect` waits for; DisconnectedDuringConnect when the peer leaves before that."""
    if readiness is None:
        return
    ready = asyncio.ensure_future(readiness.ready(session.peer_id))
    gone = asyncio.ensure_future(session.gone())
    try:
        await asyncio.wait((ready, gone), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done() or not session.is_established:
            raise DisconnectedDuringConnect(node_id=session.peer_id)
        ready.result()
    finally:
        for future in (ready, gone):
            future.cancel()
        await asyncio.gather(ready, gone, return_exceptions=True)
