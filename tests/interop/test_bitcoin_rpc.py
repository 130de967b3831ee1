"""The platform coin from a real node's RPC (bcoin): what it tells, and every way in which it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.base.events import Event, EventBus
from core.bolt.networks import NETWORKS
from core.chain.bitcoin_rpc import BitcoinRpcSource
from core.chain.bitcoin_rpc_client import Login, RpcServer, cookie_login, password_login
from core.chain.errors import (
    ChainUnavailable,
    ServerStalled,
    ServerUnreachable,
    WrongChain,
    WrongPassword,
)
from core.chain.fees import estimate_fees
from core.chain.headers import double_sha256
from core.chain.source import ChainReorganised, TipChanged
from core.chain.transactions import Output, TransactionRefused, parse_transaction, serialise
from tests.counterparts.bcoin import Bcoin
from tests.support.clock import ManualClock

REGTEST = NETWORKS["regtest"]
POLL_S = 2.0
_PATIENCE_S = 2.0
"""Long enough for a node on a loaded machine, short enough to be waited for."""
ANYONE = "Gdj5bzLLUhMjQFe3WiukAMfxBTHTuWgw7f"
"""P2SH of OP_TRUE, under bcoin's own prefix of regtest: who shows that script may spend it."""
ANYONE_SCRIPT = bytes.fromhex("a914da1745e9b549bd0bfa1a569971c77eba30cd5a4b87")
UNLOCK = b"\x01\x51"


class Watched:
    """A source over a node, with what it told."""

    def __init__(self, node: Bcoin, folder: Path) -> None:
        self.node = node
        self.clock = ManualClock()
        self.bus = EventBus()
        self.told: list[Event] = []
        self.bus.subscribe(TipChanged, self.told.append)
        self.bus.subscribe(ChainReorganised, self.told.append)
        self.password = folder / "password"
        self.password.write_text(node.password + "\n")
        self.source: BitcoinRpcSource

    async def open(self, **options: float) -> BitcoinRpcSource:
        self.source = await BitcoinRpcSource.open(
            RpcServer("127.0.0.1", self.node.rpc_port),
            password_login("leyden", self.password),
            REGTEST,
            self.bus,
            self.clock,
            **options,
        )
        return self.source

    async def told_next(self, count: int) -> list[Event]:
        """What a poll tells."""
        await self.clock.advance(POLL_S)
        async with asyncio.timeout(30):
            while len(self.told) < count:
                await asyncio.sleep(0.005)
        told, self.told[:] = self.told[:], []
        return told


@asynccontextmanager
async def watched(folder: Path, **options: float) -> AsyncIterator[Watched]:
    async with await Bcoin.start(folder / "bcoin") as node:
        await node.mine(5)
        ours = Watched(node, folder)
        await ours.open(**options)
        try:
            yield ours
        finally:
            await ours.source.aclose()


