"""Through a SOCKS5 proxy: what it is asked, what is never done past it, and CLN's words when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from core.base.events import ConnectPhase
from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.peers.errors import AllAddressesFailed, HostNotValid
from core.peers.proxy import ProxyConfig
from core.peers.values import PeerConfig, SavedPeer
from core.rpc.commands.shapes import address_object
from core.rpc.errors import to_rpc_error
from tests.support.clock import ManualClock
from tests.support.peers import node, until
from tests.support.socks_double import PastProxy, SocksDouble, guard, socks_double

ONION = "a" * 56 + ".onion"
ONION_ADDRESS = Address(AddressKind.TORV3, ONION, 9735)


def _config(double: SocksDouble, *, always: bool = False) -> PeerConfig:
    return PeerConfig(proxy=double.config(always=always))


async def _fails(manager, node_id: bytes, host: str | None = None) -> str:
    """CLN's text."""
    with pytest.raises(AllAddressesFailed) as caught:
        await manager.connect(node_id, host)
    return to_rpc_error(caught.value).message


async def test_an_onion_goes_to_the_proxy_by_name_and_bolt_8_runs_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node() as b, socks_double(b.address) as double, node(config=_config(double), listen=False) as a:
        with guard(monkeypatch) as past:
            info = await a.manager.connect(b.node_id, ONION, 9735)
        assert address_object(info.address) == {"type": "torv3", "address": ONION, "port": 9735}
        assert [(asked.kind, asked.host, asked.port) for asked in double.asked] == [(3, ONION, 9735)]
        assert past.resolved == []
        a.manager.send_custom(b.node_id, b"\x94\x19hello")
        await until(b.manager.custom_messages)


@pytest.mark.qt_loop
async def test_the_windows_loop_carries_a_proxied_peer_as_well() -> None:
    async with node() as b, socks_double(b.address) as double, node(config=_config(double), listen=False) as a:
        await a.manager.connect(b.node_id, ONION)
        a.manager.send_custom(b.node_id, b"\x94\x19hello")
        await until(b.manager.custom_messages)


async def test_every_peer_has_credentials_of_its_own_and_keeps_them() -> None:
    async with node() as b, node() as c, socks_double(b.address) as double, node(config=_config(double)) as a:
        await a.manager.connect(b.node_id, ONION)
        await a.manager.disconnect(b.node_id)
        await a.manager.connect(b.node_id, ONION)
        double.target = c.address
        await a.manager.connect(c.node_id, ONION)
        first, again, other = [asked.credentials for asked in double.asked]
        assert first == again != other
        assert first is not None and other is not None
        assert all(len(set(text)) > 4 and len(text) == 32 for text in (*first, *other))
        assert not set(first) & set(other)


async def test_with_the_proxy_alone_an_ip_address_is_dialled_directly() -> None:
    async with node() as b, socks_double(b.address) as double, node(config=_config(double)) as a:
        await a.connect_to(b)
        assert double.asked == []


@pytest.mark.parametrize(
    ("host", "kind", "asked_host", "shown"),
    [
        ("203.0.113.9:1", 1, "203.0.113.9", {"type": "ipv4", "address": "203.0.113.9", "port": 1}),
        ("[2001:db8::9]:1", 4, "2001:db8::9", {"type": "ipv6", "address": "2001:db8::9", "port": 1}),
        ("node.example:1", 3, "node.example", {"type": "unresolved", "name": "node.example", "port": 1}),
        ("dns:node.example:1", 3, "node.example", {"type": "dns", "address": "node.example", "port": 1}),
        (f"{ONION}:1", 3, ONION, {"type": "torv3", "address": ONION, "port": 1}),
    ],
)
async def test_always_leads_everything_through_the_proxy_and_resolves_nothing(
    monkeypatch: pytest.MonkeyPatch, host: str, kind: int, asked_host: str, shown: dict[str, object]
) -> None:
    async with (
        node() as b,
        socks_double(b.address) as double,
        node(config=_config(double, always=True), listen=False) as a,
    ):
        with guard(monkeypatch) as past:
            info = await a.manager.connect(b.node_id, host)
        assert address_object(info.address) == shown
        assert [(asked.kind, asked.host, asked.port) for asked in double.asked] == [(kind, asked_host, 1)]
        _nothing_but_the_proxy(past, double, b.address)


