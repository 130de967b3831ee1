"""The platform coins that are active, each with the chain source that Lightning stands on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.activation.coins import Coins, Entry
from core.activation.errors import CoinAlreadyActive, NoSuchCoin
from core.base.finish import finish
from core.bolt.networks import Network
from core.chain.errors import ChainUnavailable
from core.chain.opening import check_network
from core.chain.source import ChainSource

OpenSource = Callable[[], Awaitable[ChainSource]]
"""Opens what the user chose; raises what `core.activation.sources.open_source` does."""


@dataclass(slots=True)
class PlatformCoin:
    """An active one; the source is its own and outlives what Lightning does with it."""

    ticker: str
    entry: Entry
    source: ChainSource
    passive: bool = False
    """Disabled while Lightning still stands on it: it counts as inactive, and its source is open."""


class PlatformCoins:
    """All of one node, by ticker. Each source is closed by `disable` or `aclose`, by nothing else."""

    def __init__(self, coins: Coins, network: Network) -> None:
        self._coins = coins
        self._network = network
        self._enabled: dict[str, PlatformCoin] = {}
        self._enabling: set[str] = set()
        self._closed = False

    def find(self, ticker: str) -> PlatformCoin | None:
        """The coin, when it is active and not passive."""
        coin = self._enabled.get(ticker)
        return None if coin is None or coin.passive else coin

    def tickers(self) -> list[str]:
        """Of the coins that are active and not passive."""
        return [coin.ticker for coin in self._enabled.values() if not coin.passive]

    async def enable(self, ticker: str, open_source: OpenSource) -> PlatformCoin:
        """Open the coin's source and see to it that it follows our chain; a passive coin is active again as it is.

        Raises NoSuchCoin, CoinAlreadyActive, ChainUnavailable and what `open_source` raises; then nothing is left open.
        """
        entry = self._coins.utxo(ticker)
        if self.find(ticker) is not None or ticker in self._enabling:
            raise CoinAlreadyActive(ticker=ticker)
        passive = self._enabled.get(ticker)
        if passive is not None:
            passive.passive = False
            return passive
        self._enabling.add(ticker)
        try:
            coin = PlatformCoin(ticker, entry, await self._open(open_source))
        finally:
            self._enabling.discard(ticker)
        self._enabled[ticker] = coin
        return coin

    async def _open(self, open_source: OpenSource) -> ChainSource:
        source = await open_source()
        try:
            await check_network(source, self._network)
            if self._closed:
                raise ChainUnavailable(reason="the node is stopping")
        except BaseException:
            await finish(source.aclose())
            raise
        return source

    def make_passive(self, ticker: str) -> None:
        """Take the coin from who asks for it, and leave its source to Lightning; twice is once. Raises NoSuchCoin."""
        coin = self._enabled.get(ticker)
        if coin is None:
            raise NoSuchCoin(ticker=ticker)
        coin.passive = True

    async def disable(self, ticker: str) -> None:
        """Close the coin's source; Lightning must have let go of it. Raises NoSuchCoin."""
        coin = self._enabled.pop(ticker, None)
        if coin is None:
            raise NoSuchCoin(ticker=ticker)
        await finish(coin.source.aclose())

    async def aclose(self) -> None:
        """Close every source."""
        self._closed = True
        for ticker in list(self._enabled):
            await self.disable(ticker)
