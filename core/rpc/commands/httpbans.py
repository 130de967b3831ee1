"""`mmrpcbans`, `mmrpcunban`: Leyden's own, about who guessed at the password of mmrpc."""

from __future__ import annotations

import ipaddress

from core.rpc.commands.base import Command, Context, Json
from core.rpc.params import BadParam, Scope, optional
from core.rpc.tokens import Token


def _mmrpcbans(context: Context) -> Json:
    return {"addresses": list(context.node.rpc_bans())}


MMRPCBANS = Command(
    "mmrpcbans",
    "utility",
    "Leyden's own: the addresses that mmrpc hears no more after ten wrong passwords, until the node is started anew or "
    "mmrpcunban lifts it",
    _mmrpcbans,
    before_active=True,
)


def _address(token: Token, _scope: Scope) -> str:
    try:
        return str(ipaddress.ip_address(token.text))
    except ValueError:
        raise BadParam("should be an IP address") from None


def _mmrpcunban(context: Context, *, address: str | None) -> Json:
    addresses = context.node.rpc_bans() if address is None else (address,)
    for each in addresses:
        context.node.lift_rpc_ban(each)
    return {"lifted": list(addresses)}


MMRPCUNBAN = Command(
    "mmrpcunban",
    "utility",
    "Leyden's own: have mmrpc hear {address} again, with all its attempts; without one every address that is banned",
    _mmrpcunban,
    (optional("address", _address),),
    before_active=True,
)
