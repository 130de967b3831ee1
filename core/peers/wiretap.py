"""What passed on the wire that is not ours to interpret: a bounded ring of custom messages, both directions."""

from __future__ import annotations

from collections import deque
from itertools import islice

from core.base.clock import Clock
from core.base.events import CustomMessage, Direction, EventBus


class Wiretap:
    """Keeps the newest custom messages and publishes each as it passes."""

    def __init__(self, bus: EventBus, clock: Clock, *, max_messages: int, max_bytes: int) -> None:
        self._bus = bus
        self._clock = clock
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._ring: deque[CustomMessage] = deque()
        self._bytes = 0
        self._cursor = 0

    def record(self, peer_id: bytes, direction: Direction, message: bytes) -> CustomMessage:
        """Keep and publish one message, its two type bytes included."""
        self._cursor += 1
        kept = CustomMessage(
            self._cursor,
            self._clock.time(),
            peer_id,
            direction,
            message[0] << 8 | message[1],
            message[2:],
        )
        ring = self._ring
        ring.append(kept)
        self._bytes += len(kept.payload)
        while len(ring) > self._max_messages or self._bytes > self._max_bytes:
            self._bytes -= len(ring.popleft().payload)
        self._bus.publish(kept)
        return kept

    def after(self, cursor: int) -> list[CustomMessage]:
        """What came after `cursor` and is still kept, oldest first."""
        if not self._ring or cursor >= self._cursor:
            return []
        # Cursors grow by one, so the place of the first one wanted is known.
        return list(islice(self._ring, max(0, cursor + 1 - self._ring[0].cursor), None))
