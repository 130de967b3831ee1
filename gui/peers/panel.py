"""What is known of the selected peer, beside the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFormLayout, QFrame, QHBoxLayout, QLabel, QScrollArea, QToolButton, QVBoxLayout

from gui.actions import ActionId, Actions
from gui.peer_names import peer_name
from gui.peers.claim import ClaimBox, feature_lines
from gui.peers.model import PeerRow, direction_words, state_words
from gui.phrases import bounded, tr
from gui.theme import SPACE_GROUP, SPACE_INSIDE, SPACE_RELATED, Role, Size, Theme
from gui.times import ago, exactly, milliseconds
from gui.widgets.basics import Chip, CopyButton, label, paragraph, plain_tooltip, row

if TYPE_CHECKING:
    from core.node import Node

_WIDTH_EM = 27


class PeerPanel(QScrollArea):
    """Hidden until a row is selected."""

    def __init__(self, node: Node, theme: Theme, actions: Actions) -> None:
        super().__init__()
        self._node, self._theme = node, theme
        self._node_id: bytes | None = None
        self._features: bytes | None = None
        self.setAccessibleName(self.tr("Selected peer"))
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(theme.em(_WIDTH_EM))
        self._id = label("", theme, fixed=True, bold=True)
        self._copy = CopyButton(theme, self.tr("node id"))
        self._chip = Chip(theme, "state_off", Role.MUTED)
        self._values: dict[str, QLabel] = {}
        self._tools: dict[ActionId, QToolButton] = {}
        self._said = paragraph("", theme, size=Size.TABLE)
        self._said_head = label(self.tr("The peer said (not verified):"), theme, size=Size.CAPTION, tone="muted")
        self.claim = ClaimBox(node, theme)
        self._list = paragraph("", theme, size=Size.TABLE)
        self._list.setFont(theme.font(Size.CAPTION, fixed=True))
        self._list.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        card = QFrame()
        card.setProperty("kind", "card")
        layout = QVBoxLayout(card)
        layout.setContentsMargins(SPACE_GROUP, SPACE_GROUP - 4, SPACE_GROUP, SPACE_GROUP - 4)
        layout.setSpacing(SPACE_RELATED)
        head = row(self._id, self._copy, self._chip)
        head.insertStretch(2, 1)
        layout.addLayout(head)
        layout.addLayout(self._buttons(actions))
        layout.addLayout(self._form())
        layout.addWidget(self._said_head)
        layout.addWidget(self._said)
        layout.addSpacing(SPACE_RELATED)
        layout.addWidget(self.claim)
        layout.addSpacing(SPACE_RELATED)
        layout.addWidget(label(self.tr("Features they offer"), theme, bold=True))
        layout.addWidget(self._list)
        layout.addStretch(1)
        self.setWidget(card)
        self.hide()

    @property
    def text(self) -> str:
        """What the fields say, a line each."""
        return "\n".join(f"{name}: {value.text()}" for name, value in self._values.items())

    @property
    def features_text(self) -> str:
        return self._list.text()

    @property
    def said(self) -> str:
        return self._said.text()

    def sizeHint(self) -> QSize:
        """The table gets what is left, whichever buttons are shown."""
        return QSize(self.minimumWidth(), super().sizeHint().height())

    def show_row(self, peer: PeerRow | None, said: str) -> None:
        """The row as it is now; None hides the panel."""
        self.setVisible(peer is not None)
        if peer is None:
            self._node_id = None
            return
        if peer.node_id != self._node_id:
            self._node_id = peer.node_id
            self._id.setText(peer_name(self._node, peer.node_id))
            self._id.setToolTip(plain_tooltip(peer.node_id.hex()))
            self._copy.offer(peer.node_id.hex())
        if peer.connected:
            self._chip.show_state(state_words(peer), "state_on", Role.OK)
        else:
            self._chip.show_state(state_words(peer), "state_off", Role.MUTED)
        for action_id, tool in self._tools.items():
            tool.setVisible(peer.connected is (action_id is not ActionId.RECONNECT))
        self._show_values(peer)
        self.claim.show_node(peer.node_id, peer.info.features)
        self._said.setText(bounded(said))
        for part in (self._said_head, self._said):
            part.setVisible(bool(said))
        if peer.info.features != self._features or not self._list.text():
            self._features = peer.info.features
            self._list.setText("\n".join(feature_lines(peer.info.features)) or tr("none"))

    def _show_values(self, peer: PeerRow) -> None:
        info, now = peer.info, self._node.clock.time()
        self._put("address", f"{bounded(str(info.address), 270)}")
        self._put("direction", direction_words(info.direction))
        self._put("sees_us", bounded(info.remote_addr, 270) if info.remote_addr else tr("not said"))
        self._put("since", ago(now - info.connected_at), exactly(info.connected_at))
        self._put("latency", tr("not measured") if info.latency_s is None else f"{milliseconds(info.latency_s)} ms")
        self._put("messages", tr("{n} in, {m} out", n=f"{info.messages_in:,}", m=f"{info.messages_out:,}"))
        self._put("bytes", tr("{n} in, {m} out", n=f"{info.bytes_in:,}", m=f"{info.bytes_out:,}"))
        self._put("ended", peer.reason)
        if peer.left_at is not None:
            self._put("since", ago(now - peer.left_at), exactly(peer.left_at))
        self._form_layout.setRowVisible(self._values["ended"], bool(peer.reason))

    def _put(self, name: str, text: str, tooltip: str = "") -> None:
        value = self._values[name]
        if value.text() != text:
            value.setText(text)
        if tooltip:
            value.setToolTip(tooltip)

    def _form(self) -> QFormLayout:
        form = QFormLayout()
        form.setHorizontalSpacing(SPACE_GROUP)
        form.setVerticalSpacing(SPACE_INSIDE)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, words in (
            ("address", self.tr("Address")),
            ("direction", self.tr("Direction")),
            ("sees_us", self.tr("Sees you as")),
            ("since", self.tr("Since")),
            ("ended", self.tr("Ended")),
            ("latency", self.tr("Latency")),
            ("messages", self.tr("Messages")),
            ("bytes", self.tr("Bytes")),
        ):
            value = paragraph("", self._theme, size=Size.TABLE)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._values[name] = value
            form.addRow(label(words, self._theme, size=Size.TABLE, tone="muted"), value)
        self._form_layout = form
        return form

    def _buttons(self, actions: Actions) -> QHBoxLayout:
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACE_INSIDE)
        actions[ActionId.MESSAGE_PEER].setIconText(self.tr("Message"))
        for action_id in (ActionId.PING, ActionId.MESSAGE_PEER, ActionId.DISCONNECT, ActionId.RECONNECT):
            tool = QToolButton()
            tool.setDefaultAction(actions[action_id])
            tool.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            tool.setFont(self._theme.font(Size.TABLE))
            tool.setProperty("kind", "tool")
            tool.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            tool.setAccessibleName(actions[action_id].text().replace("&", ""))
            buttons.addWidget(tool)
            self._tools[action_id] = tool
        buttons.addStretch(1)
        return buttons
