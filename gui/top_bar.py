"""Always in sight: which network, which state, which node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from core.base.events import NodeState
from core.bolt.keys import short_id
from gui.own_address import own_uri
from gui.phrases import bounded, tr
from gui.theme import ICON_LARGE, SPACE_GROUP, SPACE_INSIDE, SPACE_RELATED, Role, Theme
from gui.widgets.basics import Chip, CopyButton, Elided, Glyph, label, row, set_property

if TYPE_CHECKING:
    from core.node import Node

_ALIAS_MAX = 32
IN_MEMORY = "memory"
"""What `Node.key_location` says of a key that is gone with the program."""


def state_look(state: NodeState) -> tuple[str, str, Role]:
    """Words, icon and role of a node's state."""
    return {
        NodeState.OFF: (tr("Off"), "state_off", Role.MUTED),
        NodeState.STARTING: (tr("Starting"), "retry", Role.INFO),
        NodeState.RUNNING: (tr("Running"), "state_on", Role.OK),
        NodeState.STOPPING: (tr("Stopping"), "stop", Role.WARN),
        NodeState.PROBLEM: (tr("Problem"), "warning", Role.ERROR),
    }[state]


class ColourDot(QWidget):
    """The node's own colour, as peers will see it; outlined, so that any colour can be seen on any ground."""

    def __init__(self, colour: str, theme: Theme) -> None:
        super().__init__()
        self._colour, self._theme = QColor(f"#{colour.removeprefix('#')}"), theme
        side = theme.em(0.9)
        self.setFixedSize(side, side)
        self.setToolTip(tr("Your node's colour, {hex}", hex=self._colour.name()))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.color(Role.MUTED), 1))
        painter.setBrush(self._colour)
        painter.drawEllipse(self.rect().adjusted(1, 1, -1, -1))
        painter.end()


class TopBar(QFrame):
    """Mark, network badge, state pill, alias with colour, own URI with copy."""

    def __init__(self, node: Node, theme: Theme) -> None:
        super().__init__()
        self._node, self._node_id = node, node.node_id
        self.setProperty("kind", "bar")
        self.network = Chip(theme, "peers", Role.MUTED)
        self.state = Chip(theme, "state_off", Role.MUTED)
        self._alias = label(bounded(node.alias, _ALIAS_MAX), theme)
        self._uri = Elided(theme, fixed=True, tone="muted")
        self._uri.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.copy = CopyButton(theme, self.tr("node URI"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACE_GROUP, SPACE_RELATED, SPACE_GROUP, SPACE_RELATED)
        layout.setSpacing(SPACE_GROUP - 4)
        layout.addLayout(
            row(
                Glyph("mark", theme, Role.BRASS, side=ICON_LARGE + 4),
                label(self.tr("Leyden"), theme, bold=True),
                spacing=SPACE_INSIDE,
            )
        )
        layout.addWidget(self.network)
        layout.addWidget(self.state)
        if node.key_location == IN_MEMORY:
            layout.addWidget(self._not_kept(theme))
        layout.addLayout(row(self._alias, ColourDot(node.color, theme)))
        address = row(self._uri, self.copy, spacing=SPACE_INSIDE)
        address.setStretch(0, 1)
        layout.addLayout(address, 1)
        self._show_network()
        self.refresh()

    @property
    def uri(self) -> str:
        return self._uri.whole

    def refresh(self) -> None:
        """The node's state or addresses changed."""
        self.state.show_state(*state_look(self._node.state))
        uri = own_uri(self._node, self._node_id)
        self.copy.offer(uri)
        self._uri.show_text(uri.replace(self._node_id.hex(), short_id(self._node_id), 1), uri)

    def _not_kept(self, theme: Theme) -> Chip:
        chip = Chip(theme, "info", Role.WARN)
        chip.show_state(tr("key is not kept"), "info", Role.WARN)
        chip.setToolTip(tr("Your node's key is in memory and gone when Leyden ends."))
        return chip

    def _show_network(self) -> None:
        real = self._node.network.name == "bitcoin"
        words = tr("MAINNET") if real else self._node.network.name
        self.network.show_state(words, "mark" if real else "node", Role.BRASS if real else Role.MUTED)
        set_property(self.network, "tone", Role.BRASS if real else "")
        self.network.setToolTip(tr("Real bitcoin.") if real else tr("A test network: its coins are worth nothing."))
