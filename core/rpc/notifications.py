"""What the core publishes, in the payload shapes of CLN's notifications (doc/developers-guide, v26.06)."""

from __future__ import annotations

from collections.abc import Callable

from core.activation.steps import OWN_START
from core.base.events import (
    CustomMessage,
    Direction,
    EventBus,
    PeerConnected,
    PeerDisconnected,
    StepChanged,
    StepState,
    Subscription,
)
from core.bolt.address import Address
from core.rpc.commands.base import Json
from core.rpc.commands.messages import message_hex
from core.rpc.commands.shapes import address_object
from core.rpc.framing import encode_notification

_STEPS = tuple(str(step) for step in OWN_START)
"""Counted as the node's own start runs them; what is begun over HTTP starts at the second."""


class Notifications:
    """Turns events into notifications, encoded once for all clients, and only when somebody wants them."""

    def __init__(
        self,
        bus: EventBus,
        wanted: Callable[[], bool],
        send: Callable[[bytes], None],
        tell_activation: Callable[[Json], None],
    ) -> None:
        self._wanted = wanted
        self._send = send
        self._tell_activation = tell_activation
        self._subscriptions: list[Subscription] = [
            bus.subscribe(CustomMessage, self._custom_message),
            bus.subscribe(PeerConnected, self._connected),
            bus.subscribe(PeerDisconnected, self._disconnected),
            bus.subscribe(StepChanged, self._step),
        ]

    def close(self) -> None:
        """Hear no more."""
        for subscription in self._subscriptions:
            subscription.close()

    def _tell(self, method: str, payload: Callable[[], Json]) -> None:
        if self._wanted():
            self._send(encode_notification(method, {method: payload()}))

    def _custom_message(self, event: CustomMessage) -> None:
        if event.direction is Direction.IN:
            self._tell("custommsg", lambda: {"peer_id": event.peer_id.hex(), "payload": message_hex(event)})

    def _step(self, event: StepChanged) -> None:
        if event.state is StepState.RUNNING and self._wanted():
            progress: Json = {"num": _STEPS.index(event.status), "total": len(_STEPS)}
            if event.done is not None and event.total is not None:
                progress["stage"] = {"num": event.done, "total": event.total}
            self._tell_activation(progress)

    def _connected(self, event: PeerConnected) -> None:
        assert isinstance(event.address, Address)
        address = address_object(event.address)
        self._tell(
            "connect", lambda: {"id": event.peer_id.hex(), "direction": event.direction.value, "address": address}
        )

    def _disconnected(self, event: PeerDisconnected) -> None:
        self._tell("disconnect", lambda: {"id": event.peer_id.hex()})
