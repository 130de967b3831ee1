"""What happens in the core, as frozen values on one bus.

A layer tells those above it by publishing; it never calls up. Handlers run at once, in the publisher's turn of the
loop, so they only note the event and return. A handler that raises is reported to the loop and never breaks the
publisher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


class Direction(StrEnum):
    """Who opened the connection, as CLN words it."""

    IN = "in"
    OUT = "out"


class NodeState(StrEnum):
    """What the top bar shows."""

    OFF = "off"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class NodeStateChanged(Event):
    """The node as a whole."""

    state: NodeState
    error: BaseException | None = None
    """Why, when the state is PROBLEM."""


class StepState(StrEnum):
    """One row of the activation view."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class StepChanged(Event):
    """One activation step moved on."""

    task_id: int
    status: str
    """The protocol's name, such as `ReadingNetworkGraphFromFile`."""
    state: StepState
    detail: str = ""
    """A plain fact to show beneath, such as `no file yet: an empty graph`; empty when there is none."""
    done: int | None = None
    total: int | None = None
    """Progress where it is known; both None where it is not, and nothing is invented."""
    duration_s: float | None = None
    """Set once the step has ended."""
    error: BaseException | None = None


class TaskState(StrEnum):
    """Outcome of an activation task."""

    IN_PROGRESS = "InProgress"
    OK = "Ok"
    ERROR = "Error"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True)
class TaskChanged(Event):
    """An activation task began or ended."""

    task_id: int
    state: TaskState
    error: BaseException | None = None
    statuses: tuple[str, ...] = ()
    """The steps that this task has, in order, in each of its events: another task may have fewer or more."""


class ConnectPhase(StrEnum):
    """How far a dial has come; the words are CLN's (connectd.c)."""

    DIALLING = "Connection establishment"
    HANDSHAKE = "Cryptographic handshake"
    INIT = "Exchanging init messages"


@dataclass(frozen=True, slots=True)
class ConnectProgress(Event):
    """An outgoing connection attempt reached a phase."""

    peer_id: bytes
    address: str
    phase: ConnectPhase


@dataclass(frozen=True, slots=True)
class ConnectFailed(Event):
    """Every address failed, or the dial was given up."""

    peer_id: bytes
    error: BaseException


@dataclass(frozen=True, slots=True)
class PeerConnected(Event):
    """A session completed its init."""

    peer_id: bytes
    """33 bytes."""
    direction: Direction
    address: object
    """A `core.bolt.address.Address`; for an incoming peer the ephemeral one."""
    features: bytes
    """Their init features, both maps OR-ed, as received length."""
    remote_addr: str | None = None
    """How they see us."""


@dataclass(frozen=True, slots=True)
class PeerDisconnected(Event):
    """A session that had completed its init ended."""

    peer_id: bytes
    reason: object
    """A `core.peers.reasons.CloseReason`."""


@dataclass(frozen=True, slots=True)
class PeerPinged(Event):
    """A peer answered a ping of ours, the watch's or one that was asked for."""

    peer_id: bytes
    latency_s: float


@dataclass(frozen=True, slots=True)
class CustomMessage(Event):
    """A message that is not ours to interpret went by, or waits to."""

    cursor: int
    """Grows by one a message for the life of the process."""
    time: float
    peer_id: bytes
    direction: Direction
    type: int
    payload: bytes
    """What follows the two type bytes."""


E_ = TypeVar("E_", bound=Event)


class Subscription:
    """Ends when `close` is called; a context manager for short ones."""

    __slots__ = ("_close",)

    def __init__(self, close: Callable[[], None]) -> None:
        self._close: Callable[[], None] | None = close

    def close(self) -> None:
        if self._close is not None:
            self._close()
            self._close = None

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class EventBus:
    """Hands each event to the handlers of its exact type, in the order of their subscription."""

    def __init__(self) -> None:
        self._handlers: dict[type[Event], list[Callable[[Event], None]]] = {}

    def subscribe(self, kind: type[E_], handler: Callable[[E_], None]) -> Subscription:
        handlers = self._handlers.setdefault(kind, [])
        handlers.append(handler)  # type: ignore[arg-type]  # only events of `kind` reach it
        return Subscription(lambda: handlers.remove(handler))  # type: ignore[arg-type]

    def publish(self, event: Event) -> None:
        for handler in tuple(self._handlers.get(type(event), ())):
            try:
                handler(event)
            except Exception as error:  # noqa: BLE001 - a listener's fault must not break who reports
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"event handler failed for {type(event).__name__}", "exception": error}
                )
