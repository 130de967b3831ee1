"""What can go wrong with peers, each as its own type with facts; `core.rpc` and the window find the words."""

from __future__ import annotations

from dataclasses import dataclass

from core.base.errors import LeydenError
from core.base.events import ConnectPhase


@dataclass(frozen=True, slots=True)
class AddressAttempt:
    """One address that was tried in vain."""

    address: str
    """As CLN prints it: `127.0.0.1:9735`, `[::1]:9735`."""
    phase: ConnectPhase | None
    """How far it came; None when nothing was dialled at all."""
    reason: str
    """CLN's word for it, such as `Connection refused`, without a closing full stop."""
    proxy_reply: str = ""
    """What the proxy answered, in CLN's words; empty when none was asked or it did what it should."""


class PeerError(LeydenError):
    """Root of this room's errors."""


class _AboutPeer(PeerError):
    def __init__(self, *, node_id: bytes) -> None:
        super().__init__(node_id=node_id)
        self.node_id = node_id

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.node_id.hex()})"


class NoAddressKnown(_AboutPeer):
    """`connect` without an address for a peer of whom none is known."""


class AllAddressesFailed(PeerError):
    """`connect` tried every address; `attempts` says how each ended, in the order they were tried."""

    def __init__(self, *, node_id: bytes, attempts: tuple[AddressAttempt, ...]) -> None:
        super().__init__(node_id=node_id, attempts=attempts)
        self.node_id = node_id
        self.attempts = attempts


class DisconnectedDuringConnect(_AboutPeer):
    """The peer left, or was disconnected, while a `connect` waited for it."""


class OwnNodeId(_AboutPeer):
    """`connect` with our own node id."""


class UnknownPeer(_AboutPeer):
    """Neither connected, nor connecting, nor with a channel."""


class PeerNotConnected(_AboutPeer):
    """Known by a channel, or the target of a ping, but not connected."""


class PeerHasChannel(PeerError):
    """`disconnect` refused: the peer has an active channel in `state` (CLN's name, such as CHANNELD_NORMAL)."""

    def __init__(self, *, node_id: bytes, state: str) -> None:
        super().__init__(node_id=node_id, state=state)
        self.node_id = node_id
        self.state = state


class CustomTypeInternal(PeerError):
    """A message type that the node handles itself and nobody may send by hand."""

    def __init__(self, *, type: int, name: str) -> None:  # noqa: A002 - the protocol's word
        super().__init__(type=type, name=name)
        self.type = type
        self.name = name
        """As the BOLTs write it, `ping`."""


class CustomTypeEven(PeerError):
    """An even type, which a peer that does not know it answers by closing."""

    def __init__(self, *, type: int) -> None:  # noqa: A002 - the protocol's word
        super().__init__(type=type)
        self.type = type


class CustomMessageSize(PeerError):
    """A custom message has 2 to 65,535 bytes, its type included."""

    def __init__(self, *, length: int) -> None:
        super().__init__(length=length)
        self.length = length


class NoSuchPeer(_AboutPeer):
    """`sendcustommsg` to a peer we do not know."""


class CustomPeerNotConnected(_AboutPeer):
    """`sendcustommsg` to a peer that is known, but not connected."""


class PingTooLong(PeerError):
    """A ping carries at most 65,529 bytes."""

    def __init__(self, *, length: int) -> None:
        super().__init__(length=length)
        self.length = length


class PongTooLong(PeerError):
    """A ping can ask for 65,535 bytes at most."""

    def __init__(self, *, length: int) -> None:
        super().__init__(length=length)
        self.length = length


class PingPending(_AboutPeer):
    """One asked-for ping at a time."""


class _AboutHost(PeerError):
    def __init__(self, *, host: str, port: int, **facts: object) -> None:
        super().__init__(host=host, port=port, **facts)
        self.host = host
        """As it was given, a port of its own included."""
        self.port = port
        """The port given beside the host, or the network's own (CLN prints this one whatever the host says)."""


class HostNotValid(_AboutHost):
    """A host that is no address and cannot be resolved; `reason` is CLN's or the resolver's word."""

    def __init__(self, *, host: str, port: int, reason: str) -> None:
        super().__init__(host=host, port=port, reason=reason)
        self.reason = reason


class HostNotSimple(_AboutHost):
    """A host that CLN takes for listening only: empty, `autotor:`, `statictor:`."""


class ListenFailed(PeerError):
    """An address that cannot be listened on."""

    def __init__(self, *, address: str, errno: int | None, reason: str) -> None:
        super().__init__(address=address, errno=errno, reason=reason)
        self.address = address
        self.errno = errno
        """None when the text is no address that can be listened on."""
        self.reason = reason


class OnionServiceFailed(PeerError):
    """Tor did not make our onion service; `control` is the address of its control port, `reason` in plain words."""

    def __init__(self, *, control: str, reason: str) -> None:
        super().__init__(control=control, reason=reason)
        self.control = control
        self.reason = reason


class Banned(PeerError):
    """Not dialled: `subject`, a node id in hex, an address or a range, is banned until `until` (wall time)."""

    def __init__(self, *, subject: str, until: float) -> None:
        super().__init__(subject=subject, until=until)
        self.subject = subject
        self.until = until


class NotBanned(PeerError):
    """There is no such ban to lift."""

    def __init__(self, *, subject: str) -> None:
        super().__init__(subject=subject)
        self.subject = subject


class BansFull(PeerError):
    """So many bans are in force that no other is taken."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)
        self.limit = limit


class NotSaved(PeerError):
    """There is nothing to forget: no such peer, or not with that address."""

    def __init__(self, *, node_id: bytes, address: str | None = None) -> None:
        super().__init__(node_id=node_id, address=address)
        self.node_id = node_id
        self.address = address
