"""What is kept of peers, over the socket: addresses, labels, redialling, forgetting; `disconnect` by the records."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.base.events import PeerConnected
from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.channels.states import ACTIVE_STATES, ChannelState
from tests.support.clock import ManualClock
from tests.support.peers import TestNode, node, turns, until
from tests.support.raw_peer import RawListener
from tests.unit.rpc.kept import put_channel, served_from
from tests.unit.rpc.parts import Client, Served

NOW = 1_700_000_000
SOMEBODY = NodeKey(bytes(31) + b"\x07").node_id.hex()


def uri(peer: TestNode) -> str:
    return f"{peer.node_id.hex()}@{peer.address}"


async def saved(client: Client) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await client.result("listsavedpeers"))["savedpeers"]
    return found


async def until_saved(client: Client, wanted: int = 1) -> list[dict[str, object]]:
    """What is dialled is kept in the background."""
    async with asyncio.timeout(30):
        while len(found := await saved(client)) < wanted:
            await asyncio.sleep(0.001)
    return found


async def until_failed(client: Client) -> dict[str, object]:
    async with asyncio.timeout(30):
        while "last_failure" not in (found := (await saved(client))[0]["addresses"][0]):  # type: ignore[index]
            await asyncio.sleep(0.001)
    return found


async def lose(peer: TestNode, rpc: Served) -> None:
    """The peer drops the line without a word."""
    for session in tuple(peer.manager._sessions):
        session.transport.abort()
    await until(lambda: not rpc.node.manager.peers())


async def test_a_dialled_peer_is_kept_with_its_address_and_a_guest_is_not(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, node() as peer, node() as guest:
        assert await saved(client) == []
        (bound,) = rpc.node.manager.bound
        await guest.manager.connect(rpc.node.node_id, bound.host, bound.port)
        await client.result("connect", [uri(peer)])
        assert await until_saved(client) == [
            {
                "id": peer.node_id.hex(),
                "connected": True,
                "label": "",
                "note": "",
                "saved_at": NOW,
                "addresses": [
                    {
                        "type": "ipv4",
                        "address": "127.0.0.1",
                        "port": peer.port,
                        "learnt": "connect",
                        "last_success": NOW,
                    }
                ],
            }
        ]
        assert len((await client.result("listpeers"))["peers"]) == 2
        await client.result("disconnect", [peer.node_id.hex()])
        assert [row["id"] for row in (await client.result("listpeers"))["peers"]] == [guest.node_id.hex()]
        (found,) = await saved(client)
        assert (found["connected"], "next_attempt_in" in found) == (False, False)


async def test_only_dials_in_vain_are_noted_and_only_of_addresses_that_worked(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, node() as peer:
        await client.result("connect", [uri(peer)])
        await until_saved(client)
        await client.result("disconnect", [peer.node_id.hex()])
        await peer.manager.aclose(flush_timeout_s=0)
        await clock.advance(60)
        code, _ = await client.error("connect", [peer.node_id.hex(), "127.0.0.1", 1])
        assert code == 401
        address = await until_failed(client)
        assert (address["port"], address["last_success"], address["last_failure"]) == (peer.port, NOW, NOW + 60)
        (found,) = await saved(client)
        assert len(found["addresses"]) == 1  # type: ignore[arg-type]


async def test_an_address_where_somebody_else_answers_has_failed(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, RawListener() as stranger:
        was_here = Address(AddressKind.IPV4, "127.0.0.1", stranger.port)
        await rpc.node.manager._book.remember(bytes.fromhex(SOMEBODY), was_here)
        await clock.advance(5)
        asking = asyncio.create_task(client.error("connect", [SOMEBODY]))
        await (await stranger.accept(handshake=False)).close()
        assert (await asking)[0] == 401
        assert (await until_failed(client))["last_failure"] == NOW + 5


async def test_an_id_alone_is_dialled_where_it_was_reached_before(tmp_path: Path) -> None:
    clock = ManualClock()
    async with node() as peer:
        async with served_from(tmp_path, clock) as rpc, rpc.client() as client:
            await client.result("connect", [uri(peer)])
            await until_saved(client)
            await client.result("disconnect", [peer.node_id.hex()])
            assert (await client.result("connect", [peer.node_id.hex()]))["address"]["port"] == peer.port
        await until(lambda: not peer.manager.peers())


async def test_in_cln_strict_an_id_alone_has_no_address(tmp_path: Path) -> None:
    clock = ManualClock()
    async with node() as peer, served_from(tmp_path, clock, cln_strict=True) as rpc, rpc.client() as client:
        await client.result("connect", [uri(peer)])
        await until_saved(client)
        await client.result("disconnect", [peer.node_id.hex()])
        assert await client.error("connect", [peer.node_id.hex()]) == (
            400,
            "Unable to connect, no address known for peer",
        )


async def test_saved_peers_come_back_after_a_restart_with_their_labels(tmp_path: Path) -> None:
    clock = ManualClock()
    key = NodeKey.generate()
    async with node() as peer:
        async with served_from(tmp_path, clock, key=key) as rpc, rpc.client() as client:
            await client.result("connect", [uri(peer)])
            await client.result("setpeer", [peer.node_id.hex(), "café", "two\nlines"])
            await until_saved(client)
        await until(lambda: not peer.manager.peers())
        await clock.advance(500)
        async with served_from(tmp_path, clock, key=key) as rpc, rpc.client() as client:
            await until(lambda: rpc.node.manager.peer(peer.node_id))
            await turns()
            (found,) = await saved(client)
            assert (found["label"], found["note"], found["saved_at"]) == ("café", "two\nlines", NOW)


async def test_the_next_attempt_is_shown_and_doubles(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, node() as peer:
        await client.result("connect", [uri(peer)])
        await until_saved(client)
        await peer.manager.aclose(flush_timeout_s=0)
        await until(lambda: not rpc.node.manager.peers())
        waits = []
        for _ in range(11):
            (found,) = await saved(client)
            wait = found["next_attempt_in"]
            assert isinstance(wait, (int, float))
            waits.append(wait)
            due, attempt_at = rpc.node.manager.reconnects_in_s, clock.monotonic() + wait
            # The dial needs real turns of the loop, the wait only the clock's.
            while clock.monotonic() < attempt_at:
                await clock.advance(1)
            await until(lambda: due(peer.node_id) is not None and due(peer.node_id) > 0)  # noqa: B023
        for wait, expected in zip(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300], strict=True):
            assert expected <= wait <= expected + 1
        assert any(wait % 1 for wait in waits)


async def test_what_was_disconnected_is_not_dialled_by_itself_until_it_is_connected(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, node() as peer:
        came: list[PeerConnected] = []
        rpc.node.bus.subscribe(PeerConnected, came.append)
        await client.result("connect", [uri(peer)])
        await client.result("disconnect", [peer.node_id.hex()])
        await clock.advance(700)
        await turns()
        assert len(came) == 1
        await client.result("connect", [uri(peer)])
        await lose(peer, rpc)
        assert "next_attempt_in" in (await saved(client))[0]


REFUSED = [
    ("setpeer", [SOMEBODY, "x" * 65], "label: should be at most 64 characters"),
    ("setpeer", [SOMEBODY, "two\nlines"], "label: should be text that can be shown, in one line"),
    ("setpeer", [SOMEBODY, "\u202eexe.yletnecni"], "label: should be text that can be shown, in one line"),
    ("setpeer", [SOMEBODY, "x", "y" * 2001], "note: should be at most 2000 characters"),
    ("setpeer", [SOMEBODY, "x", "\x07"], "note: should be text that can be shown, in lines"),
    ("setpeer", ["nope"], "id: should be a node id"),
    ("forgetpeer", [SOMEBODY, "some.name:9"], "address: should be an address such as 203.0.113.7:9735"),
    ("forgetpeer", [SOMEBODY, "127.0.0.1:0"], "address: should be an address such as 203.0.113.7:9735"),
    ("listsavedpeers", ["nope"], "id: should be a node id"),
]


@pytest.mark.parametrize(("method", "params", "text"), REFUSED, ids=[f"{row[0]} {row[2]}" for row in REFUSED])
async def test_refuses(tmp_path: Path, method: str, params: list[str], text: str) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client:
        assert await client.error(method, params) == (-32602, f"{text}: invalid token (see logs for details)")
        assert await saved(client) == []


async def test_a_label_and_a_note_stand_until_they_are_changed(tmp_path: Path) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client:
        both = {"id": SOMEBODY, "label": 'a "friend"', "note": "met at\nthe club"}
        assert await client.result("setpeer", both) == both
        assert await client.result("setpeer", {"id": SOMEBODY, "label": None}) == both
        assert await client.result("setpeer", {"id": SOMEBODY, "note": ""}) == {**both, "note": ""}
        (found,) = await saved(client)
        assert (found["label"], found["note"], found["addresses"]) == ('a "friend"', "", [])
        assert await client.result("listpeers") == {"peers": []}
        assert await client.error("disconnect", [SOMEBODY]) == (-32602, f"Unknown peer '{SOMEBODY}'")
        assert (await client.error("connect", [SOMEBODY]))[0] == 400


async def test_an_address_is_forgotten_or_the_whole_peer_and_the_connection_stays(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served_from(tmp_path, clock) as rpc, rpc.client() as client, node() as peer:
        await client.result("connect", [uri(peer)])
        await until_saved(client)
        await client.result("setpeer", [peer.node_id.hex(), "friend"])
        peer_id = peer.node_id.hex()
        assert await client.error("forgetpeer", [peer_id, "127.0.0.1:1"]) == (
            -1,
            f"{peer_id} is not saved with 127.0.0.1:1",
        )
        assert await client.result("forgetpeer", [peer_id, str(peer.address)]) == {}
        (found,) = await saved(client)
        assert (found["label"], found["addresses"]) == ("friend", [])
        assert await client.result("forgetpeer", {"id": peer_id}) == {}
        assert await saved(client) == []
        assert await client.error("forgetpeer", [peer_id]) == (-1, f"{peer_id} is not saved")
        assert rpc.node.manager.peer(peer.node_id) is not None
        await lose(peer, rpc)
        assert rpc.node.manager.reconnects_in_s(peer.node_id) is None
        assert (await client.error("connect", [peer_id]))[0] == 400


@pytest.mark.parametrize("whole", [False, True])
async def test_what_is_forgotten_is_not_dialled_by_itself_again(tmp_path: Path, whole: bool) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client, node() as peer:
        await client.result("connect", [uri(peer)])
        await until_saved(client)
        await client.result("forgetpeer", [peer.node_id.hex(), *([] if whole else [str(peer.address)])])
        await lose(peer, rpc)
        assert rpc.node.manager.reconnects_in_s(peer.node_id) is None


# Disconnect by the channel records


@pytest.mark.parametrize("state", sorted(ACTIVE_STATES))
async def test_disconnect_names_the_state_of_an_active_channel_and_can_be_forced(
    tmp_path: Path, state: ChannelState
) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client, node() as peer:
        await client.result("connect", [uri(peer)])
        await put_channel(rpc, peer.node_id, state)
        peer_id = peer.node_id.hex()
        refused = (-1, f"Peer has (at least one) channel in state {state.value}")
        assert await client.error("disconnect", [peer_id]) == refused
        assert await client.error("check", ["disconnect", peer_id]) == refused
        assert await client.result("check", ["disconnect", peer_id, True]) == {"command_to_check": "disconnect"}
        assert rpc.node.manager.peer(peer.node_id) is not None
        assert await client.result("disconnect", [peer_id, True]) == {}
        offline = (-1, "Peer not connected")
        assert await client.error("disconnect", [peer_id]) == offline
        assert await client.error("check", ["disconnect", peer_id]) == offline


async def test_a_channel_that_is_not_active_makes_a_peer_known_and_does_not_keep_it(tmp_path: Path) -> None:
    async with served_from(tmp_path, ManualClock()) as rpc, rpc.client() as client, node() as peer:
        await client.result("connect", [uri(peer)])
        await put_channel(rpc, peer.node_id, ChannelState.ONCHAIN)
        peer_id = peer.node_id.hex()
        assert await client.result("disconnect", [peer_id]) == {}
        assert await client.error("disconnect", [peer_id]) == (-1, "Peer not connected")
        assert await client.error("sendcustommsg", [peer_id, "8001"]) == (-32600, "Peer is not connected")
        assert await client.error("disconnect", [peer_id, "true"]) == (
            -32602,
            "force: should be 'true' or 'false': invalid token (see logs for details)",
        )
        await put_channel(rpc, peer.node_id, ChannelState.CLOSED)
        assert await client.error("disconnect", [peer_id]) == (-32602, f"Unknown peer '{peer_id}'")
