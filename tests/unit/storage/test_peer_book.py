"""The peer book over a real database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.bolt.address import Address, AddressKind
from core.peers.book import MAX_ADDRESSES_PER_PEER, MAX_LABEL_CHARACTERS, MAX_NOTE_CHARACTERS, SqlitePeerBook
from core.peers.values import KeptAddress, Learnt
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


async def test_a_failure_is_noted_beside_the_last_success_and_where_it_was_learnt_stays(tmp_path: Path) -> None:
    clock = ManualClock()
    database = await Database.open(None)
    book = SqlitePeerBook(database, clock)
    start = clock.time()
    await book.remember(ALICE, at(1), Learnt.GOSSIP)
    await clock.advance(5)
    await book.failed(ALICE, at(1))
    await book.failed(ALICE, at(2))
    await book.failed(BOB, at(1))
    (alice,) = await book.records()
    assert alice.addresses == (KeptAddress(at(1), Learnt.GOSSIP, start, start + 5),)
    await clock.advance(5)
    await book.remember(ALICE, at(1), Learnt.CONNECT)
    assert (await book.records(ALICE))[0].addresses == (KeptAddress(at(1), Learnt.GOSSIP, start + 10, start + 5),)
    await database.aclose()


async def test_nothing_but_the_user_touches_label_and_note(tmp_path: Path) -> None:
    database = await Database.open(None)
    book = SqlitePeerBook(database, ManualClock())
    await book.describe(ALICE, label="friend", note="n")
    await book.describe(ALICE)
    await book.remember(ALICE, at(1))
    await book.failed(ALICE, at(1))
    await book.describe(ALICE, note="")
    (alice,) = await book.records()
    assert (alice.label, alice.note) == ("friend", "")
    await book.describe(BOB, label="x" * MAX_LABEL_CHARACTERS, note="y" * MAX_NOTE_CHARACTERS)
    assert [peer.node_id for peer in await book.saved()] == [ALICE]
    for label, note in (("x" * (MAX_LABEL_CHARACTERS + 1), ""), ("", "y" * (MAX_NOTE_CHARACTERS + 1))):
        with pytest.raises(sqlite3.IntegrityError):
            await book.describe(BOB, label=label, note=note)
    await database.aclose()


async def test_one_address_is_forgotten_and_the_rest_stays() -> None:
    database = await Database.open(None)
    book = SqlitePeerBook(database, ManualClock())
    for port in (1, 2):
        await book.remember(ALICE, at(port))
        await book.remember(BOB, at(port))
    assert await book.forget_address(ALICE, at(1))
    assert not await book.forget_address(ALICE, at(1))
    assert await book.addresses(ALICE) == [at(2)]
    assert len(await book.addresses(BOB)) == 2
    await database.aclose()
