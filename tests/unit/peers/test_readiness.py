"""connect returns once the peer's channels can be handled (seed 000), by the hook that the channel manager fills."""

from __future__ import annotations

import asyncio

import pytest

from core.peers.errors import DisconnectedDuringConnect
from tests.support.peers import node, turns, until


class _Ready:
    """Ready when a test says so."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.cancelled = 0
        self.now = asyncio.Event()

    async def ready(self, node_id: bytes) -> None:
        self.asked.append(node_id)
        try:
            await self.now.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def test_connect_waits_for_the_channels_whether_new_or_there_already() -> None:
    readiness = _Ready()
    async with node() as b, node(listen=False, readiness=readiness) as a:
        first = asyncio.create_task(a.manager.connect(b.node_id, b.host, b.port))
        await until(lambda: readiness.asked)
        second = asyncio.create_task(a.manager.connect(b.node_id))
        await until(lambda: len(readiness.asked) == 2)
        await turns()
        assert not first.done() and not second.done()
        assert a.manager.peer(b.node_id) is not None
        readiness.now.set()
        assert (await first).node_id == (await second).node_id == b.node_id
        assert readiness.asked == [b.node_id] * 2


async def test_a_peer_that_leaves_before_its_channels_are_ready() -> None:
    readiness = _Ready()
    async with node() as b, node(listen=False, readiness=readiness) as a:
        connecting = asyncio.create_task(a.manager.connect(b.node_id, b.host, b.port))
        await until(lambda: readiness.asked and b.manager.peers())
        await b.manager.aclose(flush_timeout_s=0)
        with pytest.raises(DisconnectedDuringConnect):
            await connecting
        assert readiness.cancelled == 1


async def test_what_goes_wrong_with_the_channels_is_told() -> None:
    class Broken(_Ready):
        async def ready(self, node_id: bytes) -> None:
            raise LookupError("no channel manager")

    async with node() as b, node(listen=False, readiness=Broken()) as a:
        with pytest.raises(LookupError):
            await a.manager.connect(b.node_id, b.host, b.port)


async def test_whoever_leaves_waits_no_more_and_the_peer_stays() -> None:
    readiness = _Ready()
    async with node() as b, node(listen=False, readiness=readiness) as a:
        connecting = asyncio.create_task(a.manager.connect(b.node_id, b.host, b.port))
        await until(lambda: readiness.asked)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert readiness.cancelled == 1
        assert a.manager.peer(b.node_id) is not None
