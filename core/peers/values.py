"""Values and small interfaces that the peer core shares with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
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
    messages_ignored: int = 0
    """Onion and gossip messages beyond what one peer may send (`Limits`)."""


@dataclass(frozen=True, slots=True)
class SavedPeer:
    """A peer that comes back after a restart."""

    node_id: bytes
    addresses: tuple[Address, ...]
    """Dialled with success before, best first."""


class Learnt(StrEnum):
    """Where an address comes from."""

    CONNECT = "connect"
    """Somebody gave it with `connect`."""
    GOSSIP = "gossip"
    """The node announced it."""
    BOOTSTRAP = "bootstrap"
    """A DNS seed named it (BOLT 10)."""


@dataclass(frozen=True, slots=True)
class KeptAddress:
    """An address that was dialled with success; wall times."""

    address: Address
    learnt: Learnt
    last_success: float
    last_failure: float | None
    """When it last failed, also when it has worked since; None when it never did."""


@dataclass(frozen=True, slots=True)
class KeptPeer:
    """All that is kept of one peer."""

    node_id: bytes
    saved_at: float
    label: str
    """The user's own name for it, nothing that the peer said; may be empty."""
    note: str
    addresses: tuple[KeptAddress, ...]
    """The one that worked last first."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """What the owner of the node chose."""

    offer_gossip_queries: bool = False
    """Offer feature bit 7 although no gossip is served yet; queries are answered empty. For peers that insist."""
    allow_even_custom_messages: bool = False
    """Send custom messages of even types too; a peer that does not know them closes the connection."""
    reconnect: bool = True
    """Dial saved peers again when they are lost."""
    cln_strict: bool = False
    """`connect` uses no remembered address, as in Core Lightning."""
    disable_dns: bool = False
    """Look up no name that stands for an address of a peer, and ask no DNS seed (CLN's `--disable-dns`)."""
    limits: Limits = DEFAULT_LIMITS
    proxy: ProxyConfig | None = None


class PeerBook(Protocol):
    """Where peers and the addresses that worked are kept."""

    async def saved(self) -> Sequence[SavedPeer]:
        """Every peer of whom an address is kept."""

    async def records(self, node_id: bytes | None = None) -> Sequence[KeptPeer]:
        """All that is kept, of all peers or of one; those who were saved first come first."""

    async def remember(self, node_id: bytes, address: Address, learnt: Learnt = Learnt.CONNECT) -> None:
        """This address was dialled with success. Where it was learnt stays as it was said first."""

    async def failed(self, node_id: bytes, address: Address) -> None:
        """This address was dialled in vain; nothing is kept of one that never worked."""

    async def describe(self, node_id: bytes, *, label: str | None = None, note: str | None = None) -> None:
        """Save the peer with the user's label and note; None leaves what stands."""

    async def forget(self, node_id: bytes) -> bool:
        """Keep nothing of this peer; False when nothing was kept."""

    async def forget_address(self, node_id: bytes, address: Address) -> bool:
        """Keep everything of this peer but that address; False when it was not kept."""

    async def addresses(self, node_id: bytes) -> Sequence[Address]:
        """What is known of one peer, best first."""


class ChannelStates(Protocol):
    """What the peer core must know of channels."""

    def state_of(self, node_id: bytes) -> str | None:
        """CLN's name for the state of an active channel with this peer, None when there is none."""

    def is_known(self, node_id: bytes) -> bool:
        """Whether there is a channel with this peer that is not over for good, active or not."""

    def counts(self) -> dict[bytes, int]:
        """How many such channels there are with each peer that has one."""
