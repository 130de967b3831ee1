"""The commands, each declared once; the unix socket and later surfaces offer the same ones."""

from __future__ import annotations

from core.rpc.commands import (
    certificates,
    connecting,
    helping,
    httpbans,
    messages,
    network,
    node,
    practice,
    rapid,
    saved,
)
from core.rpc.commands.base import Command

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        node.ACTIVATENODE,
        node.BATCHING,
        helping.CHECK,
        connecting.CONNECT,
        node.DEPRECATIONS,
        connecting.DISCONNECT,
        saved.FORGETPEER,
        node.GETINFO,
        network.GETROUTE,
        helping.HELP,
        network.IMPORTGOSSIPSTORE,
        rapid.IMPORTRAPIDGOSSIP,
        saved.LISTBANS,
        network.LISTCHANNELS,
        node.LISTCONFIGS,
        messages.LISTCUSTOMMSGS,
        connecting.LISTNETWORKEVENTS,
        network.LISTNODES,
        connecting.LISTPEERS,
        saved.LISTSAVEDPEERS,
        practice.MINEPRACTICE,
        httpbans.MMRPCBANS,
        httpbans.MMRPCUNBAN,
        node.NOTIFICATIONS,
        practice.PAYFAUCET,
        connecting.PING,
        messages.SENDCUSTOMMSG,
        saved.SETBAN,
        saved.SETPEER,
        node.STOP,
        certificates.TRUSTCERTIFICATE,
    )
}
