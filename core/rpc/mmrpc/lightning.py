"""`lightning::nodes::*` and `lightning::channels::*`, as far as there are peers and channel records."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.activation.errors import CoinIsNotLightning, NoSuchCoin
from core.activation.lightning import Lightning
from core.base.events import ConnectPhase, Direction
from core.base.serde import (
    Field,
    Read,
    SerdeError,
    boolean,
    invalid_type,
    invalid_value,
    nullable,
    string,
    struct,
    u64,
    unknown_variant,
    usize,
    variant,
)
from core.bolt.address import MAX_PORT, Address
from core.bolt.keys import is_public_key
from core.channels.balance import own_msat
from core.channels.records import ChannelRecord, Opener
from core.channels.states import ChannelState
from core.peers.errors import AllAddressesFailed, DisconnectedDuringConnect, HostNotValid, NoAddressKnown, OwnNodeId
from core.peers.manager import PeerManager
from core.peers.resolve import resolve_host
from core.rpc.mmrpc.base import Context, Handler, MmError

_COIN = Field("coin", string)
_DEFAULT_LIMIT = 10


def _lightning(context: Context, ticker: str) -> Lightning:
    """Of this coin. Raises NoSuchCoin, CoinIsNotLightning."""
    activator = context.node.activator
    if activator.coin is not None and activator.coin.ticker == ticker and activator.lightning is not None:
        return activator.lightning
    if activator.platforms.find(ticker) is not None:
        raise CoinIsNotLightning(ticker=ticker)
    raise NoSuchCoin(ticker=ticker)


# -- nodes


@dataclass(frozen=True, slots=True)
class _NodeAddress:
    """As it was asked for: nothing is looked up yet."""

    node_id: bytes
    host: str
    """An IP address, or a name."""
    port: int
    text: str
    """Host and port as they came."""


def _node_address(value: object) -> _NodeAddress:
    if not isinstance(value, str):
        raise invalid_type(value, "pubkey@host:port")
    parts = value.split("@")
    if len(parts) < 2:
        raise SerdeError(f"Could not parse node address from str {value}")
    try:
        node_id = _public_key(parts[0])
    except ValueError:
        raise SerdeError(f"Could not parse node pubkey from str {parts[0]}, err malformed public key") from None
    return _NodeAddress(node_id, *_host_and_port(parts[1]), parts[1])


def _host_and_port(text: str) -> tuple[str, int]:
    """As Rust's `to_socket_addrs` splits it, before any look-up."""
    host, colon, digits = text.rpartition(":")
    if not colon:
        raise _no_socket_address(text, "invalid socket address")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10 and int(digits) <= MAX_PORT):
        raise _no_socket_address(text, "invalid port value")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise _no_socket_address(text, f"{_LOOK_UP_FAILED}: {_UNKNOWN_NAME}")
    if not host or host.startswith("/") or (":" in host and not _is_ip(host)):
        raise _no_socket_address(text, f"{_LOOK_UP_FAILED}: {_UNKNOWN_NAME}")
    return host, int(digits)


_LOOK_UP_FAILED = "failed to lookup address information"
_UNKNOWN_NAME = "Name or service not known"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _no_socket_address(text: str, reason: str | None = None) -> SerdeError:
    return SerdeError(f"Could not parse socket address from str {text}" + (f", err {reason}" if reason else ""))


class _NothingFound(Exception):
    """The name is known and has no address."""


async def _resolve(peers: PeerManager, asked: _NodeAddress) -> Address:
    """The first address behind it; a name stays one where the proxy resolves. Raises SerdeError, as upstream."""
    resolver = peers.resolver

    async def look_up(name: str, port: int) -> Sequence[Address]:
        assert resolver is not None  # else this is never called
        found = await resolver(name, port)
        if not found:
            raise _NothingFound
        return found

    try:
        return await resolve_host(asked.host, asked.port, asked.port, None if resolver is None else look_up)
    except _NothingFound:
        raise _no_socket_address(asked.text) from None
    except HostNotValid as error:
        raise _no_socket_address(asked.text, f"{_LOOK_UP_FAILED}: {error.reason}") from None


def _node_id(value: object) -> bytes:
    if not isinstance(value, str):
        raise invalid_type(value, "a public key")
    try:
        return _public_key(value)
    except ValueError:
        raise SerdeError(f"Could not parse public key from str {value}, err malformed public key") from None


def _public_key(text: str) -> bytes:
    data = bytes.fromhex(text) if re.fullmatch("[0-9A-Fa-f]{66}", text) else b""
    if not is_public_key(data):
        raise ValueError("no public key")
    return data


async def _connect(context: Context, params: object) -> object:
    read = struct(params, "ConnectToNodeRequest", (_COIN, Field("node_address", _node_address)))
    # Nothing is looked up for a coin that is not active.
    peers, asked = _lightning(context, read["coin"]).peers, read["node_address"]
    address = await _resolve(peers, asked)
    if peers.peer(asked.node_id) is not None:
        return f"Already connected to node: {asked.node_id.hex()}@{address}"
    try:
        peer = await peers.connect(asked.node_id, address.host, address.port)
    except (AllAddressesFailed, NoAddressKnown, DisconnectedDuringConnect, OwnNodeId) as error:
        raise _not_connected(asked.node_id, error) from None
    shown = peer.address if peer.direction is Direction.OUT else address
    return f"Connected successfully to node : {asked.node_id.hex()}@{shown}"


