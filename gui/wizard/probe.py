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

from core.activation.sources import BitcoinRpc, Choice, Electrum, Embedded, PublicElectrum, SourceOpener
from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.base.paths import ProfilePaths
from core.base.setting_faults import parse_ip_and_port
from core.base.settings import Settings
from core.bolt.networks import NETWORKS
from core.peers.errors import ListenFailed
from core.peers.named import NamedDialler
from core.peers.proxy import ProxyConfig
from gui.phrases import bounded
from gui.wizard.machine import ChainKind, Entries

EVERYWHERE = "0.0.0.0"  # noqa: S104 - where the node would listen; for a moment and without accepting


def choice_of(entries: Entries) -> Choice:
    """The chain source that was entered."""
    match entries.chain:
        case ChainKind.ELECTRUM:
            return Electrum(entries.servers) if entries.servers else PublicElectrum()
        case ChainKind.BITCOIN_RPC:
            file = Path(entries.rpc_secret_file).expanduser()
            password, cookie = (file, None) if entries.rpc_user else (None, file)
            return BitcoinRpc(entries.rpc, entries.rpc_user, password, cookie)
        case ChainKind.EMBEDDED:
            return Embedded()


def chain_probe(clock: Clock, settings: Settings) -> Callable[[Entries], Awaitable[str]]:
    """Opens the source in a folder of its own, asks for the tip, and closes it. Raises what opening it raises.

    With a proxy that is always to be used, nothing goes past it here either.

    A certificate seen here for the first time is not remembered: the node pins it when it starts.
    """

    async def probe(entries: Entries) -> str:
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="leyden-test-")
        try:
            paths = ProfilePaths(Path(folder.name), entries.network)
            await asyncio.to_thread(paths.folder.mkdir)
            opener = SourceOpener(
                NETWORKS[entries.network], paths, EventBus(), clock, NamedDialler(_proxy_of(settings))
            )
            source = await opener.open(choice_of(entries))
            try:
                tip = await source.tip()
                words = QCoreApplication.translate("Probe", "{source}. Its tip is at height {height}.")
                return words.format(source=bounded(source.description, 200).rstrip("."), height=f"{tip.height:,}")
            finally:
                await finish(source.aclose())
        finally:
            await finish(asyncio.to_thread(folder.cleanup))

    return probe


def _proxy_of(settings: Settings) -> ProxyConfig | None:
    if not settings.proxy:
        return None
    host, port = parse_ip_and_port(settings.proxy)
    return ProxyConfig(host, port, always=settings.always_use_proxy)


async def port_probe(port: int, host: str = EVERYWHERE) -> None:
    """Listen on it for a moment. ListenFailed with the system's reason."""
    await asyncio.to_thread(_listen, (host, port))


def _listen(address: tuple[str, int]) -> None:
    with socket.socket() as probe:
        if os.name == "posix" and sys.platform != "cygwin":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise ListenFailed(
                address=f"{address[0]}:{address[1]}", errno=error.errno or 0, reason=error.strerror or str(error)
            ) from None
