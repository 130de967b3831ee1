"""Which connection of a peer is the one, when there are more.

BOLT 1: a single connection per peer. A newer one wins once its init is complete, as in Core Lightning, because the
older may be dead without anybody having noticed. But when two nodes dial each other at once, each may see the other's
connection complete last, and both would close the one that the other keeps. So for connections of opposite direction
one side alone decides: the node with the smaller id closes the older at once; the other goes on with the newer and
keeps the older until the decider has closed one of them, or for `GRACE_S`, in case the older was dead after all. Peers
of other make settle with either conduct. Of its own dials a node lets only one past the handshake
(`PeerManager.is_only_dial`), so that there are never more than two to choose from.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.base.events import EventBus, PeerConnected, PeerDisconnected
from core.peers.deadlines import Deadlines
from core.peers.reasons import CloseCode, CloseReason, closed_by_us
from core.peers.session import Session

GRACE_S = 5.0


class Survivors:
    """The established sessions: one current for each peer, and elders that wait for the peer's decision."""

    def __init__(self, own_id: bytes, bus: EventBus, deadlines: Deadlines) -> None:
        self._own_id = own_id
        self._bus = bus
        self._deadlines = deadlines
        self._current: dict[bytes, Session] = {}
        self._elders: dict[bytes, list[Session]] = {}

    def __len__(self) -> int:
        return len(self._current)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._current.values()))

    def get(self, node_id: bytes) -> Session | None:
        """The connection with this peer."""
        return self._current.get(node_id)

    def all_of(self, node_id: bytes) -> list[Session]:
        """Every established connection with this peer."""
        current = self._current.get(node_id)
        return [*self._elders.get(node_id, ()), *([current] if current else [])]

    def add(self, session: Session) -> None:
        """A session has completed its init and becomes the current one."""
        peer_id = session.peer_id
        older = self._current.get(peer_id)
        if older is not None:
            replaced = older.reason or closed_by_us(CloseCode.REPLACED)
            if older.direction is session.direction or self._own_id < peer_id or older.reason is not None:
                older.close(replaced)
            else:
                self._elders.setdefault(peer_id, []).append(older)
                self._deadlines.after(GRACE_S, lambda: self._grace_over(older))
            self._bus.publish(PeerDisconnected(peer_id, replaced))
        self._enter(session)

    def remove(self, session: Session) -> CloseReason | None:
        """A session has ended; gives the reason when with it the peer is gone."""
        peer_id = session.peer_id
        elders = self._elders.get(peer_id, [])
        if session in elders:
            elders.remove(session)
            if not elders:
                del self._elders[peer_id]
            return None
        if self._current.get(peer_id) is not session:
            return None
        assert session.reason is not None
        del self._current[peer_id]
        self._bus.publish(PeerDisconnected(peer_id, session.reason))
        living = [elder for elder in elders if elder.is_established]
        if not living:
            return session.reason
        elders.remove(living[-1])
        if not elders:
            del self._elders[peer_id]
        self._enter(living[-1])
        return None

    def _enter(self, session: Session) -> None:
        self._current[session.peer_id] = session
        self._bus.publish(
            PeerConnected(session.peer_id, session.direction, session.address, session.features, session.remote_addr)
        )

    def _grace_over(self, elder: Session) -> None:
        if elder in self._elders.get(elder.node_id or b"", ()):
            elder.close(closed_by_us(CloseCode.REPLACED))
