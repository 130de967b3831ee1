"""Listening: what is bound, what fails, and how many strangers are let in."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from pathlib import Path

import pytest

from core.bolt.keys import NodeKey
from core.peers import listeners
from core.peers.errors import ListenFailed
from core.peers.reasons import CloseCode
from tests.support.peers import node, until
from tests.support.raw_peer import RawPeer


async def test_the_addresses_really_bound_are_told() -> None:
    async with node(listen=False) as a:
        bound = await a.manager.listen(["127.0.0.1:0", "[::1]:0", "localhost:0"])
        assert [address.host for address in bound] == ["127.0.0.1", "::1", "127.0.0.1"]
        assert all(address.port for address in bound)
        assert a.manager.bound == bound
        for address in bound:
            async with RawPeer.dialled(NodeKey.generate(), a.node_id, address.host, address.port) as peer:
                await peer.exchange_init()


async def test_a_taken_port_is_told_with_its_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with node(listen=False) as a:
            with pytest.raises(ListenFailed) as caught:
                await a.manager.listen(["127.0.0.1:0", f"127.0.0.1:{port}"])
            assert (caught.value.address, caught.value.errno) == (f"127.0.0.1:{port}", errno.EADDRINUSE)
            assert caught.value.reason == "Address already in use"
            assert a.manager.bound == ()


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address of this computer is loopback: tests listen nowhere else."""
    monkeypatch.setattr(listeners, "_EVERY_IPV4", "127.0.0.1")
    monkeypatch.setattr(listeners, "_EVERY_IPV6", "::1")


@pytest.mark.usefixtures("small_world")
async def test_without_a_host_every_address_is_listened_on_at_one_port() -> None:
    async with node(listen=False) as a:
        bound = await a.manager.listen([":0"])
        assert [address.host for address in bound] == ["127.0.0.1", "::1"]
        assert bound[0].port == bound[1].port != 0


@pytest.mark.usefixtures("small_world")
async def test_a_system_without_ipv6_listens_on_the_rest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = socket.socket

    def without_ipv6(family: int = -1, *more: int, **named: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return made(family, *more, **named)  # type: ignore[arg-type]

    async with node(listen=False) as a:
        with monkeypatch.context() as patch:
            patch.setattr(listeners.socket, "socket", without_ipv6)
            bound = await a.manager.listen([":0"])
            assert [address.host for address in bound] == ["127.0.0.1"]
            with pytest.raises(ListenFailed, match="not supported"):
                await a.manager.listen(["[::1]:0"])


@pytest.mark.usefixtures("small_world")
async def test_a_port_taken_in_ipv6_alone_is_taken() -> None:
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))
        taken.listen()
        async with node(listen=False) as a:
            with pytest.raises(ListenFailed):
                await a.manager.listen([f":{taken.getsockname()[1]}"])
            assert a.manager.bound == ()


@pytest.mark.parametrize("bind", ["dns:name", "node.example:1", "127.0.0.1:70000", "127.0.0.1:x", "[::1"])
async def test_what_cannot_be_listened_on(bind: str) -> None:
    async with node(listen=False) as a:
        with pytest.raises(ListenFailed) as caught:
            await a.manager.listen([bind])
        assert (caught.value.address, caught.value.errno) == (bind, None)


async def test_a_port_that_was_just_in_use_can_be_bound_again() -> None:
    async with node() as a:
        async with RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
            await peer.exchange_init()
            await a.manager.aclose()
        async with node(listen=False) as b:
            await b.manager.listen([f"127.0.0.1:{a.port}"])


async def test_strangers_are_bounded_and_peers_do_not_count() -> None:
    async with node(unauthenticated=3) as a, contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            peer = await stack.enter_async_context(RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port))
            await peer.exchange_init()
        await until(lambda: len(a.manager.peers()) == 5)
        silent = [await asyncio.open_connection(a.host, a.port) for _ in range(3)]
        await until(lambda: len(a.manager._sessions) == 8)
        reader, writer = await asyncio.open_connection(a.host, a.port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await a.closed(CloseCode.REFUSED)
        silent.append((reader, writer))
        silent[0][1].close()
        await a.closed(CloseCode.PEER_CLOSED, count=2)
        async with RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
            await peer.exchange_init()
        for _, writer in silent:
            writer.close()


async def test_strangers_from_one_address_are_bounded() -> None:
    async with node(unauthenticated_per_host=2) as a:
        silent = [await asyncio.open_connection(a.host, a.port) for _ in range(3)]
        await a.closed(CloseCode.REFUSED)
        assert len(a.manager._sessions) == 2
        for _, writer in silent:
            writer.close()


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("local", [False, True])
async def test_a_cancel_at_any_turn_leaves_no_descriptor_with_the_loop(tmp_path: Path, turns: int, local: bool) -> None:
    """One that is closed and stays registered fails the next connection that gets its number."""
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    before = set(selector.get_map())
    opened = listeners.Listeners(9735)
    opening = asyncio.create_task(opened.open([str(tmp_path / "l") if local else "127.0.0.1:0"], asyncio.Protocol))
    for _ in range(turns):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    await opened.aclose()
    assert set(selector.get_map()) == before
