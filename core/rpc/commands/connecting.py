"""`connect`, `disconnect`, `listpeers`, `ping`: who we are connected with."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from core.bolt.address import Address, AddressError, AddressKind, NodeIdError, parse_node_id, split_host_port
from core.bolt.messages import MAX_PING_IGNORED_BYTES
from core.bolt.wire import MAX_MESSAGE_BYTES
from core.peers.errors import PeerNotConnected, PingTooLong, PongTooLong, UnknownPeer
from core.peers.resolve import resolve_host
from core.rpc.commands.base import Command, Context, Json
from core.rpc.commands.progress import telling_progress
from core.rpc.commands.shapes import absent_peer_object, connected_object, network_event_object, peer_object
from core.rpc.errors import INVALID_PARAMS, RpcError
from core.rpc.params import BadParam, Param, Scope, boolean, decimal, integer, node_id, optional, whole_number
from core.rpc.tokens import Token

_HOST_TWICE = "Can't specify host as both xxx@yyy and separate argument"
_PORT_TWICE = "Can't specify port as both xxx@yyy:port and separate argument"
_INDEXES = ("created", "updated", "deleted")
"""CLN's; an event is never changed, so the order is always that of creation."""
_LOG_LEVELS = ("io", "debug", "info", "unusual")


def _connect_id(token: Token, scope: Scope) -> bytes:
    """`ID`, `ID@HOST` or `ID@HOST:PORT`; host and port go to the parameters of that name (connect_control.c:73)."""
    text, at, where = token.text.partition("@")
    try:
        found = parse_node_id(text)
    except NodeIdError:
        raise BadParam("should be a node id") from None
    if not at:
        return found
    if scope.values["host"] is not None:
        raise RpcError(INVALID_PARAMS, _HOST_TWICE)
    try:
        scope.values["host"], port = split_host_port(where)
    except AddressError:
        raise RpcError(INVALID_PARAMS, "malformed host @part") from None
    if port is not None:
        if scope.values["port"] is not None:
            raise RpcError(INVALID_PARAMS, _PORT_TWICE)
        scope.values["port"] = port
    return found


def _connect_host(token: Token, scope: Scope) -> str:
    if scope.values["host"] is not None:
        raise RpcError(INVALID_PARAMS, _HOST_TWICE)
    return token.text


def _connect_port(token: Token, scope: Scope) -> int:
    if scope.values["port"] is not None:
        raise RpcError(INVALID_PARAMS, _PORT_TWICE)
    port = decimal(token.text)
    if port is None or port > 0xFFFF:
        raise BadParam("should be a 16-bit integer")
    if port == 0:
        raise BadParam("should be non-zero")
    return port


def _check_given(host: str | None, port: int | None) -> None:
    if host is None and port is not None:
        raise RpcError(INVALID_PARAMS, "Can't specify port without host")


async def _check_connect(context: Context, *, id: bytes, host: str | None, port: int | None) -> None:  # noqa: A002
    """All that can be said without asking the network: a name is looked up only when we really connect."""
    _check_given(host, port)
    if host is not None:
        resolver = None if context.node.settings.always_use_proxy else _any_name
        await resolve_host(host, port, context.node.network.default_port, resolver)


async def _any_name(name: str, port: int) -> list[Address]:
    return [Address(AddressKind.DNS, name, port)]


async def _connect(context: Context, *, id: bytes, host: str | None, port: int | None) -> Json:  # noqa: A002
    _check_given(host, port)
    with telling_progress(context, id):
        return connected_object(await context.node.peers.connect(id, host, port))


CONNECT = Command(
    "connect",
    "network",
    "Connect to {id} at {host} (which can end in ':port' if not default). {id} can also be of the form id@host[:port]",
    _connect,
    (Param("id", _connect_id), optional("host", _connect_host), optional("port", _connect_port)),
    verify=_check_connect,
)


@dataclass(frozen=True, slots=True)
class _PeerId:
    """An id as it was written, for the text of a refusal."""

    node_id: bytes
    text: str


