"""Electrum servers as a chain source, against ElectrumX over bcoin: what it gives, and each way it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.base.clock import SystemClock
from core.base.events import Event, EventBus
from core.bolt.networks import NETWORKS
from core.chain import electrum_link
from core.chain.electrum import ElectrumServer, ElectrumSource, PinStore, parse_server
from core.chain.errors import (
    AllServersFailed,
    CertificateChanged,
    ServerStalled,
    ServerUnreachable,
    WrongChain,
)
from core.chain.fees import estimate_fees
from core.chain.headers import double_sha256
from core.chain.pins import BY_AUTHORITY
from core.chain.source import ChainReorganised, Tip, TipChanged
from core.chain.transactions import TransactionRefused, txid
from core.chain.transactions import coinbase as coinbase_of
from tests.counterparts import Bcoin, ElectrumX

REGTEST = NETWORKS["regtest"]


class Heard:
    """What the source published, and a wait for it."""

    def __init__(self) -> None:
        self.bus = EventBus()
        self.events: list[Event] = []
        self._changed = asyncio.Event()
        self.bus.subscribe(TipChanged, self._hear)
        self.bus.subscribe(ChainReorganised, self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def tip_at(self, height: int) -> Tip:
        async with asyncio.timeout(30):
            while True:
                for event in self.events:
                    if isinstance(event, TipChanged) and event.tip.height == height:
                        return event.tip
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def source_of(
    *servers: ElectrumX, heard: Heard | None = None, pins: PinStore | None = None
) -> AsyncIterator[ElectrumSource]:
    places = [parse_server(server.address) for server in servers]
    bus = (heard or Heard()).bus
    source = await ElectrumSource.open(places, REGTEST, bus, SystemClock(), pins=pins or PinStore(None))
    try:
        yield source
    finally:
        await source.aclose()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines that a stopped server does not make a test wait for."""
    monkeypatch.setattr(electrum_link, "REQUEST_S", 0.5)
    monkeypatch.setattr(electrum_link, "CONNECT_S", 3.0)


async def test_tips_headers_transactions_and_outputs_are_those_of_the_node(tmp_path: Path) -> None:
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        await bcoin.mine(110)
        heard = Heard()
        async with await ElectrumX.start(tmp_path / "x", bcoin) as server, source_of(server, heard=heard) as source:
            tip = await source.tip()
            assert (tip.height, tip.block_hash[::-1].hex()) == (110, await bcoin.rpc("getbestblockhash"))
            assert double_sha256(await source.header(0)) == REGTEST.chain_hash
            assert double_sha256(await source.header(7))[::-1].hex() == await bcoin.rpc("getblockhash", 7)
            block = await bcoin.rpc("getblock", await bcoin.rpc("getblockhash", 7))
            coinbase = await source.transaction_at(7, 0)
            assert coinbase is not None and txid(coinbase)[::-1].hex() == block["tx"][0]
            assert await source.transaction_at(7, 1) is None
            assert await source.transaction_at(111, 0) is None
            unspent = await source.unspent_output(txid(coinbase), 0)
            assert unspent is not None and (unspent.amount_sat, unspent.height) == (50 * 100_000_000, 7)
            assert await source.unspent_output(txid(coinbase), 9) is None
            assert await source.unspent_output(bytes(32), 0) is None
            await bcoin.mine(1)
            assert (await heard.tip_at(111)).block_hash[::-1].hex() == await bcoin.rpc("getbestblockhash")
            with pytest.raises(TransactionRefused):
                await source.broadcast(coinbase_of(500, 1))


async def test_fees_are_the_floor_until_the_node_knows_some(tmp_path: Path) -> None:
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        await bcoin.mine(2)
        async with await ElectrumX.start(tmp_path / "x", bcoin) as server, source_of(server) as source:
            assert await source.fee_estimate(6) is None
            assert (await estimate_fees(source)).floor_only
            await bcoin.set_fee(20_000)
            await bcoin.mine(1)
            async with asyncio.timeout(30):
                while (await source.tip()).height < 3:
                    pass
            assert await source.fee_estimate(12) == 20_000


