"""How others reach this node, as one string to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.base.events import NodeState
from core.bolt.address import Address

if TYPE_CHECKING:
    from core.node import Node

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, never bound


def bound_addresses(node: Node) -> tuple[Address, ...]:
    """Where the node listens; empty while it is not active."""
    if node.state is not NodeState.RUNNING or node.lightning is None:
        return ()
    return tuple(node.peers.bound)


def own_uri(node: Node) -> str:
    """`node-id@host:port` of the first address others can use; the id alone when there is none."""
    for address in bound_addresses(node):
        if address.host not in _EVERYWHERE:
            return f"{node.node_id.hex()}@{address}"
    return node.node_id.hex()
