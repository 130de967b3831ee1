"""What is remembered of a connection that has ended."""

from __future__ import annotations

from dataclasses import dataclass

from core.base.events import ConnectPhase, Direction
from core.bolt.address import Address
from core.peers.reasons import CloseReason


@dataclass(frozen=True, slots=True)
class ClosedConnection:
    """How one connection ended, established or not."""

    time: float
    """Wall time."""
    node_id: bytes | None
    address: Address
    direction: Direction
    phase: ConnectPhase
    """How far it had come."""
    reason: CloseReason
