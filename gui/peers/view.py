"""The peer list: connect, look at, ping, message, disconnect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPoint, QSortFilterProxyModel, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.base.events import Direction, NodeState, NodeStateChanged
from core.bolt.keys import short_id
from core.gossip.graph_values import GraphChanged
from core.peers.events import PeerNotice
from gui import dialogs
from gui.actions import ActionId, Actions
from gui.bridge import Bridge, PeerChange
from gui.peers.connect_bar import ConnectBar
from gui.peers.model import NODE_ID_ROLE, SEARCH_ROLE, SORT_ROLE, Column, PeerModel, PeerRow
from gui.peers.panel import PeerPanel
from gui.phrases import tr
from gui.theme import SPACE_GROUP, SPACE_PAGE, SPACE_RELATED, Size, Theme
from gui.widgets.basics import EmptyState, label
from gui.widgets.notice import Notice
from gui.widgets.table import Table
from gui.words import Remedy, bounded

if TYPE_CHECKING:
    from core.node import Node
    from gui.tasks import WindowTasks

REFRESH_MS = 100
_TIMES_EVERY = 10
_NOTICES_KEPT = 200
_ON_PEER = (ActionId.PING, ActionId.MESSAGE_PEER, ActionId.DISCONNECT, ActionId.FORCE_DISCONNECT)


class PeersView(QWidget):
    """Acts through `Node`; hears through the bridge; live figures are read for the rows that can be seen."""

    message_wanted = Signal(bytes)
    """Node id of the peer to write to."""

    def __init__(self, node: Node, tasks: WindowTasks, bridge: Bridge, theme: Theme, actions: Actions) -> None:
        super().__init__()
        self._node, self._tasks, self._actions = node, tasks, actions
        self._said: dict[bytes, str] = {}
        self._ticks = 0
        self.model = PeerModel(node, theme)
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSourceModel(self.model)
        self.sorted.setSortRole(SORT_ROLE)
        self.sorted.setFilterRole(SEARCH_ROLE)
        self.sorted.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.connect_bar = ConnectBar(node, tasks, bridge, theme)
        self.notice = Notice(theme, dismissable=True)
        self.counts = label("", theme, size=Size.TABLE, tone="muted")
        self.filter = QLineEdit()
        self.filter.setPlaceholderText(self.tr("Filter"))
        self.filter.setAccessibleName(self.tr("Filter the peers"))
        self.filter.setMaximumWidth(theme.em(16))
        self.filter.setClearButtonEnabled(False)
        self.table = self._make_table(theme)
        self.panel = PeerPanel(node, theme, actions)
        self.empty = EmptyState(theme)
        self._lay_out()
        self._bind()
        self._refreshing = QTimer(self, interval=REFRESH_MS)
        self._refreshing.timeout.connect(self.refresh)
        bridge.peers_changed.connect(self._peers_changed)
        bridge.peer_notices.connect(self._peer_notices)
        bridge.node_state_changed.connect(self._node_state_changed)
        bridge.graph_changed.connect(self._graph_changed)
        self.setFocusProxy(self.connect_bar.field)
        self.model.catch_up()
        self._show_all()

    # --- what others ask of it

    def selected(self) -> PeerRow | None:
        """The row that actions are about."""
        rows = self.table.selectionModel().selectedRows()
        return self.model.row_of(rows[0].data(NODE_ID_ROLE)) if rows else None

    def select(self, node_id: bytes) -> None:
        """Select a peer's row and bring it into sight; a filter that hides it is cleared."""
        index = self.sorted.mapFromSource(self.model.index_of(node_id))
        if not index.isValid():
            self.filter.clear()
            index = self.sorted.mapFromSource(self.model.index_of(node_id))
        if index.isValid():
            self.table.selectRow(index.row())
            self.table.scrollTo(index)

    def focus_connect(self) -> None:
        self.connect_bar.field.setFocus()
        self.connect_bar.field.selectAll()

    def refresh(self) -> None:
        """Bring the figures of the rows that can be seen up to date; ten times a second at most."""
        ids = [self.sorted.index(row, 0).data(NODE_ID_ROLE) for row in self.table.visible_rows()]
        peer = self.selected()
        if peer is not None:
            ids.append(peer.node_id)
        self.model.refresh(ids)
        self._ticks += 1
        if self._ticks % _TIMES_EVERY == 0:
            self.model.repaint_times()
            self._show_selected()

    # --- what a person does

    def _paste(self) -> None:
        """What the clipboard holds goes into the field, to be looked at; nothing is dialled."""
        self.connect_bar.fill(QGuiApplication.clipboard().text().strip())

    def _copy_node_id(self) -> None:
        peer = self.selected()
        if peer is not None:
            QGuiApplication.clipboard().setText(peer.node_id.hex())

    def _ping(self) -> None:
        peer = self.selected()
        if peer is not None:
            self._tasks.start(self._node.peers.ping(peer.node_id), done=self._pinged, failed=self._failed)

    def _pinged(self, _length: int) -> None:
        self.notice.hide()
        self.refresh()
        self._show_selected()

    def _write(self) -> None:
        peer = self.selected()
        if peer is not None:
            self.message_wanted.emit(peer.node_id)

    def _reconnect(self) -> None:
        peer = self.selected()
        if peer is not None:
            # Where an inbound connection came from is no address to reach the peer at; the core may know one.
            inbound = peer.info.direction is Direction.IN
            self.connect_bar.dial(peer.node_id.hex() if inbound else f"{peer.node_id.hex()}@{peer.info.address}")

    def _disconnect(self) -> None:
        peer = self.selected()
        if peer is not None:
            self.notice.hide()
            self._tasks.start(self._node.peers.disconnect(peer.node_id), failed=self._failed)

    def _force(self) -> None:
        peer = self.selected()
        if peer is not None:
            self.notice.hide()
            self._tasks.start(self._ask_and_force(peer.node_id), failed=self._failed)

    async def _ask_and_force(self, node_id: bytes) -> None:
        body = tr(
            "This closes the connection, not your channels. No coins move.\n\n"
            "It closes at once, even while a channel is at work. Messages not yet sent are lost. "
            "The peer may connect again by itself."
        )
        title = tr("Force-disconnect {id}?", id=short_id(node_id))
        if await dialogs.ask(self, title, body, tr("Force-disconnect"), details=node_id.hex(), destructive=True):
            await self._node.peers.disconnect(node_id, force=True)

    def _remove(self) -> None:
        peer = self.selected()
        if peer is not None:
            self.model.forget(peer.node_id)
            self._show_all()

    def _failed(self, error: Exception) -> None:
        self.notice.show_error(error, {Remedy.FORCE_DISCONNECT: self._force, Remedy.CONNECT: self.focus_connect})

    # --- what happens

    def _peers_changed(self, changes: list[PeerChange]) -> None:
        self.model.apply(changes)
        self._show_all()

    def _graph_changed(self, changes: list[GraphChanged]) -> None:
        self.model.graph_changed(changes)
        self._show_names()
        if self.isVisible():
            self._show_selected()

    def _peer_notices(self, notices: list[PeerNotice]) -> None:
        for notice in notices:
            kind = tr("error") if notice.is_error else tr("warning")
            self._said.pop(notice.peer_id, None)
            self._said[notice.peer_id] = f"{kind}: {bounded(notice.text)}"
        while len(self._said) > _NOTICES_KEPT:
            del self._said[next(iter(self._said))]
        self._show_selected()

    def _node_state_changed(self, event: NodeStateChanged) -> None:
        if self._node.lightning is None:
            self.model.all_left(tr("your node stopped"))
        elif event.state is NodeState.RUNNING:
            self.setFocusProxy(self.connect_bar.field)
        self.model.catch_up()
        self._show_all()

    def _show_connected(self, node_id: bytes) -> None:
        """A dial ended well; its event may still wait for the next frame."""
        self.model.look_at(node_id)
        self._show_all()
        self.select(node_id)

    # --- what is shown

    def _show_all(self) -> None:
        online, inbound, offline = self.model.counts()
        self.counts.setText(
            tr("connected {n}  ·  inbound {m}  ·  offline {o}", n=f"{online:,}", m=f"{inbound:,}", o=f"{offline:,}")
        )
        self.connect_bar.refresh()
        self._show_names()
        self._show_empty()
        self._show_selected()
        self._keep_refreshing()

    def _show_names(self) -> None:
        """A column of nothing would push figures out of sight."""
        self.table.show_column(Column.ALIAS, self.model.knows_names)

    def _show_empty(self) -> None:
        has_rows = self.model.rowCount() > 0
        for part in (self.counts, self.filter):
            part.setVisible(has_rows)
        if not has_rows and self._node.lightning is None:
            start = self._actions[ActionId.START_NODE].trigger
            self.empty.show_case(tr("Your node is not running."), tr("Start node"), start)
        elif not has_rows:
            self.empty.show_case(
                tr("No peers yet. Choose a practice peer above, or paste a node's address.")
                if self._node.practice_peers
                else tr("No peers yet. Paste a node's address above to make your first connection."),
                tr("Paste address"),
                self._paste,
            )
        elif self.sorted.rowCount() == 0:
            self.empty.show_case(
                tr("No peer matches “{text}”.", text=bounded(self.filter.text(), 60)),
                tr("Clear filter"),
                self.filter.clear,
            )
        self._stack.setCurrentWidget(self._split if self.sorted.rowCount() else self.empty)

    def _show_selected(self) -> None:
        peer = self.selected()
        self.panel.show_row(peer, self._said.get(peer.node_id, "") if peer is not None else "")
        here = self.isVisible() and peer is not None
        online = here and peer is not None and peer.connected
        self._actions.enable(here, ActionId.COPY_NODE_ID)
        self._actions.enable(online, *_ON_PEER)
        self._actions.enable(here and not online and self._node.lightning is not None, ActionId.RECONNECT)
        self._actions.enable(here and not online, ActionId.REMOVE_ROW)

    def _filter_changed(self, text: str) -> None:
        self.sorted.setFilterFixedString(text.strip())
        self._show_empty()

    def _open_menu(self, place: QPoint) -> None:
        if self.selected() is None:
            return
        self._freeze_order(True)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._actions.fill(
            menu,
            ActionId.COPY_NODE_ID,
            ActionId.PING,
            ActionId.MESSAGE_PEER,
            ActionId.RECONNECT,
            None,
            ActionId.DISCONNECT,
            ActionId.FORCE_DISCONNECT,
            ActionId.REMOVE_ROW,
        )
        menu.aboutToHide.connect(lambda: self._freeze_order(self.table.underMouse()))
        menu.popup(self.table.viewport().mapToGlobal(place))

    def _freeze_order(self, frozen: bool) -> None:
        """Rows do not change places under the pointer or an open menu."""
        self.sorted.setDynamicSortFilter(not frozen)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Enter:
            self._freeze_order(True)
        elif event.type() == QEvent.Type.Leave:
            self._freeze_order(False)
        return super().eventFilter(watched, event)

    def _keep_refreshing(self) -> None:
        if self.isVisible() and self.model.rowCount():
            if not self._refreshing.isActive():
                self._refreshing.start()
        else:
            self._refreshing.stop()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show_all()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._refreshing.stop()
        self._show_selected()

    # --- how it is made

    def _make_table(self, theme: Theme) -> Table:
        table = Table(theme, self.tr("Peers"))
        table.setModel(self.sorted)
        table.setSortingEnabled(True)
        table.sortByColumn(Column.STATE, Qt.SortOrder.AscendingOrder)
        table.fit_columns(
            {
                Column.STATE: (tr("Connected"), True),
                Column.NODE_ID: ("02ab12…9f3c04" + (" quiet" if self._node.practice_peers else ""), False),
                Column.ALIAS: ("«a name as long»", False),
                Column.ADDRESS: ("203.0.113.199:65535", False),
                Column.DIRECTION: (tr("Outbound"), True),
                Column.LATENCY: (tr("not measured"), False),
                Column.SINCE: (tr("{n} min", n=59), False),
                Column.MESSAGES_IN: ("999,999", False),
                Column.MESSAGES_OUT: ("999,999", False),
            }
        )
        table.fill_with(Column.ADDRESS)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._open_menu)
        table.viewport().installEventFilter(self)
        table.selectionModel().selectionChanged.connect(lambda _now, _before: self._show_selected())
        return table

    def _bind(self) -> None:
        bind = self._actions.bind
        bind(ActionId.COPY_NODE_ID, self._copy_node_id, enabled=False)
        bind(ActionId.PING, self._ping, enabled=False)
        bind(ActionId.MESSAGE_PEER, self._write, enabled=False)
        bind(ActionId.RECONNECT, self._reconnect, enabled=False)
        bind(ActionId.DISCONNECT, self._disconnect, enabled=False)
        bind(ActionId.FORCE_DISCONNECT, self._force, enabled=False)
        bind(ActionId.REMOVE_ROW, self._remove, enabled=False)
        self.filter.textChanged.connect(self._filter_changed)
        self.connect_bar.connected.connect(self._show_connected)

    def _lay_out(self) -> None:
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.addWidget(self.table)
        self._split.addWidget(self.panel)
        self._split.setStretchFactor(0, 1)
        self._split.setStretchFactor(1, 0)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(SPACE_RELATED)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._split)
        self._stack.addWidget(self.empty)
        line = QHBoxLayout()
        line.setSpacing(SPACE_GROUP)
        line.addWidget(self.counts)
        line.addStretch(1)
        line.addWidget(self.filter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_PAGE, SPACE_GROUP, SPACE_PAGE, SPACE_GROUP)
        layout.setSpacing(SPACE_RELATED)
        layout.addWidget(self.connect_bar)
        layout.addWidget(self.notice)
        layout.addLayout(line)
        layout.addWidget(self._stack, 1)
