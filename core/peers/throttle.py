"""How much of us one peer may use: token buckets on the injected clock, and the pause that follows when one is spent.

Nothing is timed a message: a read and the messages that it held are paid for together, with one look at the clock. Who
has spent more than there was is not read until the debt is gone, and for `Limits.in_pause_s` at least, so that a peer
that floods us costs ten deadlines a second and not one a read.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from core.base.clock import Clock
from core.peers.deadlines import Deadline, Deadlines
from core.peers.limits import Limits


class Bucket:
    """Tokens that come at a steady rate and are kept up to a burst; full at first."""

    __slots__ = ("_at", "_burst", "_per_s", "_tokens")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take so many when they are there; False, and nothing is taken, when they are not."""
        self._refill(now)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def owe(self, amount: float, now: float) -> float:
        """Take so many, there or not; seconds until none are owed, 0 when none are."""
        self._refill(now)
        self._tokens -= amount
        return -self._tokens / self._per_s if self._tokens < 0 else 0.0

    @property
    def is_half_full(self) -> bool:
        """As of the last time that something was taken."""
        return self._tokens >= self._burst / 2

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now


class Throttle:
    """What one connection may bring in, in bytes and in messages."""

    __slots__ = ("_bytes", "_clock", "_deadline", "_deadlines", "_messages", "_pause_s")

    def __init__(self, limits: Limits, deadlines: Deadlines, clock: Clock) -> None:
        now = clock.monotonic()
        self._bytes = Bucket(limits.in_bytes_s, limits.in_bytes_burst, now)
        self._messages = Bucket(limits.in_messages_s, limits.in_messages_burst, now)
        self._pause_s = limits.in_pause_s
        self._clock = clock
        self._deadlines = deadlines
        self._deadline: Deadline | None = None

    def spent(self, size: int, count: int, resume: Callable[[], None]) -> bool:
        """So many bytes and messages came; True when reading must pause until `resume` is called."""
        now = self._clock.monotonic()
        wait_s = max(self._bytes.owe(size, now), self._messages.owe(count, now))
        if wait_s == 0.0 or self._deadline is not None:
            return False
        self._deadline = self._deadlines.after(max(wait_s, self._pause_s), lambda: self._over(resume))
        return True

    @property
    def is_ample(self) -> bool:
        """Whether so much is left that a large read may be taken without a look at what it holds."""
        return self._bytes.is_half_full and self._messages.is_half_full

    def end(self) -> None:
        """Call nobody any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _over(self, resume: Callable[[], None]) -> None:
        self._deadline = None
        resume()


class Kind(Enum):
    """Messages that have a budget of their own."""

    ONION = "onion messages"
    GOSSIP = "gossip"
    QUERY = "gossip queries"


class Allowances:
    """One session's budgets for what is dear to handle; over budget a message is ignored and counted."""

    __slots__ = ("_buckets", "_clock", "_limits", "ignored")

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: dict[Kind, Bucket] = {}
        self.ignored = 0
        """Messages that were over budget."""

    def grants(self, kind: Kind) -> bool:
        """Whether one more message of this kind is handled."""
        now = self._clock.monotonic()
        bucket = self._buckets.get(kind)
        if bucket is None:
            bucket = self._buckets[kind] = Bucket(*self._rate(kind), now)
        if bucket.take(1, now):
            return True
        self.ignored += 1
        return False

    def _rate(self, kind: Kind) -> tuple[float, float]:
        limits = self._limits
        match kind:
            case Kind.ONION:
                return limits.onion_messages_s, limits.onion_messages_burst
            case Kind.GOSSIP:
                return limits.gossip_s, limits.gossip_burst
            case Kind.QUERY:
                return limits.queries_s, limits.queries_burst
