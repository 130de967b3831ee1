"""What gossip has a node say of itself: name, addresses, features. It is shown as the node's own word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.bolt.features import GOSSIP_QUERIES_BITS, LEYDEN_FEATURES, bits, feature_name
from gui.peer_names import claimed
from gui.phrases import bounded, tr
from gui.theme import SPACE_INSIDE, SPACE_RELATED, Size, Theme
from gui.times import ago, exactly
from gui.widgets.basics import Elided, label, paragraph

if TYPE_CHECKING:
    from core.gossip.graph_values import Announced, GraphNode
    from core.node import Node

_FEATURE_LINES_MAX = 200
_ADDRESSES_MAX = 20


def feature_lines(features: bytes) -> list[str]:
    """`option_channel_type`, below it `bit 45, optional, also ours`; ascending by bit."""
    ours = {bit & ~1 for bit in (*bits(LEYDEN_FEATURES), *GOSSIP_QUERIES_BITS)}
    lines = []
    for bit in bits(features)[:_FEATURE_LINES_MAX]:
        need = tr("optional") if bit % 2 else tr("required")
        also = tr(", also ours") if bit & ~1 in ours else ""
        lines.append(f"{feature_name(bit)}\n    {tr('bit')} {bit}, {need}{also}")
    return lines


def address_lines(announced: Announced) -> list[str]:
    """Where it says that it can be reached, one a line."""
    found = announced.dialable()
    lines = [bounded(str(address), 270) for address in found[:_ADDRESSES_MAX]]
    if len(found) > _ADDRESSES_MAX:
        lines.append(tr("and {n} more", n=len(found) - _ADDRESSES_MAX))
    return lines


class ClaimBox(QWidget):
    """Filled anew only when the announcement is another one."""

    def __init__(self, node: Node, theme: Theme) -> None:
        super().__init__()
        self._node = node
        self._shown: tuple[GraphNode | None, bytes] | None = None
        self.alias = paragraph("", theme, size=Size.TABLE)
        self.addresses = Elided(theme, size=Size.CAPTION, fixed=True)
        self.facts = paragraph("", theme, size=Size.TABLE, tone="muted")
        self.features_head = label(tr("Features it announces"), theme, bold=True)
        self.features = paragraph("", theme, size=Size.TABLE)
        self.features.setFont(theme.font(Size.CAPTION, fixed=True))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_INSIDE)
        head = paragraph(tr("By gossip it says of itself (nobody vouches for it):"), theme, size=Size.CAPTION)
        head.setProperty("tone", "muted")
        layout.addWidget(head)
        self.features_head.setContentsMargins(0, SPACE_RELATED, 0, 0)
        for part in (self.alias, self.addresses, self.facts, self.features_head, self.features):
            part.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            layout.addWidget(part)

    @property
    def text(self) -> str:
        """All that it says, a line each."""
        parts = (self.alias.text(), self.addresses.whole, self.facts.text(), self.features.text())
        return "\n".join(filter(None, parts))

    def show_node(self, node_id: bytes, offered: bytes) -> None:
        """What is known of that peer, whose `init` had the features `offered`. Hidden when gossip has nothing."""
        found = self._node.graph.node(node_id) if self._node.lightning is not None else None
        self.setVisible(found is not None)
        if found is None:
            return
        if self._shown != (found, offered):
            self._shown = (found, offered)
            self._fill(found, offered)
        self._show_facts(found)

    def _fill(self, found: GraphNode, offered: bytes) -> None:
        announced = found.announced
        self.alias.setText(tr("no name") if announced is None else claimed(announced.alias) or tr("no name"))
        self.addresses.show_text("\n".join([] if announced is None else address_lines(announced)))
        self.addresses.setVisible(bool(self.addresses.whole))
        other = announced is not None and bits(announced.features) != bits(offered)
        self.features.setText("\n".join(feature_lines(announced.features)) if announced is not None and other else "")
        for part in (self.features_head, self.features):
            part.setVisible(bool(self.features.text()))

    def _show_facts(self, found: GraphNode) -> None:
        channels = tr("{n} channels", n=f"{found.channels:,}") if found.channels != 1 else tr("1 channel")
        announced = found.announced
        if announced is None:
            said, exact = tr("not announced itself yet"), ""
        else:
            age = self._node.clock.time() - announced.timestamp
            said = tr("announced just now") if age < 1 else tr("announced {ago} ago", ago=ago(age))
            exact = exactly(announced.timestamp)
        self.facts.setText(f"{channels}  ·  {said}")
        self.facts.setToolTip(exact)
