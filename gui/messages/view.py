"""The message console: what was received and written, one message whole, and the composer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from core.base.events import CustomMessage, NodeStateChanged, PeerConnected
from gui.actions import ActionId, Actions
from gui.bridge import Bridge, PeerChange
from gui.messages.composer import Composer
from gui.messages.detail import MessageDetail
from gui.messages.model import Column, MessageModel
from gui.phrases import tr
from gui.theme import SPACE_GROUP, SPACE_PAGE, SPACE_RELATED, Size, Theme
from gui.widgets.basics import EmptyState, label
from gui.widgets.table import Table

if TYPE_CHECKING:
    from core.node import Node


class MessagesView(QWidget):
    """Follows the newest message while nothing else is selected or scrolled to."""

    connect_wanted = Signal()

    def __init__(self, node: Node, bridge: Bridge, theme: Theme, actions: Actions) -> None:
        super().__init__()
        self._node, self._actions = node, actions
        self._follows = True
        """The newest row is in sight, and stays so when others come."""
        self.model = MessageModel(theme)
        self.summary = label("", theme, size=Size.TABLE, tone="muted")
        self.table = self._make_table(theme)
        self.detail = MessageDetail(theme)
        self.empty = EmptyState(theme)
        self.composer = Composer(node, theme, actions)
        self.composer.connect_wanted.connect(self.connect_wanted)
        self._lay_out()
        bridge.custom_messages.connect(self._messages_came)
        bridge.peers_changed.connect(self._peers_changed)
        bridge.node_state_changed.connect(self._node_state_changed)
        self.setFocusProxy(self.composer.payload)
        self._catch_up()
        self._show_state()

    def write_to(self, node_id: bytes) -> None:
        """Make the composer ready for this peer."""
        self.composer.choose(node_id)

    def _catch_up(self) -> None:
        if self._node.lightning is not None:
            self.model.append(self._node.peers.custom_messages())
            for info in self._node.peers.peers():
                self.composer.peer_came(info.node_id)

    def _messages_came(self, messages: list[CustomMessage]) -> None:
        self.model.append(messages)
        self._show_state()

    def _scrolled(self, value: int) -> None:
        bar = self.table.verticalScrollBar()
        self._follows = value >= bar.maximum() - self.table.verticalHeader().defaultSectionSize()

    def _room_changed(self, _least: int, most: int) -> None:
        if self._follows and not self.table.selectionModel().hasSelection():
            self.table.verticalScrollBar().setValue(most)

    def _peers_changed(self, changes: list[PeerChange]) -> None:
        for change in changes:
            here = self._node.lightning is not None and self._node.peers.peer(change.peer_id) is not None
            if here and isinstance(change, PeerConnected):
                self.composer.peer_came(change.peer_id)
            elif not here:
                self.composer.peer_left(change.peer_id)
        self._show_state()

    def _node_state_changed(self, _event: NodeStateChanged) -> None:
        if self._node.lightning is None:
            for node_id in self.composer.known_peers():
                self.composer.peer_left(node_id)
        self._show_state()

    def _show_state(self) -> None:
        count = self.model.rowCount()
        words = tr("{n} messages", n=f"{count:,}") if count != 1 else tr("1 message")
        if self.model.dropped:
            words += tr("  ·  older ones dropped: {n}", n=f"{self.model.dropped:,}")
        self.summary.setText(words)
        self.summary.setVisible(count > 0)
        self._stack.setCurrentWidget(self._split if count else self.empty)
        if count:
            return
        if self._node.lightning is None:
            start = self._actions[ActionId.START_NODE].trigger
            self.empty.show_case(tr("Your node is not running."), tr("Start node"), start)
        elif not self.composer.known_peers():
            self.empty.show_case(tr("Connect to a peer to send messages."), tr("Connect…"), self.connect_wanted.emit)
        else:
            self.empty.show_case(
                tr("Nothing yet. Custom messages to and from your peers appear here."),
                tr("Write one"),
                self.composer.payload.setFocus,
            )

    def _selected(self) -> None:
        rows = self.table.selectionModel().selectedRows()
        self.detail.show_message(self.model.message(rows[0].row()) if rows else None)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.composer.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._actions.enable(False, ActionId.SEND)

    def _make_table(self, theme: Theme) -> Table:
        table = Table(theme, self.tr("Custom messages"))
        table.setModel(self.model)
        table.fit_columns(
            {
                Column.TIME: ("23:59:59.999", False),
                Column.DIRECTION: (tr("Received"), True),
                Column.PEER: ("02ab12…9f3c04", False),
                Column.TYPE: ("37913 lsps0_message_id", False),
                Column.SIZE: ("65,535", False),
            }
        )
        table.horizontalHeader().setStretchLastSection(True)
        table.verticalScrollBar().valueChanged.connect(self._scrolled)
        table.verticalScrollBar().rangeChanged.connect(self._room_changed)
        table.selectionModel().selectionChanged.connect(lambda _now, _before: self._selected())
        return table

    def _lay_out(self) -> None:
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._split.addWidget(self.table)
        self._split.addWidget(self.detail)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(SPACE_RELATED)
        self._split.setStretchFactor(0, 3)
        self._split.setStretchFactor(1, 2)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._split)
        self._stack.addWidget(self.empty)
        page = QVBoxLayout()
        page.setContentsMargins(SPACE_PAGE, SPACE_GROUP, SPACE_PAGE, SPACE_GROUP)
        page.setSpacing(SPACE_RELATED)
        page.addWidget(self.summary)
        page.addWidget(self._stack, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(page, 1)
        layout.addWidget(self.composer)
