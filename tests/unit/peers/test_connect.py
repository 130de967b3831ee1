"""`connect`: addresses, shared outcomes, failures in CLN's words."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from core.base.events import ConnectFailed, ConnectPhase, ConnectProgress, Direction, PeerConnected
from core.bolt.address import Address, AddressKind
from core.bolt.features import from_bits
from core.bolt.keys import NodeKey
from core.bolt.messages import Init
from core.bolt.networks import NETWORKS
from core.bolt.noise import NoiseConnection
from core.peers.errors import (
    AddressAttempt,
    AllAddressesFailed,
    DisconnectedDuringConnect,
    HostNotValid,
    NoAddressKnown,
    OwnNodeId,
    UnknownPeer,
)
from core.peers.reasons import CloseCode
from tests.support.clock import ManualClock
from tests.support.peers import Book, node, turns, until
from tests.support.raw_peer import RawListener, RawPeer, regtest_init

DEAD_IPV4 = Address(AddressKind.IPV4, "127.0.0.1", 1)


def _dial(a, node_id, host, port):
    return asyncio.create_task(a.manager.connect(node_id, host, port))


async def _attempts(task) -> tuple[AddressAttempt, ...]:
    with pytest.raises(AllAddressesFailed) as caught:
        await task
    return caught.value.attempts


@contextlib.contextmanager
def _silent_listener():
    """Accepts TCP in the kernel and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


async def test_two_nodes_connect_and_both_know_each_other() -> None:
    async with node() as a, node() as b:
        info = await a.manager.connect(b.node_id, b.host, b.port)
        await until(b.manager.peers)
        assert (info.node_id, info.direction, info.address) == (b.node_id, Direction.OUT, b.address)
        (theirs,) = b.manager.peers()
        assert (theirs.node_id, theirs.direction) == (a.node_id, Direction.IN)
        assert [event.phase for event in a.seen(ConnectProgress)] == [
            ConnectPhase.DIALLING,
            ConnectPhase.HANDSHAKE,
            ConnectPhase.INIT,
        ]


async def test_every_connection_sends_without_delay() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        for manager in (a.manager, b.manager):
            (session,) = manager._sessions
            link = session.transport._socket.get_extra_info("socket")
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_connecting_to_a_connected_peer_answers_at_once_with_what_is_there() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        again = await a.manager.connect(b.node_id, "127.0.0.1", 1)
        assert again.address == b.address
        assert (await b.manager.connect(a.node_id)).direction is Direction.IN
        assert len(a.seen(PeerConnected)) == 1


async def test_a_refused_connection() -> None:
    async with node() as a:
        attempts = await _attempts(_dial(a, NodeKey.generate().node_id, "127.0.0.1", 1))
        assert attempts == (AddressAttempt("127.0.0.1:1", ConnectPhase.DIALLING, "Connection refused"),)
        assert len(a.seen(ConnectFailed)) == 1


async def test_a_peer_with_another_key_closes_and_the_reason_says_so() -> None:
    async with node() as a, node() as b:
        attempts = await _attempts(_dial(a, NodeKey.generate().node_id, b.host, b.port))
        assert attempts == (
            AddressAttempt(str(b.address), ConnectPhase.HANDSHAKE, "peer closed connection (wrong key?)"),
        )
        assert (await b.closed(CloseCode.HANDSHAKE)).detail == "ACT1_BAD_TAG"


@pytest.mark.parametrize(
    ("conduct", "reason"),
    [
        ("close", "peer closed connection (wrong key?)"),
        ("reset", "Connection reset by peer"),
        ("garbage", "Protocol error"),
    ],
)
async def test_how_a_handshake_fails_is_told_in_clns_words(conduct: str, reason: str) -> None:
    async with node() as a, RawListener() as listener:
        dial = _dial(a, listener.node_id, listener.host, listener.port)
        peer = await listener.accept(handshake=False)
        await peer.reader.readexactly(50)
        match conduct:
            case "close":
                await peer.close()
            case "reset":
                await peer.reset()
            case "garbage":
                await peer.send_raw(b"\x00" * 50)
        assert await _attempts(dial) == (AddressAttempt(f"127.0.0.1:{listener.port}", ConnectPhase.HANDSHAKE, reason),)


@pytest.mark.parametrize(
    ("init", "reason"),
    [
        (None, "peer closed connection"),
        (Init(b"", b"", (NETWORKS["bitcoin"].chain_hash,)), "No common network"),
        (regtest_init(from_bits([1000])), "Unsupported feature 1000 (unknown feature)"),
        (regtest_init(from_bits([61])), "feature 60 requires feature 26"),
    ],
    ids=["closed", "chain", "feature", "dependency"],
)
async def test_how_the_exchange_of_inits_fails_is_told(init: Init | None, reason: str) -> None:
    async with node() as a, RawListener() as listener:
        dial = _dial(a, listener.node_id, listener.host, listener.port)
        peer = await listener.accept()
        if init is not None:
            await peer.exchange_init(init)
            await peer.receive_all()
        await peer.close()
        assert await _attempts(dial) == (AddressAttempt(f"127.0.0.1:{listener.port}", ConnectPhase.INIT, reason),)