def _nothing_but_the_proxy(past: PastProxy, double: SocksDouble, target: Address | None) -> None:
    assert past.resolved == [] and past.listened == []
    ways = {("127.0.0.1", double.port)} | ({(target.host, target.port)} if target else set())
    assert set(past.connected) == ways


async def test_always_holds_for_what_is_remembered_and_for_reconnecting(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    peer = NodeKey.generate().node_id
    known = [Address(AddressKind.DNS, "node.example", 1), Address(AddressKind.IPV4, "127.0.0.1", 1)]
    async with (
        socks_double() as double,
        node(config=_config(double, always=True), listen=False, clock=clock, services=True) as a,
    ):
        a.book.kept[peer] = known
        with guard(monkeypatch) as past:
            await _fails(a.manager, peer)
            assert len(double.asked) == 2
            a.manager.reconnect_saved([SavedPeer(peer, tuple(known))])
            await clock.advance(2)
            await until(lambda: len(double.asked) == 4)
        _nothing_but_the_proxy(past, double, None)


async def test_a_local_socket_needs_no_proxy(tmp_path) -> None:
    async with socks_double() as double, node(config=_config(double, always=True), listen=False) as a:
        text = await _fails(a.manager, NodeKey.generate().node_id, str(tmp_path / "none"))
        assert text.endswith("none: Connection establishment: No such file or directory. ")
        assert double.asked == []


@pytest.mark.parametrize("host", ["a..b", "x" * 64, ".".join(["x" * 60] * 5), "a b"])
async def test_a_name_that_no_proxy_can_take_is_refused(host: str) -> None:
    async with socks_double() as double, node(config=_config(double, always=True), listen=False) as a:
        with pytest.raises(HostNotValid):
            await a.manager.connect(NodeKey.generate().node_id, host)
        assert double.asked == []


async def test_a_name_in_other_letters_is_sent_in_ascii() -> None:
    async with socks_double() as double, node(config=_config(double, always=True), listen=False) as a:
        await _fails(a.manager, NodeKey.generate().node_id, "bücher.example")
        assert double.asked[0].host == "xn--bcher-kva.example"


async def test_without_a_proxy_an_onion_is_refused_before_dialling(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node(listen=False) as a:
        with guard(monkeypatch) as past:
            text = await _fails(a.manager, NodeKey.generate().node_id, f"{ONION}:9735")
        assert text == f"All addresses failed: {ONION}:9735: need a proxy. "
        assert past == PastProxy()


async def test_after_a_given_onion_nothing_is_tried_past_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node() as b, socks_double() as double, node(config=_config(double), listen=False) as a:
        a.book.kept[b.node_id] = [b.address, Address(AddressKind.DNS, "node.example", 1)]
        with guard(monkeypatch) as past:
            await _fails(a.manager, b.node_id, ONION)
        _nothing_but_the_proxy(past, double, None)


async def test_a_peer_last_reached_by_its_onion_comes_back_by_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    peer = NodeKey.generate().node_id
    clear = Address(AddressKind.IPV4, "127.0.0.1", 1)
    async with socks_double() as double, node(config=_config(double), listen=False, clock=clock, services=True) as a:
        with guard(monkeypatch) as past:
            a.manager.reconnect_saved([SavedPeer(peer, (ONION_ADDRESS, clear))])
            await clock.advance(2)
            await until(lambda: double.asked and a.manager.reconnects_in_s(peer) is not None)
        _nothing_but_the_proxy(past, double, None)


async def test_a_peer_given_by_its_onion_is_lost_and_dialled_again_by_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    async with (
        node() as b,
        socks_double(b.address) as double,
        node(config=_config(double), listen=False, clock=clock, services=True) as a,
    ):
        await a.connect_to(b)
        await a.manager.disconnect(b.node_id)
        await a.manager.connect(b.node_id, ONION)
        await until(lambda: b.manager.peer(a.node_id) is not None)
        double.target = None
        with guard(monkeypatch) as past:
            await b.manager.disconnect(a.node_id)
            await until(lambda: a.manager.reconnects_in_s(b.node_id) is not None)
            await clock.advance(3)
            await until(lambda: len(double.asked) >= 2 and a.manager.reconnects_in_s(b.node_id) is not None)
        _nothing_but_the_proxy(past, double, None)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (1, "general SOCKS server failure"),
        (2, "connection not allowed by ruleset"),
        (3, "network unreachable"),
        (4, "host unreachable"),
        (5, "connection refused"),
        (6, "TTL expired"),
        (7, "command not supported"),
        (8, "address type not supported"),
        (240, "unknown error: 240"),
    ],
)
async def test_what_the_proxy_answers_is_told_in_clns_words(reply: int, words: str) -> None:
    async with socks_double(reply=reply) as double, node(config=_config(double), listen=False) as a:
        text = await _fails(a.manager, NodeKey.generate().node_id, f"{ONION}:9735")
        assert text == (
            f"All addresses failed: Error connecting to {ONION}: Tor server reply: {words}. "
            f"{ONION}:9735: Connection establishment: Connection refused. "
        )


