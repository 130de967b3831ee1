"""What first light promises, each check over installed programs and real counterparts.

A message counts when the counterpart's own log holds it, a rotation when the counterpart decrypted past it. Each check
returns what was counted, for the report; it fails by AssertionError.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.acceptance.error_rows import error_rows
from tests.acceptance.program import InstalledLeyden
from tests.counterparts import Electrum, Ldk, PylnClient, PylnPeer

Facts = dict[str, Any]
Check = Callable[[Path], Awaitable[Facts]]
CHECKS: dict[str, Check] = {}

CUSTOM = 40_001
PAST_ROTATION = 3_100
KILLS = 10
STATUSES = (
    "ActivatingCoin",
    "GettingFeesFromRPC",
    "ReadingNetworkGraphFromFile",
    "InitializingChannelManager",
    "InitializingPeerManager",
    "ReadingScorerFromFile",
    "InitializingBackgroundProcessor",
    "ReadingChannelsAddressesFromFile",
)
SENT = {"status": "Message sent to connectd for delivery"}
ERROR, WARNING = 17, 1
_EXISTING_CHANNEL_TYPES = (33, 34, 35, 36, 38, 40, 66, 68, 70, 74, 80, 128, 130, 132, 134, 136)


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


def custom(payload: bytes, message_type: int = CUSTOM) -> str:
    """A whole message in hex."""
    return (message_type.to_bytes(2, "big") + payload).hex()


def numbered(count: int) -> bytes:
    """The payload of message `count` in a run, as the counterparts' `send_many` makes it."""
    return count.to_bytes(8, "big")


@check
async def activation(folder: Path) -> Facts:
    """Eight statuses in order, the port that getinfo names is open, SIGTERM gives 0 and leaves no socket."""
    async with await InstalledLeyden.start(folder) as leyden:
        done = [line.split(":")[0] for line in leyden.lines() if ": done in" in line]
        assert done == ["PlatformCoin", *STATUSES], done
        code, info = await leyden.cli("getinfo")
        assert code == 0
        assert info["id"] == leyden.node_id.hex()
        assert info["binding"] == [{"type": "ipv4", "address": "127.0.0.1", "port": leyden.port}]
        with socket.create_connection(("127.0.0.1", leyden.port)):
            pass
        mode = {path.name: oct(path.stat().st_mode & 0o777) for path in (leyden.socket, leyden.socket.parent)}
        assert mode == {"lightning-rpc": "0o600", "regtest": "0o700"}, mode
        await leyden.stop()
        assert leyden.exit_code == 0
        assert not leyden.socket.exists()
    return {"lines": leyden.lines(), "getinfo": info, "modes": mode}


@check
async def three_commands_with_ldk(folder: Path) -> Facts:
    """connect, sendcustommsg and disconnect through leyden-cli; LDK's log holds handshake, message and end."""
    async with await InstalledLeyden.start(folder / "leyden") as leyden, await Ldk.start(folder / "ldk") as ldk:
        peer_id = ldk.node_id.hex()
        connected = await leyden.cli("connect", f"{peer_id}@127.0.0.1:{ldk.port}")
        assert connected[0] == 0
        assert list(connected[1]) == ["id", "features", "direction", "address"]
        assert connected[1]["direction"] == "out"
        await ldk.wait_for(event="init", node_id=leyden.node_id.hex())
        sent = await leyden.cli("sendcustommsg", peer_id, custom(b"hello"))
        assert sent == (0, SENT)
        await ldk.wait_for(event="message", node_id=leyden.node_id.hex(), type=CUSTOM, payload=b"hello".hex())
        await ldk.send(leyden.node_id, CUSTOM + 2, b"and back")
        received = await received_of(leyden, ldk.node_id, CUSTOM + 2)
        assert received == [custom(b"and back", CUSTOM + 2)]
        disconnected = await leyden.cli("disconnect", peer_id)
        assert disconnected == (0, {})
        await ldk.wait_for(event="disconnected", node_id=leyden.node_id.hex())
        assert (await leyden.call("listpeers"))["peers"] == []
    return {"connect": connected[1], "sendcustommsg": sent[1], "disconnect": disconnected[1], "messages": 2}


async def received_of(leyden: InstalledLeyden, peer_id: bytes, message_type: int) -> list[str]:
    """Whole messages of one peer and type, in the node's own list; waits until there is one."""
    async with asyncio.timeout(30):
        while True:
            listed = (await leyden.call("listcustommsgs"))["custommsgs"]
            found = [
                row["payload"] for row in listed if row["peer_id"] == peer_id.hex() and row["type"] == message_type
            ]
            if found:
                return found


