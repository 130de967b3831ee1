"""Nodes by what they call themselves and by their ids, for the search field. Names are claims: any two may be equal."""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

from core.gossip.graph import Graph
from gui.peer_names import alias_text

if TYPE_CHECKING:
    from core.base.clock import Clock

MOST_RESULTS = 50
_SLICE = 200
"""Nodes between two turns of the loop: about 2 ms."""
_LEAST_ID_DIGITS = 2


class Names:
    """Made by `read`; stale as soon as the graph has changed, and cheap to make again."""

    def __init__(self, entries: list[tuple[str, bytes, int]]) -> None:
        self._entries = entries
        """Alias in lower case, node id and channels, the best connected first."""

    def __len__(self) -> int:
        return len(self._entries)

    @classmethod
    async def read(cls, graph: Graph, clock: Clock) -> Names:
        """All nodes as they are now; the loop goes on meanwhile."""
        entries: list[tuple[str, bytes, int]] = []
        nodes = graph.nodes()
        while part := list(islice(nodes, _SLICE)):
            for node in part:
                alias = alias_text(node.announced.alias) if node.announced is not None else ""
                entries.append((alias.casefold(), node.node_id, node.channels))
            await clock.sleep(0)
        entries.sort(key=lambda entry: -entry[2])
        return cls(entries)

    def find(self, text: str) -> list[bytes]:
        """Node ids whose alias has `text` in it, or whose id begins with it; exact and beginning ones first."""
        wanted = text.strip().casefold()
        if not wanted:
            return []
        ranked: list[tuple[int, bytes]] = []
        is_id = len(wanted) >= _LEAST_ID_DIGITS and not wanted.strip("0123456789abcdef")
        for alias, node_id, _channels in self._entries:
            rank = _rank(alias, wanted)
            if rank is None and is_id and node_id.hex().startswith(wanted):
                rank = 1
            if rank is not None:
                ranked.append((rank, node_id))
        ranked.sort(key=itemgetter(0))
        return [node_id for _rank_, node_id in ranked[:MOST_RESULTS]]


def _rank(alias: str, wanted: str) -> int | None:
    if wanted not in alias:
        return None
    if alias == wanted:
        return 0
    return 1 if alias.startswith(wanted) else 2
