"""Where a peer announced that it is: used by `connect` with an id alone, after what was given, before what is kept."""

from __future__ import annotations

import pytest

from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.peers.bootstrap import AddressSources
from core.peers.errors import NoAddressKnown
from core.peers.values import Learnt, PeerConfig
from tests.support.peers import Book, node, until

PEER = NodeKey.generate().node_id
GIVEN, V4, V6, KEPT = (
    Address(AddressKind.IPV4, "127.0.0.1", 1),
    Address(AddressKind.IPV4, "127.0.0.1", 2),
    Address(AddressKind.IPV6, "::1", 3),
    Address(AddressKind.IPV4, "127.0.0.1", 4),
)
ONION, OTHER_ONION = (Address(AddressKind.TORV3, letter * 56 + ".onion", 9735) for letter in "ab")


async def order(
    given: list[Address], announced: list[Address], kept: list[Address], *, remembers: bool = True
) -> list[Address]:
    book = Book()
    book.kept[PEER] = kept
    return await AddressSources(book, None, lambda _: announced, remembers=remembers).of(PEER, given)


@pytest.mark.parametrize(
    ("given", "announced", "kept", "wanted"),
    [
        ([], [], [], []),
        ([GIVEN], [ONION, V4, V6], [KEPT], [GIVEN, V6, V4, ONION, KEPT]),
        ([], [V4, KEPT], [KEPT, V4], [V4, KEPT]),
        ([ONION], [V4, OTHER_ONION], [KEPT], [ONION, OTHER_ONION]),
        ([], [V4, V6, OTHER_ONION], [ONION, KEPT], [OTHER_ONION, ONION]),
        ([], [V4] * 3 + [V6], [], [V6, V4]),
    ],
)
async def test_the_order_and_nothing_past_the_proxy_after_an_onion(
    given: list[Address], announced: list[Address], kept: list[Address], wanted: list[Address]
) -> None:
    assert await order(given, announced, kept) == wanted


async def test_as_core_lightning_does_what_is_announced_counts_and_what_is_kept_does_not() -> None:
    assert await order([], [V4], [KEPT], remembers=False) == [V4]
    assert await order([], [], [KEPT], remembers=False) == []


async def test_of_a_thousand_announced_addresses_a_few_are_dialled() -> None:
    many = [Address(AddressKind.IPV4, "127.0.0.1", port) for port in range(100, 1100)]
    assert len(await order([], many, [KEPT])) == 17


@pytest.mark.parametrize("config", [PeerConfig(), PeerConfig(cln_strict=True)])
async def test_a_peer_is_found_by_what_it_announced_and_that_is_kept_as_such(config: PeerConfig) -> None:
    async with node() as b:
        assert b.address is not None
        announced = {b.node_id: [b.address]}
        async with node(listen=False, config=config, announced=lambda peer: announced.get(peer, [])) as a:
            assert (await a.manager.connect(b.node_id)).address == b.address
            await until(lambda: a.book.learnt == {b.node_id: Learnt.GOSSIP})
            with pytest.raises(NoAddressKnown):
                await a.manager.connect(PEER)


async def test_an_address_that_was_given_is_kept_as_given_though_it_was_announced_too() -> None:
    async with node() as b:
        assert b.address is not None
        where = b.address
        async with node(listen=False, announced=lambda _: [where]) as a:
            await a.manager.connect(b.node_id, b.host, b.port)
            await until(lambda: a.book.learnt == {b.node_id: Learnt.CONNECT})