async def test_the_tip_its_headers_and_a_new_block(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        tip = await ours.source.tip()
        assert (tip.height, tip.block_hash[::-1].hex()) == (5, await ours.node.rpc("getbestblockhash"))
        assert double_sha256(await ours.source.header(5)) == tip.block_hash
        assert double_sha256(await ours.source.header(0)) == REGTEST.chain_hash
        with pytest.raises(ChainUnavailable, match="no block at height 6"):
            await ours.source.header(6)
        hashes = await ours.node.mine(3)
        (event,) = await ours.told_next(1)
        assert isinstance(event, TipChanged)
        assert (event.tip.height, event.tip.block_hash[::-1].hex()) == (8, hashes[-1])


async def test_a_reorganisation_is_told_with_its_fork_and_the_old_tip(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        old = await ours.source.tip()
        hashes = await ours.node.reorganise(3, 5)
        reorganised, changed = await ours.told_next(2)
        assert reorganised == ChainReorganised(2, old)
        assert isinstance(changed, TipChanged)
        assert (changed.tip.height, changed.tip.block_hash[::-1].hex()) == (7, hashes[-1])
        await ours.node.reorganise(1, 2)
        assert (await ours.told_next(2))[0] == ChainReorganised(6, changed.tip)


async def test_a_reorganisation_deeper_than_what_is_remembered_is_told_below_it(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        await ours.node.mine(195)
        await ours.told_next(1)
        old = await ours.source.tip()
        await ours.node.reorganise(199, 201)
        assert (await ours.told_next(2))[0] == ChainReorganised(200 - 144, old)


async def test_estimates_and_their_absence(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        assert await ours.source.fee_estimate(6) is None
        assert (await estimate_fees(ours.source)).floor_only
        await ours.node.set_fee(12345)
        assert await ours.source.fee_estimate(6) == 12345
        assert (await estimate_fees(ours.source)).normal_sat_per_kw == 3087


async def test_a_transaction_by_position_and_what_is_unspent(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        raw = await ours.source.transaction_at(3, 0)
        assert raw is not None
        reward = parse_transaction(raw)
        block = await ours.node.rpc("getblock", await ours.node.rpc("getblockhash", 3), True)
        assert block["tx"] == [reward.txid[::-1].hex()]
        assert await ours.source.transaction_at(3, 1) is None
        assert await ours.source.transaction_at(6, 0) is None
        output = await ours.source.unspent_output(reward.txid, 0)
        assert output is not None
        assert (output.amount_sat, output.script_pubkey, output.height) == (
            reward.outputs[0].amount_sat,
            reward.outputs[0].script_pubkey,
            3,
        )
        assert await ours.source.unspent_output(reward.txid, 9) is None


async def test_a_transaction_is_taken_and_mined_or_refused_in_the_nodes_words(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        with pytest.raises(TransactionRefused):
            await ours.source.broadcast(b"none")
        await ours.node.mine(101, ANYONE)
        rewards = [await ours.source.transaction_at(height, 0) for height in (6, 50)]
        ripe, young = (parse_transaction(reward or b"") for reward in rewards)
        amount = ripe.outputs[0].amount_sat - 10_000
        with pytest.raises(TransactionRefused, match="premature-spend-of-coinbase"):
            await ours.source.broadcast(serialise([(young.outpoint(0), UNLOCK)], [Output(amount, ANYONE_SCRIPT)]))
        payment = serialise([(ripe.outpoint(0), UNLOCK)], [Output(amount, ANYONE_SCRIPT)])
        txid = await ours.source.broadcast(payment)
        assert await ours.source.unspent_output(txid, 0) is None, "no block holds it yet"
        await ours.node.mine()
        output = await ours.source.unspent_output(txid, 0)
        assert output is not None
        assert (output.amount_sat, output.height) == (amount, 107)
        assert await ours.source.transaction_at(107, 1) == payment
        assert await ours.source.unspent_output(ripe.txid, 0) is None


async def test_a_wrong_password(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        ours.password.write_text("wrong")
        other = Watched(ours.node, tmp_path / "bcoin")
        other.password.write_text("wrong")
        with pytest.raises(WrongPassword) as caught:
            await other.open()
        assert "wrong'" not in repr(caught.value)


async def test_a_password_that_changed_is_read_anew(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        cookie = tmp_path / ".cookie"
        cookie.write_text("__cookie__:old")
        with pytest.raises(WrongPassword):
            await BitcoinRpcSource.open(
                RpcServer("127.0.0.1", ours.node.rpc_port), cookie_login(cookie), REGTEST, ours.bus, ours.clock
            )
        await ours.source.tip()
        ours.source._client._login = Login("leyden", b"of an earlier start")
        assert (await ours.source.tip()).height == 5


async def test_another_networks_chain(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        with pytest.raises(WrongChain) as caught:
            await BitcoinRpcSource.open(
                RpcServer("127.0.0.1", ours.node.rpc_port),
                password_login("leyden", ours.password),
                NETWORKS["signet"],
                ours.bus,
                ours.clock,
            )
        assert caught.value.genesis == REGTEST.chain_hash


async def test_a_node_that_dies_and_comes_back_in_the_polls(tmp_path: Path) -> None:
    async with watched(tmp_path) as ours:
        await ours.node.stop()
        with pytest.raises(ServerUnreachable):
            await ours.source.tip()
        with pytest.raises(ServerUnreachable):
            await ours.source.broadcast(serialise([(bytes(36), b"")], [Output(1, b"\x51")]))
        await ours.clock.advance(POLL_S)
        assert ours.told == []
        again = Watched(ours.node, tmp_path)
        with pytest.raises(ServerUnreachable):
            await again.open()


async def test_a_node_that_stalls_and_goes_on(tmp_path: Path) -> None:
    async with watched(tmp_path, timeout_s=_PATIENCE_S) as ours:
        ours.node.pause()
        try:
            with pytest.raises(ServerStalled) as caught:
                await ours.source.tip()
            assert caught.value.timeout_s == _PATIENCE_S
        finally:
            ours.node.resume()
        async with asyncio.timeout(30):
            while True:
                try:
                    assert (await ours.source.tip()).height == 5
                    break
                except ServerStalled:
                    await asyncio.sleep(0)
