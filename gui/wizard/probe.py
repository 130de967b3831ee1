"""What the network page can try before anything is started: the chain source, and the port."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication

from core.activation.sources import BitcoinRpc, Choice, Electrum, Embedded, SourceOpener
from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.base.paths import ProfilePaths
from core.bolt.networks import NETWORKS
from core.peers.errors import ListenFailed
from gui.phrases import bounded
from gui.wizard.machine import ChainKind, Entries


def choice_of(entries: Entries) -> Choice:
    """The chain source that was entered."""
    match entries.chain:
        case ChainKind.ELECTRUM:
            return Electrum(entries.servers)
        case ChainKind.BITCOIN_RPC:
            file = Path(entries.rpc_secret_file).expanduser()
            password, cookie = (file, None) if entries.rpc_user else (None, file)
            return BitcoinRpc(entries.rpc, entries.rpc_user, password, cookie)
        case ChainKind.EMBEDDED:
            return Embedded()


def chain_probe(clock: Clock) -> Callable[[Entries], Awaitable[str]]:
    """Opens the source in a folder of its own, asks for the tip, and closes it. Raises what opening it raises.

    A certificate seen here for the first time is not remembered: the node pins it when it starts.
    """

    async def probe(entries: Entries) -> str:
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="leyden-test-")
        try:
            paths = ProfilePaths(Path(folder.name), entries.network)
            await asyncio.to_thread(paths.folder.mkdir)
            source = await SourceOpener(NETWORKS[entries.network], paths, EventBus(), clock).open(choice_of(entries))
            try:
                tip = await source.tip()
                words = QCoreApplication.translate("Probe", "{source}. Its tip is at height {height}.")
                return words.format(source=bounded(source.description, 200).rstrip("."), height=f"{tip.height:,}")
            finally:
                await finish(source.aclose())
        finally:
            await finish(asyncio.to_thread(folder.cleanup))

    return probe


async def port_probe(port: int) -> None:
    """Listen on it for a moment. ListenFailed with the system's reason."""
    await asyncio.to_thread(_listen, port)


def _listen(port: int) -> None:
    address = ("0.0.0.0", port)  # noqa: S104 - where the node would listen, for a moment and without accepting
    with socket.socket() as probe:
        if os.name == "posix" and sys.platform != "cygwin":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise ListenFailed(
                address=f"{address[0]}:{port}", errno=error.errno or 0, reason=error.strerror or str(error)
            ) from None
