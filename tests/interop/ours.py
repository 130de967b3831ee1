"""Our side of a conversation: a real PeerManager on loopback, and what it reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from core.base.clock import SystemClock
from core.base.events import ConnectFailed, CustomMessage, Direction, Event, EventBus, PeerConnected, PeerDisconnected
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.peers.book import NothingKept
from core.peers.budget import LoopBudget
from core.peers.events import PeerNotice
from core.peers.limits import Limits
from core.peers.manager import ClosedConnection, PeerConfig, PeerManager
from core.peers.reasons import CloseReason

E_ = TypeVar("E_", bound=Event)
REGTEST = NETWORKS["regtest"]
FEATURES = "20000080a202"
FEATURES_WITH_GOSSIP_QUERIES = "20000080aa82"
CUSTOM = 40_001
PAST_ROTATION = 3_100
"""Messages in one direction: a key serves for 500, so this is six rotations."""
DEADLINE_S = 30.0


class OurNode:
    """A PeerManager that listens, and every event of it in order."""

    def __init__(self, manager: PeerManager, bus: EventBus, node_id: bytes, events: list[Event]) -> None:
        self.manager = manager
        self.node_id = node_id
        self.events = events
        self.port = 0
        self._changed = asyncio.Event()
        for kind in (PeerConnected, PeerDisconnected, CustomMessage, ConnectFailed, PeerNotice):
            bus.subscribe(kind, self._take)

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def wait_for(self, kind: type[E_], predicate: Callable[[E_], bool] = lambda _: True, count: int = 1) -> E_:
        """The `count`-th event of that kind that satisfies `predicate`, from the start of the node."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    found = [event for event in self.events if isinstance(event, kind) and predicate(event)]
                    if len(found) >= count:
                        return found[count - 1]
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {kind.__name__} number {count}; last: {self.events[-8:]}") from None

    async def wait_for_payload(self, message_type: int, payload: bytes) -> CustomMessage:
        """The incoming custom message with that type and payload."""
        return await self.wait_for(
            CustomMessage,
            lambda event: event.direction is Direction.IN and event.type == message_type and event.payload == payload,
        )

    def received(self, message_type: int) -> list[bytes]:
        """Payloads of the incoming custom messages of one type, in order."""
        return [
            event.payload
            for event in self.events
            if isinstance(event, CustomMessage) and event.direction is Direction.IN and event.type == message_type
        ]

    async def wait_for_disconnect(self, node_id: bytes) -> CloseReason:
        """Why the session with that peer ended."""
        gone = await self.wait_for(PeerDisconnected)
        assert gone.peer_id == node_id
        assert self.manager.peer(node_id) is None
        assert isinstance(gone.reason, CloseReason)
        return gone.reason

    async def wait_for_end(self) -> ClosedConnection:
        """How the first connection ended, whether or not it had got as far as a session."""
        async with asyncio.timeout(DEADLINE_S):
            while not self.manager.closed_connections:
                await asyncio.sleep(0.01)
        return self.manager.closed_connections[0]

    def send(self, node_id: bytes, message_type: int, payload: bytes = b"") -> None:
        self.manager.send_custom(node_id, message_type.to_bytes(2, "big") + payload)


class NoChannels:
    def state_of(self, node_id: bytes) -> str | None:
        return None

    def is_known(self, node_id: bytes) -> bool:
        return False


@asynccontextmanager
async def our_node(*, offer_gossip_queries: bool = False, handshake_s: float = 60.0) -> AsyncIterator[OurNode]:
    """A listening node with a fresh key, its services running; everything is gone at the end."""
    key, bus, clock = NodeKey.generate(), EventBus(), SystemClock()
    budget = LoopBudget()
    manager = PeerManager(
        key=key,
        network=REGTEST,
        bus=bus,
        clock=clock,
        budget=budget,
        book=NothingKept(),
        channels=NoChannels(),
        config=PeerConfig(offer_gossip_queries=offer_gossip_queries, limits=Limits(handshake_s=handshake_s)),
    )
    node = OurNode(manager, bus, key.node_id, [])
    services: asyncio.Task[None] | None = None
    try:
        (bound,) = await manager.listen(["127.0.0.1:0"])
        node.port = bound.port
        services = asyncio.create_task(manager.run_services())
        yield node
    finally:
        if services is not None:
            services.cancel()
            await asyncio.gather(services, return_exceptions=True)
        await manager.aclose()
        budget.close()


def number(count: int) -> bytes:
    """What the drivers' `send_many` puts into message `count`."""
    return count.to_bytes(8, "big")
