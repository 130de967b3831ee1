"""DNS seeds (BOLT 10): asked only when nothing else is known, and never past a proxy that everything goes through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import dns.resolver
import pytest

from core.bolt.address import Address, AddressKind
from core.bolt.bech32 import bech32_encode
from core.bolt.keys import NodeKey
from core.peers.bootstrap import DnsBootstrap
from core.peers.errors import AllAddressesFailed, NoAddressKnown
from core.peers.proxy import ProxyConfig
from core.peers.values import Learnt, PeerConfig
from tests.support.dns_double import DnsDouble, dns_double
from tests.support.peers import TestNode, node, until

SEED = "seed.example"
DEAD = Address(AddressKind.IPV4, "127.0.0.1", 1)


def _label(node_id: bytes) -> str:
    return bech32_encode("ln", node_id)


def _is_at(double: DnsDouble, node_id: bytes, address: Address, seed: str = SEED) -> None:
    host = f"{_label(node_id)}.{seed}"
    double.records[host, "SRV"] = [f"10 10 {address.port} {host}."]
    double.records[host, "A"] = [address.host]


@contextlib.asynccontextmanager
async def _seeded(
    double: DnsDouble, *seeds: str, config: PeerConfig | None = None, timeout_s: float = 5
) -> AsyncIterator[TestNode]:
    bootstrap = DnsBootstrap(seeds or (SEED,), double.resolver, timeout_s)
    async with node(listen=False, bootstrap=bootstrap, config=config) as made:
        yield made


async def test_a_peer_of_whom_nothing_is_known_is_found_by_the_seed() -> None:
    async with node() as b, dns_double() as double, _seeded(double) as a:
        assert b.address is not None
        _is_at(double, b.node_id, b.address)
        info = await a.manager.connect(b.node_id)
        assert info.address == b.address
        assert double.asked[0] == (f"{_label(b.node_id)}.{SEED}", "SRV")


async def test_an_address_that_a_seed_named_is_kept_as_such_and_a_given_one_as_given() -> None:
    async with node() as b, node() as c, dns_double() as double, _seeded(double) as a:
        assert b.address is not None
        _is_at(double, b.node_id, b.address)
        await a.manager.connect(b.node_id)
        await a.manager.connect(c.node_id, c.host, c.port)
        await until(lambda: a.book.learnt == {b.node_id: Learnt.BOOTSTRAP, c.node_id: Learnt.CONNECT})


async def test_the_next_seed_is_asked_when_one_does_not_know() -> None:
    async with node() as b, dns_double() as double, _seeded(double, "other.example", SEED) as a:
        assert b.address is not None
        _is_at(double, b.node_id, b.address)
        assert (await a.manager.connect(b.node_id)).address == b.address


async def test_no_seed_is_asked_when_an_address_is_given_or_remembered() -> None:
    async with node() as b, dns_double() as double, _seeded(double) as a:
        assert b.address is not None
        _is_at(double, b.node_id, b.address)
        with pytest.raises(AllAddressesFailed):
            await a.manager.connect(b.node_id, DEAD.host, DEAD.port)
        a.book.kept[b.node_id] = [DEAD]
        with pytest.raises(AllAddressesFailed):
            await a.manager.connect(b.node_id)
        assert double.asked == []


@pytest.mark.parametrize(
    "config",
    [
        PeerConfig(proxy=ProxyConfig("127.0.0.1", 1, True)),
        PeerConfig(cln_strict=True),
        PeerConfig(disable_dns=True),
    ],
)
async def test_no_seed_is_asked_when_everything_goes_through_the_proxy_or_names_are_off_or_as_cln_does(
    config: PeerConfig,
) -> None:
    async with node() as b, dns_double() as double, _seeded(double, config=config) as a:
        assert b.address is not None
        _is_at(double, b.node_id, b.address)
        with pytest.raises(NoAddressKnown):
            await a.manager.connect(b.node_id)
        assert double.asked == []


async def test_nobody_knows_the_peer() -> None:
    async with dns_double() as double, _seeded(double) as a:
        with pytest.raises(NoAddressKnown):
            await a.manager.connect(NodeKey.generate().node_id)
        assert double.asked


async def test_a_seed_that_stays_silent_is_waited_for_so_long() -> None:
    async with dns_double() as double, _seeded(double, timeout_s=0.05) as a:
        double.silent = True
        with pytest.raises(NoAddressKnown):
            await a.manager.connect(NodeKey.generate().node_id)
        assert double.asked


async def test_a_computer_without_name_servers() -> None:
    def none() -> dns.asyncresolver.Resolver:
        raise dns.resolver.NoResolverConfiguration

    async with node(listen=False, bootstrap=DnsBootstrap([SEED], none)) as a:
        with pytest.raises(NoAddressKnown):
            await a.manager.connect(NodeKey.generate().node_id)


async def test_a_connect_that_is_cancelled_asks_no_more() -> None:
    async with dns_double() as double, _seeded(double) as a:
        double.silent = True
        connecting = asyncio.create_task(a.manager.connect(NodeKey.generate().node_id))
        async with asyncio.timeout(30):
            while not double.asked:
                await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting


async def _found(double: DnsDouble, node_id: bytes) -> list[Address]:
    return await DnsBootstrap([f"{SEED}."], double.resolver).addresses(node_id)


async def test_without_services_the_addresses_stand_for_the_usual_port_ipv6_first() -> None:
    node_id = NodeKey.generate().node_id
    async with dns_double() as double:
        host = f"{_label(node_id)}.{SEED}"
        double.records = {(host, "A"): ["203.0.113.1", "203.0.113.2"], (host, "AAAA"): ["2001:db8::1"]}
        first, *others = await _found(double, node_id)
        assert first == Address(AddressKind.IPV6, "2001:db8::1", 9735)
        assert {(address.host, address.port) for address in others} == {("203.0.113.1", 9735), ("203.0.113.2", 9735)}


async def test_services_are_used_by_priority_and_other_nodes_are_passed_over() -> None:
    ours, other = NodeKey.generate().node_id, NodeKey.generate().node_id
    async with dns_double() as double:
        host, stranger = f"{_label(ours)}.{SEED}", f"{_label(other)}.{SEED}"
        double.records = {
            (host, "SRV"): [f"30 1 3 {host}.", "20 1 2 plain.example.", f"10 1 1 {stranger}.", f"5 1 0 {host}."],
            (host, "A"): ["203.0.113.3"],
            ("plain.example", "A"): ["203.0.113.2"],
            (stranger, "A"): ["203.0.113.1"],
        }
        assert [str(address) for address in await _found(double, ours)] == ["203.0.113.2:2", "203.0.113.3:3"]


async def test_a_seed_cannot_make_us_dial_without_end() -> None:
    node_id = NodeKey.generate().node_id
    async with dns_double() as double:
        host = f"{_label(node_id)}.{SEED}"
        double.records[host, "A"] = [f"203.0.113.{number}" for number in range(1, 28)]
        assert len(await _found(double, node_id)) == 16
