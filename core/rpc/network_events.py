"""The log behind `listnetworkevents`: how connections came about, ended and answered (CLN 25.12, wallet/wallet.c).

CLN keeps thirty days in its database; here the latest are in memory, for the life of the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from core.base.clock import Clock
from core.base.errors import LeydenError
from core.base.events import (
    ConnectFailed,
    ConnectProgress,
    EventBus,
    PeerConnected,
    PeerDisconnected,
    PeerPinged,
    Subscription,
)
from core.peers.errors import AllAddressesFailed
from core.rpc.errors import to_rpc_error

KEPT = 2_000
"""The latest so many: CLN's shape lists all at once, and that must not hold the loop for long."""
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class NetworkEvent:
    """One line of the log."""

    created_index: int
    """From 1 on, without a gap."""
    time: float
    """Wall time."""
    peer_id: bytes
    type: Literal["connect", "connect_fail", "disconnect", "ping"]
    reason: str | None = None
    duration_nsec: int | None = None
    """Until the result of a dial, of a connection, until the pong; None where it is not known."""
    connect_attempted: bool | None = None
    """Of a `connect_fail`: whether any address could be dialled at all."""


class NetworkEvents:
    """Fed by the bus; `close` ends that."""

    def __init__(self, bus: EventBus, clock: Clock, kept: int = KEPT) -> None:
        self._clock = clock
        self._kept = kept
        self._events: deque[NetworkEvent] = deque(maxlen=kept)
        self._last = 0
        self._dialling: dict[bytes, float] = {}
        """Since when, monotonic; a dial that was cancelled ends without an event, so this is bounded as well."""
        self._connected: dict[bytes, float] = {}
        self._subscriptions: list[Subscription] = [
            bus.subscribe(ConnectProgress, self._progress),
            bus.subscribe(ConnectFailed, self._failed),
            bus.subscribe(PeerConnected, self._established),
            bus.subscribe(PeerDisconnected, self._ended),
            bus.subscribe(PeerPinged, self._pinged),
        ]

    def close(self) -> None:
        """Hear no more."""
        for subscription in self._subscriptions:
            subscription.close()

    def since(self, created_index: int = 0, peer_id: bytes | None = None) -> Iterator[NetworkEvent]:
        """Those from `created_index` on that are still kept, oldest first; of one peer when it is given."""
        return (
            event for event in self._events if event.created_index >= created_index and peer_id in (None, event.peer_id)
        )

    def _add(
        self,
        peer_id: bytes,
        type_: Literal["connect", "connect_fail", "disconnect", "ping"],
        *,
        reason: str | None = None,
        duration_s: float | None = None,
        attempted: bool | None = None,
    ) -> None:
        self._last += 1
        duration_nsec = None if duration_s is None else round(duration_s * _NANOSECONDS)
        self._events.append(
            NetworkEvent(self._last, self._clock.time(), peer_id, type_, reason, duration_nsec, attempted)
        )

    def _since(self, starts: dict[bytes, float], peer_id: bytes) -> float | None:
        start = starts.pop(peer_id, None)
        return None if start is None else self._clock.monotonic() - start

    def _progress(self, event: ConnectProgress) -> None:
        if event.peer_id not in self._dialling:
            if len(self._dialling) >= self._kept:
                del self._dialling[next(iter(self._dialling))]
            self._dialling[event.peer_id] = self._clock.monotonic()

    def _failed(self, event: ConnectFailed) -> None:
        duration_s = self._since(self._dialling, event.peer_id)
        error = event.error
        attempted = duration_s is not None
        if isinstance(error, AllAddressesFailed):
            attempted = any(attempt.phase is not None for attempt in error.attempts)
        reason = to_rpc_error(error).message if isinstance(error, LeydenError) else type(error).__name__
        self._add(event.peer_id, "connect_fail", reason=reason, duration_s=duration_s, attempted=attempted)

    def _established(self, event: PeerConnected) -> None:
        self._connected[event.peer_id] = self._clock.monotonic()
        self._add(event.peer_id, "connect", duration_s=self._since(self._dialling, event.peer_id))

    def _ended(self, event: PeerDisconnected) -> None:
        duration_s = self._since(self._connected, event.peer_id)
        self._add(event.peer_id, "disconnect", reason=str(event.reason), duration_s=duration_s)

    def _pinged(self, event: PeerPinged) -> None:
        self._add(event.peer_id, "ping", duration_s=event.latency_s)
