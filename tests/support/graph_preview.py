"""Paint the graph page and what stands around it to PNG files: `python -m tests.support.graph_preview FOLDER`.

A network of the shape of a real one, with names as people give them; an import of it, the settings, and the page
before anything was heard. Light and dark. QT_SCALE_FACTOR=2 for a dense screen.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget

from core.base.events import Direction
from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.networks import NETWORKS
from core.gossip.graph_values import Trust
from core.gossip.importing import ImportReport
from core.gossip.service import Standing
from gui.actions import ActionId
from gui.loop import LeydenLoop
from gui.tasks import WindowTasks
from gui.theme import Theme, ThemeChoice
from gui.window import MainWindow
from tests.support.fake_node import FakeNode, address
from tests.support.network import DEFAULT_NOW_S, make_network

SIZE = (1296, 840)
_CHANNELS = 240
_PEERS = 5


def fill(node: FakeNode) -> list[bytes]:
    """A network in the node's graph, in which every kind of line is; ids of nodes, the best connected first."""
    network = make_network(9, _CHANNELS, network=NETWORKS[node.network.name])
    graph = node.fake_graph
    for number, message in enumerate(network.channel_announcements):
        trust = Trust.UNCHECKED if number % 6 == 5 else Trust.OVERLAY if number % 50 == 49 else Trust.CHECKED
        capacity = network.capacities_sat[number] if trust is Trust.CHECKED else None
        graph.add_channel(ChannelAnnouncement.decode(message), capacity_sat=capacity, trust=trust, heard=DEFAULT_NOW_S)
    for message in network.channel_updates:
        update = ChannelUpdate.decode(message)
        graph.update_channel(update)
        if int(update.short_channel_id) % 41 == 0:
            graph.mark_dying(int(update.short_channel_id), 930_000)
    for message in network.node_announcements:
        graph.update_node(NodeAnnouncement.decode(message))
    return sorted(graph.node_rows, key=lambda node_id: -len(graph.channels_of(node_id)))


async def settle(window: MainWindow) -> None:
    """Until the picture is there and painted."""
    while window.graph.busy:
        await asyncio.sleep(0.05)
    window.graph.canvas.finish()


async def _save_dialogs(node: FakeNode, window: MainWindow, folder: Path, suffix: str) -> None:
    """An import that has ended, and the settings."""
    window.network_import.show()
    window.network_import.begin(Path("/home/satoshi/.lightning/regtest/gossip_store"))
    while node.importing is None:
        await asyncio.sleep(0.01)
    node.importing.set_result(ImportReport(_CHANNELS, 2 * _CHANNELS, 82, 0, 3, 0, None))
    while window.network_import.running:
        await asyncio.sleep(0.01)
    window.network_import.adjustSize()
    _save(window.network_import, folder / f"import{suffix}.png")
    window.settings.open_anew()
    window.settings.network.rapid.setChecked(True)
    window.settings.network.source.setText("https://snapshots.example/snapshot")
    window.settings.network.source.textEdited.emit("")  # as if it had been typed
    _save(window.settings, folder / f"settings{suffix}.png")
    for dialog in (window.network_import, window.settings):
        dialog.reject()


def _save(window: QWidget, path: Path) -> None:
    # Without alpha and with zlib's best compression: a quarter less.
    picture = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    if not picture.save(str(path), quality=0):  # type: ignore[call-overload]
        raise OSError(f"{path} could not be written")


async def paint(qt: QApplication, folder: Path) -> None:
    for choice in (ThemeChoice.LIGHT, ThemeChoice.DARK):
        theme, tasks = Theme(qt, choice), WindowTasks()
        node = FakeNode(network="regtest")
        await node.clock.advance(DEFAULT_NOW_S + 240 - node.clock.time())
        window = MainWindow(node, tasks, theme)  # type: ignore[arg-type]
        window.resize(*SIZE)
        window.show()
        suffix = "-dark" if choice is ThemeChoice.DARK else ""
        node.run()
        window.show_view(ActionId.SHOW_GRAPH)
        window.bridge.flush()
        await settle(window)
        _save(window, folder / f"graph-empty{suffix}.png")
        await _save_dialogs(node, window, folder, suffix)
        best = fill(node)
        assert node.lightning is not None
        node.lightning.gossip.standing = Standing(_PEERS, asking=False, unverified=0)
        for number, peer in enumerate(best[20 : 20 + _PEERS]):
            node.fake_peers.arrive(peer, address(number + 1), Direction.OUT)
        window.bridge.flush()
        await settle(window)
        window.graph.canvas.choose(1)
        _save(window, folder / f"graph{suffix}.png")
        window.close_now()
        await tasks.aclose()
        window.deleteLater()


def main() -> int:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    qt = QApplication(["preview"])
    qt.setQuitOnLastWindowClosed(False)
    with asyncio.Runner(loop_factory=lambda: LeydenLoop(qt)) as runner:
        runner.run(paint(qt, folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
