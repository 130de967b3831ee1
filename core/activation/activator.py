"""One node's coins: its platform coins, and the one Lightning coin that may be up, by task."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.activation.coins import Coins, LightningCoin
from core.activation.errors import NodeNotActive, NoSuchCoin, TaskFinished, TaskNotFound
from core.activation.lightning import Lightning, LightningFactories, activate
from core.activation.manager import TaskHandle, TaskManager
from core.activation.params import LightningParams, LightningResult
from core.activation.platform import PlatformCoin, PlatformCoins
from core.activation.prepare import Prepared, check_platform, prepare_init
from core.activation.sources import Choice, SourceOpener
from core.activation.steps import OWN_START, PLATFORM_COIN, ActivationStep, Step
from core.base.events import EventBus, NodeState, TaskChanged, TaskState
from core.base.finish import finish
from core.chain.errors import ChainUnavailable
from core.chain.source import ChainSource, TipChanged
from core.channels.balance import Balance, balance_of, decimal_text

if TYPE_CHECKING:
    from core.chain.electrum import Progress


@dataclass(frozen=True, slots=True)
class ActivatorParts:
    """What the node hands in."""

    coins: Coins
    platforms: PlatformCoins
    tasks: TaskManager
    bus: EventBus
    node_id: bytes
    factories: Callable[[Prepared], LightningFactories]
    ready: Callable[[], Awaitable[None]]
    """Returns once peers may come."""
    opener: SourceOpener
    own_choice: Callable[[], Choice]
    """The chain source that the settings name. Raises NoChainSource."""
    change_state: Callable[[NodeState], None]


class Activator:
    """Brings coins up and takes them down; each task releases all that it took when it fails or is cancelled."""

    def __init__(self, parts: ActivatorParts) -> None:
        self._parts = parts
        self.lightning: Lightning | None = None
        self.task_id: int | None = None
        """Of the last activation."""
        self._ticker: str | None = None
        """Of the Lightning coin that is active, on its way up or on its way down; there is one at most."""
        self._prepared: Prepared | None = None
        """What that one stands on; None also while its platform coin is being opened."""
        self.block_height = 0
        """Of the chain's tip, while Lightning is up."""
        self._going_down = asyncio.Lock()
        self._stopped = False
        self._subscriptions = (
            parts.bus.subscribe(TaskChanged, self._task_changed),
            parts.bus.subscribe(TipChanged, self._tip_changed),
        )

    @property
    def coins(self) -> Coins:
        """All that there are."""
        return self._parts.coins

    @property
    def platforms(self) -> PlatformCoins:
        """Those that are active."""
        return self._parts.platforms

    @property
    def own_source(self) -> ChainSource | None:
        """Of the platform coin that this network's Lightning coin stands on; None while it is not active."""
        platform = self.platforms.find(self.coins.lightning(self.coins.lightning_ticker).platform)
        return None if platform is None else platform.source

    @property
    def coin(self) -> LightningCoin | None:
        """The Lightning coin that is active."""
        return self._prepared.coin if self._prepared is not None and self.lightning is not None else None

    @property
    def params(self) -> LightningParams | None:
        """What this activation was asked for; None when it follows the settings."""
        return None if self._prepared is None else self._prepared.params

    @property
    def balance(self) -> Balance:
        """Of the Lightning coin. Raises NodeNotActive."""
        if self.lightning is None:
            raise NodeNotActive
        return balance_of(self.lightning.channels.all())

    def activate(self) -> int:
        """Begin an activation as the settings say and give its task's number; while one runs or stands, that one's.

        Raises NodeNotActive while the node stops.
        """
        if self._ticker is not None and self.task_id is not None:
            return self.task_id
        return self._begin(self.coins.lightning_ticker, self._activate_all, OWN_START)

    def init(self, ticker: str, params: LightningParams) -> int:
        """Begin an activation with these parameters on a platform coin that is active; gives its task's number.

        Raises what `prepare_init` does; NodeNotActive while the node stops.
        """
        prepared = prepare_init(ticker, params, self.coins, self.platforms, self._ticker)

        async def bring_up(handle: TaskHandle) -> LightningResult:
            return await self._activate(handle, prepared)

        number = self._begin(ticker, bring_up, tuple(ActivationStep))
        self._prepared = prepared
        return number

    def _begin(
        self, ticker: str, make: Callable[[TaskHandle], Awaitable[LightningResult]], statuses: Sequence[str]
    ) -> int:
        if self._stopped:
            raise NodeNotActive
        self._ticker = ticker
        self._parts.change_state(NodeState.STARTING)
        self.task_id = self._parts.tasks.start(make, statuses)
        return self.task_id

    async def cancel(self) -> None:
        """Give up the running activation, if any; returns once everything it held is released."""
        if self.task_id is not None:
            with contextlib.suppress(TaskNotFound, TaskFinished):
                await self._parts.tasks.cancel(self.task_id)

    async def enable(self, ticker: str, choice: Choice, progress: Progress | None = None) -> PlatformCoin:
        """Open a platform coin. Raises what `PlatformCoins.enable` and `SourceOpener.open` do."""
        return await self.platforms.enable(ticker, lambda: self._parts.opener.open(choice, progress))

    async def disable(self, ticker: str, *, force: bool = False) -> bool:
        """Take a coin down; gives whether it only became passive, because Lightning stands on it. `force` takes both.

        Raises NoSuchCoin.
        """
        if ticker == self._ticker and self.lightning is not None:
            await self.deactivate()
            return False
        if self._prepared is not None and self._prepared.platform.ticker == ticker:
            if not force:
                self.platforms.make_passive(ticker)
                return True
            await self.deactivate()
        await self.platforms.disable(ticker)
        return False

    async def deactivate(self) -> None:
        """Take Lightning down, or give up its activation; a platform coin that was there before stays."""
        await finish(self._take_down())

    async def aclose(self) -> None:
        """Take everything down for good; nothing can be begun any more."""
        self._stopped = True
        await self._parts.tasks.aclose()
        await finish(self._take_down())
        await self.platforms.aclose()
        for subscription in self._subscriptions:
            subscription.close()

    async def _take_down(self) -> None:
        async with self._going_down:
            await self.cancel()
            lightning, self.lightning = self.lightning, None
            if lightning is None:
                return
            if not self._stopped:
                self._parts.change_state(NodeState.STOPPING)
            await lightning.aclose()
            self._ticker = self._prepared = None
            if not self._stopped:
                self._parts.change_state(NodeState.OFF)

    async def _activate_all(self, handle: TaskHandle) -> LightningResult:
        with handle.step(PLATFORM_COIN) as step:
            prepared, opened = await self._own_platform(step)
        self._prepared = prepared
        try:
            return await self._activate(handle, prepared)
        except BaseException:
            await self._close_again(prepared.platform.ticker, opened)
            raise

    async def _own_platform(self, step: Step) -> tuple[Prepared, bool]:
        """The Lightning coin with its platform coin, and whether that one had to be opened."""
        coin = self.coins.lightning(self.coins.lightning_ticker)
        opened = not await self._answers(coin.platform)
        if opened:
            await self.enable(coin.platform, self._parts.own_choice(), step.progress)
        platform = self.platforms.find(coin.platform)
        try:
            if platform is None:
                raise NoSuchCoin(ticker=coin.platform)
            check_platform(platform)
            height = (await platform.source.tip()).height
        except BaseException:
            await self._close_again(coin.platform, opened)
            raise
        step.say(f"{platform.ticker}: {platform.source.description}; tip at height {height}")
        return Prepared(coin, platform, None), opened

    async def _answers(self, ticker: str) -> bool:
        """Whether the platform coin is active; one whose source has died is taken down, to be opened anew."""
        platform = self.platforms.find(ticker)
        if platform is None:
            return False
        try:
            await platform.source.tip()
        except ChainUnavailable:
            await self.platforms.disable(ticker)
            return False
        return True

    async def _close_again(self, ticker: str, opened: bool) -> None:
        """What the activation opened it closes; a coin that was there before stays."""
        if opened:
            with contextlib.suppress(NoSuchCoin):  # somebody disabled it meanwhile
                await self.platforms.disable(ticker)

    async def _activate(self, handle: TaskHandle, prepared: Prepared) -> LightningResult:
        await self._parts.ready()
        self.block_height = 0
        lightning = await activate(self._parts.factories(prepared), handle)
        self.block_height = self.block_height or lightning.tip_height  # a block may have come meanwhile
        self.lightning = lightning
        balance, decimals = self.balance, prepared.coin.decimals
        return LightningResult(
            platform_coin=prepared.platform.ticker,
            address=self._parts.node_id.hex(),
            spendable=decimal_text(balance.spendable_msat, decimals),
            unspendable=decimal_text(balance.unspendable_msat, decimals),
        )

    def _task_changed(self, event: TaskChanged) -> None:
        if event.task_id == self.task_id and event.state in (TaskState.ERROR, TaskState.CANCELLED):
            self._ticker = self._prepared = None

    def _tip_changed(self, event: TipChanged) -> None:
        self.block_height = event.tip.height
