"""Snapshots for rapid gossip sync, written from what a network says, as LDK's server writes them, versions 1 and 2.

    write_snapshot(described(make_network(seed=1, channels=50_000)), latest_seen=...)

It shares nothing with the reader but the numbers of the format (lightning-rapid-gossip-sync, README.md).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.networks import NETWORKS
from core.bolt.wire import encode_bigsize
from tests.support.network import Network

REGTEST = NETWORKS["regtest"].chain_hash
_SHAPES = ((0x40, ">H"), (0x20, ">Q"), (0x10, ">I"), (0x08, ">I"), (0x04, ">Q"))


@dataclass(frozen=True)
class Channel:
    scid: int
    node_1: bytes
    node_2: bytes
    features: bytes = b""
    capacity_sat: int | None = None
    """Version 2 alone has a place for it."""


@dataclass(frozen=True)
class Update:
    scid: int
    direction: int
    values: tuple[int | None, ...]
    """cltv_expiry_delta, htlc_minimum_msat, fee_base_msat, fee_proportional_millionths, htlc_maximum_msat; None, in an
    incremental one: as before."""
    disabled: bool = False
    incremental: bool = False


@dataclass(frozen=True)
class Node:
    node_id: bytes
    features: bytes | None = None
    addresses: tuple[bytes, ...] | None = None
    """Type and data of each."""
    reminder: bool = False
    more: bytes | None = None
    """Of a later time: told and passed over."""


@dataclass(frozen=True)
class Content:
    channels: Sequence[Channel] = ()
    updates: Sequence[Update] = ()
    nodes: Sequence[Node] = ()
    """Those of whom something is said; the ends of channels are told in any case."""
    chain_hash: bytes = REGTEST
    defaults: tuple[int, ...] = field(default=())
    """Of the updates; empty: the most frequent of each."""


def described(network: Network) -> Content:
    """All of it."""
    channels = [
        Channel(int(one.short_channel_id), one.node_id_1, one.node_id_2, one.features, capacity)
        for one, capacity in zip(
            map(ChannelAnnouncement.decode, network.channel_announcements), network.capacities_sat, strict=True
        )
    ]
    nodes = [
        Node(one.node_id, one.features, tuple(address.encode() for address in one.addresses))
        for one in map(NodeAnnouncement.decode, network.node_announcements)
    ]
    return Content(channels, [_update(ChannelUpdate.decode(message)) for message in network.channel_updates], nodes)


def _update(update: ChannelUpdate) -> Update:
    values = (
        update.cltv_expiry_delta,
        update.htlc_minimum_msat,
        update.fee_base_msat,
        update.fee_proportional_millionths,
        update.htlc_maximum_msat,
    )
    return Update(int(update.short_channel_id), update.direction, values, bool(update.channel_flags & 2))


def write_snapshot(content: Content, latest_seen: int, version: int = 2) -> bytes:
    """The file's bytes."""
    told = {node.node_id: node for node in content.nodes}
    ids = sorted({end for channel in content.channels for end in (channel.node_1, channel.node_2)} | set(told))
    usual = [kind for kind, _ in Counter(node.features for node in content.nodes if node.features).most_common(6)]
    head = b"LDK" + bytes([version]) + content.chain_hash + latest_seen.to_bytes(4, "big")
    if version == 2:
        head += bytes([len(usual)]) + b"".join(map(_blob, usual))
    head += len(ids).to_bytes(4, "big")
    nodes = [_node(told.get(node_id, Node(node_id)), usual) if version == 2 else node_id for node_id in ids]
    places = {node_id: place for place, node_id in enumerate(ids)}
    return b"".join([head, *nodes, _channels(content.channels, places, version), _updates(content)])


def _blob(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _node(node: Node, usual: Sequence[bytes]) -> bytes:
    flags, more = node.node_id[0], b""
    if node.addresses is not None:
        flags |= 0x04
        more += bytes([len(node.addresses)]) + b"".join(bytes([len(one)]) + one for one in node.addresses)
    if node.features in usual:
        flags |= (usual.index(node.features) + 1) << 3
    elif node.features is not None:
        flags |= 7 << 3
        more += _blob(node.features)
    flags |= 0x40 * node.reminder | 0x80 * (node.more is not None)
    return bytes([flags]) + node.node_id[1:] + more + (_blob(node.more) if node.more is not None else b"")


def _channels(channels: Iterable[Channel], places: dict[bytes, int], version: int) -> bytes:
    ordered = sorted(channels, key=lambda channel: channel.scid)
    parts, before = [len(ordered).to_bytes(4, "big")], 0
    for channel in ordered:
        parts += [_blob(channel.features), encode_bigsize(channel.scid - before)]
        told = version == 2 and channel.capacity_sat is not None
        parts += [encode_bigsize(places[channel.node_1]), encode_bigsize(places[channel.node_2] | told << 63)]
        if told and channel.capacity_sat is not None:
            parts.append(_blob(encode_bigsize(channel.capacity_sat)))
        before = channel.scid
    return b"".join(parts)


def _updates(content: Content) -> bytes:
    ordered = sorted(content.updates, key=lambda update: (update.scid, update.direction))
    parts, before = [len(ordered).to_bytes(4, "big")], 0
    if not ordered:
        return parts[0]
    whole = [update.values for update in ordered if not update.incremental]
    usual = [Counter(column).most_common(1)[0][0] for column in zip(*whole, strict=True)] or [0] * len(_SHAPES)
    defaults = content.defaults or usual
    parts += [struct.pack(shape, value) for (_flag, shape), value in zip(_SHAPES, defaults, strict=True)]
    for update in ordered:
        flags, more = update.direction | 2 * update.disabled | 0x80 * update.incremental, b""
        for (flag, shape), value, default in zip(_SHAPES, update.values, defaults, strict=True):
            if value is not None and (update.incremental or value != default):
                flags |= flag
                more += struct.pack(shape, value)
        parts += [encode_bigsize(update.scid - before), bytes([flags]), more]
        before = update.scid
    return b"".join(parts)
