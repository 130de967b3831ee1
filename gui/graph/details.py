"""What is known of the selected node, beside the picture. What it says of itself is marked as its own word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFormLayout, QFrame, QLabel, QScrollArea, QVBoxLayout

from core.bolt.keys import short_id
from core.gossip.columns import CHECKED, OVERLAY
from core.gossip.graph_values import GraphNode
from gui.peers.claim import ClaimBox
from gui.phrases import tr
from gui.theme import SPACE_GROUP, SPACE_INSIDE, SPACE_RELATED, Size, Theme
from gui.widgets.basics import CopyButton, button, label, paragraph, plain_tooltip, row
from gui.words_graph import sats

if TYPE_CHECKING:
    from core.node import Node

_WIDTH_EM = 24


class NodeDetails(QScrollArea):
    """Hidden until a node is selected."""

    connect_wanted = Signal(str)
    """What to dial: a node id, whose announced addresses the core knows."""
    centre_wanted = Signal(bytes)

    def __init__(self, node: Node, theme: Theme) -> None:
        super().__init__()
        self._node, self._theme = node, theme
        self._node_id = b""
        self.setAccessibleName(tr("Selected node"))
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedWidth(theme.em(_WIDTH_EM))
        self._id = label("", theme, fixed=True, bold=True)
        self._copy = CopyButton(theme, tr("node id"))
        self.connect_button = button(tr("Connect"), self._connect, kind="primary", name="graphConnect")
        self.centre_button = button(tr("Make it the centre"), self._centre, name="graphCentre")
        self._why_not = paragraph("", theme, size=Size.CAPTION, tone="muted")
        self._values: dict[str, QLabel] = {}
        self.claim = ClaimBox(node, theme)
        self.claim.setMinimumWidth(1)  # a long address is cut, and widens nothing
        card = QFrame()
        card.setProperty("kind", "card")
        layout = QVBoxLayout(card)
        layout.setContentsMargins(SPACE_GROUP, SPACE_GROUP - 4, SPACE_GROUP, SPACE_GROUP - 4)
        layout.setSpacing(SPACE_RELATED)
        head = row(self._id, self._copy)
        head.addStretch(1)
        layout.addLayout(head)
        buttons = row(self.connect_button, self.centre_button)
        buttons.addStretch(1)
        layout.addLayout(buttons)
        layout.addWidget(self._why_not)
        layout.addLayout(self._form())
        layout.addWidget(self.claim)
        layout.addStretch(1)
        self.setWidget(card)
        self.hide()

    @property
    def node_id(self) -> bytes:
        return self._node_id

    @property
    def text(self) -> str:
        """What the fields say, a line each."""
        return "\n".join(f"{name}: {value.text()}" for name, value in self._values.items())

    def sizeHint(self) -> QSize:
        return QSize(self.minimumWidth(), super().sizeHint().height())

    def show_node(self, node_id: bytes, *, is_centre: bool = False) -> None:
        """A node as the graph has it now; an empty id hides the panel."""
        self._node_id = node_id
        self.setVisible(bool(node_id))
        if not node_id:
            return
        self._id.setText(short_id(node_id))
        self._id.setToolTip(plain_tooltip(node_id.hex()))
        self._copy.offer(node_id.hex())
        self.centre_button.setEnabled(not is_centre)
        found = self._node.graph.node(node_id) if self._node.lightning is not None else None
        self.claim.show_node(node_id, b"")
        self._show_standing(found)
        self._show_values(node_id, found)

    def _show_standing(self, found: GraphNode | None) -> None:
        """Whether it can be dialled from here, and why not."""
        why_not = ""
        if self._node_id == self._node.node_id:
            why_not = tr("This is your own node.")
        elif self._node.lightning is None:
            why_not = tr("Your node is not running.")
        elif self._node.peers.peer(self._node_id) is not None:
            why_not = tr("You are connected to it.")
        elif found is None or found.announced is None or not found.announced.dialable():
            why_not = tr("It has announced no address that can be dialled.")
        self.connect_button.setEnabled(not why_not)
        self._why_not.setText(why_not)
        self._why_not.setVisible(bool(why_not))

    def _show_values(self, node_id: bytes, found: GraphNode | None) -> None:
        if found is None:
            for name in self._values:
                self._put(name, tr("none") if name == "channels" else "")
            return
        graph = self._node.graph
        scids = np.array(graph.channels_of(node_id), np.uint64)
        records = graph.channel_table.records[graph.rows_of(scids)]
        checked, overlay = records["state"] & CHECKED != 0, records["state"] & OVERLAY != 0
        known = records["capacity_sat"][checked]
        self._put("channels", f"{len(scids):,}")
        self._put("capacity", sats(int(known.sum())) if len(known) else "")
        self._put("largest", sats(int(known.max())) if len(known) else "")
        self._put("checked", f"{len(known):,}" if len(known) else "")
        for name, count in (("unchecked", int((~checked & ~overlay).sum())), ("overlay", int(overlay.sum()))):
            self._put(name, f"{count:,}" if count else "")
        self._put("since", tr("block {n}", n=f"{int(scids[0]) >> 40:,}"))

    def _put(self, name: str, text: str) -> None:
        self._values[name].setText(text)
        self._form_layout.setRowVisible(self._values[name], bool(text))

    def _form(self) -> QFormLayout:
        form = QFormLayout()
        form.setHorizontalSpacing(SPACE_GROUP)
        form.setVerticalSpacing(SPACE_INSIDE)
        for name, words in (
            ("channels", tr("Channels")),
            ("capacity", tr("Checked capacity")),
            ("largest", tr("Largest channel")),
            ("checked", tr("Checked")),
            ("unchecked", tr("Unchecked")),
            ("overlay", tr("Unsigned")),
            ("since", tr("Oldest channel")),
        ):
            value = label("", self._theme, size=Size.TABLE)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._values[name] = value
            form.addRow(label(words, self._theme, size=Size.TABLE, tone="muted"), value)
        self._form_layout = form
        return form

    def _connect(self) -> None:
        self.connect_wanted.emit(self._node_id.hex())

    def _centre(self) -> None:
        self.centre_wanted.emit(self._node_id)
