"""Platform coins: whose chain source is open, and that none stays open by mistake."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.activation.coins import Coins, load_coins
from core.activation.errors import CoinAlreadyActive, NoSuchCoin
from core.activation.platform import PlatformCoins
from core.bolt.networks import NETWORKS
from core.chain.errors import ChainUnavailable
from tests.support.chains import FeeChain

REGTEST = NETWORKS["regtest"]
TICKER = "RBTC-segwit"


@pytest.fixture
def coins(tmp_path: Path) -> Coins:
    return load_coins(tmp_path / "coins.json", REGTEST)


def opening(chain: FeeChain):
    async def opened() -> FeeChain:
        return chain

    return opened


async def test_an_enabled_coin_has_its_source_until_it_is_disabled(coins: Coins) -> None:
    platforms, chain = PlatformCoins(coins, REGTEST), FeeChain()
    coin = await platforms.enable(TICKER, opening(chain))
    assert platforms.find(TICKER) is coin
    assert (coin.source, platforms.tickers(), chain.closed) == (chain, [TICKER], False)
    await platforms.disable(TICKER)
    assert (platforms.find(TICKER), chain.closed) == (None, True)
    with pytest.raises(NoSuchCoin):
        await platforms.disable(TICKER)


async def test_a_source_of_another_chain_is_refused_and_closed(coins: Coins) -> None:
    platforms, chain = PlatformCoins(coins, NETWORKS["signet"]), FeeChain()
    with pytest.raises(ChainUnavailable, match="another chain"):
        await platforms.enable(TICKER, opening(chain))
    assert (chain.closed, platforms.tickers()) == (True, [])


async def test_a_cancel_while_the_source_is_silent_closes_it_and_the_coin_can_be_enabled_again(coins: Coins) -> None:
    platforms, chain = PlatformCoins(coins, REGTEST), FeeChain()
    chain.silent.set()
    enabling = asyncio.create_task(platforms.enable(TICKER, opening(chain)))
    await asyncio.sleep(0)
    with pytest.raises(CoinAlreadyActive):
        await platforms.enable(TICKER, opening(FeeChain()))
    enabling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await enabling
    assert chain.closed
    await platforms.enable(TICKER, opening(FeeChain()))


async def test_a_passive_coin_keeps_its_source_and_is_active_again_without_another(coins: Coins) -> None:
    platforms, chain = PlatformCoins(coins, REGTEST), FeeChain()
    coin = await platforms.enable(TICKER, opening(chain))
    platforms.make_passive(TICKER)
    assert (platforms.find(TICKER), platforms.tickers(), chain.closed) == (None, [], False)
    platforms.make_passive(TICKER)
    assert (platforms.find(TICKER), chain.closed) == (None, False), "once more changes nothing"
    assert await platforms.enable(TICKER, opening(FeeChain())) is coin
    assert platforms.find(TICKER) is coin
    platforms.make_passive(TICKER)
    await platforms.disable(TICKER)
    assert chain.closed
    with pytest.raises(NoSuchCoin):
        platforms.make_passive(TICKER)


async def test_closing_closes_every_source_and_one_that_opens_too_late(coins: Coins) -> None:
    platforms, chain, late = PlatformCoins(coins, REGTEST), FeeChain(), FeeChain()
    await platforms.enable(TICKER, opening(chain))
    await platforms.aclose()
    assert chain.closed
    with pytest.raises(ChainUnavailable):
        await platforms.enable(TICKER, opening(late))
    assert late.closed