def _not_connected(node_id: bytes, error: Exception) -> MmError:
    """Two texts for all that can happen: nobody answered, or whoever did hung up before it was known who it is."""
    attempts = error.attempts if isinstance(error, AllAddressesFailed) else ()
    answered = isinstance(error, (DisconnectedDuringConnect, OwnNodeId)) or any(
        attempt.phase in (ConnectPhase.HANDSHAKE, ConnectPhase.INIT) for attempt in attempts
    )
    words = (
        f"Handshake error: Node {node_id.hex()} disconnected before finishing the handshake"
        if answered
        else f"Timeout error: Failed to connect to node: {node_id.hex()}"
    )
    text = f"Error connecting to node: {words}"
    return MmError(500, "ConnectionError", text, path="connect_to_node", trace="connect_to_node:78]", data=words)


async def _add_trusted(context: Context, params: object) -> object:
    read = struct(params, "AddTrustedNodeReq", (_COIN, Field("node_id", _node_id)))
    await _lightning(context, read["coin"]).trusted.add(read["node_id"])
    return {"added_node": read["node_id"].hex()}


async def _remove_trusted(context: Context, params: object) -> object:
    read = struct(params, "RemoveTrustedNodeReq", (_COIN, Field("node_id", _node_id)))
    await _lightning(context, read["coin"]).trusted.remove(read["node_id"])
    return {"removed_node": read["node_id"].hex()}


async def _list_trusted(context: Context, params: object) -> object:
    read = struct(params, "ListTrustedNodesReq", (_COIN,))
    return {"trusted_nodes": [node.hex() for node in _lightning(context, read["coin"]).trusted.all()]}


# -- channels


def channel_uuid(record: ChannelRecord) -> uuid.UUID:
    """By which a channel is asked for; made of its id, so that it is the same after every start."""
    return uuid.UUID(bytes=record.channel_id[:16], version=4)


def _open_channel(record: ChannelRecord, height: int) -> dict[str, Any]:
    confirmed = record.funding_height is not None and record.funding_height <= height
    return {
        "uuid": str(channel_uuid(record)),
        "channel_id": record.channel_id.hex(),
        "counterparty_node_id": record.node_id.hex(),
        "funding_tx": record.funding_txid[::-1].hex(),
        "funding_tx_output_index": record.funding_output,
        "funding_tx_value_sats": record.funding_sat,
        "is_outbound": record.opener is Opener.LOCAL,
        "balance_msat": own_msat(record),
        # What cannot be used has no capacity, and no channel can be used yet.
        "outbound_capacity_msat": 0,
        "inbound_capacity_msat": 0,
        "current_confirmations": height - (record.funding_height or 0) + 1 if confirmed else 0,
        "required_confirmations": None,
        "is_ready": record.state is ChannelState.CHANNELD_NORMAL,
        "is_usable": False,
        "is_public": not record.private,
    }


def _closed_channel(record: ChannelRecord, _height: int) -> dict[str, Any]:
    return {
        "uuid": str(channel_uuid(record)),
        "channel_id": record.channel_id.hex(),
        "counterparty_node_id": record.node_id.hex(),
        "funding_tx": record.funding_txid[::-1].hex(),
        "funding_value": record.funding_sat,
        # Left out where there is none, as upstream.
        **({} if record.funding_height is None else {"funding_generated_in_block": record.funding_height}),
        "is_outbound": record.opener is Opener.LOCAL,
        "is_public": not record.private,
        "is_closed": True,
    }


_Matches = Callable[[dict[str, Any], Any], bool]


@dataclass(frozen=True, slots=True)
class _Filter:
    """One key of a filter: how it is read, and which channels it lets through."""

    read: Read[Any]
    matches: _Matches


def _same(key: str, read: Read[Any] = string) -> _Filter:
    return _Filter(read, lambda channel, wanted: channel[key] == wanted)


def _range(name: str, key: str) -> dict[str, _Filter]:
    return {
        f"from_{name}": _Filter(u64, lambda channel, least: channel[key] >= least),
        f"to_{name}": _Filter(u64, lambda channel, most: channel[key] <= most),
    }


