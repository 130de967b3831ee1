"""`importrapidgossip`: a snapshot of the network that nobody signed."""

from __future__ import annotations

import json

from core.base.setting_faults import FAULTS
from core.rpc.commands.base import Command, Context, Json
from core.rpc.errors import INVALID_PARAMS, RpcError
from core.rpc.params import BadParam, Scope, optional
from core.rpc.tokens import Kind, Token

_SETTING = "rapid-gossip-sync"


def _source(token: Token, _scope: Scope) -> str:
    """What the setting may be."""
    text = json.loads(token.raw) if token.kind is Kind.STRING else ""
    if not text or text.startswith("~") or FAULTS[_SETTING](text):
        raise BadParam("should be an https URL or an absolute path")
    return str(text)


def _check(context: Context, *, source: str | None) -> None:
    if not (source or context.node.settings.rapid_gossip_sync):
        raise RpcError(INVALID_PARAMS, f"No source was given, and there is none in the setting {_SETTING}")


async def _importrapidgossip(context: Context, *, source: str | None) -> Json:
    _check(context, source=source)
    report = await context.node.import_rapid_gossip(source or "")
    return {
        "source": report.source,
        "trust": "overlay",
        "latest_seen": report.latest_seen,
        "channels": report.channels,
        "channel_updates": report.updates,
        "nodes": report.nodes,
        "passed_over": report.passed_over,
    }


IMPORTRAPIDGOSSIP = Command(
    "importrapidgossip",
    "network",
    "Learn of channels from the snapshot at {source}, a file or a server of LDK's rapid gossip sync (default: that of "
    "the setting rapid-gossip-sync). A snapshot is not signed: what it tells is marked so in trust, is never passed "
    "on, and gives way to what nodes announce themselves",
    _importrapidgossip,
    (optional("source", _source),),
    verify=_check,
)
