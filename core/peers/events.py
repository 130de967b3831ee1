"""Events of this room that concern nobody below it."""

from __future__ import annotations

from dataclasses import dataclass

from core.base.events import Event


@dataclass(frozen=True, slots=True)
class PeerNotice(Event):
    """The peer said something about our conduct, in its own words; it is shown, and nothing follows from it."""

    peer_id: bytes
    is_error: bool
    """An `error` (for a channel that we do not have, so ignored: BOLT 1), else a `warning`."""
    channel_id: bytes
    """32 bytes; all zero when it is about the connection."""
    text: str
    """Printable ASCII or hex, cut to a bound."""