def _known_peer(token: Token, scope: Scope) -> _PeerId:
    """A peer that CLN would know. It says so as it comes upon the id, before what follows (param_peer)."""
    try:
        peer = _PeerId(parse_node_id(token.text), token.text)
    except NodeIdError:
        raise BadParam("invalid peer id") from None
    if not scope.node.peers.is_known(peer.node_id):
        raise _unknown(peer)
    return peer


def _unknown(peer: _PeerId) -> RpcError:
    return RpcError(INVALID_PARAMS, f"Unknown peer '{peer.text}'")


def _check_disconnect(context: Context, *, id: _PeerId, force: bool) -> None:  # noqa: A002
    context.node.peers.check_disconnect(id.node_id, force=force)


async def _disconnect(context: Context, *, id: _PeerId, force: bool) -> Json:  # noqa: A002
    try:
        await context.node.peers.disconnect(id.node_id, force=force)
    except UnknownPeer:
        raise _unknown(id) from None
    return {}


DISCONNECT = Command(
    "disconnect",
    "network",
    "Disconnect from {id} that has previously been connected to using connect; with {force} set, even if it has a "
    "current channel",
    _disconnect,
    (Param("id", _known_peer), optional("force", boolean, default=False)),
    verify=_check_disconnect,
)


def _level(token: Token, _scope: Scope) -> str:
    if token.text not in _LOG_LEVELS:
        raise BadParam("should be 'io', 'debug', 'info', or 'unusual'")
    return token.text


def _listpeers(context: Context, *, id: bytes | None, level: str | None) -> Json:  # noqa: A002
    peers = context.node.peers
    channels = peers.channel_counts()
    rows = {peer.node_id: peer_object(peer, channels=channels.pop(peer.node_id, 0)) for peer in peers.peers()}
    rows |= {peer_id: absent_peer_object(peer_id, channels=count) for peer_id, count in channels.items()}
    log: Json = {} if level is None else {"log": []}
    return {"peers": [row | log for peer_id, row in rows.items() if id in (None, peer_id)]}


LISTPEERS = Command(
    "listpeers",
    "network",
    "Show the peers that are connected or have a channel, or only {id}; {level} adds an empty log to each, since none "
    "is kept by peer",
    _listpeers,
    (optional("id", node_id), optional("level", _level)),
)


def _index(token: Token, _scope: Scope) -> str:
    if token.text not in _INDEXES:
        raise BadParam("unknown index")
    return token.text


def _listnetworkevents(
    context: Context,
    *,
    id: bytes | None,  # noqa: A002
    index: str | None,
    start: int,
    limit: int | None,
) -> Json:
    found = islice(context.network_events.since(start, id), limit)
    return {"networkevents": [network_event_object(event) for event in found]}


LISTNETWORKEVENTS = Command(
    "listnetworkevents",
    "network",
    "List how connections came about, failed, ended and answered pings, oldest first: of all peers or of {id}, from "
    "number {start} of {index} on, at most {limit}. The latest are kept, until the node stops",
    _listnetworkevents,
    (
        optional("id", node_id),
        optional("index", _index),
        optional("start", whole_number, default=0),
        optional("limit", integer),
    ),
    before_active=True,
)


def _check_ping(context: Context, *, id: bytes, len: int, pongbytes: int) -> None:  # noqa: A002
    if len > MAX_PING_IGNORED_BYTES:
        raise PingTooLong(length=len)
    if pongbytes > MAX_MESSAGE_BYTES:
        raise PongTooLong(length=pongbytes)
    if context.node.peers.peer(id) is None:
        raise PeerNotConnected(node_id=id)


async def _ping(context: Context, *, id: bytes, len: int, pongbytes: int) -> Json:  # noqa: A002
    return {"totlen": await context.node.peers.ping(id, len, pongbytes)}


PING = Command(
    "ping",
    "network",
    "Send peer {id} a ping of length {len} (default 128) asking for {pongbytes} (default 128)",
    _ping,
    (Param("id", node_id), optional("len", integer, default=128), optional("pongbytes", integer, default=128)),
    verify=_check_ping,
)
