"""Paint every view in its states to PNG files, to be looked at: `python -m tests.support.window_preview FOLDER`.

Light and dark; run it with QT_SCALE_FACTOR=2 for a dense screen.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtWidgets import QApplication

from core.base.events import ConnectPhase, ConnectProgress, Direction, StepState
from core.peers.errors import AddressAttempt, AllAddressesFailed, ListenFailed
from core.peers.events import PeerNotice
from core.peers.practice import PracticePeer
from gui.actions import ActionId
from gui.tasks import WindowTasks
from gui.theme import Theme, ThemeChoice
from gui.window import MainWindow
from tests.support.fake_node import STATUSES, FakeNode, address, node_id

SIZE = (1248, 840)
OTHER = node_id(40)
Scene = Callable[[FakeNode, MainWindow], object]


def node_off(_node: FakeNode, window: MainWindow) -> None:
    window.show_view(ActionId.SHOW_NODE)


def node_starting(node: FakeNode, _window: MainWindow) -> None:
    node.activate()
    node.step(STATUSES[0], StepState.DONE, duration_s=0.011, detail="embedded regtest chain; tip at height 0")
    node.finish_steps(STATUSES[1:2])
    node.step(STATUSES[2], StepState.RUNNING, detail="channels", done=12480, total=50808)


def node_failed(node: FakeNode, _window: MainWindow) -> None:
    node.activate()
    node.finish_steps(STATUSES[:4])
    node.fail_step(STATUSES[4], ListenFailed(address="127.0.0.1:9735", errno=98, reason="Address already in use"))


def node_running(node: FakeNode, _window: MainWindow) -> None:
    node.run()


def peers_off(_node: FakeNode, window: MainWindow) -> None:
    window.show_view(ActionId.SHOW_PEERS)


def peers_none(node: FakeNode, window: MainWindow) -> None:
    node.run()
    window.show_view(ActionId.SHOW_PEERS)


def _some_peers(node: FakeNode, window: MainWindow) -> None:
    node.run()
    peers = node.fake_peers
    for number in range(11, 23):
        direction = Direction.IN if number % 3 == 0 else Direction.OUT
        port = 9735 if direction is Direction.OUT else 50000 + number
        peers.arrive(node_id(number), address(number, port), direction)
        peers.change(
            node_id(number),
            latency_s=None if number % 4 == 0 else 0.0043 * number,
            messages_in=number * 977,
            messages_out=number * 31,
            bytes_in=number * 98_123,
            bytes_out=number * 4_100,
            connected_at=node.clock.time() - 40 * (number - 10) ** 3,
        )
    window.bridge.flush()
    peers.leave(node_id(13))
    peers.leave(node_id(17), by_us=True)


def peers_full(node: FakeNode, window: MainWindow) -> None:
    _some_peers(node, window)
    window.show_view(ActionId.SHOW_PEERS)
    window.bridge.flush()
    window.peers.select(node_id(14))
    said = "no channel with you <b>yet</b>"
    node.bus.publish(PeerNotice(node_id(14), is_error=False, channel_id=bytes(32), text=said))


def peers_typing(node: FakeNode, window: MainWindow) -> None:
    _some_peers(node, window)
    window.show_view(ActionId.SHOW_PEERS)
    window.peers.connect_bar.field.setText(f"{node_id(30).hex()}@203.0.113.30:9735")


def peers_dialling(node: FakeNode, window: MainWindow) -> None:
    _some_peers(node, window)
    window.show_view(ActionId.SHOW_PEERS)
    window.peers.connect_bar.field.setText(f"{node_id(30).hex()}@203.0.113.30:9735")
    window.peers.connect_bar.submit()
    node.bus.publish(ConnectProgress(node_id(30), "203.0.113.30:9735", ConnectPhase.HANDSHAKE))


async def peers_failed(node: FakeNode, window: MainWindow) -> None:
    peers_dialling(node, window)
    await asyncio.sleep(0)
    attempts = (
        AddressAttempt("203.0.113.30:9735", ConnectPhase.DIALLING, "Connection refused"),
        AddressAttempt("[2001:db8::1]:9735", ConnectPhase.DIALLING, "Network is unreachable"),
    )
    node.fake_peers.fail(AllAddressesFailed(node_id=node_id(30), attempts=attempts))
    for _ in range(4):
        await asyncio.sleep(0)


async def peers_force(node: FakeNode, window: MainWindow) -> None:
    peers_full(node, window)
    window.bridge.flush()
    window.actions_table[ActionId.FORCE_DISCONNECT].trigger()
    for _ in range(3):
        await asyncio.sleep(0)


def messages_none(node: FakeNode, window: MainWindow) -> None:
    node.run()
    window.show_view(ActionId.SHOW_MESSAGES)


def messages_full(node: FakeNode, window: MainWindow) -> None:
    _some_peers(node, window)
    window.show_view(ActionId.SHOW_MESSAGES)
    for number in range(40):
        who = node_id((11, 12, 14)[number % 3])
        payload = f"hello number {number}, <i>plain</i>".encode() if number % 4 else bytes(range(number * 5))
        node.fake_peers.message(who, Direction.OUT if number % 5 == 0 else Direction.IN, 32769 + 2 * number, payload)
        node.clock._now += 0.73
    node.fake_peers.message(node_id(12), Direction.IN, 37913, b'{"jsonrpc":"2.0","method":"lsps0.list_protocols"}')
    window.bridge.flush()
    window.messages.table.selectRow(40)
    window.messages.composer.payload.setPlainText("68 65 6c 6c 6f")


def messages_even(node: FakeNode, window: MainWindow) -> None:
    messages_full(node, window)
    window.messages.composer.type.set_value(32770)
    window.messages.composer.payload.setPlainText("68 65 6c 6c 6")


def messages_gone(node: FakeNode, window: MainWindow) -> None:
    messages_full(node, window)
    node.fake_peers.leave(node_id(11))


SCENES: tuple[Scene, ...] = (
    node_off,
    node_starting,
    node_failed,
    node_running,
    peers_off,
    peers_none,
    peers_full,
    peers_typing,
    peers_dialling,
    peers_failed,
    peers_force,
    messages_none,
    messages_full,
    messages_even,
    messages_gone,
)


async def paint(app: QApplication, folder: Path, wanted: list[str]) -> None:
    theme = Theme(app, ThemeChoice.LIGHT)
    for choice in (ThemeChoice.LIGHT, ThemeChoice.DARK):
        theme.choose(choice)
        for scene in SCENES:
            if wanted and scene.__name__ not in wanted:
                continue
            node = FakeNode(network="bitcoin" if scene is peers_none else "regtest")
            if scene in (peers_none, peers_full):
                node.practice_peers = tuple(PracticePeer(name, OTHER, address()) for name in ("echo", "quiet"))
            if scene is peers_none:
                node.key_location = "GNOME Keyring"
            tasks = WindowTasks()
            window = MainWindow(node, tasks, theme)  # type: ignore[arg-type]
            window.resize(*SIZE)
            window.show()
            app.processEvents()
            result = scene(node, window)
            if asyncio.iscoroutine(result):
                await result
            window.bridge.flush()
            node.fake_peers.messages_in = 19
            node.clock._now += 0.5
            window.status.refresh()
            for _ in range(3):
                app.processEvents()
            window.grab().save(str(folder / f"{scene.__name__}-{choice}.png"))
            for number, dialog in enumerate(w for w in app.topLevelWidgets() if w is not window and w.isVisible()):
                dialog.grab().save(str(folder / f"{scene.__name__}-{choice}-dialog{number}.png"))
            await tasks.aclose()
            window.close_now()
            window.deleteLater()
            app.processEvents()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication([])
    asyncio.run(paint(app, folder, sys.argv[2:]))


if __name__ == "__main__":
    main()
