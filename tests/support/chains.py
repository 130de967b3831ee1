"""Chain sources that do what a test asks of them; no network stands behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.base.events import EventBus
from core.bolt.networks import Network
from core.chain.errors import ChainUnavailable
from core.chain.regtest import RegtestChain
from core.chain.source import Capability, Tip
from tests.support.clock import ManualClock


class FeeChain(RegtestChain):
    """A regtest chain in memory that has fee estimates, and can die or fall silent on request."""

    capabilities = frozenset({Capability.FEES})

    def __init__(self, sat_per_kvb: Callable[[int], int | None] = lambda _blocks: None) -> None:
        super().__init__(None, EventBus(), ManualClock())
        self.asked: list[int] = []
        self.tips = 0
        """How often it was asked for its tip."""
        self.dead: str | None = None
        self.silent = asyncio.Event()
        """Set: no answer comes any more."""
        self.closed = False
        self._sat_per_kvb = sat_per_kvb

    async def tip(self) -> Tip:
        self.tips += 1
        await self._answer()
        return await super().tip()

    async def header(self, height: int) -> bytes:
        await self._answer()
        return await super().header(height)

    async def fee_estimate(self, target_blocks: int) -> int | None:
        await self._answer()
        self.asked.append(target_blocks)
        return self._sat_per_kvb(target_blocks)

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()

    async def _answer(self) -> None:
        if self.dead is not None:
            raise ChainUnavailable(reason=self.dead)
        if self.silent.is_set() and not self.closed:
            await asyncio.get_running_loop().create_future()


class OtherNetworkChain(FeeChain):
    """One that follows another chain than it is asked for."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
