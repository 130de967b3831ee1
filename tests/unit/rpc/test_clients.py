"""Many clients, and such as do not behave: what each gets and what it costs the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource

import pytest

from core.rpc import connection, server
from tests.support.peers import until
from tests.support.raw_peer import RawListener
from tests.unit.rpc.parts import Client, served

CLIENTS = 1_000
GETINFO = '{"jsonrpc":"2.0","id":%d,"method":"getinfo","params":{}}'
REFUSAL = b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"Too many clients"}}\n\n'


async def test_a_thousand_clients_at_once_are_all_answered() -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 4 * CLIENTS
    async with served() as rpc, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(rpc.client()) for _ in range(CLIENTS)]
        for number, client in enumerate(clients):
            client.writer.write((GETINFO % number).encode())
        answers = [json.loads(await client.next() or "") for client in clients]
        assert [answer["id"] for answer in answers] == list(range(CLIENTS))
        assert len(rpc.server._connections) == CLIENTS
    assert not rpc.server._connections


async def test_one_too_many_is_told_so_and_room_is_made_when_one_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CLIENTS", 2)
    async with served() as rpc, rpc.client() as first:
        async with rpc.client() as second:
            await first.result("getinfo")
            await second.result("getinfo")
            async with rpc.client() as third:
                third.writer.write((GETINFO % 1).encode() * 100)
                assert await third.reader.read() == REFUSAL
            assert len(REFUSAL) < 100
        await until(lambda: len(rpc.server._connections) == 1)
        async with rpc.client() as again:
            await again.result("getinfo")


async def test_the_refused_hold_no_place_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CLIENTS", 0)
    monkeypatch.setattr(server, "REFUSAL_S", 0.02)
    monkeypatch.setattr(server, "REFUSALS_AT_ONCE", 3)
    async with served() as rpc, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(rpc.client()) for _ in range(3)]
        await until(lambda: len(rpc.server._refusals) == 3)
        async with rpc.client() as beyond:
            assert await beyond.next() is None
        assert [await client.reader.read() for client in clients] == [REFUSAL] * 3
        await until(lambda: not rpc.server._refusals)


async def test_clients_never_get_more_than_a_quarter_of_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "file_limit", lambda: 256)
    async with served() as rpc:
        assert rpc.server._max_clients == 64


async def test_closing_ends_the_refused_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CLIENTS", 0)
    monkeypatch.setattr(server, "REFUSAL_S", 1000)
    async with served() as rpc, rpc.client() as client:
        await until(lambda: rpc.server._refusals)
        await asyncio.wait_for(rpc.server.aclose(), 30)
        assert await client.reader.read() == REFUSAL
        await until(lambda: not rpc.server._refusals)


async def test_a_client_that_never_reads_is_dropped_and_the_others_never_notice(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "STALL_S", 0.05)
    async with served() as rpc, rpc.client() as client, rpc.client() as other:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write((GETINFO % 1).encode() * 8_000)
        await until(lambda: [one for one in rpc.server._connections if not one._writable])
        assert (await other.result("getinfo"))["network"] == "regtest"
        await until(lambda: len(rpc.server._connections) == 1)
        assert "an RPC client is dropped" in caplog.text
        assert (await other.result("getinfo"))["network"] == "regtest"


async def test_a_client_that_reads_again_in_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALL_S", 0.2)
    async with served() as rpc, rpc.client() as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write((GETINFO % 1).encode() * 4_000)
        await until(lambda: [one for one in rpc.server._connections if not one._writable])
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(4_000):
            assert await client.next()
        await asyncio.sleep(0.3)
        assert await client.result("getinfo")


async def _order(client: Client, count: int) -> list[int]:
    return [json.loads(await client.next() or "")["id"] for _ in range(count)]


async def test_a_thousand_pipelined_requests_fast_ones_beside_slow_ones() -> None:
    """Every tenth waits for a peer that does not answer yet; the others are answered before, in their order."""
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        connect = '{"jsonrpc":"2.0","id":%d,"method":"connect","params":["' + peer.node_id.hex() + '","127.0.0.1",%d]}'
        slow = set(range(0, 1_000, 20))
        requests = [connect % (n, peer.port) if n in slow else GETINFO % n for n in range(1_000)]
        await client.send("".join(requests))
        fast = [number for number in range(1_000) if number not in slow]
        assert await _order(client, len(fast)) == fast
        await (await peer.accept()).exchange_init()
        assert sorted(await _order(client, len(slow))) == sorted(slow)