_OPEN_FILTER = {
    "channel_id": _same("channel_id"),
    "counterparty_node_id": _Filter(
        _node_id, lambda channel, wanted: bool(channel["counterparty_node_id"] == wanted.hex())
    ),
    "funding_tx": _same("funding_tx"),
    **_range("funding_value_sats", "funding_tx_value_sats"),
    "is_outbound": _same("is_outbound", boolean),
    **_range("balance_msat", "balance_msat"),
    **_range("outbound_capacity_msat", "outbound_capacity_msat"),
    **_range("inbound_capacity_msat", "inbound_capacity_msat"),
    "is_ready": _same("is_ready", boolean),
    "is_usable": _same("is_usable", boolean),
    "is_public": _same("is_public", boolean),
}
_CLOSED_FILTER = {
    "channel_id": _same("channel_id"),
    "counterparty_node_id": _same("counterparty_node_id"),
    "funding_tx": _same("funding_tx"),
    **_range("funding_value", "funding_value"),
    "channel_type": _Filter(
        variant("Outbound", "Inbound"), lambda channel, wanted: channel["is_outbound"] == (wanted == "Outbound")
    ),
    "channel_visibility": _Filter(
        variant("Public", "Private"), lambda channel, wanted: channel["is_public"] == (wanted == "Public")
    ),
}


@dataclass(frozen=True, slots=True)
class _Paging:
    """Which part of a list: a page, counted from 1, or what follows a channel."""

    page: int = 1
    after: uuid.UUID | None = None

    def as_json(self) -> dict[str, object]:
        return {"PageNumber": self.page} if self.after is None else {"FromId": str(self.after)}


def _paging(value: object) -> _Paging:
    if not isinstance(value, dict):
        raise invalid_type(value, "enum PagingOptionsEnum")
    if len(value) != 1:
        raise invalid_value(value, "map with a single key")
    ((kind, chosen),) = value.items()
    match kind:
        case "PageNumber":
            page = usize(chosen)
            if page == 0:
                raise invalid_value(page, "a nonzero usize")
            return _Paging(page)
        case "FromId":
            return _Paging(after=_uuid(chosen))
    raise unknown_variant(kind, ("FromId", "PageNumber"))


def _uuid(value: object) -> uuid.UUID:
    if not isinstance(value, str):
        raise invalid_type(value, "a formatted UUID string")
    try:
        return uuid.UUID(value)
    except ValueError:
        raise SerdeError(f"UUID parsing failed: invalid format of {value}") from None


def _is_closed(record: ChannelRecord) -> bool:
    return record.state is ChannelState.CLOSED


def _listing(
    closed: bool, show: Callable[[ChannelRecord, int], dict[str, Any]], filters: dict[str, _Filter]
) -> Handler:
    fields = (
        _COIN,
        Field(
            "filter",
            nullable(
                lambda value: struct(
                    value, "ChannelsFilter", [Field(name, nullable(each.read), None) for name, each in filters.items()]
                )
            ),
            None,
        ),
        Field("limit", usize, _DEFAULT_LIMIT),
        Field("paging_options", _paging, _Paging()),
    )
    key = "closed_channels" if closed else "open_channels"

    async def listed(context: Context, params: object) -> object:
        read = struct(params, "ListChannelsRequest", fields)
        records = _lightning(context, read["coin"]).channels.all()
        wanted = [(filters[name], value) for name, value in (read["filter"] or {}).items() if value is not None]
        shown = [show(record, context.node.block_height) for record in records if _is_closed(record) is closed]
        found = [channel for channel in shown if all(each.matches(channel, value) for each, value in wanted)]
        skipped = _offset(found, read["limit"], read["paging_options"])
        return {
            key: found[skipped : skipped + read["limit"]],
            "limit": read["limit"],
            "skipped": skipped,
            "total": len(found),
            "total_pages": -(-len(found) // read["limit"]) if read["limit"] else 0,
            "paging_options": read["paging_options"].as_json(),
        }

    return listed


def _offset(found: Sequence[dict[str, Any]], limit: int, paging: _Paging) -> int:
    """How many come before; a page beyond the end is empty, and an unknown channel has none before it."""
    if paging.after is None:
        return min((paging.page - 1) * limit, len(found))
    ids = [channel["uuid"] for channel in found]
    return ids.index(str(paging.after)) + 1 if str(paging.after) in ids else 0


async def _details(context: Context, params: object) -> object:
    read = struct(params, "GetChannelDetailsRequest", (_COIN, Field("uuid", _uuid)))
    for record in _lightning(context, read["coin"]).channels.all():
        if channel_uuid(record) == read["uuid"]:
            closed = _is_closed(record)
            show = _closed_channel if closed else _open_channel
            return {"status": "Closed" if closed else "Open", "details": show(record, context.node.block_height)}
    text = f"Channel with uuid: {read['uuid']} is not found"
    path, trace = "get_channel_details", "get_channel_details:88]"
    raise MmError(404, "NoSuchChannel", text, path=path, trace=trace, data=str(read["uuid"]))


LIGHTNING: dict[str, Handler] = {
    "lightning::nodes::connect_to_node": _connect,
    "lightning::nodes::add_trusted_node": _add_trusted,
    "lightning::nodes::remove_trusted_node": _remove_trusted,
    "lightning::nodes::list_trusted_nodes": _list_trusted,
    "lightning::channels::list_open_channels_by_filter": _listing(False, _open_channel, _OPEN_FILTER),
    "lightning::channels::list_closed_channels_by_filter": _listing(True, _closed_channel, _CLOSED_FILTER),
    "lightning::channels::get_channel_details": _details,
}
