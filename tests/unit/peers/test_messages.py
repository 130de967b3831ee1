"""What a session does with each kind of message after init (BOLT 1)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from core.base.events import CustomMessage, Direction, PeerDisconnected
from core.bolt.keys import NodeKey
from core.bolt.messages import ALL_CHANNELS, ErrorMessage, WarningMessage
from core.peers.events import PeerNotice
from core.peers.reasons import CloseCode
from tests.support.peers import TestNode, node, until
from tests.support.raw_peer import RawPeer

SOME_CHANNEL = bytes(range(32))


@contextlib.asynccontextmanager
async def talking(**options: object) -> AsyncIterator[tuple[TestNode, RawPeer]]:
    """A node and a raw peer past init."""
    async with node(**options) as a, RawPeer.dialled(NodeKey.generate(), a.node_id, a.host, a.port) as peer:
        await peer.exchange_init()
        await until(a.manager.peers)
        yield a, peer


@pytest.mark.parametrize("length", [0, 1, 600, 65_531])
async def test_a_ping_is_answered_with_a_pong_of_the_length_it_asks_for(length: int) -> None:
    async with talking() as (_, peer):
        await peer.send(b"\x00\x12" + length.to_bytes(2, "big") + b"\x00\x03abc")
        assert await peer.receive() == b"\x00\x13" + length.to_bytes(2, "big") + bytes(length)


@pytest.mark.parametrize("length", [65_532, 65_535])
async def test_a_ping_that_asks_for_too_much_is_ignored(length: int) -> None:
    async with talking() as (_, peer):
        await peer.send(b"\x00\x12" + length.to_bytes(2, "big") + b"\x00\x00")
        assert await peer.pong_after() == []


async def test_bytes_after_a_ping_or_pong_are_fine() -> None:
    async with talking() as (_, peer):
        await peer.send(b"\x00\x12\x00\x01\x00\x00trailing", b"\x00\x13\x00\x00trailing")
        assert await peer.pong_after() == [b"\x00\x13\x00\x01\x00"]


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (b"\x00\x12\x00\x01", "ping"),
        (b"\x00\x12\x00\x01\x00\x09short", "ping"),
        (b"\x00\x13\x00", "pong"),
        (b"\x00\x13\x00\x09short", "pong"),
        (b"\x00\x11short", "error"),
        (b"\x00\x01" + bytes(32) + b"\x00\x09short", "warning"),
        (b"\x00\x20" + bytes(40), "open_channel"),
        (b"\x00\x88" + bytes(20), "channel_reestablish"),
        (b"\x01\x05" + bytes(32), "query_short_channel_ids"),
        (b"\x01\x07" + bytes(35), "query_channel_range"),
        (b"\x01\x09" + bytes(39), "gossip_timestamp_filter"),
    ],
)
async def test_a_malformed_known_message_closes_with_a_warning(message: bytes, name: str) -> None:
    async with talking() as (a, peer):
        await peer.send(message)
        (warning,) = await peer.receive_all()
        assert WarningMessage.decode(warning) == WarningMessage(
            ALL_CHANNELS, f"Invalid {name} {message.hex()}".encode()
        )
        reason = await a.closed(CloseCode.MALFORMED)
        assert (reason.detail, reason.by) == (name, "us")


async def test_an_unknown_even_type_closes_with_a_warning_first() -> None:
    async with talking() as (a, peer):
        await peer.send(b"\x94\x18even", b"\x94\x19after")
        (warning,) = await peer.receive_all()
        assert WarningMessage.decode(warning).text == "Invalid unknown even msg 94186576656e"
        reason = await a.closed(CloseCode.UNKNOWN_EVEN)
        assert (reason.detail, reason.by) == ("type 37912", "us")
        assert [event.reason for event in a.seen(PeerDisconnected)] == [reason]
        assert a.manager.custom_messages() == []


async def test_the_warning_about_a_huge_message_is_short() -> None:
    async with talking() as (_, peer):
        await peer.send(b"\x94\x18" + bytes(60_000))
        (warning,) = await peer.receive_all()
        assert len(warning) < 1_000


async def test_an_unknown_odd_type_is_shown_and_otherwise_ignored() -> None:
    async with talking() as (a, peer):
        await peer.send(b"\x94\x19hello", b"\x00\x6f", b"\x02\x03odd")
        assert await peer.pong_after() == []
        assert [(event.type, event.payload, event.direction) for event in a.seen(CustomMessage)] == [
            (37913, b"hello", Direction.IN),
            (111, b"", Direction.IN),
            (515, b"odd", Direction.IN),
        ]


async def test_messages_without_a_type_are_ignored() -> None:
    async with talking() as (_, peer):
        await peer.send(b"", b"\x12")
        assert await peer.pong_after() == []


@pytest.mark.parametrize(
    ("type_", "shortest"), [(7, 4), (9, 4), (256, 432), (257, 142), (258, 138), (262, 35), (264, 45), (513, 2)]
)
async def test_known_messages_that_are_not_served_pass_in_silence(type_: int, shortest: int) -> None:
    async with talking() as (a, peer):
        message = type_.to_bytes(2, "big") + bytes(shortest - 2)
        await peer.send(message, message + bytes(200))
        assert await peer.pong_after() == []
        assert a.seen(CustomMessage) == []


@pytest.mark.parametrize(
    ("type_", "shortest", "name"),
    [
        (256, 432, "channel_announcement"),
        (257, 142, "node_announcement"),
        (258, 138, "channel_update"),
        (262, 35, "reply_short_channel_ids_end"),
        (264, 45, "reply_channel_range"),
    ],
)
async def test_gossip_that_is_too_short_closes_although_it_is_not_served(type_: int, shortest: int, name: str) -> None:
    """BOLT 1: a known message with insufficient length for its contents MUST close the connection."""
    async with talking() as (a, peer):
        await peer.send(type_.to_bytes(2, "big") + bytes(shortest - 3))
        (warning,) = await peer.receive_all()
        assert WarningMessage.decode(warning).text.startswith(f"Invalid {name} ")
        assert (await a.closed(CloseCode.MALFORMED)).detail == name


async def test_a_warning_is_shown_and_nothing_follows() -> None:
    async with talking() as (a, peer):
        await peer.send(WarningMessage(ALL_CHANNELS, b"careful").encode())
        assert await peer.pong_after() == []
        (notice,) = a.seen(PeerNotice)
        assert (notice.is_error, notice.channel_id, notice.text) == (False, ALL_CHANNELS, "careful")


async def test_an_error_about_the_connection_ends_it() -> None:
    async with talking() as (a, peer):
        await peer.send(ErrorMessage(ALL_CHANNELS, b"enough").encode())
        assert await peer.receive_all() == []
        reason = await a.closed(CloseCode.PEER_ERROR)
        assert (reason.detail, reason.by) == ("enough", "them")


async def test_an_error_about_a_channel_we_do_not_have_is_ignored() -> None:
    async with talking() as (a, peer):
        await peer.send(ErrorMessage(SOME_CHANNEL, b"no").encode())
        assert await peer.pong_after() == []
        (notice,) = a.seen(PeerNotice)
        assert (notice.is_error, notice.channel_id, notice.text) == (True, SOME_CHANNEL, "no")


async def test_a_peers_text_is_cut_and_never_more_than_printable() -> None:
    async with talking(notice_characters=10) as (a, peer):
        await peer.send(WarningMessage(ALL_CHANNELS, b"A" * 50).encode())
        await peer.send(WarningMessage(ALL_CHANNELS, b"\x1b[2J").encode())
        await peer.pong_after()
        assert [notice.text for notice in a.seen(PeerNotice)] == ["AAAAAAAAAA...", "1b5b324a"]


async def test_a_flood_of_custom_messages_is_kept_within_bounds() -> None:
    async with talking(ring_messages=50, ring_bytes=100_000) as (a, peer):
        await peer.send(*(b"\x94\x19" + number.to_bytes(2, "big") for number in range(200)))
        await peer.pong_after()
        kept = a.manager.custom_messages()
        assert [message.cursor for message in kept] == list(range(151, 201))
        assert a.manager.custom_messages(after=7) == kept
        assert a.manager.custom_messages(after=190) == kept[-10:]
        await peer.send(*(b"\x94\x19" + bytes(30_000) for _ in range(20)))
        await peer.pong_after()
        assert len(a.manager.custom_messages()) == 3


async def test_the_peer_going_away_is_the_peers_end_and_a_reset_is_the_networks() -> None:
    async with talking() as (a, peer):
        await peer.close()
        reason = await a.closed(CloseCode.PEER_CLOSED)
        assert reason.by == "them"
    async with talking() as (a, peer):
        await peer.reset()
        reason = await a.closed(CloseCode.NETWORK)
        assert (reason.by, reason.detail) == ("network", "Connection reset by peer")


async def test_what_a_peer_sends_before_it_closes_is_still_heard() -> None:
    async with talking() as (a, peer):
        await peer.send(*(b"\x94\x19" + number.to_bytes(2, "big") for number in range(5_000)))
        await peer.close()
        await a.closed(CloseCode.PEER_CLOSED)
        assert len(a.seen(CustomMessage)) == 5_000


async def test_a_fault_in_a_handler_ends_that_peer_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from core.peers.dispatch import HANDLERS

    def broken(_session: object, _message: bytes) -> None:
        raise RuntimeError("broken")

    monkeypatch.setitem(HANDLERS, 513, broken)
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    async with talking() as (a, peer):
        await peer.send(b"\x02\x01onion")
        assert await peer.receive_all() == []
        await a.closed(CloseCode.INTERNAL)
        assert len(reported) == 1
