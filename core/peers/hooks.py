"""What somebody above the peer core may have a say in; a node without plugins lets everything pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.peers.values import PeerInfo

if TYPE_CHECKING:
    from core.peers.session import Session


@dataclass(frozen=True, slots=True)
class Refused:
    """A peer is not wanted."""

    warning: str | None
    """What it is told before the connection is closed; None: nothing."""


class PeerHooks(Protocol):
    """Asked in the loop, and answered later: `done` is never called before the method has returned, and once."""

    def takes(self, type_: int) -> bool:
        """Whether messages of this even type, unknown to BOLT 1 and us, are for somebody here."""

    def peer_connected(self, peer: PeerInfo, done: Callable[[Refused | None], None]) -> bool:
        """A peer has completed its init. False when nobody has a say; otherwise it waits until `done` is called."""

    def custom_message(self, peer_id: bytes, message: bytes, done: Callable[[], None]) -> bool:
        """A custom message came. False when nobody looks at it; otherwise its peer is not read until `done`."""


class GossipListener(Protocol):
    """Who keeps the network graph. Called in the loop; to return at once."""

    def connected(self, peer: Session) -> None:
        """Both inits are exchanged."""

    def disconnected(self, peer: Session) -> None:
        """The connection has ended."""

    def heard(self, peer: Session, message: bytes) -> None:
        """A message of BOLT 7 came, types 256 to 265 without `announcement_signatures`, within the peer's budget."""


class NoHooks:
    """Everything passes."""

    def takes(self, type_: int) -> bool:
        return False

    def peer_connected(self, peer: PeerInfo, done: Callable[[Refused | None], None]) -> bool:
        return False

    def custom_message(self, peer_id: bytes, message: bytes, done: Callable[[], None]) -> bool:
        return False


NO_HOOKS = NoHooks()
