"""Lightning: the services that the eight steps build, each with its undo on one exit stack."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from core.activation.coins import LightningCoin
from core.activation.gossip_chain import GossipChain, can_check
from core.activation.services import (
    BackgroundServices,
    Problem,
    compact_regularly,
    flush_regularly,
    prune_regularly,
    tell_regularly,
)
from core.activation.steps import ActivationStep, Step, StepReporter
from core.base.clock import Clock
from core.base.events import EventBus
from core.base.finish import finish
from core.bolt.networks import Network
from core.chain.errors import ChainUnavailable
from core.chain.fees import FeeEstimates, estimate_fees
from core.chain.source import ChainSource
from core.channels.records import ChannelRecords, TipComparison
from core.channels.trusted import TrustedNodes
from core.gossip.fundings import Fundings
from core.gossip.graph import Graph
from core.gossip.graph_checks import distrust
from core.gossip.importing import StoreImporter
from core.gossip.kept_graph import KeptGraph
from core.gossip.rapid_sync import RapidSync
from core.gossip.router import Router
from core.gossip.scorer import Scorer
from core.gossip.service import Gossip
from core.gossip.store_reading import Progress
from core.gossip.verification import StartVerifier, Verifier
from core.peers.manager import PeerManager
from core.peers.onion import OnionService
from core.peers.values import PeerBook
from core.storage.files import profile_errors, prove_writable

CANCEL_FLUSH_TIMEOUT_S = 0.1
"""How long sessions may send what they hold when activation is given up; a stop grants them a second."""


@dataclass(frozen=True, slots=True)
class LightningFactories:
    """How each service is made; the node fills it in, the steps call it in order."""

    network: Network
    clock: Clock
    folder: Path | None
    """The profile folder, that services write to; None when nothing is kept."""
    coin: LightningCoin
    chain: ChainSource
    """Of the platform coin, which opened it and closes it."""
    open_graph: Callable[[Progress], Awaitable[KeptGraph]]
    open_rapid: Callable[[KeptGraph], Awaitable[RapidSync]]
    open_channels: Callable[[Progress], Awaitable[ChannelRecords]]
    make_peers: Callable[[ChannelRecords, KeptGraph, Gossip], PeerManager]
    open_trusted: Callable[[], Awaitable[TrustedNodes]]
    open_scorer: Callable[[], Awaitable[Scorer]]
    book: PeerBook
    binds: Sequence[str]
    """`host:port` to listen on; empty: nothing listens."""
    node_id: bytes
    """Our own."""
    problem: Problem
    """Told when a background service dies or cannot write."""
    bus: EventBus
    """Where the chain source tells of its tip."""
    fundings: Fundings | None = None
    """What is remembered of channels that were seen on the chain; None: the chain is not asked for any."""
    make_onion: Callable[[PeerManager], OnionService] | None = None
    """None: we are not to be reached through Tor."""
    start_verifier: StartVerifier = Verifier.start
    """The worker processes that look at what peers tell."""
    backup: Path | None = None
    """A folder for a second copy of what guards channels; made, and proved to be writable."""
    reconnect: bool = True
    """Dial saved peers by ourselves; not when offline, nor with a key that may be running elsewhere."""


class Lightning:
    """What an active node has. Only `activate` makes it, complete."""

    def __init__(
        self,
        *,
        chain: ChainSource,
        tip_height: int,
        fees: FeeEstimates,
        kept: KeptGraph,
        importer: StoreImporter,
        rapid: RapidSync,
        channels: ChannelRecords,
        peers: PeerManager,
        trusted: TrustedNodes,
        scorer: Scorer,
        onion: OnionService | None,
        router: Router,
        gossip: Gossip,
        undo: _Undo,
    ) -> None:
        self.chain = chain
        self.tip_height = tip_height
        """Of the chain, as it was when the coin was looked at."""
        self.fees = fees
        self.kept = kept
        """The network graph with its store."""
        self.importer = importer
        self.rapid = rapid
        self.channels = channels
        self.peers = peers
        self.trusted = trusted
        self.scorer = scorer
        self.onion = onion
        self.router = router
        self.gossip = gossip
        self._undo = undo

    @property
    def graph(self) -> Graph:
        """What gossip told, to be read."""
        return self.kept.graph

    async def aclose(self, flush_timeout_s: float = 1.0) -> None:
        """Release everything in the reverse order of the steps; runs to its end, closing twice does nothing.

        `flush_timeout_s` is what sessions get to send what they hold.
        """
        self._undo.flush_timeout_s = flush_timeout_s
        await finish(self._undo.release())


class _Undo:
    """The exit stack, and what its entries want to know when they run."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.flush_timeout_s = CANCEL_FLUSH_TIMEOUT_S

    async def release(self) -> None:
        """Run every entry, whatever the others do; what one raises is reported and hides no other error."""
        try:
            await self.stack.aclose()
        except Exception as error:  # noqa: BLE001 - the reason for the release must not be hidden by its failure
            asyncio.get_running_loop().call_exception_handler(
                {"message": "releasing Lightning failed in part", "exception": error}
            )


