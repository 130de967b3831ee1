"""Which chain source a platform coin is opened with: what was chosen, as values, and the opening."""

from __future__ import annotations

import asyncio
import importlib
import json
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.base.paths import ProfilePaths
from core.base.setting_faults import parse_ip_and_port
from core.base.settings import Settings
from core.bolt.networks import Network
from core.chain.bitcoin_rpc import BitcoinRpcSource
from core.chain.bitcoin_rpc_client import RpcServer, cookie_login, password_login
from core.chain.electrum_protocol import ElectrumServer, parse_server
from core.chain.errors import ChainUnavailable, NoChainSource
from core.chain.opening import open_chain
from core.chain.pins import PinStore
from core.chain.source import ChainSource

if TYPE_CHECKING:
    from core.chain.electrum import Dial, Progress


@dataclass(frozen=True, slots=True)
class Embedded:
    """The practice chain inside the profile; regtest alone."""


@dataclass(frozen=True, slots=True)
class Electrum:
    """Electrum servers, the first that can be used; each as `HOST:PORT:s` (TLS) or `HOST:PORT:t`."""

    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublicElectrum:
    """The well-known servers of this network, for who named none."""


@dataclass(frozen=True, slots=True)
class BitcoinRpc:
    """A Bitcoin Core of the user's."""

    server: str
    """`HOST:PORT`."""
    user: str
    password_file: Path | None
    cookie: Path | None
    """Used when there is no password file."""


Choice = Embedded | Electrum | PublicElectrum | BitcoinRpc


def chosen_source(settings: Settings, network: Network) -> Choice:
    """What the settings say. Raises NoChainSource where they name nothing that serves this network."""
    kind = settings.chain_source
    if kind == "auto":
        kind = "embedded" if network.name == "regtest" else "electrum"
    if kind == "embedded" and network.name == "regtest":
        return Embedded()
    if kind == "electrum" and settings.electrum_server:
        return Electrum(settings.electrum_server)
    if kind == "electrum" and network.name != "regtest":
        return PublicElectrum()
    if kind == "bitcoin-rpc" and settings.bitcoin_rpc:
        return bitcoin_rpc(settings)
    raise NoChainSource(network=network.name)


def public_servers(network: Network) -> tuple[str, ...]:
    """The well-known servers of a network, which regtest has none of. Reads a file."""
    data = json.loads(resources.files("resources").joinpath("electrum_servers.json").read_bytes())
    return tuple(data["servers"].get(network.name, ()))


def bitcoin_rpc(settings: Settings) -> BitcoinRpc:
    """The Bitcoin Core that the settings name."""
    return BitcoinRpc(
        settings.bitcoin_rpc, settings.bitcoin_rpc_user, settings.bitcoin_rpc_password_file, settings.bitcoin_rpc_cookie
    )


@dataclass(slots=True)
class SourceOpener:
    """Opens sources for one node, and keeps what is remembered of its servers."""

    network: Network
    paths: ProfilePaths
    bus: EventBus
    clock: Clock
    dial: Dial
    """Connects to Electrum servers, past the proxy or through it as the user wants."""
    _pins: PinStore | None = None
    """One for all sources: what one of them forgets, no other writes again."""
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self, choice: Choice, progress: Progress | None = None) -> ChainSource:
        """`progress` is told how many headers of how many are there, where a source fetches any.

        Raises NoChainSource, ChainDamaged, ProfileUnusable, FileDamaged, ChainUnavailable.
        """
        match choice:
            case Embedded():
                return await open_chain(self.network, self.paths.chain, self.bus, self.clock)
            case Electrum(servers):
                return await self._open_electrum(servers, progress)
            case PublicElectrum() if servers := await finish(asyncio.to_thread(public_servers, self.network)):
                return await self._open_electrum(servers, progress)
            case BitcoinRpc() if choice.server:
                return await self._open_core(choice)
        raise NoChainSource(network=self.network.name)

    async def trust_certificate(self, server: ElectrumServer, fingerprint: bytes | None) -> bool:
        """Take this certificate (SHA-256) for the server's alone from now on; None takes the next one it shows.

        Gives whether one was remembered before. Raises ProfileUnusable, FileDamaged.
        """
        pins = await self._read_pins()
        known = pins.get(server.host, server.port) is not None
        if fingerprint is None:
            await pins.forget(server.host, server.port)
        else:
            await pins.remember(server.host, server.port, fingerprint)
        return known

    async def _read_pins(self) -> PinStore:
        async with self._reading:
            if self._pins is None:
                self._pins = await PinStore.open(self.paths.folder / "electrum-certificates.json")
            return self._pins

    async def _open_electrum(self, texts: tuple[str, ...], progress: Progress | None) -> ChainSource:
        try:
            servers = [parse_server(text) for text in texts]
        except ValueError as error:
            raise ChainUnavailable(reason=str(error)) from None
        pins = await self._read_pins()
        # The protocol's library takes some 50 ms to import: neither at every start nor in the loop.
        await finish(asyncio.to_thread(importlib.import_module, "core.chain.electrum"))
        from core.chain.electrum import ElectrumSource

        return await ElectrumSource.open(
            servers, self.network, self.bus, self.clock, pins=pins, dial=self.dial, progress=progress
        )

    async def _open_core(self, choice: BitcoinRpc) -> ChainSource:
        host, port = parse_ip_and_port(choice.server)
        if choice.password_file is not None:
            login = password_login(choice.user, choice.password_file)
        elif choice.cookie is not None:
            login = cookie_login(choice.cookie)
        else:
            raise ChainUnavailable(reason=f"no cookie or password file is set for Bitcoin Core at {choice.server}")
        return await BitcoinRpcSource.open(RpcServer(host, port), login, self.network, self.bus, self.clock)
