"""Values and small interfaces that the peer core shares with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.base.events import Direction
from core.bolt.address import Address
from core.peers.limits import DEFAULT_LIMITS, Limits
from core.peers.proxy import ProxyConfig


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """One connected peer at one moment."""

    node_id: bytes
    """33 bytes."""
    direction: Direction
    address: Address
    """Where we dialled it; for an incoming connection the ephemeral end."""
    features: bytes
    """Their init features, both maps OR-ed, as received length."""
    remote_addr: str | None
    """How they see us, when they said so with an address that is reachable from everywhere."""
    connected_at: float
    """Wall time of the completed init."""
    last_message_at: float
    """Wall time of their last message."""
    latency_s: float | None
    """Of the last ping that was answered."""
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class SavedPeer:
    """A peer that comes back after a restart."""

    node_id: bytes
    addresses: tuple[Address, ...]
    """Dialled with success before, best first."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """What the owner of the node chose."""

    offer_gossip_queries: bool = False
    """Offer feature bit 7 although no gossip is served yet; queries are answered empty. For peers that insist."""
    allow_even_custom_messages: bool = False
    """Send custom messages of even types too; a peer that does not know them closes the connection."""
    reconnect: bool = True
    """Dial saved peers again when they are lost."""
    limits: Limits = DEFAULT_LIMITS
    proxy: ProxyConfig | None = None


class PeerBook(Protocol):
    """Where peers and the addresses that worked are kept."""

    async def saved(self) -> Sequence[SavedPeer]:
        """Every peer that is kept."""

    async def remember(self, node_id: bytes, address: Address) -> None:
        """This address was dialled with success."""

    async def forget(self, node_id: bytes) -> None:
        """Keep nothing of this peer."""

    async def addresses(self, node_id: bytes) -> Sequence[Address]:
        """What is known of one peer, best first."""


class ChannelStates(Protocol):
    """What the peer core must know of channels."""

    def state_of(self, node_id: bytes) -> str | None:
        """CLN's name for the state of an active channel with this peer, None when there is none."""
