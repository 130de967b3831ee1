"""The main window: a rail of views between a bar that says which node this is and one that says what it does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QActionGroup, QCloseEvent, QGuiApplication
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.base.events import NodeState, NodeStateChanged
from gui.actions import ActionId, Actions
from gui.activation.view import ActivationView
from gui.bridge import Bridge
from gui.graph.view import GraphView
from gui.keys import KeysDialog
from gui.lock import AutoLock, LockPage
from gui.messages.view import MessagesView
from gui.network_import import NetworkImport
from gui.own_address import own_uri
from gui.peers.view import PeersView
from gui.phrases import bounded
from gui.settings.dialog import SettingsDialog
from gui.status_bar import StatusBar
from gui.theme import ICON_LARGE, SPACE_INSIDE, Role, Size, Theme, ThemeChoice
from gui.top_bar import TopBar
from gui.widgets.icons import icon

if TYPE_CHECKING:
    from core.node import Node
    from core.wallet.service import KeyService
    from gui.tasks import WindowTasks

_SIZE_EM = (108, 70)
_SMALLEST_EM = (48, 30)
_RAIL_EM = 6
_RAIL = (ActionId.SHOW_NODE, ActionId.SHOW_PEERS, ActionId.SHOW_MESSAGES, ActionId.SHOW_GRAPH)
_THEMES = {
    ActionId.THEME_SYSTEM: ThemeChoice.SYSTEM,
    ActionId.THEME_LIGHT: ThemeChoice.LIGHT,
    ActionId.THEME_DARK: ThemeChoice.DARK,
}


class MainWindow(QMainWindow):
    """Built on a started `Node`, before or after its activation.

    Closing it only asks: `close_requested` is emitted and the window stays until `close_now`, since the node stops
    in order first.
    """

    close_requested = Signal()
    switch_requested = Signal()
    """Another profile shall be opened; this one is to stop first."""

    def __init__(self, node: Node, tasks: WindowTasks, theme: Theme) -> None:
        super().__init__()
        self._node, self._theme = node, theme
        self._node_id = node.node_id
        self._closing = False
        self.setObjectName("mainWindow")
        # Qt puts the program's name behind it where the system wants that.
        self.setWindowTitle(f"{bounded(node.alias, 32)} · {node.network.name}")
        self.setWindowIcon(icon("mark", theme, Role.BRASS))
        self.bridge = Bridge(node.bus, self)
        self.actions_table = Actions(theme, self)
        self.top = TopBar(node, theme)
        self.status = StatusBar(node, theme)
        self._bind_own()
        self.activation = ActivationView(node, tasks, self.bridge, theme)
        self.peers = PeersView(node, tasks, self.bridge, theme, self.actions_table)
        self.messages = MessagesView(node, self.bridge, theme, self.actions_table)
        self.network_import = NetworkImport(node, tasks, theme, self)
        self.settings = SettingsDialog(node, tasks, theme, self)
        self.graph = GraphView(node, tasks, self.bridge, theme, self.actions_table)
        self._bind_views()
        self._lay_out()
        self._fill_menus()
        self.bridge.node_state_changed.connect(self._node_state_changed)
        self.bridge.peers_changed.connect(lambda _changes: self.status.refresh())
        self.bridge.graph_changed.connect(lambda _changes: self.status.network.heard())
        self.bridge.task_changed.connect(lambda _change: self._refresh())
        self.lock_page: LockPage | None = None
        self._keys_dialog: KeysDialog | None = None
        self.show_view(ActionId.SHOW_NODE)
        self._refresh()
        room = self.screen().availableSize()
        self.resize(min(theme.em(_SIZE_EM[0]), room.width()), min(theme.em(_SIZE_EM[1]), room.height()))
        self.setMinimumSize(theme.em(_SMALLEST_EM[0]), theme.em(_SMALLEST_EM[1]))

    def show_view(self, action_id: ActionId) -> None:
        """One of the rail's."""
        self.actions_table[action_id].setChecked(True)
        self._stack.setCurrentWidget(self._views[action_id])
        self._views[action_id].setFocus()

    def guard(self, keys: KeyService, tasks: WindowTasks, minutes: int) -> None:
        """From now on the window can be locked, and locks itself after `minutes` without a sign of life; 0 is never.

        Where the key is can be seen and changed from now on too.
        """
        self.lock_page = LockPage(keys, tasks, self._theme)
        self._pages.addWidget(self.lock_page)
        self.lock_page.unlocked.connect(self._unlock)
        self.actions_table.bind(ActionId.LOCK, self.lock)
        self.actions_table.bind(ActionId.KEYS, partial(self._show_keys, keys, tasks))
        AutoLock(cast("QApplication", QApplication.instance()), minutes, self.lock, self)

    def _show_keys(self, keys: KeyService, tasks: WindowTasks) -> None:
        if self._keys_dialog is None:
            file = self._node.settings.passphrase_file
            self._keys_dialog = KeysDialog(keys, self._node, file, tasks, self._theme, self)
            self._keys_dialog.lock_wanted.connect(self.lock)
            self._keys_dialog.moved.connect(self.status.refresh)
        # Kept, for a change that is under way ends after the dialog was closed too.
        self._keys_dialog.refresh()
        self._keys_dialog.open()

    @property
    def locked(self) -> bool:
        return self.lock_page is not None and self._pages.currentWidget() is self.lock_page

    def lock(self) -> None:
        """Hide everything behind the lock page: views, menus, shortcuts, dialogs, and the name in the title."""
        if self.lock_page is None or self.locked:
            return
        for dialog in self.findChildren(QDialog):
            dialog.reject()
        self.status.network.panel.hide()  # a window of its own, with buttons
        self._put_away = self.actions()
        for action in self._put_away:
            self.removeAction(action)
        self.menuBar().hide()
        self._unlocked_title = self.windowTitle()
        self.setWindowTitle(self.tr("Locked"))
        self._pages.setCurrentWidget(self.lock_page)
        self.lock_page.lock()

    def _unlock(self) -> None:
        self.addActions(self._put_away)
        self.menuBar().show()
        self.setWindowTitle(self._unlocked_title)
        self._pages.setCurrentIndex(0)

    def fill_connect(self, text: str) -> None:
        """Show an address from elsewhere in the connect field. It is never dialled without the person's click."""
        self.show_view(ActionId.SHOW_PEERS)
        self.peers.connect_bar.fill(text)

    def close_now(self) -> None:
        """The node has stopped: hear nothing more and go."""
        self._closing = True
        self.bridge.close()
        self.status.stop()
        self.close()

    def _connect(self) -> None:
        self.show_view(ActionId.SHOW_PEERS)
        self.peers.focus_connect()

    def _dial(self, text: str) -> None:
        """A person clicked on Connect beside a node."""
        self.show_view(ActionId.SHOW_PEERS)
        self.peers.connect_bar.dial(text)

    def _filter(self) -> None:
        self.show_view(ActionId.SHOW_PEERS)
        self.peers.filter.setFocus()

    def _write_to(self, node_id: bytes) -> None:
        self.show_view(ActionId.SHOW_MESSAGES)
        self.messages.write_to(node_id)

    def _copy_uri(self) -> None:
        QGuiApplication.clipboard().setText(own_uri(self._node, self._node_id))

    def _node_state_changed(self, _event: NodeStateChanged) -> None:
        self._refresh()

    def _refresh(self) -> None:
        self.top.refresh()
        self.status.refresh()
        state = self._node.state
        # What a click would start has nobody left to own it once the node stops.
        for part in (self.menuBar(), self._stack):
            part.setEnabled(state is not NodeState.STOPPING)
        startable = state in (NodeState.OFF, NodeState.PROBLEM) and self._node.lightning is None
        self.actions_table.enable(startable, ActionId.START_NODE)
        self.actions_table.enable(self._node.lightning is not None, ActionId.IMPORT_GRAPH)
        self.actions_table.enable(state is NodeState.STARTING, ActionId.CANCEL_ACTIVATION)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._closing:
            event.accept()
            return
        event.ignore()
        self.close_requested.emit()

    # --- how it is made

    def _bind_own(self) -> None:
        bind = self.actions_table.bind
        for action_id in _RAIL:
            bind(action_id, partial(self.show_view, action_id))
        views = QActionGroup(self)
        for action_id in _RAIL:
            views.addAction(self.actions_table[action_id])
        themes = QActionGroup(self)
        for action_id, choice in _THEMES.items():
            bind(action_id, partial(self._theme.choose, choice))
            themes.addAction(self.actions_table[action_id])
            self.actions_table[action_id].setChecked(choice is self._theme.choice)
        bind(ActionId.COPY_URI, self._copy_uri)
        bind(ActionId.QUIT, self.close)
        bind(ActionId.SWITCH_PROFILE, self.switch_requested.emit)
        bind(ActionId.CONNECT, self._connect)
        bind(ActionId.FILTER_PEERS, self._filter)

    def _bind_views(self) -> None:
        self.actions_table.bind(ActionId.START_NODE, self._start)
        self.actions_table.bind(ActionId.CANCEL_ACTIVATION, self.activation.cancel, enabled=False)
        self.actions_table.bind(ActionId.IMPORT_GRAPH, self.network_import.choose, enabled=False)
        self.actions_table.bind(ActionId.SETTINGS, self.settings.open_anew)
        self.status.network.panel.offer(self.actions_table, ActionId.IMPORT_GRAPH, ActionId.SETTINGS)
        self.peers.message_wanted.connect(self._write_to)
        self.messages.connect_wanted.connect(self._connect)
        self.graph.connect_wanted.connect(self._dial)

    def _start(self) -> None:
        self.show_view(ActionId.SHOW_NODE)
        self.activation.start()

    def _lay_out(self) -> None:
        self._stack = QStackedWidget()
        self._views: dict[ActionId, QWidget] = dict(
            zip(_RAIL, (self.activation, self.peers, self.messages, self.graph), strict=True)
        )
        for view in self._views.values():
            self._stack.addWidget(view)
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(self.top)
        right.addWidget(self._stack, 1)
        across = QHBoxLayout()
        across.setSpacing(0)
        across.addWidget(self._make_rail())
        across.addLayout(right, 1)
        central = QWidget()
        layout = QVBoxLayout(central)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(across, 1)
        layout.addWidget(self.status)
        self._pages = QStackedWidget()
        self._pages.addWidget(central)
        self.setCentralWidget(self._pages)

    def _make_rail(self) -> QFrame:
        rail = QFrame()
        rail.setProperty("kind", "rail")
        rail.setFixedWidth(self._theme.em(_RAIL_EM))
        layout = QVBoxLayout(rail)
        layout.setContentsMargins(SPACE_INSIDE, SPACE_INSIDE * 2, SPACE_INSIDE, SPACE_INSIDE)
        layout.setSpacing(SPACE_INSIDE)
        for action_id in _RAIL:
            tool = QToolButton()
            tool.setDefaultAction(self.actions_table[action_id])
            tool.setProperty("kind", "rail")
            tool.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            tool.setIconSize(QSize(ICON_LARGE, ICON_LARGE))
            tool.setFont(self._theme.font(Size.CAPTION))
            tool.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            tool.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            tool.setAccessibleName(self.actions_table[action_id].text().replace("&", ""))
            layout.addWidget(tool)
        layout.addStretch(1)
        return rail

    def _fill_menus(self) -> None:
        menus = self.menuBar()
        fill = self.actions_table.fill
        fill(
            menus.addMenu(self.tr("&Node")),
            ActionId.START_NODE,
            ActionId.CANCEL_ACTIVATION,
            None,
            ActionId.COPY_URI,
            ActionId.IMPORT_GRAPH,
            None,
            ActionId.SETTINGS,
            ActionId.KEYS,
            ActionId.LOCK,
            ActionId.SWITCH_PROFILE,
            None,
            ActionId.QUIT,
        )
        fill(
            menus.addMenu(self.tr("&Peer")),
            ActionId.CONNECT,
            ActionId.FILTER_PEERS,
            None,
            ActionId.COPY_NODE_ID,
            ActionId.PING,
            ActionId.MESSAGE_PEER,
            ActionId.RECONNECT,
            None,
            ActionId.DISCONNECT,
            ActionId.FORCE_DISCONNECT,
            ActionId.REMOVE_ROW,
        )
        fill(menus.addMenu(self.tr("&Message")), ActionId.SEND)
        fill(
            menus.addMenu(self.tr("&View")),
            *_RAIL,
            None,
            *_THEMES,
        )
