"""Saved peers as the user sees and changes them."""

from __future__ import annotations

from collections.abc import Sequence

from core.bolt.address import Address
from core.peers.errors import NotSaved
from core.peers.reconnect import Reconnector
from core.peers.values import KeptPeer, PeerBook


class SavedPeers:
    """The book, and with it whoever dials from it."""

    def __init__(self, book: PeerBook, reconnector: Reconnector) -> None:
        self._book = book
        self._reconnector = reconnector

    async def records(self, node_id: bytes | None = None) -> Sequence[KeptPeer]:
        """All of them, or the one; those who were saved first come first."""
        return await self._book.records(node_id)

    def next_attempt_in_s(self, node_id: bytes) -> float | None:
        """How long until the peer is dialled by itself; None when that is not planned."""
        return self._reconnector.due_in_s(node_id)

    async def describe(self, node_id: bytes, *, label: str | None = None, note: str | None = None) -> None:
        """Save the peer with the user's label and note; None leaves what stands."""
        await self._book.describe(node_id, label=label, note=note)

    async def forget(self, node_id: bytes, address: Address | None = None) -> None:
        """Keep nothing of the peer, or no more that one address; a connection stays. Raises NotSaved."""
        # First who dials: a connection that came about meanwhile would be written down again.
        if address is None:
            self._reconnector.forget(node_id)
            known = await self._book.forget(node_id)
        else:
            self._reconnector.forget_address(node_id, address)
            known = await self._book.forget_address(node_id, address)
        if not known:
            raise NotSaved(node_id=node_id, address=None if address is None else str(address))
