"""From a copy of the graph to what is drawn: everything that belongs in a thread, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gui.graph.layout import Place, lay_out
from gui.graph.neighbourhood import Array, Columns, Copied, Counts, Neighbourhood, around, best_connected


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks at."""

    own: bytes
    connections: tuple[tuple[bytes, bytes], ...]
    """Our node and each of its peers."""
    centre: bytes
    """Empty for the best connected node."""
    steps: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A neighbourhood with its places, and the counts of the whole."""

    wanted: Wanted
    counts: Counts
    around: Neighbourhood
    places: Array

    def kept(self) -> dict[bytes, Place]:
        """Each node's place, for the next picture."""
        return {node_id: (x, y) for node_id, (x, y) in zip(self.around.ids, self.places.tolist(), strict=True)}


def make_picture(copied: Copied, wanted: Wanted, kept: Mapping[bytes, Place]) -> Picture:
    """Our own node stands in the middle as long as it has anybody; without, the best connected one does."""
    columns = Columns.of(copied)
    centre = wanted.centre
    if not centre or (centre == wanted.own and not _has_anybody(columns, wanted.own, wanted.connections)):
        centre = best_connected(columns) or wanted.own
    found = around(columns, centre, wanted.connections, steps=wanted.steps)
    places = lay_out(found, kept if centre in kept and kept[centre] == (0.0, 0.0) else {})
    return Picture(wanted, Counts.of(columns), found, places)


def _has_anybody(columns: Columns, own: bytes, connections: Sequence[tuple[bytes, bytes]]) -> bool:
    return bool(connections) or own in columns.ids
