"""Host forms of `connect` as they are dialled, and the ports of every network."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.base.events import ConnectProgress
from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.peers.errors import AllAddressesFailed, HostNotValid
from core.peers.proxy import ProxyConfig
from core.peers.resolve import resolve_host
from core.peers.values import PeerConfig
from tests.support.peers import node, resolves_nothing

PORTS = {"bitcoin": 9735, "testnet": 19735, "testnet4": 49735, "signet": 39735, "regtest": 19846}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "::1", "dns:node.example", "a" * 56 + ".onion"])
async def test_the_default_port_is_the_networks(network: str, host: str) -> None:
    found = await resolve_host(host, None, NETWORKS[network].default_port, resolves_nothing)
    assert found.port == PORTS[network]


async def test_all_addresses_of_a_dns_host_are_tried_in_turn_and_each_failure_is_kept() -> None:
    dead = [Address(AddressKind.IPV4, f"127.0.0.{number}", 1) for number in (1, 2, 3)]

    async def three(name: str, port: int) -> Sequence[Address]:
        assert (name, port) == ("node.example", 1)
        return dead

    async with node(listen=False, resolver=three) as a:
        with pytest.raises(AllAddressesFailed) as caught:
            await a.manager.connect(NodeKey.generate().node_id, "dns:node.example:1")
        assert [attempt.address for attempt in caught.value.attempts] == [str(address) for address in dead]


@pytest.mark.parametrize("proxied", [False, True])
async def test_without_dns_no_name_is_looked_up_but_one_that_was_named_outright(proxied: bool) -> None:
    """As CLN's `--disable-dns`; what goes through a proxy is looked up there."""
    asked: list[str] = []

    async def looks_up(name: str, port: int) -> Sequence[Address]:
        asked.append(name)
        return [Address(AddressKind.IPV4, "127.0.0.1", 1)]

    proxy = ProxyConfig("127.0.0.1", 1, True) if proxied else None
    config = PeerConfig(disable_dns=True, proxy=proxy)
    async with node(listen=False, resolver=looks_up, config=config) as a:
        with pytest.raises(AllAddressesFailed) as caught:
            await a.manager.connect(NodeKey.generate().node_id, "dns:node.example:1")
        (attempt,) = caught.value.attempts
        assert (attempt.reason == "dns disabled") is not proxied, attempt
        assert asked == []
        if not proxied:
            with pytest.raises(AllAddressesFailed):
                await a.manager.connect(NodeKey.generate().node_id, "node.example")
            assert asked == ["node.example"]


async def test_a_dns_host_is_reached_by_its_last_address() -> None:
    async with node() as b:

        async def two(name: str, port: int) -> Sequence[Address]:
            assert b.address is not None
            return [Address(AddressKind.IPV4, "127.0.0.1", 1), b.address]

        async with node(listen=False, resolver=two) as a:
            assert (await a.manager.connect(b.node_id, "dns:node.example")).address == b.address


@pytest.mark.parametrize("form", ["[::1]:{port}", "[::1]", "::1"])
async def test_ipv6_is_dialled_with_and_without_brackets(form: str) -> None:
    async with node(listen=False) as b, node(listen=False) as a:
        (bound,) = await b.manager.listen(["[::1]:0"])
        port = None if "{" in form else bound.port
        info = await a.manager.connect(b.node_id, form.format(port=bound.port), port)
        assert (info.address.kind, info.address.host, info.address.port) == (AddressKind.IPV6, "::1", bound.port)


async def test_what_was_given_is_tried_before_what_is_remembered() -> None:
    async with node() as b, node(listen=False) as a:
        assert b.address is not None
        a.book.kept[b.node_id] = [b.address]
        dead = Address(AddressKind.IPV4, "127.0.0.1", 1)
        assert (await a.manager.connect(b.node_id, dead.host, dead.port)).address == b.address
        assert a.seen(ConnectProgress)[0].address == str(dead)


@pytest.mark.parametrize("name", ["x.onion.", "X.Onion.", "a" * 56 + ".onion.", "x\u3002onion", "x.onio\uff4e"])
@pytest.mark.parametrize("prefix", ["", "dns:"])
async def test_no_onion_however_it_is_written_is_asked_of_a_name_server(prefix: str, name: str) -> None:
    async def told(name: str, port: int) -> Sequence[Address]:
        raise AssertionError(f"{name} was resolved")

    async with node(listen=False, resolver=told) as a:
        with pytest.raises((HostNotValid, AllAddressesFailed)):
            await a.manager.connect(NodeKey.generate().node_id, prefix + name)
