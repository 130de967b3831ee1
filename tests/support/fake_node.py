"""A node for views: no sockets and no files, but the real bus, the real events and the real errors.

`tests/unit/gui` tests drive it; `python -m tests.support.window_preview` paints with it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.activation.errors import NodeNotActive
from core.base.events import (
    ConnectPhase,
    ConnectProgress,
    CustomMessage,
    Direction,
    EventBus,
    NodeState,
    NodeStateChanged,
    PeerConnected,
    PeerDisconnected,
    StepChanged,
    StepState,
    TaskChanged,
    TaskState,
)
from core.base.paths import ProfilePaths
from core.base.settings import Settings
from core.bolt.address import Address, AddressKind
from core.bolt.addresses import ascending
from core.bolt.features import LEYDEN_FEATURES
from core.bolt.gossip import ChannelAnnouncement, NodeAnnouncement
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.bolt.wire import ShortChannelId
from core.gossip.graph import Graph
from core.gossip.graph_values import Trust
from core.gossip.importing import ImportReport
from core.gossip.service import Standing
from core.gossip.store_reading import Progress
from core.peers.errors import CustomPeerNotConnected, CustomTypeEven, NotBanned, UnknownPeer
from core.peers.practice import PracticePeer
from core.peers.reasons import CloseCode, closed_by_them, closed_by_us
from core.peers.values import PeerInfo
from tests.support.clock import ManualClock

STATUSES = (
    "PlatformCoin",
    "ActivatingCoin",
    "GettingFeesFromRPC",
    "ReadingNetworkGraphFromFile",
    "InitializingChannelManager",
    "InitializingPeerManager",
    "ReadingScorerFromFile",
    "InitializingBackgroundProcessor",
    "ReadingChannelsAddressesFromFile",
)


def key(number: int) -> NodeKey:
    """The same node every time."""
    return NodeKey(number.to_bytes(32, "big"))


def node_id(number: int) -> bytes:
    return key(number).node_id


def address(number: int = 1, port: int = 9735) -> Address:
    return Address(AddressKind.IPV4, f"203.0.113.{number}", port)


@dataclass
class FakePeers:
    """As `core.peers.manager.PeerManager` looks from above."""

    bus: EventBus
    clock: ManualClock
    bound: tuple[Address, ...] = (Address(AddressKind.IPV4, "127.0.0.1", 9735),)
    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    sent: list[tuple[bytes, bytes]] = field(default_factory=list)
    disconnected: list[tuple[bytes, bool]] = field(default_factory=list)
    connects: list[tuple[bytes, str | None, int | None]] = field(default_factory=list)
    refuse_disconnect: Exception | None = None
    _peers: dict[bytes, PeerInfo] = field(default_factory=dict)
    _messages: list[CustomMessage] = field(default_factory=list)
    _dial: asyncio.Future[None] | None = None

    def peers(self) -> list[PeerInfo]:
        return list(self._peers.values())

    def peer(self, peer_id: bytes) -> PeerInfo | None:
        return self._peers.get(peer_id)

    def custom_messages(self, after: int = 0) -> list[CustomMessage]:
        return [message for message in self._messages if message.cursor > after]

    async def connect(self, peer_id: bytes, host: str | None = None, port: int | None = None) -> PeerInfo:
        """Waits until a test says how it ends, by `answer` or `fail`."""
        self.connects.append((peer_id, host, port))
        self.bus.publish(ConnectProgress(peer_id, f"{host}:{port}", ConnectPhase.DIALLING))
        self._dial = asyncio.get_running_loop().create_future()
        try:
            await self._dial
        finally:
            self._dial = None
        return self.arrive(peer_id, Address(AddressKind.IPV4, host or "203.0.113.1", port or 9735))

    @property
    def dialling(self) -> bool:
        return self._dial is not None

    def answer(self) -> None:
        assert self._dial is not None
        self._dial.set_result(None)

    def fail(self, error: Exception) -> None:
        assert self._dial is not None
        self._dial.set_exception(error)

    async def disconnect(self, peer_id: bytes, *, force: bool = False) -> None:
        self.disconnected.append((peer_id, force))
        if self.refuse_disconnect is not None and not force:
            raise self.refuse_disconnect
        if peer_id not in self._peers:
            raise UnknownPeer(node_id=peer_id)
        self.leave(peer_id, by_us=True)

    async def ping(self, peer_id: bytes, length: int = 128, pong_bytes: int = 128) -> int:
        self.change(peer_id, latency_s=0.0432)
        return pong_bytes + 4

    def send_custom(self, peer_id: bytes, message: bytes) -> None:
        type_ = int.from_bytes(message[:2], "big")
        if type_ % 2 == 0:
            raise CustomTypeEven(type=type_)
        if peer_id not in self._peers:
            raise CustomPeerNotConnected(node_id=peer_id)
        self.sent.append((peer_id, message))
        self.messages_out += 1
        self.message(peer_id, Direction.OUT, type_, message[2:])

    def arrive(
        self, peer_id: bytes, where: Address, direction: Direction = Direction.OUT, features: bytes = LEYDEN_FEATURES
    ) -> PeerInfo:
        """The peer is connected now."""
        info = PeerInfo(
            node_id=peer_id,
            direction=direction,
            address=where,
            features=features,
            remote_addr="127.0.0.1:9735",
            connected_at=self.clock.time(),
            last_message_at=self.clock.time(),
            latency_s=None,
            messages_in=1,
            messages_out=1,
            bytes_in=40,
            bytes_out=40,
        )
        self._peers[peer_id] = info
        self.bus.publish(PeerConnected(peer_id, direction, where, features, info.remote_addr))
        return info

    def change(self, peer_id: bytes, **facts: object) -> None:
        """New figures, as they come without any event."""
        self._peers[peer_id] = dataclasses.replace(self._peers[peer_id], **facts)

    def leave(self, peer_id: bytes, *, by_us: bool = False) -> None:
        del self._peers[peer_id]
        reason = closed_by_us(CloseCode.REQUESTED) if by_us else closed_by_them(CloseCode.PEER_CLOSED)
        self.bus.publish(PeerDisconnected(peer_id, reason))

    def message(self, peer_id: bytes, direction: Direction, type_: int, payload: bytes) -> CustomMessage:
        event = CustomMessage(len(self._messages) + 1, self.clock.time(), peer_id, direction, type_, payload)
        self._messages.append(event)
        self.bus.publish(event)
        return event


@dataclass
class FakeGossip:
    """As `core.gossip.service.Gossip` looks from the window."""

    standing: Standing = field(default_factory=lambda: Standing(streaming=0, asking=False, unverified=0))


@dataclass
class FakeRapid:
    failure: str = ""


@dataclass
class FakeLightning:
    peers: FakePeers
    graph: Graph
    gossip: FakeGossip = field(default_factory=FakeGossip)
    rapid: FakeRapid = field(default_factory=FakeRapid)


class FakeNode:
    """As `core.node.Node` looks from the window."""

    def __init__(self, *, network: str = "regtest", alias: str = "practice jar", color: str = "3a4bd0") -> None:
        self.clock = ManualClock()
        self.bus = EventBus()
        self.network = NETWORKS[network]
        self.alias = alias
        self.color = color
        self.node_id = node_id(7)
        self.version = "0.1.0"
        self.key_location = "memory"
        self.settings = Settings(no_activate=False)
        self.paths = ProfilePaths(Path("/profiles"), network)
        self.trusted: list[tuple[str, bytes | None]] = []
        self.mmrpc: object | None = None
        self.state = NodeState.OFF
        self.lightning: FakeLightning | None = None
        self.fake_peers = FakePeers(self.bus, self.clock)
        self.fake_graph = Graph(self.network.chain_hash)
        self.practice_peers: tuple[PracticePeer, ...] = ()
        self.onion_address: Address | None = None
        self.activations = 0
        self.cancelled = 0
        self.stop_requests = 0
        self.imports: list[Path] = []
        self.importing: asyncio.Future[ImportReport] | None = None

    @property
    def peers(self) -> FakePeers:
        if self.lightning is None:
            raise NodeNotActive
        return self.lightning.peers

    @property
    def graph(self) -> Graph:
        if self.lightning is None:
            raise NodeNotActive
        return self.lightning.graph

    def channel(self, block: int, ends: tuple[bytes, bytes], *, trust: Trust = Trust.CHECKED) -> None:
        """Gossip has announced a channel. Nothing is signed: the graph believes who feeds it."""
        announcement = ChannelAnnouncement(
            *[bytes(64)] * 4, b"", self.network.chain_hash, ShortChannelId(block, 1, 0), *sorted(ends), *[bytes(33)] * 2
        )
        self.fake_graph.add_channel(announcement, capacity_sat=1_000_000, trust=trust, heard=int(self.clock.time()))

    def announce(
        self,
        of: bytes,
        alias: bytes,
        *,
        features: bytes = LEYDEN_FEATURES,
        addresses: Sequence[Address] = (),
    ) -> None:
        """That node, which has a channel, has announced itself; the event comes with `tell_graph`."""
        now = int(self.clock.time())
        self.fake_graph.update_node(
            NodeAnnouncement(
                bytes(64), features, now, of, bytes.fromhex("3a4bd0"), alias.ljust(32, b"\0"), ascending(addresses)
            )
        )

    def tell_graph(self) -> None:
        """What `KeptGraph.tell` does once a second."""
        changed = self.fake_graph.take_changes()
        if changed is not None:
            self.bus.publish(changed)

    def activate(self) -> int:
        self.activations += 1
        self.change_state(NodeState.STARTING)
        self.bus.publish(TaskChanged(self.activations, TaskState.IN_PROGRESS))
        return self.activations

    async def import_gossip_store(self, path: Path, progress: Progress) -> ImportReport:
        """Waits until a test says how it ends, by the future's result or exception; half of it is read at once."""
        self.imports.append(path)
        progress(50, 100)
        self.importing = asyncio.get_running_loop().create_future()
        return await self.importing

    async def cancel_activation(self) -> None:
        self.cancelled += 1
        self.change_state(NodeState.OFF)
        self.bus.publish(TaskChanged(self.activations, TaskState.CANCELLED))

    async def trust_certificate(self, server: str, fingerprint: bytes | None = None) -> None:
        self.trusted.append((server, fingerprint))

    def rpc_bans(self) -> tuple[str, ...]:
        return ()

    def lift_rpc_ban(self, address: str) -> None:
        raise NotBanned(subject=address)

    def request_stop(self) -> None:
        self.stop_requests += 1

    def change_state(self, state: NodeState, error: BaseException | None = None) -> None:
        self.state = state
        self.bus.publish(NodeStateChanged(state, error))

    def step(self, status: str, state: StepState, **facts: object) -> None:
        self.bus.publish(StepChanged(self.activations, status, state, **facts))

    def finish_steps(self, statuses: Iterable[str] = STATUSES, *, duration_s: float = 0.012) -> None:
        for status in statuses:
            self.step(status, StepState.RUNNING)
            self.step(status, StepState.DONE, duration_s=duration_s)

    def fail_step(self, status: str, error: Exception) -> None:
        self.step(status, StepState.FAILED, duration_s=0.4, error=error)
        self.change_state(NodeState.PROBLEM, error)
        self.bus.publish(TaskChanged(self.activations, TaskState.ERROR, error))

    def run(self) -> None:
        """All eight steps at once."""
        self.activate()
        self.finish_steps()
        self.lightning = FakeLightning(self.fake_peers, self.fake_graph)
        self.change_state(NodeState.RUNNING)
        self.bus.publish(TaskChanged(self.activations, TaskState.OK))
