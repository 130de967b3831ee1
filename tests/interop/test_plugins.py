"""Unmodified pyln-client `Plugin` programs, run by the headless program, with pyln-proto as the peer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from core.bolt.keys import NodeKey
from tests.counterparts import Leyden, PylnClient, PylnPeer
from tests.counterparts.pyln_drivers import pyln_python
from tests.support.plugins import plugin_file

DEADLINE_S = 30.0

WATCHER = '''
import json, os
from pyln.client import Plugin

plugin = Plugin(custom_msgs=[43690])
LOG = os.environ["WATCHED"]

def note(**what):
    with open(LOG, "a") as file:
        file.write(json.dumps(what) + "\\n")

@plugin.init()
def init(options, configuration, plugin, **kwargs):
    note(what="init", options=options, configuration=configuration, alias=plugin.rpc.getinfo()["alias"])

@plugin.hook("custommsg")
def on_custommsg(peer_id, payload, plugin, **kwargs):
    note(what="hook custommsg", peer_id=peer_id, payload=payload)
    return {"result": "continue"}

@plugin.hook("peer_connected")
def on_peer_connected(peer, plugin, **kwargs):
    note(what="hook peer_connected", peer=peer)
    if os.path.exists(LOG + ".closed"):
        return {"result": "disconnect", "error_message": "not today"}
    plugin.rpc.sendcustommsg(peer["id"], "9c41" + b"welcome".hex())
    return {"result": "continue"}

@plugin.subscribe("connect")
def on_connect(connect, plugin, **kwargs):
    note(what="connect", connect=connect)

@plugin.subscribe("disconnect")
def on_disconnect(disconnect, plugin, **kwargs):
    note(what="disconnect", disconnect=disconnect)

@plugin.subscribe("custommsg")
def on_message(custommsg, plugin, **kwargs):
    note(what="custommsg", custommsg=custommsg)

@plugin.method("greet")
def greet(plugin, name, times=1):
    """Greets somebody."""
    return {"greeting": f"hello {name} " * int(times)}

@plugin.method("fail")
def fail(plugin):
    raise ValueError("on purpose")

plugin.add_option("greeting", "hello", "how to greet")
plugin.run()
'''

EVERY_OTHER = """
from pyln.client import Plugin

plugin = Plugin()

@plugin.hook("custommsg", filters=[40003])
def on_custommsg(peer_id, payload, plugin, **kwargs):
    raise SystemExit(3)

plugin.run()
"""


class Watched:
    """What the watcher wrote down."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def notes(self, what: str) -> list[dict[str, Any]]:
        if not self.file.exists():
            return []
        notes = [json.loads(line) for line in self.file.read_text().splitlines()]
        return [note for note in notes if note["what"] == what]

    async def wait_for(self, what: str, count: int = 1) -> dict[str, Any]:
        await until(lambda: len(self.notes(what)) >= count)
        return self.notes(what)[count - 1]


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def watched_node(folder: Path, *options: str) -> AsyncIterator[tuple[Leyden, PylnClient, Watched]]:
    folder.mkdir(exist_ok=True)
    watched = Watched(folder / "watched")
    source = WATCHER.replace('os.environ["WATCHED"]', repr(str(watched.file)))
    plugin = plugin_file(folder, "watcher", source, pyln_python())
    async with (
        await Leyden.start(folder / "n", "--plugin", str(plugin), *options) as leyden,
        await PylnClient.start(folder / "c", str(leyden.socket)) as client,
    ):
        yield leyden, client, watched


