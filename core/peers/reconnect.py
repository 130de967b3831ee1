"""Saved peers come back: dialled at start and when lost, with a wait that doubles."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.base.clock import Clock
from core.base.errors import LeydenError
from core.bolt.address import Address
from core.peers.limits import Limits
from core.peers.proxy import led_by_onion

Dial = Callable[[bytes, Sequence[Address]], Awaitable[None]]


@dataclass(slots=True)
class _Entry:
    addresses: list[Address]
    wait_s: float
    due_at: float | None = None
    """Monotonic; None while connected, dialling, or at rest."""
    resting: bool = False


class Reconnector:
    """Knows whom to dial again and when; `look` is called about once a second."""

    def __init__(self, dial: Dial, clock: Clock, limits: Limits, chance: random.Random) -> None:
        self._dial = dial
        self._clock = clock
        self._limits = limits
        self._chance = chance
        self._entries: dict[bytes, _Entry] = {}
        self._running: dict[bytes, asyncio.Task[None]] = {}

    def start(self, node_id: bytes, addresses: Sequence[Address]) -> None:
        """A saved peer: dial it at the next look."""
        if addresses:
            entry = self._entries[node_id] = _Entry(list(addresses), self._limits.backoff_first_s)
            entry.due_at = self._clock.monotonic()

    def keep(self, node_id: bytes, address: Address) -> None:
        """A peer that was dialled with success; when it is lost it is dialled again."""
        entry = self._entries.setdefault(node_id, _Entry([], self._limits.backoff_first_s))
        entry.resting = False
        if address in entry.addresses:
            entry.addresses.remove(address)
        entry.addresses = led_by_onion([address, *entry.addresses])

    def by_onion(self, node_id: bytes, address: Address) -> None:
        """The user wants this peer by its onion address: it is dialled past the proxy no more."""
        entry = self._entries.get(node_id)
        if entry is not None:
            entry.addresses = led_by_onion([address, *entry.addresses])

    def rest(self, node_id: bytes) -> None:
        """The user disconnected it: leave it alone until the next `connect` or start."""
        entry = self._entries.get(node_id)
        if entry is not None:
            entry.resting = True
            entry.due_at = None

    def forget(self, node_id: bytes) -> None:
        """Dial it no more by ourselves; what we are dialling already ends, unless somebody else waits for it."""
        self._entries.pop(node_id, None)
        self._give_up(node_id)

    def forget_address(self, node_id: bytes, address: Address) -> None:
        """Dial it there no more; without any address left, not at all."""
        entry = self._entries.get(node_id)
        if entry is not None and address in entry.addresses:
            entry.addresses.remove(address)
            if not entry.addresses:
                del self._entries[node_id]
            if self._give_up(node_id):
                entry.due_at = self._clock.monotonic()  # at the addresses that are left

    def connected(self, node_id: bytes) -> None:
        """There is a connection, whoever made it."""
        entry = self._entries.get(node_id)
        if entry is not None:
            entry.due_at = None

    def lost(self, node_id: bytes, connected_for_s: float) -> None:
        """The connection is gone."""
        entry = self._entries.get(node_id)
        if entry is None or entry.resting:
            return
        if connected_for_s >= self._limits.backoff_max_s:
            entry.wait_s = self._limits.backoff_first_s
        self._postpone(entry)

    def hurry(self) -> None:
        """Whoever waits is dialled at the next look, from the shortest wait on: the machine has woken up."""
        now = self._clock.monotonic()
        for entry in self._entries.values():
            entry.wait_s = self._limits.backoff_first_s
            if entry.due_at is not None:
                entry.due_at = now

    def keeps(self, node_id: bytes) -> bool:
        """Whether the peer would be dialled again when it is lost."""
        entry = self._entries.get(node_id)
        return entry is not None and not entry.resting

    def due_in_s(self, node_id: bytes) -> float | None:
        """How long until the peer is dialled again; None when that is not planned."""
        entry = self._entries.get(node_id)
        if entry is None or entry.due_at is None:
            return None
        return max(0.0, entry.due_at - self._clock.monotonic())

    def look(self, group: asyncio.TaskGroup) -> None:
        """Start what is due, a bounded number at once."""
        now = self._clock.monotonic()
        for node_id, entry in self._entries.items():
            if len(self._running) >= self._limits.reconnects_at_once:
                return
            if entry.due_at is not None and now >= entry.due_at and node_id not in self._running:
                entry.due_at = None
                attempt = self._attempt(node_id, entry)
                task = group.create_task(attempt, name=f"reconnect {node_id.hex()[:12]}")
                self._running[node_id] = task
                task.add_done_callback(lambda _, node_id=node_id: self._running.pop(node_id))  # type: ignore[misc]

    async def _attempt(self, node_id: bytes, entry: _Entry) -> None:
        try:
            await self._dial(node_id, tuple(entry.addresses))
        except LeydenError:
            if not entry.resting:
                self._postpone(entry)

    def _give_up(self, node_id: bytes) -> bool:
        """End our own wait for this peer; False when there is none."""
        attempt = self._running.get(node_id)
        return attempt is not None and attempt.cancel()

    def _postpone(self, entry: _Entry) -> None:
        entry.due_at = self._clock.monotonic() + entry.wait_s + self._chance.random()
        entry.wait_s = min(entry.wait_s * 2, self._limits.backoff_max_s)
