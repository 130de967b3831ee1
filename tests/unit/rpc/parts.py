"""A real socket over a real peer manager, with a small node around them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from core.activation.errors import NodeNotActive
from core.base.clock import Clock, SystemClock
from core.base.events import EventBus
from core.base.paths import ProfilePaths
from core.base.settings import Settings
from core.bolt.address import Address
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.chain.errors import NoPracticeChain
from core.chain.kernel import KernelChain
from core.chain.regtest import RegtestChain
from core.gossip.errors import SnapshotUnavailable
from core.gossip.graph import Graph
from core.gossip.importing import ImportReport
from core.gossip.rapid_sync import RapidReport
from core.gossip.router import Router
from core.gossip.scorer import Scorer
from core.gossip.store_reading import Progress
from core.peers.budget import LoopBudget
from core.peers.errors import NotBanned
from core.peers.manager import PeerManager
from core.peers.values import PeerConfig
from core.rpc.mmrpc.guard import Attempts
from core.rpc.server import RpcServer
from tests.support.peers import Book, Channels, resolves_nothing

WAIT_S = 30.0


class SmallNode:
    """`core.rpc.face.NodeFace`, no more."""

    alias = "practice jar"
    color = "3a4bd0"
    version = "0.1.0"
    block_height = 7
    onion_address: Address | None = None

    def __init__(self, folder: Path, *, active: bool = True, clock: Clock | None = None, **settings: Any) -> None:
        self.settings = Settings(network="regtest", data_dir=folder, **settings)
        self.network = NETWORKS["regtest"]
        self.paths = ProfilePaths(folder, "regtest")
        self.paths.folder.mkdir(mode=0o700)
        self.bus = EventBus()
        self.clock: Clock = clock or SystemClock()
        self.active = active
        self.key = NodeKey.generate()
        self.node_id = self.key.node_id
        self.channels = Channels()
        self.stop_requested = asyncio.Event()
        self.activations = 0
        self.attempts = Attempts()
        self.chain: RegtestChain | KernelChain | None = None
        self.certificates = {"known.test:50002"}
        self.graph = Graph(self.network.chain_hash)
        self.router = Router(self.graph, Scorer(None, {}, "nothing learned yet"), self.clock)
        self.imported: list[Path] = []
        self.snapshots: list[str] = []
        self.manager = PeerManager(
            key=self.key,
            network=self.network,
            bus=self.bus,
            clock=self.clock,
            budget=LoopBudget(),
            book=Book(),
            channels=self.channels,
            config=PeerConfig(),
            resolver=resolves_nothing,
        )

    @property
    def peers(self) -> PeerManager:
        if not self.active:
            raise NodeNotActive
        return self.manager

    @property
    def practice_chain(self) -> RegtestChain | KernelChain:
        """Headers alone, unless a test wants money."""
        if self.chain is None:
            raise NoPracticeChain(source="")
        return self.chain

    async def trust_certificate(self, server: str, fingerprint: bytes | None = None) -> bool:
        known = server in self.certificates
        self.certificates.discard(server)
        return known

    async def import_gossip_store(self, path: Path, progress: Progress) -> ImportReport:
        self.imported.append(path)
        for done in (0, 1000, 1001, 2000):
            progress(done, 2000)
        return ImportReport(1, 2, 3, 4, 5, 6, "7 bytes could not be read" if path.name == "cut" else None)

    async def import_rapid_gossip(self, source: str) -> RapidReport:
        self.snapshots.append(source)
        if source.endswith("gone"):
            raise SnapshotUnavailable(source=source, reason="No such file or directory")
        return RapidReport(source or self.settings.rapid_gossip_sync, 1_770_000_000, 1, 2, 3, 4)

    def rpc_bans(self) -> tuple[str, ...]:
        return self.attempts.banned()

    def lift_rpc_ban(self, address: str) -> None:
        if not self.attempts.lift(address):
            raise NotBanned(subject=address)

    def activate(self) -> int:
        self.activations += 1
        return 7

    def request_stop(self) -> None:
        self.stop_requested.set()


class Client:
    """One connection to the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, text: str | bytes) -> None:
        self.writer.write(text if isinstance(text, bytes) else text.encode())
        await self.writer.drain()

    async def next(self) -> str | None:
        """The next reply or notification without its delimiter; None when the server has closed."""
        async with asyncio.timeout(WAIT_S):
            try:
                return (await self.reader.readuntil(b"\n\n"))[:-2].decode()
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return None

    async def ask(self, method: str, params: Any = (), **members: Any) -> dict[str, Any]:
        """The whole reply."""
        request = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params, **members}
        await self.send(json.dumps(request))
        reply = await self.next()
        assert reply is not None
        found: dict[str, Any] = json.loads(reply)
        return found

    async def result(self, method: str, params: Any = (), **members: Any) -> Any:
        reply = await self.ask(method, params, **members)
        assert "error" not in reply, reply
        return reply["result"]

    async def error(self, method: str, params: Any = (), **members: Any) -> tuple[int, str]:
        reply = await self.ask(method, params, **members)
        assert "result" not in reply, reply
        return reply["error"]["code"], reply["error"]["message"]


class Served:
    """A node and its socket."""

    def __init__(self, node: SmallNode, server: RpcServer) -> None:
        self.node = node
        self.server = server
        self.path = node.paths.socket

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_unix_connection(self.path, limit=1 << 26)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def served(
    *, active: bool = True, listen: bool = True, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[Served]:
    """Everything up, and down again; pytest's own folders are too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="ly") as folder:
        node = SmallNode(Path(folder), active=active, clock=clock, **settings)
        if listen:
            await node.manager.listen(["127.0.0.1:0"])
        node.chain = await RegtestChain.open(None, node.bus, node.clock)
        server = await RpcServer.start(node, node.paths.socket)
        try:
            yield Served(node, server)
        finally:
            await server.aclose()
            await node.manager.aclose(flush_timeout_s=0)
            await node.chain.aclose()
