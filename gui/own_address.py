"""How others reach this node, as one string to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.bolt.address import Address, AddressKind

if TYPE_CHECKING:
    from core.node import Node

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, never bound


def bound_addresses(node: Node) -> tuple[Address, ...]:
    """Where the node listens; empty while it is not active."""
    return () if node.lightning is None else tuple(node.peers.bound)


def own_uri(node: Node, node_id: bytes) -> str:
    """`node-id@host:port` of the first address others can use; the id alone when there is none.

    `node_id` is ours, kept by who shows it: a node that has stopped knows it no more.
    """
    if node.onion_address is not None:
        return f"{node_id.hex()}@{node.onion_address}"
    # A local socket serves this computer alone, so it comes last.
    for address in sorted(bound_addresses(node), key=lambda address: address.kind is AddressKind.LOCAL):
        if address.host not in _EVERYWHERE:
            return f"{node_id.hex()}@{address}"
    return node_id.hex()
