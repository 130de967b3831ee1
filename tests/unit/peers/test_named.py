"""Sockets to servers that are no peers: what goes through the proxy, and that an onion name never goes past it."""

from __future__ import annotations

import asyncio

import pytest

from core.bolt.address import Address, AddressKind
from core.peers.named import NamedDialler
from tests.support.socks_double import guard, socks_double

ONION = "a" * 56 + ".onion"


@pytest.mark.parametrize(("host", "always"), [(ONION, False), (ONION, True), ("electrum.example", True)])
async def test_what_goes_through_the_proxy_goes_there_by_name(
    monkeypatch: pytest.MonkeyPatch, host: str, always: bool
) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    target = Address(AddressKind.IPV4, *server.sockets[0].getsockname())
    async with server, socks_double(target) as double:
        with guard(monkeypatch) as past:
            connection = await NamedDialler(double.config(always=always))(host, 50002)
            connection.close()
        assert [(asked.host, asked.port) for asked in double.asked] == [(host, 50002)]
        assert past.resolved == []


async def test_without_need_for_the_proxy_it_is_direct_and_an_onion_name_is_never_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, socks_double() as double:
        for dial in (NamedDialler(None), NamedDialler(double.config())):
            connection = await dial("127.0.0.1", port)
            assert connection.getpeername() == ("127.0.0.1", port)
            connection.close()
        assert double.asked == []
        for name in (ONION, ONION.upper(), f"{ONION}."):
            with guard(monkeypatch) as past, pytest.raises(OSError, match="by a proxy alone"):
                await NamedDialler(None)(name, 50002)
            assert past.resolved == []
    with pytest.raises(ConnectionRefusedError):
        await NamedDialler(None)("127.0.0.1", port)
