"""Where the node listens, whom it is connected to, what passes, where the key is; read twice a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout

from core.base.events import Direction, NodeState
from gui.network_status import NetworkStatus
from gui.own_address import bound_addresses
from gui.phrases import bounded, tr
from gui.theme import SPACE_GROUP, SPACE_INSIDE, Size, Theme
from gui.widgets.basics import label

if TYPE_CHECKING:
    from core.node import Node

REFRESH_MS = 500


class StatusBar(QFrame):
    """One line of facts."""

    def __init__(self, node: Node, theme: Theme) -> None:
        super().__init__()
        self._node = node
        self._last: tuple[float, int, int] | None = None
        self._rate = (0.0, 0.0)
        self.setProperty("kind", "status")
        self._line = label("", theme, size=Size.CAPTION, tone="muted")
        self.network = NetworkStatus(node, theme)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACE_GROUP, SPACE_INSIDE, SPACE_GROUP, SPACE_INSIDE)
        layout.addWidget(self._line)
        layout.addStretch(1)
        layout.addWidget(self.network)
        self._timer = QTimer(self, interval=REFRESH_MS)
        self._timer.timeout.connect(self.refresh)

    @property
    def text(self) -> str:
        return self._line.text()

    def refresh(self) -> None:
        """Count again. The timer runs only while there is something to count."""
        parts = [*self._lightning_parts(), tr("key in {place}", place=bounded(self._node.key_location, 120))]
        text = "  ·  ".join(parts)
        if text != self._line.text():
            self._line.setText(text)
        self.network.refresh()
        if self._node.lightning is None:
            self._timer.stop()
        elif not self._timer.isActive():
            self._timer.start()

    def stop(self) -> None:
        self._timer.stop()
        self.network.panel.close()

    def _lightning_parts(self) -> list[str]:
        if self._node.lightning is None:
            self._last, self._rate = None, (0.0, 0.0)
            return [_state_words(self._node.state)]
        bound = bound_addresses(self._node)
        peers = self._node.peers.peers()
        inbound = sum(peer.direction is Direction.IN for peer in peers)
        self._measure()
        return [
            tr("listening {addresses}", addresses=", ".join(map(str, bound))) if bound else tr("not listening"),
            tr("{n} peers ({m} in)", n=f"{len(peers):,}", m=f"{inbound:,}")
            if len(peers) != 1
            else tr("1 peer ({m} in)", m=inbound),
            tr("{n} msg/s ↓  {m} ↑", n=f"{self._rate[0]:,.0f}", m=f"{self._rate[1]:,.0f}"),
        ]

    def _measure(self) -> None:
        peers, now = self._node.peers, self._node.clock.monotonic()
        counts = (peers.messages_in, peers.messages_out)
        if self._last is not None and now > self._last[0]:
            passed = now - self._last[0]
            self._rate = (
                max(0, counts[0] - self._last[1]) / passed,
                max(0, counts[1] - self._last[2]) / passed,
            )
        if self._last is None or now > self._last[0]:
            self._last = (now, *counts)


def _state_words(state: NodeState) -> str:
    return {
        NodeState.STARTING: tr("node is starting"),
        NodeState.STOPPING: tr("node is stopping"),
        NodeState.PROBLEM: tr("node did not start"),
    }.get(state, tr("node is off"))