@check
async def ldk_dials(folder: Path) -> Facts:
    """LDK connects to our port; listpeers shows it as incoming; LDK leaves and it is gone."""
    async with await InstalledLeyden.start(folder / "leyden") as leyden, await Ldk.start(folder / "ldk") as ldk:
        await ldk.connect(leyden.node_id, leyden.port)
        await ldk.wait_for(event="init", node_id=leyden.node_id.hex())
        pong = await leyden.call("ping", ldk.node_id.hex(), 128, 1000)
        assert pong == {"totlen": 1004}
        again = await leyden.call("connect", ldk.node_id.hex())
        assert again["direction"] == "in"
        await ldk.disconnect(leyden.node_id)
        async with asyncio.timeout(30):
            while (await leyden.call("listpeers"))["peers"]:
                await asyncio.sleep(0)
    return {"connect while connected": again, "ping": pong}


@check
async def electrum_both_ways(folder: Path) -> Facts:
    """Electrum dialled and dialling: its own log holds init, our custom message and the end."""
    counts = {"messages": 0, "sessions": 0}
    async with (
        await InstalledLeyden.start(folder / "leyden") as leyden,
        await Electrum.start(folder / "electrum") as electrum,
    ):
        us = leyden.node_id.hex()[:10]
        for electrum_dials in (False, True):
            mark = electrum.mark
            if electrum_dials:
                await electrum.connect(leyden.node_id, leyden.port)
            else:
                code, result = await leyden.cli("connect", electrum.node_id.hex(), "127.0.0.1", str(electrum.port))
                assert code == 0, result
            await electrum.wait_for(event="init", peer=us, since=mark)
            ping = await leyden.call("ping", electrum.node_id.hex(), 128, 65_531)
            assert ping == {"totlen": 65_535}
            await leyden.call("sendcustommsg", electrum.node_id.hex(), custom(b"seen in its log"))
            await electrum.wait_for(event="message", type=CUSTOM, since=mark)
            assert await leyden.cli("disconnect", electrum.node_id.hex()) == (0, {})
            await electrum.wait_for(event="closed", peer=us, since=mark)
            counts["messages"] += 1
            counts["sessions"] += 1
    return counts


@check
async def rotation_with_pyln(folder: Path) -> Facts:
    """3,100 custom messages each way, in order: six key rotations in each direction, decrypted by pyln-proto."""
    async with await InstalledLeyden.start(folder / "leyden") as leyden, await PylnPeer.start(folder / "pyln") as pyln:
        await leyden.call("connect", pyln.node_id.hex(), "127.0.0.1", pyln.port)
        calls = [("sendcustommsg", [pyln.node_id.hex(), custom(numbered(count))]) for count in range(PAST_ROTATION)]
        replies = await leyden.requests(calls)
        assert all(reply.get("result") == SENT for reply in replies)
        await pyln.wait_for(event="message", type=CUSTOM, payload=numbered(PAST_ROTATION - 1).hex())
        seen = [bytes.fromhex(event["payload"]) for event in pyln.seen(event="message", type=CUSTOM)]
        assert seen == [numbered(count) for count in range(PAST_ROTATION)]
        await pyln.command("send_many", type=CUSTOM, count=PAST_ROTATION)
        listed: list[str] = []
        cursor = 0
        async with asyncio.timeout(30):
            while len(listed) < PAST_ROTATION:
                page = (await leyden.call("listcustommsgs", cursor))["custommsgs"]
                listed += [row["payload"] for row in page]
                cursor = page[-1]["cursor"] if page else cursor
        assert listed == [custom(numbered(count)) for count in range(PAST_ROTATION)]
    return {"sent and decrypted by pyln-proto": len(seen), "received": len(listed), "rotations a direction": 6}


@check
async def errors_as_the_reference(folder: Path) -> Facts:
    """Every error row of connect, disconnect and sendcustommsg that needs no channel, and the node stays up."""
    async with await InstalledLeyden.start(folder / "leyden") as leyden, await PylnPeer.start(folder / "pyln") as pyln:
        rows = []
        for row in await error_rows(leyden, pyln):
            reply = await leyden.request(row.method, row.params)
            ours = reply.get("error", reply.get("result"))
            rows.append({"request": f"{row.method} {row.params}"[:160], "reference": row.expected, "ours": ours})
        wrong = [row for row in rows if row["ours"] != row["reference"]]
        assert not wrong, wrong
        assert (await leyden.call("getinfo"))["num_peers"] == 1
    return {"rows": rows}


