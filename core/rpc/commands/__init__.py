"""The commands, each declared once; the unix socket and later surfaces offer the same ones."""

from __future__ import annotations

from core.rpc.commands import connecting, helping, messages, node
from core.rpc.commands.base import Command

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        node.BATCHING,
        helping.CHECK,
        connecting.CONNECT,
        node.DEPRECATIONS,
        connecting.DISCONNECT,
        node.GETINFO,
        helping.HELP,
        node.LISTCONFIGS,
        messages.LISTCUSTOMMSGS,
        connecting.LISTNETWORKEVENTS,
        connecting.LISTPEERS,
        node.NOTIFICATIONS,
        connecting.PING,
        messages.SENDCUSTOMMSG,
        node.STOP,
    )
}
