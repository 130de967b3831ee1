"""Funding outputs on a real node's chain, asked for through each kind of source; ends seen where blocks are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.activation.gossip_chain import FundingsOnChain, can_check
from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement
from core.bolt.networks import NETWORKS
from core.chain.bitcoin_rpc import BitcoinRpcSource
from core.chain.bitcoin_rpc_client import RpcServer, password_login
from core.chain.source import ChainSource
from core.gossip.chain_check import Funding, NoFunding, funding_script
from tests.counterparts import Bcoin, ElectrumX
from tests.interop.test_electrumx import source_of
from tests.support.clock import ManualClock
from tests.support.funded_network import FundedNetwork, fund_on_bcoin

REGTEST = NETWORKS["regtest"]
CHANNELS = 12


async def core(bcoin: Bcoin, folder: Path) -> BitcoinRpcSource:
    password = folder / "password"
    password.write_text(bcoin.password)
    server = RpcServer("127.0.0.1", bcoin.rpc_port)
    return await BitcoinRpcSource.open(server, password_login("leyden", password), REGTEST, EventBus(), ManualClock())


def announcements(funded: FundedNetwork) -> list[ChannelAnnouncement]:
    return list(map(ChannelAnnouncement.decode, funded.network.channel_announcements))


async def assert_it_tells(source: ChainSource, funded: FundedNetwork, channels: int) -> None:
    """What of the first so many channels is there, and what is not."""
    assert can_check(source)
    chain, real = FundingsOnChain(source), announcements(funded)
    for number, one in enumerate(real[:channels]):
        beyond = one.short_channel_id._replace(output=60_000)
        wanted = [(beyond, funding_script(one)), (one.short_channel_id, funding_script(one))]
        held = Funding(funded.network.capacities_sat[number], funded.outpoints[number][:32])
        assert await chain.funding_outputs(wanted) == [NoFunding.ABSENT, held]
        wrong = [(one.short_channel_id, funding_script(real[number - 1]))]
        assert await chain.funding_outputs(wrong) == [NoFunding.OTHER_SCRIPT]


@pytest.mark.timeout(90)
async def test_bitcoin_core_holds_what_is_funded_and_tells_what_is_spent(tmp_path: Path) -> None:
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        funded = await fund_on_bcoin(bcoin, 5, CHANNELS)
        source = await core(bcoin, tmp_path)
        await assert_it_tells(source, funded, CHANNELS)
        real = announcements(funded)
        height, somewhere = (await source.tip()).height, real[0].short_channel_id
        nowhere = [somewhere._replace(transaction=5_000), somewhere._replace(block=height + 1)]
        everything = [(one.short_channel_id, funding_script(one)) for one in real]
        everything += [(scid, funding_script(real[0])) for scid in nowhere]
        found = await FundingsOnChain(source).funding_outputs(everything)
        assert [one.txid for one in found if isinstance(one, Funding)] == [where[:32] for where in funded.outpoints]
        assert found[-2:] == [NoFunding.ABSENT] * 2
        opened = {one.short_channel_id.block for one in announcements(funded)}
        spent = [await source.spent_at(block) for block in sorted(opened)]
        assert all(spent), "openings spend something"
        assert await source.spent_at(height) == frozenset()
        assert await source.spent_at(height + 1) is None
        await source.aclose()
        closed = await FundingsOnChain(source).funding_outputs(everything)
        assert closed == [None] * len(everything), "what cannot be asked is not known"


@pytest.mark.timeout(90)
async def test_electrum_servers_hold_what_is_funded(tmp_path: Path) -> None:
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        funded = await fund_on_bcoin(bcoin, 5, CHANNELS)
        async with (
            await ElectrumX.start(tmp_path / "electrumx", bcoin) as server,
            source_of(server) as source,
        ):
            await assert_it_tells(source, funded, 1)  # ElectrumX takes a second a request over bcoin