async def test_a_proxy_that_is_not_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        config = PeerConfig(proxy=ProxyConfig("127.0.0.1", unused.getsockname()[1]))
        async with node(config=config, listen=False) as a:
            text = await _fails(a.manager, NodeKey.generate().node_id, f"{ONION}:9735")
            assert text == f"All addresses failed: {ONION}:9735: Connection establishment: Connection refused. "


async def test_a_proxy_that_stays_silent_is_waited_for_so_long() -> None:
    async with socks_double(reply=None) as double, node(config=_config(double), listen=False, proxy_s=0.05) as a:
        text = await _fails(a.manager, NodeKey.generate().node_id, f"{ONION}:9735")
        assert text == f"All addresses failed: {ONION}:9735: Connection establishment: Connection timed out. "
        await until(lambda: double.open_streams == 0)


async def test_a_connect_that_is_cancelled_leaves_the_proxy() -> None:
    async with socks_double(reply=None) as double, node(config=_config(double), listen=False) as a:
        connecting = asyncio.create_task(a.manager.connect(NodeKey.generate().node_id, ONION))
        await until(lambda: double.asked)
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        await until(lambda: double.open_streams == 0)


async def test_the_deadline_of_the_handshake_holds_behind_the_proxy() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        clock = ManualClock()
        target = Address.from_socket_name(server.sockets[0].getsockname())
        async with socks_double(target) as double, node(config=_config(double), listen=False, clock=clock) as a:
            connecting = asyncio.create_task(_fails(a.manager, NodeKey.generate().node_id, f"{ONION}:1"))
            await until(lambda: any(session.phase is ConnectPhase.HANDSHAKE for session in a.manager._sessions))
            await clock.advance(60)
            assert await connecting == (
                f"All addresses failed: {ONION}:1: Cryptographic handshake: Connection timed out. "
            )


async def test_a_given_onion_ends_what_is_being_tried_past_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dial that hangs on a silent host, with another address after it, and a `connect` by onion beside it."""
    clock = ManualClock()
    peer = NodeKey.generate().node_id
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        clear = Address.from_socket_name(silent.getsockname())
        after = Address(AddressKind.IPV4, "127.0.0.1", 1)
        async with (
            socks_double() as double,
            node(config=_config(double), listen=False, clock=clock, services=True) as a,
        ):
            a.manager.reconnect_saved([SavedPeer(peer, (clear, after))])
            await clock.advance(1)
            await until(lambda: any(session.phase is ConnectPhase.HANDSHAKE for session in a.manager._sessions))
            with guard(monkeypatch) as past:
                await _fails(a.manager, peer, ONION)
                await until(lambda: a.manager.reconnects_in_s(peer) is not None)
                await clock.advance(3)
                await until(lambda: len(double.asked) >= 2 and a.manager.reconnects_in_s(peer) is not None)
            assert not a.manager._sessions
            _nothing_but_the_proxy(past, double, None)
