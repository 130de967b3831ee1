"""What this room needs of the node; `core.node.Node` fills it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from core.base.clock import Clock
from core.base.events import CustomMessage, EventBus
from core.base.paths import ProfilePaths
from core.base.settings import Settings
from core.bolt.address import Address
from core.bolt.networks import Network
from core.chain.source import Tip
from core.gossip.graph import Graph
from core.gossip.importing import ImportReport
from core.gossip.rapid_sync import RapidReport
from core.gossip.router import Router
from core.gossip.store_reading import Progress
from core.peers.bans import Ban, Bans
from core.peers.saved import SavedPeers
from core.peers.values import PeerInfo


class PeersFace(Protocol):
    """What the commands do with peers; `core.peers.manager.PeerManager` fills it, with the errors it documents."""

    @property
    def bound(self) -> tuple[Address, ...]:
        """Where we really listen."""

    async def connect(self, node_id: bytes, host: str | None = None, port: int | None = None) -> PeerInfo:
        """The connected peer, whoever of us dialled."""

    async def disconnect(self, node_id: bytes, *, force: bool = False) -> None:
        """Returns once the peer is gone."""

    def check_disconnect(self, node_id: bytes, *, force: bool = False) -> None:
        """Raises what `disconnect` would."""

    def is_known(self, node_id: bytes) -> bool:
        """Connected, connecting, or with a channel."""

    @property
    def saved(self) -> SavedPeers:
        """What is kept of peers."""

    @property
    def bans(self) -> Bans:
        """Who is kept out."""

    async def ban(self, subject: str, until: float, *, disconnect: bool = True, force: bool = False) -> Ban:
        """Keeps `subject` away until then; with `disconnect` returns once it is gone."""

    def send_custom(self, node_id: bytes, message: bytes) -> None:
        """Queues `message`, its two type bytes included."""

    def check_custom(self, node_id: bytes, message: bytes) -> None:
        """Raises what `send_custom` would."""

    async def ping(self, node_id: bytes, length: int = 128, pong_bytes: int = 128) -> int:
        """The length of the whole pong; 0 when none is due."""

    def peers(self) -> Sequence[PeerInfo]:
        """Every connected peer."""

    def channel_counts(self) -> dict[bytes, int]:
        """Channels by the peers that have any, connected or not."""

    def peer(self, node_id: bytes) -> PeerInfo | None:
        """The connected peer of that id."""

    def custom_messages(self, after: int = 0) -> Sequence[CustomMessage]:
        """What is kept, oldest first, both directions."""


class PracticeChain(Protocol):
    """A chain that grows when it is told to; `core.chain.kernel.KernelChain` fills it, with the errors it documents."""

    async def mine(self, blocks: int = 1) -> Tip:
        """The tip, once they are there."""

    async def pay(self, script_pubkey: bytes, amount_sat: int) -> bytes:
        """The txid in wire order."""


class NodeFace(Protocol):
    """What the commands ask of the node."""

    @property
    def settings(self) -> Settings: ...

    @property
    def network(self) -> Network: ...

    @property
    def bus(self) -> EventBus: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def paths(self) -> ProfilePaths: ...

    @property
    def node_id(self) -> bytes: ...

    @property
    def alias(self) -> str: ...

    @property
    def color(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def block_height(self) -> int:
        """Of the chain's tip; 0 until the node is active."""

    @property
    def active(self) -> bool:
        """Whether `peers` can be had."""

    @property
    def peers(self) -> PeersFace:
        """Raises NodeNotActive until activation is done."""

    @property
    def graph(self) -> Graph:
        """What gossip told of the network, to be read. Raises NodeNotActive."""

    @property
    def router(self) -> Router:
        """Finds routes in the graph. Raises NodeNotActive."""

    async def import_gossip_store(self, path: Path, progress: Progress) -> ImportReport:
        """Take in another node's store. Raises NodeNotActive, ProfileUnusable and VerificationFailed."""

    async def import_rapid_gossip(self, source: str) -> RapidReport:
        """Take in an unsigned snapshot. Raises NodeNotActive, SnapshotUnavailable, SnapshotRefused, ProfileUnusable."""

    @property
    def onion_address(self) -> Address | None:
        """Where Tor leads others to us; None when it does not."""

    @property
    def practice_chain(self) -> PracticeChain:
        """Raises NoPracticeChain where the coin is not on the chain inside the profile."""

    async def trust_certificate(self, server: str, fingerprint: bytes | None = None) -> bool:
        """Forget what was remembered of this Electrum server; whether there was anything."""

    def rpc_bans(self) -> tuple[str, ...]:
        """Addresses that mmrpc hears no more, for wrong passwords."""

    def lift_rpc_ban(self, address: str) -> None:
        """Have mmrpc hear it again. Raises NotBanned."""

    def activate(self) -> int:
        """Begin an activation; the number of its task, or of the one that runs or stands. Raises NodeNotActive."""

    def request_stop(self) -> None:
        """Ask for an orderly stop; returns at once."""
