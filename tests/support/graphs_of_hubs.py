"""A hub and what is around it, out of nothing and unsigned: what a picture of the network is tried with."""

from __future__ import annotations

import random

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate
from core.bolt.wire import ShortChannelId
from core.gossip.graph import Graph
from core.gossip.graph_values import Trust

HUB_CHANNELS = 1989
"""Of mainnet's largest hub in February 2026."""
NOW = 1_770_000_000


def node_id(number: int) -> bytes:
    """Of the hub for 0, then of its neighbours."""
    return b"\x02" + number.to_bytes(32, "big")


def channel(graph: Graph, number: int, ends: tuple[int, int], capacity_sat: int | None, **facts: int) -> int:
    """Add a channel with both its updates, unchecked where `capacity_sat` is None; its short channel id.

    `facts` are of the updates; `trust` is what stands behind it where that is not told by the capacity.
    """
    scid = ShortChannelId(600_000 + number, 1, 0)
    one, other = sorted(map(node_id, ends))
    announcement = ChannelAnnouncement(*(bytes(64),) * 4, b"", graph.chain_hash, scid, one, other, bytes(33), bytes(33))
    trust = Trust.CHECKED if capacity_sat is not None else Trust.UNCHECKED
    graph.add_channel(announcement, capacity_sat=capacity_sat, trust=trust, heard=NOW)
    flags = facts.get("flags", 0)
    for direction in (0, 1):
        graph.update_channel(
            ChannelUpdate(
                signature=bytes(64),
                chain_hash=graph.chain_hash,
                short_channel_id=scid,
                timestamp=facts.get("timestamp", NOW),
                message_flags=1,
                channel_flags=direction | flags,
                cltv_expiry_delta=80,
                htlc_minimum_msat=1,
                fee_base_msat=1000,
                fee_proportional_millionths=1,
                htlc_maximum_msat=facts.get("maximum_sat", capacity_sat or 50_000) * 1000,
            )
        )
    return int(scid)


def hub(chain_hash: bytes, channels: int, *, crossing: int = 2, seed: int = 1) -> Graph:
    """A node with so many channels, a tenth beside others to the same node, and `crossing` a neighbour between them."""
    graph, chance = Graph(chain_hash), random.Random(seed)
    neighbours = max(1, channels - channels // 10)
    for number in range(channels):
        channel(graph, number, (0, 1 + number % neighbours), chance.randrange(100_000, 200_000_000))
    for number in range(crossing * neighbours if neighbours > 1 else 0):
        ends = sorted(chance.sample(range(1, neighbours + 1), 2))
        channel(graph, channels + number, (ends[0], ends[1]), chance.randrange(100_000, 50_000_000))
    return graph
