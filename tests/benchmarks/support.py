"""What the rows share: a book that keeps nothing, one way to batch, to interleave and to tell."""

from __future__ import annotations

import asyncio
import gc
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence

from core.base.clock import SystemClock
from core.base.events import EventBus
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.bolt.noise import NoiseError
from core.peers.budget import LoopBudget
from core.peers.limits import Limits
from core.peers.manager import PeerManager
from core.peers.values import PeerConfig, SavedPeer

REGTEST = NETWORKS["regtest"]
_BATCH = 256
_BATCH_BYTES = 256 * 1024


def batch_of(size: int) -> int:
    """How many messages of so many bytes a sender queues before it gives the loop back; the same for everybody."""
    return max(1, min(_BATCH, _BATCH_BYTES // size))


class NoBook:
    """Keeps no peer and no channel."""

    async def saved(self, *_what: object) -> list[SavedPeer]:
        return []

    kept = addresses = saved

    async def remember(self, *_what: object) -> None:
        return None

    failed = describe = remember

    async def forget(self, *_what: object) -> bool:
        return False

    forget_address = forget

    def state_of(self, _node_id: bytes) -> str | None:
        return None


class Counting:
    """A transport's owner that only counts messages."""

    def __init__(self) -> None:
        self.count = 0
        self.ready = asyncio.Event()
        self.gone = asyncio.Event()

    def opened(self) -> None:
        return None

    def authenticated(self) -> None:
        self.ready.set()

    def received(self, message: bytes) -> None:
        self.count += 1

    def noise_failed(self, error: NoiseError) -> None:
        raise error

    def crashed(self, error: Exception) -> None:
        raise error

    def not_reading(self) -> None:
        raise RuntimeError("not reading")

    def lost(self, error: BaseException | None) -> None:
        self.gone.set()


UNTHROTTLED = Limits(in_bytes_s=1e12, in_bytes_burst=1e12, in_messages_s=1e12, in_messages_burst=1e12)
"""A peer's allowance would otherwise be what is measured; it is counted all the same."""


def manager(key: NodeKey, budget: LoopBudget, limits: Limits = UNTHROTTLED) -> PeerManager:
    """A whole peer manager that keeps nothing and throttles nobody."""
    return PeerManager(
        key=key,
        network=REGTEST,
        bus=EventBus(),
        clock=SystemClock(),
        budget=budget,
        book=NoBook(),  # type: ignore[arg-type]
        channels=NoBook(),  # type: ignore[arg-type]
        config=PeerConfig(limits=limits),
    )


Row = Callable[[], Awaitable[float]]


def interleaved(
    rows: Mapping[str, Row], rounds: int, others: Mapping[str, Callable[[], float]] | None = None
) -> dict[str, float]:
    """The median of each row; a round runs every row once, each in a loop of its own. `others` bring their loop."""
    others = others or {}
    rates: dict[str, list[float]] = {name: [] for name in (*rows, *others)}
    for _ in range(rounds):
        for name, row in rows.items():
            gc.collect()
            rates[name].append(asyncio.run(row()))  # type: ignore[arg-type]
        for name, run in others.items():
            gc.collect()
            rates[name].append(run())
    return {name: statistics.median(values) for name, values in rates.items()}


def told(title: str, rates: Mapping[str, float], anchors: Sequence[str] = ("electrum", "bare")) -> str:
    """One line a row: its figure and its ratio to each anchor that ran."""
    lines = []
    for name, rate in rates.items():
        ratios = "".join(f"{rate / rates[anchor]:>9.2f} x {anchor}" for anchor in anchors if anchor in rates)
        lines.append(f"{title:>12} {name:>12} {rate:>12,.0f}/s{ratios}")
    return "\n".join(lines)
