"""Two peers on loopback to try things with: this same core under fresh keys, in this process, keeping nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.base.clock import Clock
from core.base.events import CustomMessage, Direction, EventBus
from core.bolt.address import Address
from core.bolt.keys import NodeKey
from core.bolt.networks import Network
from core.peers.book import NothingKept
from core.peers.budget import LoopBudget
from core.peers.errors import CustomPeerNotConnected, CustomTypeEven, CustomTypeInternal, NoSuchPeer
from core.peers.manager import PeerManager
from core.peers.values import PeerConfig


@dataclass(frozen=True, slots=True)
class PracticePeer:
    """Where one of them is reached."""

    name: str
    """`echo` sends custom messages back, `quiet` answers nothing but pings."""
    node_id: bytes
    address: Address

    @property
    def uri(self) -> str:
        """`node-id@host:port`, to paste into the connect field."""
        return f"{self.node_id.hex()}@{self.address}"


class _NoChannels:
    def state_of(self, node_id: bytes) -> str | None:
        return None

    def is_known(self, node_id: bytes) -> bool:
        return False

    def counts(self) -> dict[bytes, int]:
        return {}


class PracticePeers:
    """Both of them, from `open` to `aclose`."""

    def __init__(self, managers: Sequence[PeerManager], peers: tuple[PracticePeer, ...]) -> None:
        self._managers = managers
        self.peers = peers

    @classmethod
    async def open(cls, network: Network, clock: Clock, budget: LoopBudget) -> PracticePeers:
        """Start them on ports that the system picks. They share the node's loop, so they share its budget."""
        managers: list[PeerManager] = []
        peers: list[PracticePeer] = []
        practice = cls(managers, ())
        try:
            for name in ("echo", "quiet"):
                key, bus = NodeKey.generate(), EventBus()
                manager = PeerManager(
                    key=key,
                    network=network,
                    bus=bus,
                    clock=clock,
                    budget=budget,
                    book=NothingKept(),
                    channels=_NoChannels(),
                    config=PeerConfig(),
                )
                managers.append(manager)
                if name == "echo":
                    bus.subscribe(CustomMessage, _send_back(manager))
                (address,) = await manager.listen(["127.0.0.1:0"])
                peers.append(PracticePeer(name, key.node_id, address))
        except BaseException:
            await practice.aclose()
            raise
        practice.peers = tuple(peers)
        return practice

    async def aclose(self) -> None:
        for manager in self._managers:
            await manager.aclose(flush_timeout_s=0)


def _send_back(manager: PeerManager) -> Callable[[CustomMessage], None]:
    def answer(message: CustomMessage) -> None:
        if message.direction is not Direction.IN:
            return
        try:
            manager.send_custom(message.peer_id, message.type.to_bytes(2, "big") + message.payload)
        except (NoSuchPeer, CustomPeerNotConnected, CustomTypeInternal, CustomTypeEven):
            return  # it left before its answer, or this type is never sent

    return answer
