"""The generator of networks that are on a chain."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from core.base.events import EventBus
from core.bolt.gossip import ChannelAnnouncement
from core.chain.kernel import KernelChain
from core.chain.transactions import parse_transaction
from tests.counterparts.bcoin import Bcoin
from tests.support.clock import ManualClock
from tests.support.funded_network import DEPTH, FundedNetwork, fund_on_bcoin, fund_on_kernel


def at(message: bytes) -> tuple[int, int, int]:
    scid = int(ChannelAnnouncement.decode(message).short_channel_id)
    return scid >> 40, scid >> 16 & 0xFFFFFF, scid & 0xFFFF


def script_of(message: bytes) -> bytes:
    """BOLT 3, from the announcement alone."""
    announced = ChannelAnnouncement.decode(message)
    one, other = sorted((announced.bitcoin_key_1, announced.bitcoin_key_2))
    return b"\x00\x20" + sha256(b"\x52\x21" + one + b"\x21" + other + b"\x52\xae").digest()


async def on_kernel(channels: int) -> tuple[KernelChain, FundedNetwork]:
    chain = await KernelChain.open(None, EventBus(), ManualClock())
    return chain, await fund_on_kernel(chain, 1, channels)


async def test_on_the_kernel_each_channel_is_where_its_announcement_says_until_both_ends_close_it() -> None:
    chain, funded = await on_kernel(20)
    tip = await chain.tip()
    for number, message in enumerate(funded.network.channel_announcements):
        height, index, output = at(message)
        raw = await chain.transaction_at(height, index)
        assert raw is not None
        made = parse_transaction(raw)
        assert made.outpoint(output) == funded.outpoints[number]
        unspent = await chain.unspent_output(made.txid, output)
        assert unspent is not None
        assert unspent.script_pubkey == script_of(message)
        assert unspent.amount_sat == funded.network.capacities_sat[number]
        assert tip.height - height + 1 >= DEPTH
    await chain.broadcast(funded.close(7))
    await chain.mine(1)
    gone = funded.outpoints[7]
    assert await chain.unspent_output(gone[:32], int.from_bytes(gone[32:], "little")) is None
    await chain.aclose()


async def test_bcoin_takes_the_same_network_to_the_same_places(tmp_path: Path) -> None:
    chain, expected = await on_kernel(20)
    await chain.aclose()
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        funded = await fund_on_bcoin(bcoin, 1, 20)
        assert funded.network == expected.network
        for number, message in enumerate(funded.network.channel_announcements):
            outpoint = funded.outpoints[number]
            found = await bcoin.rpc("gettxout", outpoint[:32][::-1].hex(), outpoint[32], False)
            assert found["scriptPubKey"]["hex"] == script_of(message).hex()
            assert round(found["value"] * 100_000_000) == funded.network.capacities_sat[number]
            assert found["confirmations"] >= DEPTH