async def test_a_silent_peer_times_out_after_60_s() -> None:
    clock = ManualClock()
    with _silent_listener() as port:
        async with node(clock=clock) as a:
            dial = _dial(a, NodeKey.generate().node_id, "127.0.0.1", port)
            await until(lambda: len(a.seen(ConnectProgress)) == 2)
            await clock.advance(59.9)
            assert not dial.done()
            await clock.advance(0.2)
            assert await _attempts(dial) == (
                AddressAttempt(f"127.0.0.1:{port}", ConnectPhase.HANDSHAKE, "Connection timed out"),
            )


async def test_too_many_open_files_is_told_as_cln_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(24, "Too many open files")

    async with node() as a:
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refuse)
        (attempt,) = await _attempts(_dial(a, NodeKey.generate().node_id, "127.0.0.1", 1))
        assert attempt.reason == "Terminated due to too many connections"


async def test_without_any_address() -> None:
    async with node() as a:
        with pytest.raises(NoAddressKnown):
            await a.manager.connect(NodeKey.generate().node_id)


async def test_our_own_id_is_refused() -> None:
    async with node() as a:
        with pytest.raises(OwnNodeId):
            await a.manager.connect(a.node_id, a.host, a.port)


async def test_a_bad_host_is_told_before_anything_else() -> None:
    async with node() as a:
        with pytest.raises(HostNotValid):
            await a.manager.connect(a.node_id, "127.0.0.1:70000")


async def test_addresses_are_tried_one_after_the_other_and_every_failure_is_kept() -> None:
    onion = Address(AddressKind.TORV3, "a" * 56 + ".onion", 9735)
    name = Address(AddressKind.DNS, "nowhere.invalid", 9735)
    async with node() as a:
        somebody = NodeKey.generate().node_id
        a.book.kept[somebody] = [DEAD_IPV4, onion, name, Address(AddressKind.IPV6, "::1", 1)]
        attempts = await _attempts(asyncio.create_task(a.manager.connect(somebody)))
        assert [(attempt.address, attempt.phase, attempt.reason) for attempt in attempts] == [
            ("nowhere.invalid:9735", None, "getaddrinfo error 'Name or service not known'"),
            ("[::1]:1", ConnectPhase.DIALLING, attempts[1].reason),
            ("127.0.0.1:1", ConnectPhase.DIALLING, "Connection refused"),
            (str(onion), None, "need a proxy"),
        ]


async def test_a_later_address_succeeds_and_is_remembered() -> None:
    async with node() as a, node() as b:
        a.book.kept[b.node_id] = [DEAD_IPV4, b.address]
        info = await a.manager.connect(b.node_id)
        assert info.address == b.address
        await until(lambda: a.book.kept[b.node_id] == [DEAD_IPV4, b.address])


async def test_only_an_address_that_we_dialled_is_remembered() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        await until(lambda: a.book.kept == {b.node_id: [b.address]})
        assert b.book.kept == {}


async def test_a_dns_name_is_tried_with_all_its_addresses() -> None:
    async with node() as b:
        assert b.address is not None

        async def resolver(name: str, port: int) -> list[Address]:
            assert (name, port) == ("many.example", 7)
            return [DEAD_IPV4, b.address]

        async with node(resolver=resolver) as a:
            info = await a.manager.connect(b.node_id, "dns:many.example", 7)
            assert info.address == b.address


async def test_several_connects_to_one_peer_share_the_dial_and_its_failure() -> None:
    async with node() as a, RawListener() as listener:
        dials = [_dial(a, listener.node_id, listener.host, listener.port) for _ in range(3)]
        peer = await listener.accept(handshake=False)
        await peer.close()
        assert len({await _attempts(dial) for dial in dials}) == 1
        assert len(a.manager.closed_connections) == 1


async def test_several_connects_to_one_peer_share_its_success() -> None:
    async with node() as a, node() as b:
        infos = await asyncio.gather(*(a.manager.connect(b.node_id, b.host, b.port) for _ in range(5)))
        assert {info.address for info in infos} == {b.address}
        await until(b.manager.peers)
        assert len(b.seen(PeerConnected)) == 1


async def test_a_right_address_rescues_a_connect_that_hangs_on_a_dead_one() -> None:
    with _silent_listener() as port:
        async with node() as a, node() as b:
            hanging = _dial(a, b.node_id, "127.0.0.1", port)
            await until(lambda: len(a.seen(ConnectProgress)) == 2)
            right = await a.manager.connect(b.node_id, b.host, b.port)
            assert (await hanging).address == right.address == b.address


async def test_an_incoming_connection_of_the_peer_settles_the_connect() -> None:
    key = NodeKey.generate()
    with _silent_listener() as port:
        async with node() as a:
            hanging = _dial(a, key.node_id, "127.0.0.1", port)
            await until(lambda: len(a.seen(ConnectProgress)) == 2)
            async with RawPeer.dialled(key, a.node_id, a.host, a.port) as peer:
                await peer.exchange_init()
                assert (await hanging).direction is Direction.IN
                (reason,) = [closed.reason for closed in a.manager.closed_connections]
                assert reason.code is CloseCode.CANCELLED


