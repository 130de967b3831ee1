"""The bans by themselves: bounds, and what an accept asks."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from core.bolt.address import Address, AddressKind
from core.peers import bans as bans_module
from core.peers.bans import Bans
from core.peers.errors import AllAddressesFailed, Banned, BansFull
from core.storage.database import Database
from tests.support.clock import ManualClock
from tests.support.peers import node


def at(host: str) -> Address:
    return Address(AddressKind.IPV6 if ":" in host else AddressKind.IPV4, host, 9735)


async def test_of_several_ranges_the_one_that_lasts_longest_counts_and_each_can_be_lifted() -> None:
    clock = ManualClock()
    bans = Bans(clock)
    now = clock.time()
    for subject, minutes in (("10.0.0.0/8", 1), ("10.1.0.0/16", 3), ("10.1.2.3", 2), ("0.0.0.0/0", 1)):
        await bans.put(subject, now + 60 * minutes)
    found = bans.of_address(at("10.1.2.3"))
    assert found is not None
    assert found.subject == "10.1.0.0/16"
    await bans.lift("10.1.0.0/16")
    await clock.advance(90)
    found = bans.of_address(at("10.1.2.3"))
    assert found is not None
    assert found.subject == "10.1.2.3"
    assert bans.of_address(at("10.1.2.4")) is None
    assert bans.of_address(at("11.0.0.1")) is None
    await clock.advance(30)
    assert bans.of_address(at("10.1.2.3")) is None


async def test_an_onion_or_a_local_socket_is_in_no_range() -> None:
    clock = ManualClock()
    bans = Bans(clock)
    await bans.put("0.0.0.0/0", clock.time() + 60)
    await bans.put("::/0", clock.time() + 60)
    assert bans.of_address(at("::1")) is not None
    assert bans.of_address(Address(AddressKind.LOCAL, "/run/x", 0)) is None
    assert bans.of_address(Address(AddressKind.TORV3, "a" * 56 + ".onion", 9735)) is None


async def test_bans_are_bounded_and_those_that_ran_out_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bans_module, "MAX_BANS", 3)
    clock = ManualClock()
    bans = Bans(clock)
    for last in range(3):
        await bans.put(f"10.0.0.{last}", clock.time() + 60 * (last + 1))
    with pytest.raises(BansFull):
        await bans.put("10.0.0.9", clock.time() + 60)
    await bans.put("10.0.0.0", clock.time() + 60)
    await clock.advance(60)
    await bans.put("10.0.0.9", clock.time() + 60)
    assert [ban.subject for ban in bans.all()] == ["10.0.0.1", "10.0.0.9", "10.0.0.2"]


async def test_an_address_that_is_banned_while_it_is_dialled_gets_not_a_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    create = loop.create_connection
    async with node() as b, node(listen=False) as a:

        async def slow(make_protocol: Any, host: str, port: int) -> object:
            await a.manager.ban("127.0.0.0/8", a.clock.time() + 60)
            return await create(make_protocol, host, port)

        monkeypatch.setattr(loop, "create_connection", slow)
        with pytest.raises(AllAddressesFailed) as caught:
            await a.manager.connect(b.node_id, b.host, b.port)
        assert caught.value.attempts[0].reason == "it is banned"
        assert a.manager.bytes_out == 0


@pytest.mark.parametrize("by_address", [False, True])
async def test_a_ban_put_while_a_connect_looks_for_addresses_holds(by_address: bool) -> None:
    async with node() as b, node(listen=False) as a:
        assert b.address is not None
        remembered = [b.address]

        async def addresses(node_id: bytes) -> list[Address]:
            await a.manager.ban(b.host if by_address else node_id.hex(), a.clock.time() + 60)
            return remembered

        a.book.addresses = addresses  # type: ignore[method-assign]
        with pytest.raises(Banned):
            await a.manager.connect(b.node_id, b.host, b.port)
        assert b.manager.closed_connections == deque()


async def test_a_ban_put_while_it_is_lifted_is_in_force(tmp_path: Path) -> None:
    clock = ManualClock()
    database = await Database.open(tmp_path / "leyden.sqlite")
    try:
        bans = await Bans.open(database, clock)
        await bans.put("10.0.0.1", clock.time() + 60)
        await asyncio.gather(bans.lift("10.0.0.1"), bans.put("10.0.0.1", clock.time() + 90))
        assert bans.all() == (await Bans.open(database, clock)).all()
        assert bans.of_address(at("10.0.0.1")) is not None
    finally:
        await database.aclose()
