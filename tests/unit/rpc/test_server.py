"""The socket: who may use it, in what order it answers, what a careless client can and cannot do."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from core.base.events import CustomMessage, Direction
from core.rpc import connection, server
from core.rpc.commands import messages
from core.rpc.server import RpcServer
from tests.support.peers import node as peer_node
from tests.support.peers import turns, until
from tests.support.raw_peer import RawListener
from tests.unit.rpc.parts import Client, Served, SmallNode, served

GETINFO = '{"jsonrpc":"2.0","id":%d,"method":"getinfo","params":{}}'


async def test_the_socket_is_its_owners_alone_whatever_the_umask_is() -> None:
    before = os.umask(0)
    try:
        async with served() as rpc:
            assert stat.S_IMODE(os.stat(rpc.path).st_mode) == 0o600
    finally:
        os.umask(before)


async def test_nobody_can_connect_before_the_socket_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    chmod = os.chmod

    def connect_first(path: str | Path, mode: int) -> None:
        with socket.socket(socket.AF_UNIX) as early:
            tried.append(early.connect_ex(os.fspath(path)))
        chmod(path, mode)

    monkeypatch.setattr(server.os, "chmod", connect_first)
    async with served():
        assert tried
        assert all(tried)


async def test_closing_leaves_no_socket_and_ends_every_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLOSE_TIMEOUT_S", 1000)
    async with served() as rpc, rpc.client() as client, rpc.client() as idle:
        await client.result("getinfo")
        await rpc.server.aclose()
        assert not rpc.path.exists()
        assert await client.next() is None
        assert await idle.next() is None


async def test_closing_spares_a_socket_that_is_not_ours_any_more() -> None:
    async with served() as rpc:
        rpc.path.unlink()
        rpc.path.write_text("somebody else's")
        await rpc.server.aclose()
        assert rpc.path.read_text() == "somebody else's"


async def test_a_start_that_fails_leaves_nothing_behind() -> None:
    with tempfile.TemporaryDirectory(prefix="ly") as folder:
        small = SmallNode(Path(folder))
        small.paths.socket.write_text("in the way")
        with pytest.raises(OSError, match="in use"):
            await RpcServer.start(small, small.paths.socket)
        assert small.paths.socket.read_text() == "in the way"
        small.paths.socket.unlink()
        again = await RpcServer.start(small, small.paths.socket)
        await again.aclose()


async def test_requests_without_anything_between_them_are_answered_in_their_order() -> None:
    async with served() as rpc, rpc.client() as client:
        await client.send("".join(GETINFO % number for number in range(200)))
        numbers = [json.loads(await client.next() or "")["id"] for _ in range(200)]
        assert numbers == list(range(200))


async def test_a_request_that_waits_holds_up_no_other() -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        connect = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": "slow",
                "method": "connect",
                "params": [f"{peer.node_id.hex()}@127.0.0.1:{peer.port}"],
            }
        )
        await client.send(connect + GETINFO % 2)
        assert json.loads(await client.next() or "")["id"] == 2
        await (await peer.accept()).exchange_init()
        assert json.loads(await client.next() or "")["id"] == "slow"


async def test_a_client_that_hangs_up_after_its_request_is_still_answered() -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as peer:
        await client.send(
            GETINFO % 1
            + json.dumps(
                {"jsonrpc": "2.0", "id": 2, "method": "connect", "params": [peer.node_id.hex(), "127.0.0.1", peer.port]}
            )
        )
        client.writer.write_eof()
        assert json.loads(await client.next() or "")["id"] == 1
        await (await peer.accept()).exchange_init()
        assert json.loads(await client.next() or "")["id"] == 2
        assert await client.next() is None


async def test_a_connect_goes_on_when_its_caller_leaves() -> None:
    async with served() as rpc, RawListener() as listener:
        async with rpc.client() as client:
            await client.send(
                json.dumps(
                    {
                        "jsonrpc": "2.0",
                        "id": 1,
                        "method": "connect",
                        "params": [listener.node_id.hex(), "127.0.0.1", listener.port],
                    }
                )
            )
            peer = await listener.accept()
        await peer.exchange_init()
        await until(lambda: rpc.node.manager.peer(listener.node_id))


async def test_closing_gives_up_what_waits() -> None:
    async with served() as rpc, rpc.client() as client, RawListener() as listener:
        asking = asyncio.create_task(client.ask("connect", [listener.node_id.hex(), "127.0.0.1", listener.port]))
        await listener.accept()
        await asyncio.wait_for(rpc.server.aclose(), 30)
        with pytest.raises(AssertionError):
            await asking


async def test_replies_to_a_client_that_does_not_read_stay_bounded() -> None:
    async with served() as rpc, rpc.client() as client, rpc.client() as other:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write((GETINFO % 1).encode() * 8_000)
        await turns(2_000)
        assert (await other.result("getinfo"))["network"] == "regtest"
        (stuck,) = [one for one in rpc.server._connections if not one._writable]
        assert stuck._transport is not None
        assert stuck._transport.get_write_buffer_size() < 1 << 18
        assert len(stuck._splitter._buffer) < 1 << 20
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(8_000):
            assert await client.next()


async def test_closing_waits_only_so_long_for_a_client_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLOSE_TIMEOUT_S", 0.05)
    async with served() as rpc, rpc.client() as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write((GETINFO % 1).encode() * 2_000)
        await until(lambda: [one for one in rpc.server._connections if not one._writable])
        await rpc.server.aclose()
        assert not rpc.server._connections


async def test_a_client_may_have_only_so_many_requests_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PENDING_REQUESTS", 2)
    async with served() as rpc, rpc.client() as client, RawListener() as listener:
        connect = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "connect",
                "params": [listener.node_id.hex(), "127.0.0.1", listener.port],
            }
        )
        await client.send(connect * 3 + GETINFO % 2)
        peer = await listener.accept()
        (here,) = rpc.server._connections
        assert here._pending == 2
        await peer.exchange_init()
        assert sorted([json.loads(await client.next() or "")["id"] for _ in range(4)]) == [1, 1, 1, 2]


async def test_a_fault_of_ours_is_answered_and_reported() -> None:
    async with served() as rpc, rpc.client() as client:
        reported: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: reported.append(context.get("exception")))
        rpc.node.version = object()  # type: ignore[assignment]
        assert await client.error("getinfo") == (-32603, "Internal error: TypeError")
        del rpc.node.version
        assert await client.result("getinfo")
        assert [type(error) for error in reported] == [TypeError]


# -- notifications


async def _next_notification(client: Client) -> dict[str, object]:
    found = json.loads(await client.next() or "")
    assert "id" not in found
    assert found.pop("jsonrpc") == "2.0"
    return dict(found)


async def test_whoever_asked_is_told_of_peers_and_their_custom_messages() -> None:
    async with served() as rpc, rpc.client() as client, rpc.client() as silent, peer_node() as peer:
        assert await client.result("notifications", {"enable": True}) == {}
        await silent.result("getinfo")
        await rpc.node.manager.connect(peer.node_id, peer.host, peer.port)
        peer_id, address = peer.node_id.hex(), {"type": "ipv4", "address": "127.0.0.1", "port": peer.port}
        assert await _next_notification(client) == {
            "method": "connect",
            "params": {"connect": {"id": peer_id, "direction": "out", "address": address}},
        }
        await until(lambda: peer.manager.peer(rpc.node.node_id))
        peer.manager.send_custom(rpc.node.node_id, bytes.fromhex("8001abcd"))
        rpc.node.manager.send_custom(peer.node_id, bytes.fromhex("8003"))
        assert await _next_notification(client) == {
            "method": "custommsg",
            "params": {"custommsg": {"peer_id": peer_id, "payload": "8001abcd"}},
        }
        await peer.manager.disconnect(rpc.node.node_id)
        assert await _next_notification(client) == {"method": "disconnect", "params": {"disconnect": {"id": peer_id}}}
        await silent.send(GETINFO % 9)
        assert json.loads(await silent.next() or "")["id"] == 9


def _arrived(rpc: Served, payload: bytes) -> None:
    rpc.node.bus.publish(CustomMessage(1, 0.0, bytes(33), Direction.IN, 0x8001, payload))


async def test_nothing_comes_between_a_request_and_its_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyln-client takes the first thing without an id for a broken reply."""
    monkeypatch.setattr(connection, "QUIET_S", 0.0)
    async with served() as rpc, rpc.client() as client, RawListener() as listener:
        await client.result("notifications", [True])
        asking = asyncio.create_task(client.ask("connect", [listener.node_id.hex(), "127.0.0.1", listener.port]))
        peer = await listener.accept()
        _arrived(rpc, b"meanwhile")
        await turns()
        await peer.exchange_init()
        assert (await asking)["result"]["id"] == listener.node_id.hex()
        assert [(await _next_notification(client))["method"] for _ in range(2)] == ["custommsg", "connect"]


