"""The peer book over a real database."""

from __future__ import annotations

from pathlib import Path

from core.bolt.address import Address, AddressKind
from core.peers.book import MAX_ADDRESSES_PER_PEER, SqlitePeerBook
from core.storage.database import Database
from tests.support.clock import ManualClock

ALICE, BOB = b"\x02" + b"a" * 32, b"\x03" + b"b" * 32


def at(port: int) -> Address:
    return Address(AddressKind.IPV4, "127.0.0.1", port)


async def test_saved_peers_come_back_in_order_with_their_last_address_first(tmp_path: Path) -> None:
    clock = ManualClock()
    database = await Database.open(tmp_path / "leyden.sqlite")
    book = SqlitePeerBook(database, clock)
    for node_id, port in ((BOB, 1), (ALICE, 2), (BOB, 3), (BOB, 1)):
        await book.remember(node_id, at(port))
        await clock.advance(1)
    await database.aclose()
    database = await Database.open(tmp_path / "leyden.sqlite")
    book = SqlitePeerBook(database, clock)
    assert [(peer.node_id, peer.addresses) for peer in await book.saved()] == [
        (BOB, (at(1), at(3))),
        (ALICE, (at(2),)),
    ]
    assert await book.addresses(BOB) == [at(1), at(3)]
    await database.aclose()


async def test_a_forgotten_peer_leaves_no_address(tmp_path: Path) -> None:
    database = await Database.open(None)
    book = SqlitePeerBook(database, ManualClock())
    await book.remember(ALICE, at(1))
    await book.forget(ALICE)
    await book.forget(BOB)
    assert await book.saved() == []
    assert await book.addresses(ALICE) == []
    await database.aclose()


async def test_a_peer_that_moves_about_does_not_fill_the_book(tmp_path: Path) -> None:
    clock = ManualClock()
    database = await Database.open(None)
    book = SqlitePeerBook(database, clock)
    for port in range(1, MAX_ADDRESSES_PER_PEER + 10):
        await book.remember(ALICE, at(port))
        await clock.advance(1)
    kept = await book.addresses(ALICE)
    assert [address.port for address in kept] == list(range(MAX_ADDRESSES_PER_PEER + 9, 9, -1))
    await database.aclose()
