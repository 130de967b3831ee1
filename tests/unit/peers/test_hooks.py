"""Who stands above may look at new peers and at their messages; meanwhile that peer alone waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from core.base.events import CustomMessage, Direction, PeerConnected
from core.bolt.keys import NodeKey
from core.peers.errors import AllAddressesFailed, CustomTypeEven, UnknownPeer
from core.peers.events import PeerNotice
from core.peers.hooks import Refused
from core.peers.reasons import CloseCode
from core.peers.values import PeerConfig, PeerInfo
from tests.support.peers import TestNode, node, turns, until
from tests.support.raw_peer import RawPeer, regtest_init


class Hooks:
    """`PeerHooks` that answer when the test says so."""

    def __init__(self, *, peers: bool = False, messages: bool = False, even: frozenset[int] = frozenset()) -> None:
        self.peers, self.messages, self.even = peers, messages, even
        self.introduced: list[tuple[PeerInfo, Callable[[Refused | None], None]]] = []
        self.asked: list[tuple[bytes, Callable[[], None]]] = []

    def takes(self, type_: int) -> bool:
        return type_ in self.even

    def peer_connected(self, peer: PeerInfo, done: Callable[[Refused | None], None]) -> bool:
        if self.peers:
            self.introduced.append((peer, done))
        return self.peers

    def custom_message(self, peer_id: bytes, message: bytes, done: Callable[[], None]) -> bool:
        if self.messages:
            self.asked.append((message, done))
        return self.messages


async def test_the_next_message_of_a_peer_is_read_once_the_last_was_looked_at() -> None:
    hooks = Hooks(messages=True)
    async with node(hooks=hooks) as a, node() as b, node() as c:
        await a.connect_to(b)
        await a.connect_to(c)
        for number in range(5):
            b.manager.send_custom(a.node_id, b"\x9c\x41" + bytes([number]))
        await until(lambda: hooks.asked)
        await turns()
        assert [message[2] for message, _ in hooks.asked] == [0]
        assert [event.payload for event in a.seen(CustomMessage)] == [b"\x00"]
        c.manager.send_custom(a.node_id, b"\x9c\x41other")  # another peer is not held
        await until(lambda: len(hooks.asked) == 2)
        for number in range(1, 5):
            hooks.asked[0 if number == 1 else number][1]()
            await until(lambda: len(hooks.asked) == number + 2)  # noqa: B023
        payloads = [event.payload for event in a.seen(CustomMessage)]
        assert payloads == [b"\x00", b"other", b"\x01", b"\x02", b"\x03", b"\x04"]


async def test_what_a_peer_said_before_it_left_is_still_looked_at() -> None:
    hooks = Hooks(messages=True)
    async with node(hooks=hooks) as a, node() as b:
        await a.connect_to(b)
        for number in range(3):
            b.manager.send_custom(a.node_id, b"\x9c\x41" + bytes([number]))
        leaving = asyncio.create_task(b.manager.disconnect(a.node_id))
        for number in range(3):
            await until(lambda: len(hooks.asked) == number + 1)  # noqa: B023
            await turns()
            hooks.asked[number][1]()
        await leaving
        await a.closed(CloseCode.PEER_CLOSED)
        assert len(a.seen(CustomMessage)) == 3


async def test_a_peer_that_is_gone_meanwhile_is_not_missed() -> None:
    hooks = Hooks(messages=True)
    async with node(hooks=hooks) as a, node() as b:
        await a.connect_to(b)
        b.manager.send_custom(a.node_id, b"\x9c\x41")
        await until(lambda: hooks.asked)
        await a.manager.disconnect(b.node_id)
        hooks.asked[0][1]()
        assert a.manager.peer(b.node_id) is None


async def test_a_new_peer_is_there_once_it_is_wanted_and_can_be_written_to_before() -> None:
    hooks = Hooks(peers=True)
    async with node(hooks=hooks) as a, node() as b:
        connecting = asyncio.create_task(a.manager.connect(b.node_id, b.host, b.port))
        await until(lambda: hooks.introduced)
        (shown, done) = hooks.introduced[0]
        assert (shown.node_id, shown.direction) == (b.node_id, Direction.OUT)
        assert a.manager.peer(b.node_id) is None
        a.manager.send_custom(b.node_id, b"\x9c\x41early")
        await until(lambda: b.seen(CustomMessage))
        b.manager.send_custom(a.node_id, b"\x9c\x41answer")
        await turns()
        assert [event.direction for event in a.seen(CustomMessage)] == [Direction.OUT]
        assert not connecting.done()
        done(None)
        assert (await connecting).node_id == b.node_id
        await until(lambda: [one for one in a.seen(CustomMessage) if one.payload == b"answer"])
        assert len(a.seen(PeerConnected)) == 1


@pytest.mark.parametrize("warning", ["not today", None])
async def test_a_peer_that_is_not_wanted_is_told_and_sent_away(warning: str | None) -> None:
    hooks = Hooks(peers=True)
    async with node(hooks=hooks) as a, node() as b:
        connecting = asyncio.create_task(a.manager.connect(b.node_id, b.host, b.port))
        await until(lambda: hooks.introduced)
        hooks.introduced[0][1](Refused(warning))
        with pytest.raises(AllAddressesFailed):
            await connecting
        await a.closed(CloseCode.UNWANTED)
        await b.closed()
        assert [notice.text for notice in b.seen(PeerNotice)] == ([warning] if warning else [])
        assert not a.seen(PeerConnected)


@pytest.mark.parametrize("dials", ["we", "they"])
async def test_a_peer_that_is_not_judged_yet_is_known_and_can_be_disconnected(dials: str) -> None:
    hooks = Hooks(peers=True)
    async with node(hooks=hooks) as a, node() as b:
        from_node, to_node = (a, b) if dials == "we" else (b, a)
        connecting = asyncio.create_task(from_node.manager.connect(to_node.node_id, to_node.host, to_node.port))
        await until(lambda: hooks.introduced)
        assert a.manager.is_known(b.node_id)
        await a.manager.disconnect(b.node_id)
        await b.closed(CloseCode.PEER_CLOSED)
        assert a.last_reason().code is (CloseCode.CANCELLED if dials == "we" else CloseCode.REQUESTED)
        assert not a.manager.is_known(b.node_id)
        hooks.introduced[0][1](None)  # too late
        await asyncio.gather(connecting, return_exceptions=True)
        assert not a.seen(PeerConnected)
        with pytest.raises(UnknownPeer):
            await a.manager.disconnect(b.node_id)


async def test_an_even_type_that_is_for_somebody_is_delivered_and_another_ends_the_connection() -> None:
    hooks = Hooks(even=frozenset({43690}))
    sends_even = PeerConfig(allow_even_custom_messages=True)
    async with node(hooks=hooks) as a, node(config=sends_even) as b:
        await a.connect_to(b)
        b.manager.send_custom(a.node_id, b"\xaa\xaafor somebody")
        await until(lambda: a.seen(CustomMessage))
        assert a.seen(CustomMessage)[0].payload == b"for somebody"
        b.manager.send_custom(a.node_id, b"\xaa\xacfor nobody")
        reason = await a.closed(CloseCode.UNKNOWN_EVEN)
        assert reason.detail == "type 43692"


async def test_even_types_are_refused_unless_they_are_allowed() -> None:
    async with node() as a, node() as b:
        await a.connect_to(b)
        with pytest.raises(CustomTypeEven):
            a.manager.send_custom(b.node_id, b"\xaa\xaa")
        assert not _sent(a)


def _sent(a: TestNode) -> list[CustomMessage]:
    return [event for event in a.seen(CustomMessage) if event.direction is Direction.OUT]


async def test_of_a_peer_that_is_cut_off_before_it_is_judged_nothing_more_is_taken() -> None:
    hooks = Hooks(peers=True)
    async with node(hooks=hooks) as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.send(*[regtest_init().encode()] * 2)
        await until(lambda: hooks.introduced)
        await turns()
        (session,) = a.manager._sessions
        session.transport._socket.abort()  # type: ignore[union-attr]
        await a.closed(CloseCode.PEER_CLOSED)
        assert len(hooks.introduced) == 1
