"""`getinfo`, `listconfigs`, `stop`, and what a client asks of its own connection."""

from __future__ import annotations

import asyncio
from typing import Any

from core.base.settings import SETTINGS, Setting
from core.bolt.features import GOSSIP_QUERIES_BITS, LEYDEN_FEATURES, combine, from_bits
from core.rpc.commands.base import Command, Context, Json
from core.rpc.commands.shapes import address_object
from core.rpc.face import NodeFace
from core.rpc.params import BadParam, Param, Scope, boolean, optional
from core.rpc.tokens import Token

_SETTINGS = {setting.name: setting for setting in SETTINGS}


def _getinfo(context: Context) -> Json:
    node = context.node
    info: Json = {
        "id": node.node_id.hex(),
        "alias": node.alias,
        "color": node.color,
        "num_peers": len(node.peers.peers()) if node.active else 0,
        # No channel can be opened yet.
        "num_pending_channels": 0,
        "num_active_channels": 0,
        "num_inactive_channels": 0,
        "address": [] if node.onion_address is None else [address_object(node.onion_address)],
    }
    if not node.settings.offline:
        info["binding"] = [address_object(address) for address in (node.peers.bound if node.active else ())]
    return info | {
        "version": node.version,
        "blockheight": node.block_height,
        "network": node.network.name,
        "fees_collected_msat": 0,
        "lightning-dir": str(node.paths.folder),
        # Nothing is announced, so only what `init` carries is offered.
        "our_features": {"init": init_features(), "node": "", "channel": "", "invoice": ""},
    }


def init_features() -> str:
    """What our `init` offers, in hex."""
    return combine(LEYDEN_FEATURES, from_bits(GOSSIP_QUERIES_BITS)).hex()


GETINFO = Command("getinfo", "utility", "Show information about this node", _getinfo, before_active=True)


def _config_name(token: Token, _scope: Scope) -> str:
    setting = _SETTINGS.get(token.text)
    if setting is None:
        raise BadParam("Unknown config option")
    return setting.name


def _listconfigs(context: Context, *, config: str | None) -> Json:
    wanted = [_SETTINGS[config]] if config is not None else list(SETTINGS)
    return {"configs": {row.name: shown for row in wanted if (shown := _config(context.node, row)) is not None}}


def _config(node: NodeFace, setting: Setting) -> Json | None:
    """A setting as CLN shows an option; None for one that has no value."""
    value: Any = {"alias": node.alias, "color": node.color}.get(setting.name, node.settings.value(setting.name))
    if value is None:
        return None
    source = node.settings.origin(setting.name)
    where = str(node.paths.config) if source == "config" else source
    if setting.kind == "list":
        return {"values_str": list(value), "sources": [where] * len(value)}
    if setting.kind == "flag":
        return {"set": value, "source": where}
    return {"value_str": str(value), "source": where}


LISTCONFIGS = Command(
    "listconfigs",
    "utility",
    "List the settings in force and where each comes from, or only {config}",
    _listconfigs,
    (optional("config", _config_name),),
    before_active=True,
)


def _activatenode(context: Context) -> Json:
    return {"task_id": context.node.activate()}


ACTIVATENODE = Command(
    "activatenode",
    "utility",
    "Bring Lightning up as the settings say; while it comes up or is up, its task's number alone. Who enabled "
    "notifications is told of each step",
    _activatenode,
    before_active=True,
)


def _stop(context: Context) -> Json:
    # Once this reply is on its way.
    asyncio.get_running_loop().call_soon(context.node.request_stop)
    return {"result": "Shutdown complete"}


STOP = Command("stop", "utility", "Shut down the node", _stop, before_active=True)


def _notifications(context: Context, *, enable: bool) -> Json:
    context.caller.enable_notifications(enable, context.request_id)
    return {}


NOTIFICATIONS = Command(
    "notifications",
    "utility",
    "Enable notifications on this connection for {enable}: custommsg, connect and disconnect, each with the payload of "
    "CLN's notification of that name, and activation's progress. They come while no request of the connection is under "
    "way. While a connect takes long, its progress comes before its reply",
    _notifications,
    (Param("enable", boolean),),
    before_active=True,
)


def _accepted(_context: Context, *, enable: bool) -> Json:
    return {}


BATCHING = Command(
    "batching",
    "utility",
    "Accepted for CLN's clients, without effect: every change is stored at once",
    _accepted,
    (Param("enable", boolean),),
)

DEPRECATIONS = Command(
    "deprecations",
    "utility",
    "Accepted for CLN's clients, without effect: nothing is deprecated",
    _accepted,
    (Param("enable", boolean),),
)