@check
async def pyln_client_drives_the_socket(folder: Path) -> Facts:
    """pyln-client unchanged: getinfo, connect, sendcustommsg, ping, disconnect, and the three notifications."""
    async with AsyncExitStack() as stack:
        leyden = await stack.enter_async_context(await InstalledLeyden.start(folder / "leyden"))
        client = await stack.enter_async_context(await PylnClient.start(folder / "client", str(leyden.socket)))
        peer = await stack.enter_async_context(await PylnPeer.start(folder / "peer"))
        await client.subscribe()
        info = await client.call("getinfo")
        assert info["id"] == leyden.node_id.hex()
        await client.call("connect", peer_id=peer.node_id.hex(), host="127.0.0.1", port=peer.port)
        assert await client.call("sendcustommsg", peer_id=peer.node_id.hex(), message=custom(b"hi")) == SENT
        await peer.wait_for(event="message", type=CUSTOM, payload=b"hi".hex())
        await peer.send(bytes.fromhex(custom(b"ho")))
        expected = {"custommsg": {"peer_id": peer.node_id.hex(), "payload": custom(b"ho")}}
        await client.wait_for(event="notification", method="custommsg", params=expected)
        assert (await client.call("ping", peer_id=peer.node_id.hex(), length=10, pongbytes=20)) == {"totlen": 24}
        assert await client.call("disconnect", peer_id=peer.node_id.hex()) == {}
        gone = {"disconnect": {"id": peer.node_id.hex()}}
        await client.wait_for(event="notification", method="disconnect", params=gone)
        methods = [event["method"] for event in client.seen(event="notification")]
    return {"notifications": methods}


@check
async def no_peer_is_made_to_force_close(folder: Path) -> Facts:
    """open_channel gets an error with its temporary id; a message about a channel gets a warning, never an error."""
    answers: dict[int, int] = {}
    async with await InstalledLeyden.start(folder / "leyden") as leyden, await PylnPeer.start(folder / "pyln") as pyln:
        channel_id = b"\xc1" * 32
        for message_type in (32, 64, *_EXISTING_CHANNEL_TYPES):
            mark = pyln.mark
            await pyln.connect(leyden.node_id, leyden.port)
            await pyln.wait_for(event="message", type=16, since=mark)
            opens = message_type in (32, 64)
            body = bytes(32) + channel_id + bytes(400) if opens else channel_id + bytes(200)
            await pyln.send(message_type.to_bytes(2, "big") + body)
            answer = await pyln.wait_for(event="message", type=lambda kind: kind in (ERROR, WARNING), since=mark)
            answers[message_type] = answer["type"]
            assert answer["type"] == (ERROR if opens else WARNING), (message_type, answer)
            assert bytes.fromhex(answer["payload"])[:32] == channel_id, (message_type, answer)
            errors = pyln.seen(event="message", type=ERROR, since=mark)
            assert len(errors) == (1 if opens else 0)
            await pyln.command("disconnect")
    return {"answers by type": answers}


@check
async def an_unknown_even_message_ends_the_session_after_a_warning(folder: Path) -> Facts:
    async with await InstalledLeyden.start(folder / "leyden") as leyden, await PylnPeer.start(folder / "pyln") as pyln:
        await pyln.connect(leyden.node_id, leyden.port)
        await pyln.wait_for(event="message", type=16)
        await pyln.send((CUSTOM + 1).to_bytes(2, "big") + b"even")
        warning = await pyln.wait_for(event="message", type=WARNING)
        await pyln.wait_for(event="closed")
    return {"warning": bytes.fromhex(warning["payload"])[34:].decode(errors="replace")}


@check
async def killed_at_any_moment_it_starts_again(folder: Path) -> Facts:
    """SIGKILL at ten moments of activation; the next start finds no port, socket, child or lock in its way."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        bind = f"127.0.0.1:{probe.getsockname()[1]}"
    # From the first line that it prints to the last one of activation.
    moments = ("node ", *(f"{status}: done" for status in STATUSES), "running")
    killed = []
    for moment in moments[:KILLS]:
        leyden = await InstalledLeyden.launch(folder, "--bind", bind)
        await leyden.wait_for(event="line", text=lambda text, moment=moment: text.startswith(moment))
        pid = leyden.pid
        await leyden.kill()
        assert not _children_of_group(pid), f"children left after {moment}"
        async with await InstalledLeyden.start(folder, "--bind", bind) as again:
            assert (await again.cli("getinfo"))[0] == 0
            await again.stop()
            assert again.exit_code == 0
        killed.append(moment)
    return {"killed after": killed, "starts after a kill": len(killed)}


def _children_of_group(group: int) -> list[int]:
    """Processes that still belong to the group that the killed process led."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group:
                    members.append(int(entry.name))
            except ProcessLookupError:
                continue
    return members


@check
async def one_profile_one_node(folder: Path) -> Facts:
    """A second start on the same folder ends with 1 and words, and the first goes on."""
    async with await InstalledLeyden.start(folder) as first:
        second = await InstalledLeyden.launch(folder)
        code = await second.ended()
        await second.stop()
        assert code == 1
        assert (await first.cli("getinfo"))[0] == 0
    return {"exit code of the second": code}


@check
async def no_silent_fallback_for_the_key(folder: Path) -> Facts:
    """Without a keyring that can be trusted headless ends with 3, names the file option and makes no key."""
    leyden = await InstalledLeyden.launch(folder, "--keystore", "keyring")
    code = await leyden.ended()
    await leyden.stop()
    words = "\n".join(leyden.errors())
    assert code == 3, (code, words)
    assert "--keystore file --passphrase-file" in words
    assert not (leyden.data_dir / "regtest" / "node-key.json").exists()
    return {"exit code": code, "words": words}