async def test_a_pyln_plugin_is_asked_and_told_of_peers_and_their_messages(home: Path) -> None:
    async with (
        watched_node(home) as (_, client, watched),
        await PylnPeer.start(home / "p") as peer,
    ):
        started = await watched.wait_for("init")
        assert started["options"] == {"greeting": "hello"}
        assert started["configuration"]["network"] == "regtest"
        assert started["configuration"]["rpc-file"] == "lightning-rpc"
        assert started["alias"] == (await client.call("getinfo"))["alias"]

        connected = await client.call("connect", peer_id=peer.node_id.hex(), host="127.0.0.1", port=peer.port)
        (asked,) = watched.notes("hook peer_connected")
        assert asked["peer"]["id"] == peer.node_id.hex()
        assert asked["peer"]["direction"] == "out"
        assert asked["peer"]["addr"] == f"127.0.0.1:{peer.port}"
        assert asked["peer"]["features"] == connected["features"]
        # What it sent while it was asked went out, although nobody was connected yet.
        await peer.wait_for(event="message", type=40_001, payload=b"welcome".hex())
        told = await watched.wait_for("connect")
        assert told["connect"] == {
            "id": peer.node_id.hex(),
            "direction": "out",
            "address": {"type": "ipv4", "address": "127.0.0.1", "port": peer.port},
        }

        for type_ in (40_003, 43_690):  # the even one is the plugin's
            await peer.send(type_.to_bytes(2, "big") + b"hi")
        await watched.wait_for("hook custommsg", 2)
        payloads = [note["payload"] for note in watched.notes("hook custommsg")]
        assert payloads == ["9c43" + b"hi".hex(), "aaaa" + b"hi".hex()]
        assert [note["custommsg"] for note in watched.notes("custommsg")] == [
            {"peer_id": peer.node_id.hex(), "payload": payload} for payload in payloads
        ]
        assert (await client.call("listpeers"))["peers"]

        await client.call("disconnect", peer_id=peer.node_id.hex())
        assert (await watched.wait_for("disconnect"))["disconnect"] == {"id": peer.node_id.hex()}


async def test_methods_of_a_pyln_plugin_are_called_through_our_socket(home: Path) -> None:
    async with watched_node(home) as (leyden, client, _):
        reply = await client.raw(request("greet", {"name": "ann", "times": 2}))
        assert reply["result"] == {"greeting": "hello ann hello ann "}
        assert (await client.raw(request("greet", ["bob"])))["result"] == {"greeting": "hello bob "}
        failed = await client.raw(request("fail", {}))
        assert failed["error"]["code"] == -32600
        assert "on purpose" in failed["error"]["message"]
        shown = await client.raw(request("help", {}))
        assert any(row["command"].startswith("greet name [times]") for row in shown["result"]["help"])
        listed = await client.raw(request("plugin", ["list"]))
        assert listed["result"] == {
            "command": "list",
            "plugins": [{"name": str(home / "watcher"), "active": True}],
        }
        assert leyden.socket.exists()


async def test_a_plugin_sends_a_peer_away_with_a_warning(home: Path) -> None:
    async with (
        watched_node(home) as (_, client, watched),
        await PylnPeer.start(home / "p") as peer,
    ):
        await watched.wait_for("init")
        watched.file.with_name("watched.closed").touch()
        failed = await client.error("connect", peer_id=peer.node_id.hex(), host="127.0.0.1", port=peer.port)
        assert failed["code"] in (401, 402)
        warning = await peer.wait_for(event="message", type=1)
        assert bytes.fromhex(warning["payload"]).endswith(b"not today")
        assert not watched.notes("connect")


async def test_a_plugin_that_dies_is_shown_and_nothing_else_notices(home: Path) -> None:
    dying = plugin_file(home, "dying", EVERY_OTHER, pyln_python())
    async with (
        watched_node(home, "--plugin", str(dying)) as (leyden, client, watched),
        await PylnPeer.start(home / "p") as peer,
    ):
        await watched.wait_for("init")
        await client.call("connect", peer_id=peer.node_id.hex(), host="127.0.0.1", port=peer.port)
        for number, type_ in enumerate((40_001, 40_003, 40_005)):
            await peer.send(type_.to_bytes(2, "big") + bytes([number]))
        await watched.wait_for("hook custommsg", 3)  # in their order, the one that killed the other included
        assert [note["payload"][4:] for note in watched.notes("hook custommsg")] == ["00", "01", "02"]
        async with asyncio.timeout(DEADLINE_S):
            while True:
                rows = (await client.raw(request("plugin", ["list"])))["result"]["plugins"]
                if not rows[1]["active"]:
                    break
        assert rows[0]["active"]
        assert rows[1]["problem"] == "it ended with code 3"
        await until(lambda: f"plugin {dying}: it ended with code 3" in leyden._stderr)
        assert len((await client.call("listpeers"))["peers"]) == 1


async def test_even_types_are_sent_when_the_node_was_told_so(home: Path) -> None:
    stranger = NodeKey.generate().node_id.hex()
    async with watched_node(home, "--allow-even-custom-messages") as (_, client, _watched):
        failed = await client.error("sendcustommsg", peer_id=stranger, message="aaaa00")
        assert failed == {"code": -32600, "message": f"No such peer: {stranger}"}
    async with watched_node(home / "again") as (_, client, _watched):
        failed = await client.error("sendcustommsg", peer_id=stranger, message="aaaa00")
        assert failed["message"].startswith("Cannot send even-typed 43690 custom message.")


def request(method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "test", "method": method, "params": params}
