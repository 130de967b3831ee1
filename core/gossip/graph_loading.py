"""The graph from its store: what lives there, in the store's pieces, with turns of the loop between them."""

from __future__ import annotations

from collections.abc import AsyncIterable

import numpy as np

from core.base.clock import Clock
from core.gossip.graph import Graph
from core.gossip.graph_bulk import Batch, Spans, Taken, extend, slices
from core.gossip.store_format import (
    CHANNEL_AMOUNT,
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    NODE_ANNOUNCEMENT,
)
from core.gossip.store_walk import Batch as Stored
from core.gossip.store_walk import numbers_at

_TYPE_BYTES = 2
_FEATURES_AT = _TYPE_BYTES + 4 * 64
_SCID_BEHIND_FEATURES = _TYPE_BYTES + 32


async def load_graph(graph: Graph, stored: AsyncIterable[Stored], clock: Clock) -> Taken:
    """Apply what `stored` (`GossipStore.batches()`) gives. A channel counts as checked when its amount is stored."""
    taken = Taken(0, 0, 0)
    open_channel: int | None = None
    """The last announcement of a piece, whose amount is the first record of the next."""
    async for piece in stored:
        if open_channel is not None and len(piece):
            _tell_amount(graph, open_channel, piece)
        for part in slices(batch_of(piece)):
            more = extend(graph, part, heard=int(clock.time()), checked=True)
            taken = Taken(*(sum(pair) for pair in zip(taken, more, strict=True)))
            await clock.sleep(0)
        open_channel = _last_announced(piece)
    return taken


def batch_of(piece: Stored) -> Batch:
    """The messages of a piece that are not deleted; an announcement's capacity from the amount right behind it."""
    live = piece.live
    announced = np.flatnonzero(live & (piece.type == CHANNEL_ANNOUNCEMENT))
    behind = np.minimum(announced + 1, len(piece) - 1)
    capacities = np.zeros(len(announced), np.uint64)
    told = (piece.type[behind] == CHANNEL_AMOUNT) & (piece.length[behind] >= _TYPE_BYTES + 8)
    capacities[told] = numbers_at(piece.buffer, piece.start[behind[told]] + _TYPE_BYTES, ">u8")

    def spans(numbers: Spans) -> Spans:
        return np.stack([piece.start[numbers], piece.length[numbers].astype(np.int64)], axis=1)

    return Batch(
        piece.buffer,
        spans(announced),
        capacities,
        spans(np.flatnonzero(live & (piece.type == CHANNEL_UPDATE))),
        spans(np.flatnonzero(live & (piece.type == NODE_ANNOUNCEMENT))),
        base=int(piece.offset[0]) - int(piece.start[0]) if len(piece) else None,
    )


def _tell_amount(graph: Graph, short_channel_id: int, piece: Stored) -> None:
    """If the first record of `piece` tells the amount of a channel that the chain was seen to hold."""
    if piece.type[0] == CHANNEL_AMOUNT and piece.length[0] >= _TYPE_BYTES + 8:
        capacity_sat = int(numbers_at(piece.buffer, piece.start[:1] + _TYPE_BYTES, ">u8")[0])
        if capacity_sat:
            graph.mark_checked(short_channel_id, capacity_sat)


def _last_announced(piece: Stored) -> int | None:
    """The short channel id of the announcement that ends the piece."""
    if not len(piece) or piece.type[-1] != CHANNEL_ANNOUNCEMENT or not piece.live[-1]:
        return None
    message = piece.message(len(piece) - 1)
    start = _FEATURES_AT + int.from_bytes(message[_FEATURES_AT : _FEATURES_AT + 2], "big") + _SCID_BEHIND_FEATURES
    return int.from_bytes(message[start : start + 8], "big") if len(message) >= start + 8 else None
