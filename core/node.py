"""Node: what lives as long as the process, and the only door through which the window acts.

It holds the profile, the database, the key, the RPC socket and the task manager. Lightning itself is what a task
builds (`core.activation.lightning`); `Node.lightning` is None until that task is `Ok` and again once it is released.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import core
from core.activation.activator import Activator, ActivatorParts
from core.activation.coins import load_coins
from core.activation.errors import NodeNotActive
from core.activation.lightning import Lightning, LightningFactories
from core.activation.manager import TaskManager
from core.activation.params import LightningParams
from core.activation.platform import PlatformCoins
from core.activation.prepare import Prepared, binds_of
from core.activation.sources import SourceOpener, chosen_source
from core.base.clock import Clock, SystemClock
from core.base.events import EventBus, NodeState, NodeStateChanged, TaskChanged, TaskState
from core.base.finish import finish
from core.base.logging import set_up_logging
from core.base.setting_faults import parse_ip_and_port
from core.base.settings import Settings
from core.bolt.address import Address
from core.bolt.keys import NodeKey, short_id
from core.bolt.networks import NETWORKS, Network
from core.bolt.onion_key import OnionKey
from core.chain.electrum_protocol import parse_place
from core.chain.errors import NoPracticeChain
from core.chain.kernel import KernelChain
from core.channels.records import ChannelRecords
from core.channels.trusted import TrustedNodes
from core.gossip.fundings import Fundings
from core.gossip.graph import Graph
from core.gossip.importing import ImportReport
from core.gossip.kept_graph import KeptGraph
from core.gossip.rapid_sync import RapidReport, RapidSync
from core.gossip.router import Router
from core.gossip.scorer import Scorer
from core.gossip.service import Gossip
from core.gossip.store_reading import Progress
from core.peers.bans import Bans
from core.peers.book import SqlitePeerBook
from core.peers.bootstrap import DnsBootstrap
from core.peers.budget import LoopBudget
from core.peers.errors import NotBanned
from core.peers.limits import DEFAULT_LIMITS
from core.peers.manager import PeerManager
from core.peers.named import NamedDialler
from core.peers.onion import OnionConfig, OnionService
from core.peers.practice import PracticePeer, PracticePeers
from core.peers.proxy import ProxyConfig
from core.peers.values import PeerConfig
from core.rpc.plugins.host import PluginHost
from core.rpc.server import RpcServer
from core.storage.database import Database
from core.storage.profile import Profile, check_socket_path
from core.wallet.choice import choose_keystore
from core.wallet.derive import derive_onion_key
from core.wallet.errors import KeyFileUnsafe
from core.wallet.keystore import KeyMarker, KeyStore, KeyStoreKind
from core.wallet.marker import ProfileMarker
from core.wallet.node_key import open_node_key
from core.wallet.passphrase import Passphrase, read_passphrase_file
from core.wallet.secret import Secret
from core.wallet.service import KeyService

if TYPE_CHECKING:
    from core.rpc.mmrpc.server import MmrpcServer

log = logging.getLogger(__name__)

T = TypeVar("T")


class Node:
    """One profile's node. `start`, then `activate`; `stop` at the end, in any state."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self.network: Network = NETWORKS[settings.network]
        self.paths = settings.paths
        self.clock: Clock = clock or SystemClock()
        self.bus = EventBus()
        self.budget = LoopBudget()
        self.tasks = TaskManager(self.bus, self.clock)
        self.version: str = core.__version__
        self.state = NodeState.OFF
        self.keys = KeyService(self.network, self.clock, self._make_keystore)
        self.practice_peers: tuple[PracticePeer, ...] = ()
        self.plugins = PluginHost(self, self.clock)
        self.stop_requested = asyncio.Event()
        self._key: NodeKey | None = None
        self._onion_key: OnionKey | None = None
        """None also when no onion service is wanted."""
        self._database: Database | None = None
        self._bans: Bans | None = None
        self.mmrpc: MmrpcServer | None = None
        """The task RPC over HTTP; None when it is not served."""
        self._activator: Activator | None = None
        self._opener: SourceOpener | None = None
        self._stack = AsyncExitStack()
        self.bus.subscribe(TaskChanged, self._task_changed)

    @property
    def node_id(self) -> bytes:
        """33 bytes; the node has one from `start` on."""
        return _started(self._key).node_id

    @property
    def key_location(self) -> str:
        """Where the key is kept, in words; empty before `start`."""
        return self.keys.where

    @property
    def alias(self) -> str:
        """As chosen, otherwise made from the id so that two nodes are told apart."""
        if self._params is not None:
            return self._params.name
        return self.settings.alias or f"leyden-{self.node_id.hex()[:8]}"

    @property
    def color(self) -> str:
        """Six hex digits; when none was chosen the id's first three bytes, as CLN has it."""
        if self._params is not None:
            return self._params.color.lower()
        return (self.settings.color or self.node_id.hex()[:6]).lower()

    @property
    def activator(self) -> Activator:
        """The coins, and what brings them up; the node has it from `start` on."""
        return _started(self._activator)

    @property
    def lightning(self) -> Lightning | None:
        """None until an activation's task is `Ok`, and again once it is taken down."""
        return None if self._activator is None else self._activator.lightning

    @property
    def _params(self) -> LightningParams | None:
        """What the activation that runs or stands was asked for."""
        return None if self._activator is None else self._activator.params

    @property
    def peers(self) -> PeerManager:
        """Raises NodeNotActive."""
        return self._active.peers

    @property
    def graph(self) -> Graph:
        """What gossip told of the network, to be read. Raises NodeNotActive."""
        return self._active.graph

    @property
    def router(self) -> Router:
        """Raises NodeNotActive."""
        return self._active.router

    async def import_gossip_store(self, path: Path, progress: Progress) -> ImportReport:
        """Take in another node's store as `StoreImporter.run` does; raises NodeNotActive and what that does."""
        return await self._active.importer.run(path, progress)

    async def import_rapid_gossip(self, source: str) -> RapidReport:
        """Take in an unsigned snapshot as `RapidSync.take` does; raises NodeNotActive and what that does."""
        return await self._active.rapid.take(source)

    @property
    def _active(self) -> Lightning:
        if self.lightning is None:
            raise NodeNotActive
        return self.lightning

    @property
    def active(self) -> bool:
        """Whether Lightning is up."""
        return self.lightning is not None

    @property
    def onion_address(self) -> Address | None:
        """Of our onion service; None while Tor does not have it."""
        onion = None if self.lightning is None else self.lightning.onion
        return onion.address if onion is not None and onion.is_up else None

    @property
    def block_height(self) -> int:
        """Of the chain's tip; 0 until Lightning is up."""
        return self.activator.block_height if self.active else 0

    @property
    def task_id(self) -> int | None:
        """Of the last activation."""
        return None if self._activator is None else self._activator.task_id

    async def start(
        self, *, keystore: str | None = None, passphrase: Passphrase | None = None, secret: Secret | None = None
    ) -> None:
        """Take the profile, open or make the key, and serve the RPC socket.

        `keystore` and `passphrase` are what a person chose when the settings did not suffice; `secret` is the key that
        they made or restored (`Node.keys`), stored unless the profile has it: another one stays. On any error
        everything is released again and `start` may be called anew. Raises the errors of `core.storage` and
        `core.wallet`.
        """
        check_socket_path(self.paths)
        try:
            profile = self._stack.enter_context(Profile.open(self.paths))
            self._stack.callback(set_up_logging(self.paths.logs, self.settings.log_level).close)
            self._database = await Database.open(self.paths.database)
            self._stack.push_async_callback(self._database.aclose)
            self._bans = await Bans.open(self._database, self.clock)
            await self._open_key(ProfileMarker(self._database, self.paths.key_marker), keystore, passphrase, secret)
            self.plugins = PluginHost(self, self.clock)
            self._stack.push_async_callback(self.plugins.aclose)
            self._activator = await self._make_activator()
            self._stack.push_async_callback(self._activator.aclose)
            server = await RpcServer.start(self, profile.prepare_socket_path(), self.plugins.commands)
            self._stack.push_async_callback(server.aclose)
            if self.settings.mmrpc:
                self.mmrpc = await self._serve_mmrpc()
                self._stack.push_async_callback(self.mmrpc.aclose)
            self.plugins.start(self.settings.plugin)
            if self.settings.demo:
                practice = await PracticePeers.open(self.network, self.clock, self.budget)
                self._stack.push_async_callback(practice.aclose)
                self.practice_peers = practice.peers
        except BaseException:
            await finish(self._release())
            raise
        log.info("node %s on %s, key in %s", short_id(self.node_id), self.network.name, self.key_location)

    def activate(self) -> int:
        """Begin an activation as the settings say and return its task's number; while one runs or stands, that one's.

        Raises NodeNotActive while the node stops.
        """
        return self.activator.activate()

    async def init_lightning(self, ticker: str, params: LightningParams) -> int:
        """Begin an activation with these parameters; raises what `Activator.init` does."""
        return self.activator.init(ticker, params)

    async def deactivate(self) -> None:
        """Take Lightning down, or give up its activation; the rest of the node stays."""
        await self.activator.deactivate()

    async def cancel_activation(self) -> None:
        """Give up the running activation, if any; returns once everything it held is released."""
        if self._activator is not None:
            await self._activator.cancel()

    @property
    def practice_chain(self) -> KernelChain:
        """The chain inside the profile, where the platform coin is on it. Raises NoPracticeChain."""
        source = self.activator.own_source
        if not isinstance(source, KernelChain):
            raise NoPracticeChain(source="" if source is None else source.description)
        return source

    async def trust_certificate(self, server: str, fingerprint: bytes | None = None) -> bool:
        """Trust the certificate with this SHA-256 of an Electrum server, `HOST:PORT`; None is the one it shows next.

        Gives whether another was remembered. For the user to decide, after CertificateChanged. Raises ValueError when
        `server` is none, ProfileUnusable, FileDamaged.
        """
        place = parse_place(server)
        return await _started(self._opener).trust_certificate(place, fingerprint)

    def rpc_bans(self) -> tuple[str, ...]:
        """Addresses that mmrpc hears no more, for wrong passwords."""
        return () if self.mmrpc is None else self.mmrpc.attempts.banned()

    def lift_rpc_ban(self, address: str) -> None:
        """Have mmrpc hear it again. Raises NotBanned."""
        if self.mmrpc is None or not self.mmrpc.attempts.lift(address):
            raise NotBanned(subject=address)

    def request_stop(self) -> None:
        """Ask whoever runs the node to stop it."""
        self.stop_requested.set()

    async def stop(self) -> None:
        """Stop in order: listeners and sessions, RPC, workers, database, lock. Runs to its end even when cancelled."""
        if self.state is not NodeState.OFF:
            self._change_state(NodeState.STOPPING)
        await finish(self._stop())

    async def _stop(self) -> None:
        if self._activator is not None:
            await self._activator.aclose()
        await self._release()
        self._change_state(NodeState.OFF)

    async def _release(self) -> None:
        stack, self._stack = self._stack, AsyncExitStack()
        self._activator = self._opener = None
        self._database = self._key = self._onion_key = self._bans = self.mmrpc = None
        self.practice_peers = ()
        await stack.aclose()

    async def _serve_mmrpc(self) -> MmrpcServer:
        # The HTTP library takes about 0.1 s to import: not at every start, and not in the loop.
        await finish(asyncio.to_thread(importlib.import_module, "core.rpc.mmrpc.server"))
        from core.rpc.mmrpc.server import MmrpcServer

        return await MmrpcServer.start(self)

    async def _open_key(
        self, marker: ProfileMarker, keystore: str | None, passphrase: Passphrase | None, secret: Secret | None
    ) -> None:
        kind = keystore or await self._keystore_kind(marker)
        if kind == KeyStoreKind.KEYRING and self._key_file_lies_here() and await marker.get() is None:
            # A first start would make another key, and the one that is there would be forgotten.
            reason = "it holds a key that this profile's records do not name: use --keystore file, or move it away"
            raise KeyFileUnsafe(path=self.paths.key_file, reason=reason)
        if passphrase is None and kind == KeyStoreKind.FILE and self.settings.passphrase_file is not None:
            passphrase = read_passphrase_file(self.settings.passphrase_file)
        store = self._make_keystore(KeyStoreKind(kind), passphrase)
        try:
            more = self._derive_onion_key if self.settings.tor_control and not self.settings.offline else None
            self._key, created = await open_node_key(
                store,
                marker,
                self.network,
                clock=self.clock,
                derive_more=more,
                offered=secret,
                left_store=lambda left: self._make_keystore(left, None),
            )
            pinned = self.settings.origin("keystore")
            self._stack.push_async_callback(self.keys.aclose)
            self.keys.attach(marker, self.node_id, store.kind, store.where, "" if pinned == "default" else pinned)
        finally:
            await store.aclose()
        if created:
            log.info("made a new key")

    def _make_keystore(self, kind: KeyStoreKind, passphrase: Passphrase | None) -> KeyStore:
        return choose_keystore(kind, self.paths, self.network, passphrase=passphrase, ephemeral=self.settings.ephemeral)

    def _derive_onion_key(self, secret: Secret) -> None:
        self._onion_key = derive_onion_key(secret, self.network)

    async def _keystore_kind(self, marker: ProfileMarker) -> str:
        """The setting; when nobody set it, the store that this profile's key was put into, or is found in."""
        if self.settings.origin("keystore") != "default":
            return self.settings.keystore
        text = await marker.get()
        if text is not None:
            return KeyMarker.decode(text).keystore
        return KeyStoreKind.FILE if self._key_file_lies_here() else self.settings.keystore

    def _key_file_lies_here(self) -> bool:
        return os.path.lexists(self.paths.key_file)

    async def _make_activator(self) -> Activator:
        own_coins = self.settings.data_dir / "coins.json"
        coins = await finish(asyncio.to_thread(load_coins, own_coins, self.network))
        dial = NamedDialler(_proxy_of(self.settings))
        self._opener = SourceOpener(self.network, self.paths, self.bus, self.clock, dial)
        return Activator(
            ActivatorParts(
                coins=coins,
                platforms=PlatformCoins(coins, self.network),
                tasks=self.tasks,
                bus=self.bus,
                node_id=self.node_id,
                factories=self._factories,
                ready=self.plugins.ready,  # no peer gets past one that wants to be asked
                opener=self._opener,
                own_choice=lambda: chosen_source(self.settings, self.network),
                change_state=self._change_state,
            )
        )

    def _factories(self, prepared: Prepared) -> LightningFactories:
        database, paths, params = _started(self._database), self.paths, prepared.params
        book = SqlitePeerBook(database, self.clock)
        backup = None
        if params is not None and params.backup_path is not None:
            backup = Path(params.backup_path, self.node_id.hex(), "LIGHTNING", prepared.coin.ticker)
        return LightningFactories(
            network=self.network,
            clock=self.clock,
            folder=paths.folder,
            coin=prepared.coin,
            chain=prepared.platform.source,
            open_graph=lambda progress: KeptGraph.open(
                paths.gossip_store, self.network.chain_hash, self.bus, self.clock, progress
            ),
            open_rapid=self._open_rapid,
            open_channels=lambda progress: ChannelRecords.open(database, self.clock, progress),
            make_peers=lambda channels, kept, gossip: self._make_peers(channels, kept, gossip, book),
            open_trusted=lambda: TrustedNodes.open(paths.folder / "trusted_nodes"),
            open_scorer=lambda: Scorer.open(paths.scorer),
            book=book,
            binds=binds_of(self.settings, params),
            node_id=self.node_id,
            problem=self._problem,
            bus=self.bus,
            fundings=Fundings(database) if self.settings.gossip_check_chain == "on" else None,
            make_onion=None if self._onion_key is None else self._make_onion,
            backup=backup,
            reconnect=not self.settings.offline,
        )

    async def _open_rapid(self, kept: KeptGraph) -> RapidSync:
        proxy = _proxy_of(self.settings)  # where there is one, always: it hides who asks
        dial = NamedDialler(None if proxy is None else replace(proxy, always=True))
        source, path = self.settings.rapid_gossip_sync, self.paths.rapid_gossip
        return await RapidSync.open(kept, self.clock, dial, source, path)

    def _make_onion(self, peers: PeerManager) -> OnionService:
        host, port = parse_ip_and_port(self.settings.tor_control)
        file = self.settings.tor_control_password_file
        config = OnionConfig(
            host,
            port,
            _started(self._onion_key),
            self.network.default_port,
            None if file is None else lambda: read_passphrase_file(file).to_bytes(),
        )
        return OnionService(config, peers.incoming, self.clock, DEFAULT_LIMITS)

    def _make_peers(
        self, channels: ChannelRecords, kept: KeptGraph, gossip: Gossip, book: SqlitePeerBook
    ) -> PeerManager:
        return PeerManager(
            key=_started(self._key),
            network=self.network,
            bus=self.bus,
            clock=self.clock,
            budget=self.budget,
            book=book,
            channels=channels,
            bans=_started(self._bans),
            hooks=self.plugins,
            gossip=gossip,
            bootstrap=DnsBootstrap(self.settings.dns_seed) if self.settings.dns_seed else None,
            announced=kept.addresses_of,
            config=PeerConfig(
                allow_even_custom_messages=self.settings.allow_even_custom_messages,
                cln_strict=self.settings.cln_strict,
                disable_dns=self.settings.disable_dns,
                reconnect=not self.settings.offline,
                proxy=_proxy_of(self.settings),
            ),
        )

    def _task_changed(self, event: TaskChanged) -> None:
        if event.task_id != self.task_id or self.state is NodeState.STOPPING:
            return
        match event.state:
            case TaskState.OK:
                self._change_state(NodeState.RUNNING)
            case TaskState.ERROR:
                self._change_state(NodeState.PROBLEM, event.error)
            case TaskState.CANCELLED:
                self._change_state(NodeState.OFF)

    def _problem(self, error: BaseException) -> None:
        log.error("a background service reported: %s", error)
        self._change_state(NodeState.PROBLEM, error)

    def _change_state(self, state: NodeState, error: BaseException | None = None) -> None:
        self.state = state
        self.bus.publish(NodeStateChanged(state, error))


def _proxy_of(settings: Settings) -> ProxyConfig | None:
    if not settings.proxy:
        return None
    host, port = parse_ip_and_port(settings.proxy)
    return ProxyConfig(host, port, always=settings.always_use_proxy)


def _started(value: T | None) -> T:
    if value is None:
        raise RuntimeError("the node has not been started")
    return value
