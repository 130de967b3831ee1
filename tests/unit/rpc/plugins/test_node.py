"""A whole node with plugins."""

from __future__ import annotations

from pathlib import Path

from core.base.settings import Settings
from core.node import Node
from core.rpc.plugins.events import PluginChanged, PluginState
from tests.support.peers import turns, until
from tests.support.plugins import RAW, plugin_file

WAITS = """
for request in requests():
    if request["method"] == "init":
        while not os.path.exists(GO):
            time.sleep(0.01)
    answer(request, manifest)
"""


async def test_no_peer_comes_before_each_plugin_runs(home: Path) -> None:
    go = home / "go"
    plugin = plugin_file(home, "waits", RAW + f"GO = {str(go)!r}\n" + WAITS)
    node = Node(
        Settings(
            network="regtest", data_dir=home / "d", keystore="memory", bind=("127.0.0.1:0",), plugin=(str(plugin),)
        )
    )
    changes: list[PluginChanged] = []
    node.bus.subscribe(PluginChanged, changes.append)
    try:
        await node.start()
        node.activate()
        await turns(200)
        assert not node.active
        go.touch()
        await until(lambda: node.active)
        assert [change.state for change in changes] == [PluginState.ACTIVE]
    finally:
        await node.stop()


async def test_a_plugin_that_cannot_run_stops_nothing(home: Path) -> None:
    settings = Settings(network="regtest", data_dir=home, keystore="memory", bind=("127.0.0.1:0",), plugin=("/absent",))
    node = Node(settings)
    try:
        await node.start()
        node.activate()
        await until(lambda: node.active)
    finally:
        await node.stop()
