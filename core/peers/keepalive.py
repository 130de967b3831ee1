"""Watches over established sessions: pings on silence, peers that do not read, jumps of the clock."""

from __future__ import annotations

import random

from core.base.clock import Clock
from core.peers.limits import Limits
from core.peers.reasons import CloseCode, closed_by_us
from core.peers.session import Session
from core.peers.survivors import Survivors


class Keepalive:
    """Looks when it is told to (`look`), about once a second."""

    def __init__(self, survivors: Survivors, clock: Clock, limits: Limits, chance: random.Random) -> None:
        self._survivors = survivors
        self._clock = clock
        self._limits = limits
        self._chance = chance
        self._offset = clock.time() - clock.monotonic()
        self._verify_by: float | None = None
        self._unverified: dict[Session, float] = {}

    def look(self) -> bool:
        """See to every session; True when the clock has jumped (the machine slept, or the time was set)."""
        now = self._clock.monotonic()
        jumped = self._has_jumped()
        if jumped:
            self._doubt_everyone(now)
        for session in self._survivors:
            self._see_to_stall(session, now)
            if now >= session.next_look_at:
                self._see_to_silence(session, now)
        if self._verify_by is not None and now >= self._verify_by:
            self._close_the_silent()
        return jumped

    def _has_jumped(self) -> bool:
        offset = self._clock.time() - self._clock.monotonic()
        jumped = abs(offset - self._offset) > self._limits.jump_s
        self._offset = offset
        return jumped

    def _see_to_silence(self, session: Session, now: float) -> None:
        """CLN's conduct: look every 15 to 45 s, ping after 60 s of silence, hang up when that is unanswered."""
        first_look = session.next_look_at == 0.0
        limits = self._limits
        session.next_look_at = now + limits.ping_timer_min_s + self._chance.random() * limits.ping_timer_jitter_s
        if first_look:
            return
        if session.pings.probe_unanswered:
            session.close(closed_by_us(CloseCode.PING_UNANSWERED, "Last ping unreturned: hanging up"))
        elif now - session.heard_at >= limits.silence_s:
            session.probe()

    def _see_to_stall(self, session: Session, now: float) -> None:
        if not session.transport.peer_is_slow:
            session.stalled_since = None
        elif session.stalled_since is None:
            session.stalled_since = now
        elif now - session.stalled_since >= self._limits.write_stall_s:
            session.not_reading()

    def _doubt_everyone(self, now: float) -> None:
        for session in self._survivors:
            if not session.pings.probe_unanswered:
                session.probe()
            self._unverified[session] = now
        self._verify_by = now + self._limits.jump_pong_s

    def _close_the_silent(self) -> None:
        for session, since in self._unverified.items():
            if session.is_established and session.pings.probe_unanswered and session.heard_at <= since:
                session.close(closed_by_us(CloseCode.PING_UNANSWERED, "no answer after the clock jumped"))
        self._unverified.clear()
        self._verify_by = None
