"""Real peer managers on loopback, with what they publish kept in order."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from core.base.clock import Clock, SystemClock
from core.base.events import (
    ConnectFailed,
    ConnectProgress,
    CustomMessage,
    Event,
    EventBus,
    PeerConnected,
    PeerDisconnected,
)
from core.bolt.address import Address
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.peers.book import NothingKept
from core.peers.bootstrap import Announced, DnsBootstrap, nothing_announced
from core.peers.budget import LoopBudget
from core.peers.events import PeerNotice
from core.peers.hooks import NO_HOOKS, GossipListener, PeerHooks
from core.peers.manager import PeerManager
from core.peers.readiness import ChannelReadiness
from core.peers.reasons import CloseCode, CloseReason
from core.peers.resolve import Resolver
from core.peers.values import Learnt, PeerConfig, SavedPeer

WAIT_S = 30.0
_EVENTS = (ConnectFailed, ConnectProgress, CustomMessage, PeerConnected, PeerDisconnected, PeerNotice)
E_ = TypeVar("E_", bound=Event)


class Book(NothingKept):
    """A peer book in memory."""

    def __init__(self) -> None:
        self.kept: dict[bytes, list[Address]] = {}
        self.learnt: dict[bytes, Learnt] = {}
        """Where the first address of a peer came from."""

    async def saved(self) -> list[SavedPeer]:
        return [SavedPeer(node_id, tuple(addresses)) for node_id, addresses in self.kept.items()]

    async def remember(self, node_id: bytes, address: Address, learnt: Learnt = Learnt.CONNECT) -> None:
        self.learnt.setdefault(node_id, learnt)
        addresses = self.kept.setdefault(node_id, [])
        if address not in addresses:
            addresses.append(address)

    async def forget(self, node_id: bytes) -> bool:
        return self.kept.pop(node_id, None) is not None

    async def forget_address(self, node_id: bytes, address: Address) -> bool:
        known = address in self.kept.get(node_id, ())
        if known:
            self.kept[node_id].remove(address)
        return known

    async def addresses(self, node_id: bytes) -> list[Address]:
        return list(self.kept.get(node_id, ()))


class Channels:
    """Channel states by node id."""

    def __init__(self) -> None:
        self.states: dict[bytes, str] = {}

    def state_of(self, node_id: bytes) -> str | None:
        return self.states.get(node_id)

    def is_known(self, node_id: bytes) -> bool:
        return node_id in self.states

    def counts(self) -> dict[bytes, int]:
        return dict.fromkeys(self.states, 1)


async def resolves_nothing(name: str, port: int) -> Sequence[Address]:
    """A resolver without any name."""
    raise OSError(-2, "Name or service not known")


@dataclass
class TestNode:
    """One manager and what stands around it."""

    __test__ = False

    manager: PeerManager
    bus: EventBus
    key: NodeKey
    clock: Clock
    book: Book
    channels: Channels
    events: list[Event] = field(default_factory=list)
    address: Address | None = None

    @property
    def node_id(self) -> bytes:
        return self.key.node_id

    @property
    def host(self) -> str:
        assert self.address is not None
        return self.address.host

    @property
    def port(self) -> int:
        assert self.address is not None
        return self.address.port

    def seen(self, kind: type[E_]) -> list[E_]:
        """Events of one type so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def connect_to(self, other: TestNode) -> None:
        await self.manager.connect(other.node_id, other.host, other.port)
        await until(lambda: other.manager.peer(self.node_id) is not None)

    def last_reason(self) -> CloseReason:
        """Why the latest connection ended."""
        return self.manager.closed_connections[-1].reason

    async def closed(self, code: CloseCode | None = None, *, count: int = 1) -> CloseReason:
        """Wait until so many connections have ended; the last one's reason, checked when a code is given."""
        await until(lambda: len(self.manager.closed_connections) >= count)
        reason = self.last_reason()
        assert code is None or reason.code is code, reason
        return reason


@contextlib.asynccontextmanager
async def node(
    *,
    clock: Clock | None = None,
    key: NodeKey | None = None,
    network: str = "regtest",
    listen: bool = True,
    services: bool = False,
    resolver: Resolver = resolves_nothing,
    budget: LoopBudget | None = None,
    book: Book | None = None,
    config: PeerConfig | None = None,
    hooks: PeerHooks = NO_HOOKS,
    gossip: GossipListener | None = None,
    bootstrap: DnsBootstrap | None = None,
    announced: Announced = nothing_announced,
    readiness: ChannelReadiness | None = None,
    **limits: float,
) -> AsyncIterator[TestNode]:
    """A manager that listens on loopback; `limits` replace those of the configuration."""
    clock = clock or SystemClock()
    key = key or NodeKey.generate()
    config = config or PeerConfig()
    config = replace(config, limits=replace(config.limits, **limits))  # type: ignore[arg-type]
    bus, book, channels = EventBus(), book or Book(), Channels()
    manager = PeerManager(
        key=key,
        network=NETWORKS[network],
        bus=bus,
        clock=clock,
        budget=budget or LoopBudget(),
        book=book,
        channels=channels,
        config=config,
        hooks=hooks,
        gossip=gossip,
        bootstrap=bootstrap,
        announced=announced,
        readiness=readiness,
        resolver=resolver,
        chance=random.Random(1),
    )
    made = TestNode(manager, bus, key, clock, book, channels)
    for kind in _EVENTS:
        bus.subscribe(kind, made.events.append)  # type: ignore[arg-type]
    serving = asyncio.create_task(manager.run_services()) if services else None
    try:
        if listen:
            (made.address,) = await manager.listen(["127.0.0.1:0"])
        yield made
    finally:
        if serving is not None:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        # A clock under a test's hand will not move on by itself, so nothing is waited for.
        await manager.aclose(flush_timeout_s=0)


async def until(holds: Callable[[], object], wait_s: float = WAIT_S) -> None:
    """Let the loop run until something holds; TimeoutError when it does not."""
    async with asyncio.timeout(wait_s):
        while not holds():
            await asyncio.sleep(0.001)


async def turns(count: int = 50) -> None:
    """Let the loop do what it has to do now."""
    for _ in range(count):
        await asyncio.sleep(0)


def two_keys() -> tuple[NodeKey, NodeKey]:
    """Two keys, the one with the smaller node id first."""
    first, second = sorted((NodeKey.generate(), NodeKey.generate()), key=lambda key: key.node_id)
    return first, second