async def test_nothing_comes_between_enabling_and_the_next_request() -> None:
    async with served() as rpc, rpc.client() as client:
        await client.result("notifications", [True])
        _arrived(rpc, b"soon")
        await turns(20)
        assert (await client.ask("getinfo"))["id"] == "1"
        assert (await _next_notification(client))["method"] == "custommsg"


async def test_whoever_turns_notifications_off_hears_no_more() -> None:
    async with served() as rpc, rpc.client() as client:
        await client.result("notifications", [True])
        _arrived(rpc, b"still held back")
        await client.result("notifications", [False])
        _arrived(rpc, b"never")
        await asyncio.sleep(2 * connection.QUIET_S)
        assert (await client.ask("getinfo"))["id"] == "1"


async def test_what_waits_for_a_slow_listener_is_bounded_and_the_oldest_goes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "HELD_NOTIFICATION_BYTES", 1000)
    async with served() as rpc, rpc.client() as client:
        await client.result("notifications", [True])
        for number in range(50):
            _arrived(rpc, bytes([number]) * 50)
        first = await _next_notification(client)
        assert first["params"]["custommsg"]["payload"] != "8001" + "00" * 50  # type: ignore[index]
        assert "was not told of" in caplog.text


# -- custom messages


async def test_listcustommsgs_gives_what_peers_sent_newest_last_after_a_cursor() -> None:
    async with served() as rpc, rpc.client() as client, peer_node() as peer:
        await rpc.node.manager.connect(peer.node_id, peer.host, peer.port)
        await until(lambda: peer.manager.peer(rpc.node.node_id))
        for number in range(3):
            peer.manager.send_custom(rpc.node.node_id, bytes([0x80, 1, number]))
            rpc.node.manager.send_custom(peer.node_id, b"\x80\x03ours")
        await until(lambda: len(rpc.node.manager.custom_messages()) == 6)
        found = (await client.result("listcustommsgs"))["custommsgs"]
        assert [list(row) for row in found] == [["cursor", "time", "peer_id", "payload", "type"]] * 3
        assert [row["payload"] for row in found] == ["800100", "800101", "800102"]
        assert {(row["type"], row["peer_id"]) for row in found} == {(0x8001, peer.node_id.hex())}
        assert sorted(row["cursor"] for row in found) == [row["cursor"] for row in found]
        after = {"after": found[0]["cursor"]}
        assert (await client.result("listcustommsgs", after))["custommsgs"] == found[1:]
        assert (await client.result("listcustommsgs", after | {"limit": 1}))["custommsgs"] == found[1:2]
        assert (await client.result("listcustommsgs", [found[-1]["cursor"]]))["custommsgs"] == []
        assert (await client.error("listcustommsgs", ["x"]))[1].startswith(
            "after: should be an unsigned 64 bit integer"
        )
        assert (await client.error("listcustommsgs", [0, 0]))[1].startswith("limit: should be between 1 and 1000")


async def test_a_long_list_is_cut_and_goes_on_after_its_last_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LIST_PAYLOAD_BYTES", 25)
    kept = [CustomMessage(cursor, 0.0, bytes(33), Direction.IN, 0x8001, bytes(10)) for cursor in range(1, 6)]
    async with served() as rpc, rpc.client() as client:
        monkeypatch.setattr(
            rpc.node.manager, "custom_messages", lambda after: [one for one in kept if one.cursor > after]
        )
        seen, after = [], 0
        while found := (await client.result("listcustommsgs", [after]))["custommsgs"]:
            assert len(found) <= 2
            after = found[-1]["cursor"]
            seen += [row["cursor"] for row in found]
        assert seen == [1, 2, 3, 4, 5]
