"""Who is kept away: node ids, addresses and ranges, with an end by the clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.bolt.keys import NodeKey
from core.channels.states import ChannelState
from core.peers.bans import parse_subject
from core.peers.reasons import CloseCode
from tests.support.clock import ManualClock
from tests.support.peers import TestNode, node, turns, until
from tests.support.raw_peer import RawListener
from tests.unit.rpc.kept import put_channel, served_from
from tests.unit.rpc.parts import Served

NOW = 1_700_000_000
TEN_MINUTES = "2023-11-14T22:23:20Z"
SOMEBODY = NodeKey(bytes(31) + b"\x07").node_id.hex()


def uri(peer: TestNode) -> str:
    return f"{peer.node_id.hex()}@{peer.address}"


async def comes_in(peer: TestNode, rpc: Served) -> bool:
    """Whether the peer gets as far as a connection with us."""
    (bound,) = rpc.node.manager.bound
    before = len(rpc.node.manager.closed_connections)
    asking = asyncio.ensure_future(peer.manager.connect(rpc.node.node_id, bound.host, bound.port))
    await until(lambda: rpc.node.manager.peer(peer.node_id) or len(rpc.node.manager.closed_connections) > before)
    await asyncio.wait([asking])
    return asking.exception() is None and rpc.node.manager.peer(peer.node_id) is not None


async def test_a_banned_node_is_disconnected_not_let_in_and_not_dialled_until_the_end(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, node() as peer:
        peer_id = peer.node_id.hex()
        await client.result("connect", [uri(peer)])
        ban = {"subject": peer_id, "until": NOW + 600, "banned_at": NOW}
        assert await client.result("setban", [peer_id.upper(), 10]) == ban
        assert rpc.node.manager.peers() == []
        assert rpc.node.manager.closed_connections[-1].reason.code is CloseCode.BANNED
        await until(lambda: not peer.manager.peers())
        assert await client.result("listbans") == {"bans": [ban]}
        assert (await client.result("listsavedpeers"))["savedpeers"][0]["banned_until"] == NOW + 600
        refused = (-1, f"{peer_id} is banned until {TEN_MINUTES}")
        assert await client.error("connect", [peer_id]) == refused
        assert await client.error("connect", [uri(peer)]) == refused
        assert not await comes_in(peer, rpc)
        ended = rpc.node.manager.closed_connections[-1]
        assert (ended.node_id, ended.reason.code) == (peer.node_id, CloseCode.BANNED)
        await clock.advance(599)
        await turns()
        assert rpc.node.manager.peers() == []
        assert not await comes_in(peer, rpc)
        await clock.advance(1)
        assert await client.result("listbans") == {"bans": []}
        assert "banned_until" not in (await client.result("listsavedpeers"))["savedpeers"][0]
        assert await comes_in(peer, rpc)


@pytest.mark.parametrize("subject", ["127.0.0.1", "127.0.0.0/8", "::ffff:127.0.0.1", "::ffff:127.0.0.0/104"])
async def test_a_banned_address_gets_not_a_byte_and_is_not_dialled(tmp_path: Path, subject: str) -> None:
    clock = ManualClock()
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, node() as peer, node() as guest:
        await client.result("connect", [uri(peer)])
        assert await comes_in(guest, rpc)
        shown = (await client.result("setban", {"subject": subject, "minutes": "10"}))["subject"]
        assert shown in ("127.0.0.1", "127.0.0.0/8")
        assert rpc.node.manager.peers() == []
        refused = (-1, f"{shown} is banned until {TEN_MINUTES}")
        assert await client.error("connect", [uri(peer)]) == refused
        # Alone, the id leads to addresses that worked; they are named one by one.
        assert await client.error("connect", [peer.node_id.hex()]) == (
            401,
            f"All addresses failed: {peer.address}: banned. ",
        )
        (bound,) = rpc.node.manager.bound
        reader, writer = await asyncio.open_connection(bound.host, bound.port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 30)
        writer.close()
        assert rpc.node.manager.closed_connections[-1].reason.code is CloseCode.BANNED
        assert await client.result("setban", [subject, 0]) == {}
        assert await comes_in(guest, rpc)


async def test_another_range_keeps_nobody_here_away(tmp_path: Path) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client, node() as peer:
        for subject in ("128.0.0.0/8", "127.0.0.2", "::1", "::/0", "10.0.0.1"):
            await client.result("setban", [subject])
        assert await comes_in(peer, rpc)
        bans = (await client.result("listbans"))["bans"]
        assert len(bans) == 5
        assert bans[0]["until"] == NOW + 24 * 3600


async def test_bans_last_over_a_restart_and_run_out_meanwhile(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client:
        await client.result("setban", ["10.0.0.0/8", 5])
        await client.result("setban", [SOMEBODY, 20])
        await client.result("setban", ["::1", 20])
        await client.result("setban", ["::1", 0])
    await clock.advance(600)
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, node() as peer:
        assert [row["subject"] for row in (await client.result("listbans"))["bans"]] == [SOMEBODY]
        await client.result("setban", ["127.0.0.1", 1])
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, node() as peer:
        assert not await comes_in(peer, rpc)


async def test_without_disconnect_a_connection_stays_and_none_follows_it(tmp_path: Path) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client, node() as peer:
        peer_id = peer.node_id.hex()
        connected = await client.result("connect", [uri(peer)])
        await client.result("setban", {"subject": peer_id, "disconnect": False})
        assert rpc.node.manager.peer(peer.node_id) is not None
        assert await client.result("connect", [peer_id]) == connected
        await client.result("disconnect", [peer_id])
        assert (await client.error("connect", [peer_id]))[0] == -1


@pytest.mark.parametrize("by_address", [False, True])
async def test_a_peer_with_an_active_channel_is_banned_only_by_force(tmp_path: Path, by_address: bool) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client, node() as peer:
        await client.result("connect", [uri(peer)])
        await put_channel(rpc, peer.node_id, ChannelState.CHANNELD_NORMAL)
        subject = "127.0.0.1" if by_address else peer.node_id.hex()
        assert await client.error("setban", [subject]) == (
            -1,
            "Peer has (at least one) channel in state CHANNELD_NORMAL",
        )
        assert await client.result("listbans") == {"bans": []}
        assert rpc.node.manager.peer(peer.node_id) is not None
        await client.result("setban", {"subject": subject, "force": True})
        assert rpc.node.manager.peers() == []


@pytest.mark.parametrize("by_address", [False, True])
async def test_a_ban_ends_a_dial(tmp_path: Path, by_address: bool) -> None:
    async with (
        served_from(tmp_path, ManualClock()) as rpc,
        rpc.client() as waiting,
        rpc.client() as client,
        RawListener() as peer,
    ):
        peer_id = peer.node_id.hex()
        asking = asyncio.create_task(waiting.error("connect", [peer_id, "127.0.0.1", peer.port]))
        await peer.accept()
        await client.result("setban", ["127.0.0.1" if by_address else peer_id])
        assert (await asking)[0] == (401 if by_address else 402)
        assert await client.result("listpeers") == {"peers": []}


async def test_a_saved_peer_is_back_once_its_ban_has_ended(tmp_path: Path) -> None:
    clock = ManualClock()
    key = NodeKey.generate()
    async with node() as peer:
        async with served_from(tmp_path, clock, key=key) as rpc, rpc.client() as client:
            await client.result("connect", [uri(peer)])
            await until(peer.manager.peers)
            await client.result("setban", [peer.node_id.hex(), 10])
            await turns()
        async with served_from(tmp_path, clock, key=key) as rpc:
            for _ in range(598):
                await clock.advance(1)
            await turns()
            assert peer.manager.peers() == []
            async with asyncio.timeout(30):
                while not rpc.node.manager.peers():
                    await clock.advance(1)


REFUSED = [
    (["nope"], "subject: should be a node id, an IP address or a range such as 203.0.113.0/24"),
    (["02" + "ff" * 32], "subject: should be a node id, an IP address or a range such as 203.0.113.0/24"),
    (["1.2.3.4:9735"], "subject: should be a node id, an IP address or a range such as 203.0.113.0/24"),
    (["1.2.3.0/33"], "subject: should be a node id, an IP address or a range such as 203.0.113.0/24"),
    ([SOMEBODY, -1], "minutes: should be between 0 and 52704000"),
    ([SOMEBODY, 52_704_001], "minutes: should be between 0 and 52704000"),
    ([SOMEBODY, 1, "yes"], "disconnect: should be 'true' or 'false'"),
]


@pytest.mark.parametrize(("params", "text"), REFUSED, ids=[str(row[0]) for row in REFUSED])
async def test_setban_refuses(tmp_path: Path, params: list[object], text: str) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client:
        assert await client.error("setban", params) == (-32602, f"{text}: invalid token (see logs for details)")
        assert await client.result("listbans") == {"bans": []}


async def test_nobody_bans_himself_and_what_is_not_banned_cannot_be_lifted(tmp_path: Path) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client:
        assert await client.error("setban", [rpc.node.node_id.hex()]) == (
            -32602,
            "subject: should not be the node's own id: invalid token (see logs for details)",
        )
        assert await client.error("setban", [SOMEBODY, 0]) == (-1, f"{SOMEBODY} is not banned")
        for command in ("listsavedpeers", "setpeer", "forgetpeer", "listbans", "setban"):
            (row,) = (await client.result("help", [command]))["help"]
            assert row["description"].startswith("Leyden's own: ")


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.1.2.3/32", "10.1.2.3"),
        ("2001:DB8::0001", "2001:db8::1"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("fe80::1%eth0", "fe80::1"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_a_subject_has_one_form(text: str, subject: str) -> None:
    assert parse_subject(text) == subject
    assert parse_subject(subject) == subject
