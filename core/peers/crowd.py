"""Who leaves when more peers have come in than there may be.

Nobody with whom we have a channel, and nobody whom we would dial again. Of the others first one of the address that
most came from, so that a stranger with many node ids drives out nobody but himself; then whoever has been silent
longest, then whoever has said least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from core.peers.session import Session

_IDLE_STEP_S = 60.0
"""Silences are told apart by the minute: between two of them everybody has had a ping to answer."""


def least_useful(incoming: Sequence[Session], *, keep: Callable[[bytes], bool], now: float) -> Session | None:
    """The one that leaves; None when each is to be kept."""
    strangers = [session for session in incoming if not keep(session.peer_id)]
    same_host = Counter(session.address.host for session in strangers)

    def uselessness(session: Session) -> tuple[int, int, int, float]:
        return (
            same_host[session.address.host],
            int((now - session.heard_at) / _IDLE_STEP_S),
            -session.transport.messages_in,
            session.connected_at,
        )

    return max(strangers, key=uselessness, default=None)
