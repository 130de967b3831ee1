"""What the chain says, in the graph's columns: which channels nobody asked it about yet, and taking its word back."""

from __future__ import annotations

import numpy as np

from core.gossip.columns import CHECKED, DYING, LIVE, OVERLAY
from core.gossip.graph import Graph


def unsure(graph: Graph, first_row: int, most: int, highest_block: int) -> tuple[list[int], int]:
    """Signed channels up to `highest_block` that are unchecked, and the row to go on from; none: there are no more.

    What is known to be spent is on its way out and not asked for.
    A tenth of a millisecond at mainnet size.
    """
    records = graph.channel_table.records[first_row : graph.channel_table.used]
    signed = records["state"] & (LIVE | CHECKED | OVERLAY | DYING) == LIVE
    rows = np.flatnonzero(signed & (records["short_channel_id"] < np.uint64(max(highest_block + 1, 0) << 40)))[:most]
    if not len(rows):
        return [], 0
    return records["short_channel_id"][rows].tolist(), first_row + int(rows[-1]) + 1


def mark_unchecked(graph: Graph, short_channel_id: int) -> bool:
    """The block of its funding output is no longer in the chain. False when it was not checked."""
    row = graph.row_of(short_channel_id)
    records = graph.channel_table.records
    if row is None or not records["state"][row] & CHECKED:
        return False
    records["state"][row] &= ~np.uint8(CHECKED)
    graph.checked_count -= 1
    graph.changes.updated(short_channel_id, 0, 1)
    graph.version += 1
    return True


def distrust(graph: Graph) -> None:
    """Nobody asks the chain: what it said earlier may be over, so all channels count as unchecked."""
    graph.channel_table.records["state"] &= ~np.uint8(CHECKED)
    graph.checked_count = 0
    graph.version += 1
