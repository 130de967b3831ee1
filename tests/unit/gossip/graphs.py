"""Announcements for the graph, which looks at no signature."""

from __future__ import annotations

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.networks import NETWORKS
from core.bolt.wire import ShortChannelId
from core.gossip.graph import Graph
from core.gossip.graph_values import Trust

CHAIN = NETWORKS["regtest"].chain_hash
NOW = 1_770_000_000
_SIGNATURE = bytes(64)


def node_id(number: int) -> bytes:
    return b"\x02" + number.to_bytes(32, "big")


def scid(number: int) -> ShortChannelId:
    return ShortChannelId(100 + number, 1, 0)


def channel(
    number: int, first: int, second: int, *, features: bytes = b"", chain_hash: bytes = CHAIN
) -> ChannelAnnouncement:
    """Between two nodes by their numbers."""
    return ChannelAnnouncement(
        *(_SIGNATURE,) * 4,
        features=features,
        chain_hash=chain_hash,
        short_channel_id=scid(number),
        node_id_1=node_id(first),
        node_id_2=node_id(second),
        bitcoin_key_1=bytes(33),
        bitcoin_key_2=bytes(33),
    )


def update(
    number: int,
    direction: int,
    *,
    timestamp: int = NOW,
    disabled: bool = False,
    base_msat: int = 1000,
    proportional: int = 10,
    delta: int = 40,
    minimum_msat: int = 1,
    maximum_msat: int = 1_000_000_000,
    chain_hash: bytes = CHAIN,
) -> ChannelUpdate:
    return ChannelUpdate(
        signature=_SIGNATURE,
        chain_hash=chain_hash,
        short_channel_id=scid(number),
        timestamp=timestamp,
        message_flags=1,
        channel_flags=direction | 2 * disabled,
        cltv_expiry_delta=delta,
        htlc_minimum_msat=minimum_msat,
        fee_base_msat=base_msat,
        fee_proportional_millionths=proportional,
        htlc_maximum_msat=maximum_msat,
    )


def node(number: int, *, timestamp: int = NOW, alias: bytes = b"alias", features: bytes = b"\x80") -> NodeAnnouncement:
    return NodeAnnouncement(
        signature=_SIGNATURE,
        features=features,
        timestamp=timestamp,
        node_id=node_id(number),
        rgb_color=b"\x01\x02\x03",
        alias=alias.ljust(32, b"\0"),
    )


def add(graph: Graph, number: int, first: int, second: int, **terms: int) -> None:
    """A checked channel of 1,000,000 sat with both directions on the same terms."""
    graph.add_channel(channel(number, first, second), capacity_sat=1_000_000, trust=Trust.CHECKED, heard=NOW)
    for direction in (0, 1):
        graph.update_channel(update(number, direction, **terms))  # type: ignore[arg-type]