async def activate(factories: LightningFactories, report: StepReporter) -> Lightning:
    """Run the eight steps in order.

    A step's error is raised as it is, a cancellation too, each after everything built so far is released again.
    """
    undo = _Undo()
    try:
        return await _Activation(factories, report, undo).run()
    except BaseException:
        await finish(undo.release())
        raise


class _Activation:
    """One run of the steps, each a method that gives what it built and put its undo on the stack."""

    def __init__(self, factories: LightningFactories, report: StepReporter, undo: _Undo) -> None:
        self._make = factories
        self._report = report
        self._undo = undo

    async def run(self) -> Lightning:
        chain = self._make.chain
        with self._report.step(ActivationStep.ACTIVATING_COIN) as step:
            tip_height = await self._activate_coin(step)
        with self._report.step(ActivationStep.GETTING_FEES) as step:
            targets = self._make.coin.targets
            fees = await estimate_fees(chain, targets.background, targets.normal, targets.high_priority)
            await self._prove_backup()
            step.say(str(fees))
        with self._report.step(ActivationStep.READING_GRAPH) as step:
            kept = await self._make.open_graph(step.progress)
            self._undo.stack.push_async_callback(kept.aclose)
            if not self._asks_chain:
                distrust(kept.graph)
            importer = StoreImporter(kept, self._make.clock)
            self._undo.stack.push_async_callback(importer.aclose)
            rapid = await self._make.open_rapid(kept)
            self._undo.stack.push_async_callback(rapid.aclose)
            step.say("; ".join(filter(None, (str(kept), str(rapid)))))
        with self._report.step(ActivationStep.CHANNEL_MANAGER) as step:
            channels = await self._read_channels(step, chain)
        with self._report.step(ActivationStep.PEER_MANAGER) as step:
            trusted = await self._make.open_trusted()
            gossip = Gossip(kept, self._make.clock)
            peers, onion = await self._start_peers(step, channels, kept, gossip)
        with self._report.step(ActivationStep.READING_SCORER) as step:
            scorer = await self._make.open_scorer()
            self._undo.stack.push_async_callback(scorer.flush)
            step.say(str(scorer))
        with self._report.step(ActivationStep.BACKGROUND) as step:
            await self._start_services(step, peers, scorer, onion, kept, gossip, rapid)
            importer.channels_came = gossip.channels_came
        with self._report.step(ActivationStep.READING_ADDRESSES) as step:
            await self._reconnect(step, peers)
        return Lightning(
            chain=chain,
            tip_height=tip_height,
            fees=fees,
            kept=kept,
            importer=importer,
            rapid=rapid,
            channels=channels,
            peers=peers,
            trusted=trusted,
            scorer=scorer,
            onion=onion,
            gossip=gossip,
            router=Router(kept.graph, scorer, self._make.clock),
            undo=self._undo,
        )

    @property
    def _asks_chain(self) -> bool:
        """Whether channels of others are looked up on the chain; without it none is told to anybody."""
        return self._make.fundings is not None and can_check(self._make.chain)

    async def _activate_coin(self, step: Step) -> int:
        coin, chain = self._make.coin, self._make.chain
        tip = await chain.tip()
        step.say(f"{coin.ticker} on {coin.platform}: {chain.description}; tip at height {tip.height}")
        return tip.height

    async def _prove_backup(self) -> None:
        if self._make.backup is not None:
            await finish(asyncio.to_thread(_make_writable, self._make.backup))

    async def _read_channels(self, step: Step, chain: ChainSource) -> ChannelRecords:
        channels = await self._make.open_channels(step.progress)
        comparison = channels.compare((await chain.tip()).height)
        if comparison.ahead:
            raise ChainUnavailable(reason=_behind(comparison))
        step.say(str(comparison))
        return channels

    async def _start_peers(
        self, step: Step, channels: ChannelRecords, kept: KeptGraph, gossip: Gossip
    ) -> tuple[PeerManager, OnionService | None]:
        peers = self._make.make_peers(channels, kept, gossip)
        undo = self._undo
        undo.stack.push_async_callback(lambda: peers.aclose(undo.flush_timeout_s))
        bound = [str(address) for address in await peers.listen(self._make.binds)]
        onion = None
        if self._make.make_onion is not None:
            onion = self._make.make_onion(peers)
            undo.stack.push_async_callback(onion.aclose)
            await onion.start()
            bound.append(str(onion.address))
        step.say(f"listening on {', '.join(bound)}" if bound else "not listening: no address to listen on was chosen")
        return peers, onion

    async def _start_services(
        self,
        step: Step,
        peers: PeerManager,
        scorer: Scorer,
        onion: OnionService | None,
        kept: KeptGraph,
        gossip: Gossip,
        rapid: RapidSync,
    ) -> None:
        make = self._make
        if make.folder is not None:
            # What cannot be written is better known now than when there is something to lose.
            await finish(asyncio.to_thread(prove_writable, make.folder))
        verifier = await self._undo.stack.enter_async_context(make.start_verifier(clock=make.clock))
        services = BackgroundServices(make.problem)
        self._undo.stack.push_async_callback(services.aclose)
        kept_up = [] if onion is None else [onion.run]
        if make.reconnect:
            kept_up.append(lambda: rapid.run(make.problem))
        if make.fundings is not None and self._asks_chain:
            kept_up.append(GossipChain(make.chain, kept, gossip, make.fundings, make.bus, make.clock).run)
        services.start(
            peers.run_services,
            lambda: flush_regularly(scorer, make.clock, make.problem),
            lambda: tell_regularly(kept, make.clock),
            lambda: prune_regularly(kept, make.chain, make.node_id, make.clock, make.problem),
            lambda: compact_regularly(kept, make.clock, make.problem),
            lambda: gossip.run(verifier),
            *kept_up,
        )
        step.say("flushing, pruning, pings, reconnecting and gossip run")

    async def _reconnect(self, step: Step, peers: PeerManager) -> None:
        saved = await self._make.book.saved()
        if not saved:
            step.say("no saved peers")
        elif not self._make.reconnect:
            step.say(f"{len(saved)} saved peers, not reconnecting by itself")
        else:
            peers.reconnect_saved(saved)
            step.say(f"reconnecting to {len(saved)} saved peers")


def _make_writable(folder: Path) -> None:
    with profile_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    prove_writable(folder)


def _behind(comparison: TipComparison) -> str:
    record = comparison.ahead[0]
    name = record.short_channel_id or record.channel_id.hex()
    return f"its tip is at height {comparison.tip_height}, channel {name} was confirmed at {record.funding_height}"
