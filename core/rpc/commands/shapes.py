"""Values as CLN's JSON has them."""

from __future__ import annotations

from core.bolt.address import Address, AddressKind
from core.peers.values import PeerInfo
from core.rpc.commands.base import Json
from core.rpc.network_events import NetworkEvent


def address_object(address: Address) -> Json:
    """CLN's json_add_address_internal; an IPv6 address stands without brackets."""
    if address.kind is AddressKind.LOCAL:
        return {"type": address.kind.value, "socket": address.host}
    if address.kind is AddressKind.UNRESOLVED:
        return {"type": address.kind.value, "name": address.host, "port": address.port}
    return {"type": address.kind.value, "address": address.host, "port": address.port}


def connected_object(peer: PeerInfo) -> Json:
    """What `connect` answers."""
    return {
        "id": peer.node_id.hex(),
        "features": peer.features.hex(),
        "direction": peer.direction.value,
        "address": address_object(peer.address),
    }


def peer_object(peer: PeerInfo, *, channels: int) -> Json:
    """One row of `listpeers`."""
    found: Json = {
        "id": peer.node_id.hex(),
        "connected": True,
        "num_channels": channels,
        "netaddr": [str(peer.address)],
    }
    if peer.remote_addr is not None:
        found["remote_addr"] = peer.remote_addr
    return found | {"features": peer.features.hex()}


def absent_peer_object(peer_id: bytes, *, channels: int) -> Json:
    """One row of `listpeers`: a peer that is known by its channels alone. Its features are those of a connection."""
    return {"id": peer_id.hex(), "connected": False, "num_channels": channels, "features": ""}


def network_event_object(event: NetworkEvent) -> Json:
    """One row of `listnetworkevents`, in the order in which CLN writes it."""
    found: Json = {
        "created_index": event.created_index,
        "peer_id": event.peer_id.hex(),
        "type": event.type,
        "timestamp": int(event.time),
    }
    if event.reason is not None:
        found["reason"] = event.reason
    if event.duration_nsec is not None:
        found["duration_nsec"] = event.duration_nsec
    if event.connect_attempted is not None:
        found["connect_attempted"] = event.connect_attempted
    return found