async def test_a_reorganisation_tells_the_fork_once_and_then_the_new_tip(tmp_path: Path) -> None:
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        await bcoin.mine(30)
        heard = Heard()
        async with await ElectrumX.start(tmp_path / "x", bcoin) as server, source_of(server, heard=heard) as source:
            old = await source.tip()
            await bcoin.reorganise(15, 17)
            new = await heard.tip_at(32)
            assert heard.events[0] == ChainReorganised(15, old)
            assert new.block_hash[::-1].hex() == await bcoin.rpc("getbestblockhash")


async def test_a_server_that_stands_still_is_left_for_the_next_and_named_when_it_was_the_last(
    tmp_path: Path, short: None
) -> None:
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        await bcoin.mine(3)
        async with (
            await ElectrumX.start(tmp_path / "x1", bcoin) as first,
            await ElectrumX.start(tmp_path / "x2", bcoin) as second,
            source_of(first, second) as source,
        ):
            first.pause()
            assert (await source.tip()).height == 3
            assert isinstance(source.failures[parse_server(first.address)], ServerStalled)
            second.pause()
            with pytest.raises(AllServersFailed) as caught:
                await source.tip()
            assert first.address[:-2] in caught.value.reason
            assert second.address[:-2] in caught.value.reason
            second.resume()
            first.resume()


async def test_a_server_that_dies_midway_is_named(tmp_path: Path, short: None) -> None:
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        await bcoin.mine(3)
        async with await ElectrumX.start(tmp_path / "x", bcoin) as server, source_of(server) as source:
            server.pause()
            asking = asyncio.create_task(source.fee_estimate(6))
            await asyncio.sleep(0)
            await server.kill()
            with pytest.raises(ServerUnreachable) as caught:
                await asking
            assert caught.value.server == server.address[:-2]


async def test_a_dead_server_and_another_networks_server_do_not_open(tmp_path: Path) -> None:
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        async with await ElectrumX.start(tmp_path / "x", bcoin) as server:
            place = parse_server(server.address)
            with pytest.raises(WrongChain) as wrong:
                await ElectrumSource.open([place], NETWORKS["bitcoin"], EventBus(), SystemClock(), pins=PinStore(None))
            assert wrong.value.genesis == REGTEST.chain_hash
        with pytest.raises(ServerUnreachable) as dead:
            await ElectrumSource.open([place], REGTEST, EventBus(), SystemClock(), pins=PinStore(None))
        assert "refused" in dead.value.reason


async def test_a_self_signed_certificate_is_pinned_and_another_one_is_refused(tmp_path: Path) -> None:
    pins = await PinStore.open(tmp_path / "certificates.json")
    async with await Bcoin.start(tmp_path / "bcoin") as bcoin:
        await bcoin.mine(1)
        async with await ElectrumX.start(tmp_path / "x1", bcoin, tls=True) as server:
            place: ElectrumServer = parse_server(server.address)
            async with source_of(server, pins=pins) as source:
                assert (await source.tip()).height == 1
            pinned = pins.get(place.host, place.port)
            assert isinstance(pinned, bytes)
            again = await PinStore.open(tmp_path / "certificates.json")
            async with source_of(server, pins=again) as source:
                assert (await source.tip()).height == 1
        async with await ElectrumX.start(tmp_path / "x2", bcoin, tls=True, port=place.port) as impostor:
            with pytest.raises(CertificateChanged) as caught:
                async with source_of(impostor, pins=again):
                    pass
            assert caught.value.expected == pinned != caught.value.found
            assert again.get(place.host, place.port) == pinned
            await again.forget(place.host, place.port)  # as the user decides, by `Node.trust_certificate`
            async with source_of(impostor, pins=again) as source:
                assert (await source.tip()).height == 1
            assert again.get(place.host, place.port) == caught.value.found


async def test_a_server_verified_by_an_authority_is_never_pinned_to_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = PinStore(None)
    async with (
        await Bcoin.start(tmp_path / "bcoin") as bcoin,
        await ElectrumX.start(tmp_path / "x", bcoin, tls=True) as server,
    ):
        place = parse_server(server.address)
        async with source_of(server, pins=pins):
            assert isinstance(pins.get(place.host, place.port), bytes)
        await pins.forget(place.host, place.port)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "x" / "certificate.pem"))
        async with source_of(server, pins=pins):
            assert pins.get(place.host, place.port) == BY_AUTHORITY
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(ServerUnreachable, match="once signed by an authority"):
            async with source_of(server, pins=pins):
                pass
        assert pins.get(place.host, place.port) == BY_AUTHORITY