async def test_a_cancelled_connect_leaves_the_dial_to_the_others_and_the_last_one_ends_it() -> None:
    async with node() as a, RawListener() as listener:
        first, second = (_dial(a, listener.node_id, listener.host, listener.port) for _ in range(2))
        peer = await listener.accept(handshake=False)
        first.cancel()
        await turns()
        assert not a.manager.closed_connections
        second.cancel()
        await asyncio.wait([first, second])
        assert first.cancelled() and second.cancelled()
        await a.closed(CloseCode.CANCELLED)
        assert len(await peer.reader.read()) == 50  # act one, then the end


async def test_a_connect_cancelled_while_the_tcp_connection_is_made_leaves_nothing() -> None:
    async with node() as a, RawListener() as listener:
        dial = _dial(a, listener.node_id, listener.host, listener.port)
        await asyncio.sleep(0)
        dial.cancel()
        await asyncio.wait([dial])
        with pytest.raises(UnknownPeer):
            await a.manager.disconnect(listener.node_id)


async def test_disconnect_during_connect_fails_every_waiting_connect() -> None:
    async with node() as a, RawListener() as listener:
        dials = [_dial(a, listener.node_id, listener.host, listener.port) for _ in range(2)]
        await listener.accept(handshake=False)
        await a.manager.disconnect(listener.node_id)
        for dial in dials:
            with pytest.raises(DisconnectedDuringConnect):
                await dial


async def test_disconnect_during_connect_tries_no_further_address() -> None:
    with _silent_listener() as port:
        async with node() as a, node() as b:
            assert b.address is not None
            a.book.kept[b.node_id] = [Address(AddressKind.IPV4, "127.0.0.1", port), b.address]
            dial = asyncio.create_task(a.manager.connect(b.node_id))
            await until(lambda: len(a.seen(ConnectProgress)) == 2)
            await a.manager.disconnect(b.node_id)
            with pytest.raises(DisconnectedDuringConnect):
                await dial
            await turns()
            assert len(a.seen(ConnectProgress)) == 2
            assert a.manager._sessions == b.manager._sessions == set()


async def test_a_peer_that_leaves_as_it_connects_is_no_success() -> None:
    async with node() as a, node() as b:
        # The moment the session stands its socket ends, before the waiting connect has run.
        a.bus.subscribe(PeerConnected, lambda _event: next(iter(a.manager._sessions)).lost(None))
        with pytest.raises(DisconnectedDuringConnect):
            await a.manager.connect(b.node_id, b.host, b.port)


async def test_stopping_fails_what_waits() -> None:
    async with node() as a, RawListener() as listener:
        dial = _dial(a, listener.node_id, listener.host, listener.port)
        await listener.accept(handshake=False)
        await a.manager.aclose(flush_timeout_s=0)
        with pytest.raises(DisconnectedDuringConnect):
            await dial
        with pytest.raises(DisconnectedDuringConnect):
            await a.manager.connect(listener.node_id, listener.host, listener.port)


async def test_a_local_socket_is_dialled_by_its_path(tmp_path) -> None:
    key = NodeKey.generate()
    path = str(tmp_path / "ln")
    accepted: asyncio.Queue[RawPeer] = asyncio.Queue()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(RawPeer(reader, writer, NoiseConnection.responder(key)))

    server = await asyncio.start_unix_server(take, path)
    async with node() as a:
        dial = _dial(a, key.node_id, path, None)
        peer = await accepted.get()
        await peer.shake_hands()
        await peer.exchange_init()
        assert str((await dial).address) == path
        await peer.close()
    server.close()


class _SlowBook(Book):
    """Knows one address and takes until `read` is set to say so."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address
        self.read = asyncio.Event()

    async def addresses(self, node_id: bytes) -> list[Address]:
        await self.read.wait()
        return [self.address]


async def test_nothing_is_dialled_when_the_peer_came_by_itself_while_its_addresses_were_looked_up() -> None:
    async with RawListener() as listener:
        book = _SlowBook(Address(AddressKind.IPV4, listener.host, listener.port))
        async with node(book=book) as a:
            dial = asyncio.create_task(a.manager.connect(listener.node_id))
            await turns()
            async with RawPeer.dialled(listener.key, a.node_id, a.host, a.port) as peer:
                await peer.exchange_init()
                await until(a.manager.peers)
                book.read.set()
                assert (await asyncio.wait_for(dial, 30)).direction is Direction.IN
                assert a.seen(ConnectProgress) == []


async def test_nothing_is_dialled_when_the_node_stopped_while_addresses_were_looked_up() -> None:
    async with RawListener() as listener:
        book = _SlowBook(Address(AddressKind.IPV4, listener.host, listener.port))
        async with node(book=book) as a:
            dial = asyncio.create_task(a.manager.connect(listener.node_id))
            await turns()
            await a.manager.aclose()
            book.read.set()
            with pytest.raises(DisconnectedDuringConnect):
                await asyncio.wait_for(dial, 30)
            assert a.seen(ConnectProgress) == []
