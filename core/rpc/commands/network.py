"""`listnodes`, `listchannels`, `getroute`, `importgossipstore`: the network as gossip tells it (topology.c)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from pathlib import Path

from core.bolt.address import NodeIdError, parse_node_id
from core.bolt.wire import OutOfRange, ShortChannelId
from core.gossip.graph_values import Channel, GraphNode, Trust
from core.gossip.route import DEFAULT_FINAL_CLTV, MAX_HOPS, Hop, NoRoute, RouteRequest, UnknownNode
from core.rpc.commands.base import Command, Context, Json
from core.rpc.commands.shapes import address_object
from core.rpc.errors import INVALID_PARAMS, PAY_ROUTE_NOT_FOUND, RpcError
from core.rpc.listing import Rows
from core.rpc.params import BadParam, Param, Scope, integer, node_id, optional
from core.rpc.tokens import Kind, Token

_ROWS_AT_ONCE = 32
"""Channels or nodes between two turns of the loop: about 1 ms with their text."""
_MILLIONTHS = re.compile(r"([0-9]{1,13})(?:\.([0-9]{0,6}))?")
_AMOUNT = re.compile(r"(?P<whole>[0-9]{1,19})(?:\.(?P<part>[0-9]{1,11}))?(?P<unit>msat|sat|btc)?", re.ASCII)
_PLACES = {"msat": 0, "sat": 3, "btc": 11}
_MAX_EXCLUDED = 10_000
_MAX_MSAT = 21_000_000 * 100_000_000 * 1000


async def _in_turns(context: Context, rows: Iterable[list[Json]]) -> AsyncIterator[list[Json]]:
    """`rows` holds those of one channel or node each."""
    iterator = iter(rows)
    while batch := list(islice(iterator, _ROWS_AT_ONCE)):
        yield [row for few in batch for row in few]
        await context.node.clock.sleep(0)


def _node_object(node: GraphNode) -> Json:
    row: Json = {"nodeid": node.node_id.hex()}
    if node.announced is None:
        return row
    announced = node.announced
    if announced.overlay:
        row["trust"] = Trust.OVERLAY.value
    return row | {
        # As C reads it: up to the first zero byte.
        "alias": announced.alias.partition(b"\0")[0].decode(errors="replace"),
        "color": announced.rgb_color.hex(),
        "last_timestamp": announced.timestamp,
        "features": announced.features.hex(),
        "addresses": [address_object(address) for address in announced.dialable()],
    }


def _listnodes(context: Context, *, id: bytes | None) -> Rows:  # noqa: A002
    graph = context.node.graph
    if id is None:
        return Rows("nodes", _in_turns(context, ([_node_object(node)] for node in graph.nodes())))
    found = graph.node(id)
    return Rows("nodes", _in_turns(context, [] if found is None else [[_node_object(found)]]))


LISTNODES = Command(
    "listnodes",
    "network",
    "Show node {id} (or all known nodes, if not specified), as the nodes announced themselves. What only an unsigned "
    "snapshot says of a node has trust overlay",
    _listnodes,
    (optional("id", node_id),),
)


def _directions(channel: Channel, directions: Iterable[int]) -> list[Json]:
    """Those that an update is known of."""
    ends = channel.node_id_1.hex(), channel.node_id_2.hex()
    rows: list[Json] = []
    for direction in directions:
        policy = channel.policies[direction]
        if policy is None:
            continue
        row: Json = {
            "source": ends[direction],
            "destination": ends[1 - direction],
            "short_channel_id": str(channel.short_channel_id),
            "direction": direction,
            "public": True,
            "amount_msat": (channel.capacity_sat or 0) * 1000,
            "message_flags": policy.message_flags,
            "channel_flags": policy.channel_flags,
            "active": not policy.disabled,
            "last_update": policy.timestamp,
            "base_fee_millisatoshi": policy.fee_base_msat,
            "fee_per_millionth": policy.fee_proportional_millionths,
            "delay": policy.cltv_expiry_delta,
            "htlc_minimum_msat": policy.htlc_minimum_msat,
            "htlc_maximum_msat": policy.htlc_maximum_msat,
            "features": channel.features.hex(),
        }
        if channel.trust is not Trust.CHECKED:
            row["trust"] = channel.trust.value
        rows.append(row)
    return rows


def _short_channel_id(token: Token, _scope: Scope) -> ShortChannelId:
    try:
        return ShortChannelId.parse(token.text)
    except OutOfRange:
        raise BadParam("should be a short_channel_id of form NxNxN") from None


def _check_listchannels(
    context: Context, *, short_channel_id: ShortChannelId | None, source: bytes | None, destination: bytes | None
) -> None:
    if sum(selector is not None for selector in (short_channel_id, source, destination)) > 1:
        raise RpcError(INVALID_PARAMS, "Can only specify one of `short_channel_id`, `source` or `destination`")


def _listchannels(
    context: Context, *, short_channel_id: ShortChannelId | None, source: bytes | None, destination: bytes | None
) -> Rows:
    _check_listchannels(context, short_channel_id=short_channel_id, source=source, destination=destination)
    graph = context.node.graph
    found: Iterator[list[Json]]
    if short_channel_id is not None:
        channel = graph.channel(int(short_channel_id))
        found = iter([] if channel is None else [_directions(channel, (0, 1))])
    elif (end := source or destination) is not None:
        found = _of_node(context, end, outgoing=source is not None)
    else:
        found = (_directions(channel, (0, 1)) for channel in graph.channels())
    return Rows("channels", _in_turns(context, found))


def _of_node(context: Context, end: bytes, *, outgoing: bool) -> Iterator[list[Json]]:
    graph = context.node.graph
    for short_channel_id in graph.channels_of(end):
        channel = graph.channel(short_channel_id)
        if channel is not None:  # it may have gone between two turns
            yield _directions(channel, [int((channel.node_id_1 == end) is not outgoing)])


LISTCHANNELS = Command(
    "listchannels",
    "channels",
    "Show channels for {short_channel_id}, {source} or {destination} (or all known channels, if not specified). A "
    "channel that was not checked against the chain says so in trust",
    _listchannels,
    (optional("short_channel_id", _short_channel_id), optional("source", node_id), optional("destination", node_id)),
    verify=_check_listchannels,
)


def _msat(token: Token, _scope: Scope) -> int:
    """Millisatoshi as a number, or with `msat`, `sat` or `btc` behind it (CLN's parse_amount_msat)."""
    match = _AMOUNT.fullmatch(token.text)
    if match is None:
        raise BadParam("should be a millisatoshi amount")
    whole, part, unit = match["whole"], match["part"], match["unit"] or "msat"
    digits = _PLACES[unit]
    if part is not None and (unit != "btc" or len(part) > digits):
        raise BadParam("should be a millisatoshi amount")
    amount = int(whole + (part or "").ljust(digits, "0"))
    if amount > _MAX_MSAT:
        raise BadParam("should be a millisatoshi amount")
    return amount


def _millionths(token: Token, _scope: Scope) -> float:
    """A decimal number with at most six places."""
    match = _MILLIONTHS.fullmatch(token.text)
    if match is None:
        raise BadParam("should be a decimal number")
    return float(token.text)


_Excluded = tuple[frozenset[tuple[int, int]], frozenset[bytes]]


def _exclude(token: Token, _scope: Scope) -> _Excluded:
    """An array of `SCID/DIRECTION` and node ids."""
    if token.kind is not Kind.ARRAY:
        raise BadParam("should be an array")
    elements = token.elements()
    if len(elements) > _MAX_EXCLUDED:
        raise BadParam(f"should have at most {_MAX_EXCLUDED} elements")
    channels, nodes = set(), set()
    for element in elements:
        text, slash, direction = element.text.partition("/")
        try:
            if slash and direction in ("0", "1"):
                channels.add((int(ShortChannelId.parse(text)), int(direction)))
            else:
                nodes.add(parse_node_id(element.text))
        except (OutOfRange, NodeIdError):
            raise BadParam("should be short_channel_id_dir or node_id") from None
    return frozenset(channels), frozenset(nodes)


def _hop_object(hop: Hop) -> Json:
    return {
        "id": hop.node_id.hex(),
        "channel": str(hop.short_channel_id),
        "direction": hop.direction,
        "amount_msat": hop.amount_msat,
        "delay": hop.delay,
        "style": "tlv",
    }


async def _getroute(
    context: Context,
    *,
    id: bytes,  # noqa: A002
    amount_msat: int,
    riskfactor: float,
    cltv: int,
    fromid: bytes | None,
    fuzzpercent: float | None,
    exclude: _Excluded,
    maxhops: int,
) -> Json:
    request = RouteRequest(
        source=fromid or context.node.node_id,
        destination=id,
        amount_msat=amount_msat,
        risk_factor=riskfactor,
        final_cltv=cltv,
        max_hops=maxhops,
        excluded_channels=exclude[0],
        excluded_nodes=exclude[1],
    )
    try:
        route = await context.node.router.find(request)
    except UnknownNode as unknown:
        end = "source" if unknown.is_source else "destination"
        text = f"{unknown.node_id.hex()}: unknown {end} node_id (no public channels?)"
        raise RpcError(INVALID_PARAMS, text) from None
    except NoRoute as none:
        text = "Could not find a route" if none.shortest is None else f"Shortest route was {none.shortest}"
        raise RpcError(PAY_ROUTE_NOT_FOUND, text) from None
    return {"route": [_hop_object(hop) for hop in route]}


GETROUTE = Command(
    "getroute",
    "channels",
    "Show the cheapest route to {id} for {amount_msat}, with locked money at {riskfactor} percent a year and {cltv} "
    "(default 9) blocks at its end, from {fromid} or else this node. {exclude} is an array of "
    "short-channel-id/direction (such as 564334x877x1/0) or node ids; at most {maxhops} (default 20) channels. "
    "{fuzzpercent} has no effect, as in CLN",
    _getroute,
    (
        Param("id", node_id),
        Param("amount_msat", _msat),
        Param("riskfactor", _millionths),
        optional("cltv", integer, default=DEFAULT_FINAL_CLTV),
        optional("fromid", node_id),
        optional("fuzzpercent", _millionths),
        optional("exclude", _exclude, default=(frozenset(), frozenset())),
        optional("maxhops", integer, default=MAX_HOPS),
    ),
)


def _path(token: Token, _scope: Scope) -> Path:
    text = json.loads(token.raw) if token.kind is Kind.STRING else ""
    try:
        sound = b"\0" not in os.fsencode(text)
    except UnicodeError:
        sound = False
    if not sound or not Path(text).is_absolute():
        raise BadParam("should be an absolute path")
    return Path(text)


async def _importgossipstore(context: Context, *, path: Path) -> Json:
    told = -1

    def progress(done: int, total: int) -> None:
        nonlocal told
        percent = 100 * done // max(total, 1)
        if percent > told:
            told = percent
            context.caller.tell_progress(context.request_id, min(percent, 99), 100, f"{path.name}: {percent} %")

    report = await context.node.import_gossip_store(path, progress)
    result: Json = {
        "channels": report.channels,
        "channel_updates": report.updates,
        "nodes": report.nodes,
        "known": report.known,
        "passed_over": report.passed_over,
        "refused": report.refused,
    }
    return result if report.left_out is None else result | {"left_out": report.left_out}


IMPORTGOSSIPSTORE = Command(
    "importgossipstore",
    "network",
    "Take in what is news of another node's gossip_store at {path}, the absolute path of a file that this node can "
    "read: each message is verified like gossip, and a channel is unchecked until the chain was seen to hold it",
    _importgossipstore,
    (Param("path", _path),),
)
