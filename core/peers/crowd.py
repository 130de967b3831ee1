"""Who leaves when more peers have come in than there may be.

Nobody with whom we have a channel, and nobody whom we would dial again. Of the others first one of the origin that
most came from, so that a stranger with many node ids drives out nobody but himself; then whoever has been silent
longest, then whoever has said least.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Sequence

from core.bolt.address import Address, AddressKind
from core.peers.session import Session

_IDLE_STEP_S = 120.0
"""How silences are told apart: whoever says nothing is pinged after 60 s to 105 s, so it is not the less useful for
that than one who talks without end."""
_SITE_BITS = 48
"""Of an IPv6 address; what follows its owner picks freely."""


def origin_of(address: Address) -> str:
    """What one stranger cannot change at will: an IPv4 address, or the network of an IPv6 one."""
    if address.kind is not AddressKind.IPV6:
        return address.host
    return str(ipaddress.IPv6Network((address.host.partition("%")[0], _SITE_BITS), strict=False))


def least_useful(incoming: Sequence[Session], *, keep: Callable[[bytes], bool], now: float) -> Session | None:
    """The one that leaves; None when each is to be kept."""
    strangers = [session for session in incoming if not keep(session.peer_id)]
    same_origin = Counter(origin_of(session.address) for session in strangers)

    def uselessness(session: Session) -> tuple[int, int, int, float]:
        return (
            same_origin[origin_of(session.address)],
            int((now - session.heard_at) / _IDLE_STEP_S),
            -session.transport.messages_in,
            session.connected_at,
        )

    return max(strangers, key=uselessness, default=None)
