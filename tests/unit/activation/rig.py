"""A profile with everything that activation works on, the real parts throughout."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.activation.coins import ConfirmationTargets, LightningCoin
from core.activation.lightning import Lightning, LightningFactories, activate
from core.activation.manager import TaskManager
from core.activation.steps import ActivationStep
from core.base.clock import SystemClock
from core.base.events import EventBus, StepChanged, StepState
from core.base.paths import ProfilePaths
from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.chain.regtest import RegtestChain
from core.chain.source import ChainSource
from core.channels.records import ChannelRecords
from core.channels.trusted import TrustedNodes
from core.gossip.fundings import Fundings
from core.gossip.kept_graph import KeptGraph
from core.gossip.rapid_sync import RapidSync
from core.gossip.scorer import Scorer
from core.gossip.service import Gossip
from core.peers.book import SqlitePeerBook
from core.peers.budget import LoopBudget
from core.peers.manager import PeerManager
from core.peers.named import NamedDialler
from core.storage.database import Database
from core.storage.profile import Profile

COIN = LightningCoin("RBTC-lightning", "RBTC-segwit", 11, ConfirmationTargets(12, 6, 1))
FRIEND = NodeKey(b"\x11" * 32).node_id


@dataclass
class Rig:
    """What a test looks at and reaches into."""

    paths: ProfilePaths
    database: Database
    port: int
    bus: EventBus = field(default_factory=EventBus)
    clock: SystemClock = field(default_factory=SystemClock)
    told: list[StepChanged] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)
    chain: ChainSource | None = None
    channels: ChannelRecords | None = None
    peers: PeerManager | None = None
    overrides: dict[str, object] = field(default_factory=dict)
    before: frozenset[asyncio.Task[object]] = frozenset()

    def __post_init__(self) -> None:
        self.tasks = TaskManager(self.bus, self.clock)
        self.bus.subscribe(StepChanged, self.told.append)
        self.book = SqlitePeerBook(self.database, self.clock)

    def use_chain(self, chain: ChainSource) -> None:
        """Take this source instead of the embedded chain."""

        self.chain = chain
        self.overrides["chain"] = chain

    def factories(self) -> LightningFactories:
        network = NETWORKS["regtest"]
        paths = self.paths
        assert self.chain is not None
        made = LightningFactories(
            network=network,
            clock=self.clock,
            folder=paths.folder,
            coin=COIN,
            chain=self.chain,
            open_graph=lambda progress: KeptGraph.open(
                paths.gossip_store, network.chain_hash, self.bus, self.clock, progress
            ),
            open_rapid=lambda kept: RapidSync.open(kept, self.clock, NamedDialler(None), path=paths.rapid_gossip),
            open_channels=lambda progress: ChannelRecords.open(self.database, self.clock, progress),
            make_peers=self._make_peers,
            open_trusted=lambda: TrustedNodes.open(paths.folder / "trusted_nodes"),
            open_scorer=lambda: Scorer.open(paths.scorer),
            book=self.book,
            binds=[f"127.0.0.1:{self.port}"],
            node_id=NodeKey(b"\x22" * 32).node_id,
            problem=self.problems.append,
            bus=self.bus,
            fundings=Fundings(self.database),
        )
        made = replace(made, **self.overrides)  # type: ignore[arg-type]
        return replace(
            made,
            open_channels=self._noting("channels", made.open_channels),
        )

    def _noting(self, name: str, make):
        async def noted(progress):
            made = await make(progress)
            setattr(self, name, made)
            return made

        return noted

    def _make_peers(self, channels: ChannelRecords, kept: KeptGraph, gossip: Gossip) -> PeerManager:
        self.peers = PeerManager(
            key=NodeKey(b"\x22" * 32),
            network=NETWORKS["regtest"],
            bus=self.bus,
            clock=self.clock,
            budget=LoopBudget(),
            book=self.book,
            channels=channels,
            announced=kept.addresses_of,
            gossip=gossip,
        )
        return self.peers

    def start(self) -> int:
        """Begin the task; its tasks and port are what must be gone in the end."""
        self.before = frozenset(asyncio.all_tasks())
        return self.tasks.start(lambda handle: activate(self.factories(), handle))

    async def run(self) -> Lightning:
        """Activate to the end; raises the task's own error."""
        task_id = self.start()
        await self.ended(task_id)
        status = self.tasks.status(task_id)
        if status.error is not None:
            raise status.error
        assert isinstance(status.result, Lightning)
        return status.result

    async def ended(self, task_id: int) -> None:
        while any(task.get_name() == f"task {task_id}" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)

    def on(self, status: ActivationStep, state: StepState, act: Callable[[], object]) -> None:
        """Do something at the moment at which a step comes to a state."""

        def look(event: StepChanged) -> None:
            is_progress = event.state is StepState.RUNNING and event.done is not None
            if (event.status, event.state) == (status, state) and not is_progress:
                act()

        self.bus.subscribe(StepChanged, look)

    def states(self) -> dict[str, StepState]:
        """The last word on every step."""
        return {event.status: event.state for event in self.told}

    def details(self) -> dict[str, str]:
        return {event.status: event.detail for event in self.told}

    def listening(self) -> bool:
        """Whether somebody accepts on our port."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def service_tasks(self) -> list[asyncio.Task[object]]:
        return [task for task in asyncio.all_tasks() if task.get_name() == "background services"]

    async def assert_released(self) -> None:
        """Nothing that activation made is left: port, tasks. The chain is the platform coin's."""
        with socket.socket() as taker:
            taker.bind(("127.0.0.1", self.port))
        for _ in range(5):  # transports and callbacks end in the next turns
            await asyncio.sleep(0)
        assert frozenset(asyncio.all_tasks()) - self.before == frozenset()
        assert not (self.paths.folder / "probe").exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def make_rig(folder: Path) -> AsyncIterator[Rig]:
    """A held profile with a database in it, and one saved peer."""
    paths = ProfilePaths(folder, "regtest")
    with Profile.open(paths):
        database = await Database.open(paths.database)
        rig = Rig(paths, database, free_port())
        rig.chain = await RegtestChain.open(paths.chain, rig.bus, rig.clock)
        await rig.book.remember(FRIEND, Address(AddressKind.IPV4, "127.0.0.1", free_port()))
        try:
            yield rig
        finally:
            await rig.tasks.aclose()
            await rig.chain.aclose()
            await rig.database.aclose()
