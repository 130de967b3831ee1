"""How a peer is called where there is little room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.bolt.keys import short_id
from gui.phrases import bounded

if TYPE_CHECKING:
    from core.node import Node

_NAME_MAX = 32


def peer_name(node: Node, node_id: bytes) -> str:
    """`02ab12…9f3c04`, and behind it the name of a practice peer, so that the one that echoes can be told."""
    name = next((peer.name for peer in node.practice_peers if peer.node_id == node_id), "")
    return f"{short_id(node_id)} {bounded(name, _NAME_MAX)}".rstrip()
