"""pyln-client drives the socket of the headless program, whose peers are pyln-proto and LDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.bolt.keys import NodeKey
from tests.counterparts import Ldk, Leyden, PylnClient, PylnPeer
from tests.interop.ours import CUSTOM, FEATURES_WITH_GOSSIP_QUERIES

STATUS = "Message sent to connectd for delivery"
REFUSED = "All addresses failed: 127.0.0.1:1: Connection establishment: Connection refused. "


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Leyden, PylnClient, PylnPeer]]:
    """The program, active; the client on its socket; a peer that is not connected yet. The program must end well."""
    async with await Leyden.start(folder / "leyden") as leyden:
        async with (
            await PylnClient.start(folder / "client", str(leyden.socket)) as client,
            await PylnPeer.start(folder / "peer", "--features", "a2") as peer,
        ):
            yield leyden, client, peer
        await leyden.stop()
        assert leyden.exit_code == 0


async def test_a_session_from_getinfo_to_disconnect(home: Path) -> None:
    async with running(home) as (leyden, client, peer):
        info = await client.call("getinfo")
        assert info["id"] == leyden.node_id.hex()
        assert info["network"] == "regtest"
        assert info["binding"] == [{"type": "ipv4", "address": "127.0.0.1", "port": leyden.port}]
        assert info["our_features"]["init"] == FEATURES_WITH_GOSSIP_QUERIES

        peer_id, port = peer.node_id.hex(), peer.port
        address = {"type": "ipv4", "address": "127.0.0.1", "port": port}
        expected = {"id": peer_id, "features": "a2", "direction": "out", "address": address}
        assert await client.call("connect", peer_id=peer_id, host="127.0.0.1", port=port) == expected
        await peer.wait_for(event="handshake", node_id=leyden.node_id.hex(), inbound=True)
        assert await client.call("connect", peer_id=f"{peer_id}@127.0.0.1:{port}") == expected
        assert len(peer.seen(event="handshake")) == 1

        (listed,) = (await client.call("listpeers"))["peers"]
        assert listed == {
            "id": peer_id,
            "connected": True,
            "num_channels": 0,
            "netaddr": [f"127.0.0.1:{port}"],
            "features": "a2",
        }
        assert await client.call("getpeer", peer_id=peer_id) == listed
        assert (await client.call("getinfo"))["num_peers"] == 1

        assert await client.call("ping", peer_id=peer_id, length=10, pongbytes=1000) == {"totlen": 1004}
        await peer.wait_for(event="message", type=18, payload="03e8000a" + "00" * 10)

        sent = await client.call("sendcustommsg", peer_id=peer_id, message="9c41" + b"hello".hex())
        assert sent == {"status": STATUS}
        await peer.wait_for(event="message", type=CUSTOM, payload=b"hello".hex())

        assert await client.call("disconnect", peer_id=peer_id) == {}
        await peer.wait_for(event="closed")
        assert (await client.call("listpeers"))["peers"] == []


async def test_notifications_bring_connect_custommsg_and_disconnect_of_a_peer_that_dials_us(home: Path) -> None:
    async with running(home) as (leyden, client, peer):
        assert (await client.subscribe())["result"] == {}
        await peer.connect(leyden.node_id, leyden.port)
        connect = (await client.wait_for(event="notification", method="connect"))["params"]["connect"]
        assert connect["id"] == peer.node_id.hex()
        assert connect["direction"] == "in"
        assert connect["address"]["address"] == "127.0.0.1"

        await peer.send(bytes.fromhex("9c41") + b"good day")
        payload = "9c41" + b"good day".hex()
        told = (await client.wait_for(event="notification", method="custommsg"))["params"]
        assert told == {"custommsg": {"peer_id": peer.node_id.hex(), "payload": payload}}
        (kept,) = (await client.call("listcustommsgs"))["custommsgs"]
        assert kept["peer_id"] == peer.node_id.hex()
        assert kept["payload"] == payload
        assert kept["type"] == CUSTOM
        assert (await client.call("listcustommsgs", after=kept["cursor"]))["custommsgs"] == []

        await peer.command("disconnect")
        gone = (await client.wait_for(event="notification", method="disconnect"))["params"]
        assert gone == {"disconnect": {"id": peer.node_id.hex()}}


async def test_custom_messages_between_pyln_client_and_ldk(home: Path) -> None:
    async with running(home) as (leyden, client, _peer), await Ldk.start(home / "ldk") as ldk:
        ldk_id = ldk.node_id.hex()
        await client.call("connect", peer_id=ldk_id, host="127.0.0.1", port=ldk.port)
        await ldk.wait_for(event="init", node_id=leyden.node_id.hex())
        await client.call("sendcustommsg", peer_id=ldk_id, message="9c41" + "00ff" * 50)
        await ldk.wait_for(event="message", node_id=leyden.node_id.hex(), type=CUSTOM, payload="00ff" * 50)
        await client.subscribe()
        await ldk.send(leyden.node_id, CUSTOM, b"back")
        told = (await client.wait_for(event="notification", method="custommsg"))["params"]
        assert told == {"custommsg": {"peer_id": ldk_id, "payload": "9c41" + b"back".hex()}}


async def test_calls_inside_notify_get_their_own_replies(home: Path) -> None:
    """pyln-client takes whatever it does not know for the reply, so no event may come before the reply."""
    async with running(home) as (_leyden, client, peer):
        peer_id = peer.node_id.hex()
        answer = await client.call("connect", notify=True, peer_id=peer_id, host="127.0.0.1", port=peer.port)
        assert answer["id"] == peer_id
        assert await client.call("disconnect", notify=True, peer_id=peer_id) == {}


async def test_help_and_check(home: Path) -> None:
    async with running(home) as (_leyden, client, peer):
        listed = {entry["command"] for entry in (await client.call("help"))["help"]}
        assert {"connect id [host] [port]", "disconnect id [force]", "sendcustommsg node_id msg"} <= listed
        assert {"listpeers [id] [level]", "ping id [len] [pongbytes]", "getinfo", "stop"} <= listed
        (one,) = (await client.call("help", command="ping"))["help"]
        assert one["command"] == "ping id [len] [pongbytes]"
        checked = await client.call("check", command_to_check="connect", id=peer.node_id.hex())
        assert checked == {"command_to_check": "connect"}
        assert not peer.seen(event="handshake")


async def test_errors_reach_pyln_client_with_code_and_text(home: Path) -> None:
    async with running(home) as (leyden, client, peer):
        stranger, peer_id = NodeKey.generate().node_id.hex(), peer.node_id.hex()
        cases: list[tuple[str, dict[str, str | int], int, str]] = [
            ("connect", {"peer_id": stranger}, 400, "Unable to connect, no address known for peer"),
            ("connect", {"peer_id": stranger, "host": "127.0.0.1", "port": 1}, 401, REFUSED),
            ("connect", {"peer_id": "02"}, -32602, "id: should be a node id: invalid token (see logs for details)"),
            ("connect", {"peer_id": stranger, "port": 1}, -32602, "Can't specify port without host"),
            ("disconnect", {"peer_id": stranger}, -32602, f"Unknown peer '{stranger}'"),
            ("ping", {"peer_id": stranger}, -1, "Peer not connected"),
            ("sendcustommsg", {"peer_id": stranger, "message": "9c41"}, -32600, f"No such peer: {stranger}"),
            ("help", {"command": "brew"}, -32601, "Unknown command brew"),
            ("brew", {}, -32601, "Unknown command 'brew'"),
        ]
        for method, params, code, text in cases:
            error = await client.error(method, **params)
            assert (error["code"], error["message"]) == (code, text), method

        await client.call("connect", peer_id=peer_id, host="127.0.0.1", port=peer.port)
        for message, code, words in (
            ("0012", -32600, "Cannot send messages of type 18 (WIRE_PING)"),
            ("a864", -32600, "Cannot send even-typed 43108 custom message"),
            ("zz", -32602, "msg: should be a hex value"),
            ("", -32602, "msg: should be a hex value"),
            ("9c41" + "00" * 65_534, -32602, "msg: should be a hex value"),
        ):
            error = await client.error("sendcustommsg", peer_id=peer_id, message=message)
            assert error["code"] == code, words
            assert error["message"].startswith(words)
        assert (await client.call("listpeers", peerid=peer_id))["peers"][0]["connected"]
        # Beside init and gossip's questions (BOLT 7), 261 to 265.
        assert peer.seen(event="message", type=lambda kind: kind != 16 and not 261 <= kind <= 265) == []
        assert leyden.seen(event="line", text="running")


async def test_a_wrong_key_at_a_peers_address_fails_in_the_handshake(home: Path) -> None:
    async with running(home) as (_leyden, client, _peer), await Ldk.start(home / "ldk") as ldk:
        error = await client.error("connect", peer_id=NodeKey.generate().node_id.hex(), host="127.0.0.1", port=ldk.port)
        assert error["code"] == 401
        reason = f"127.0.0.1:{ldk.port}: Cryptographic handshake: peer closed connection (wrong key?). "
        assert error["message"] == "All addresses failed: " + reason
        assert not ldk.seen(event="handshake")


async def test_stop_answers_and_the_program_ends(home: Path) -> None:
    async with running(home) as (leyden, client, peer):
        await peer.connect(leyden.node_id, leyden.port)
        assert await client.call("stop") == {"result": "Shutdown complete"}
        await peer.wait_for(event="closed")
        assert await leyden.ended() == 0
