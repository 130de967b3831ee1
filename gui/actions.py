"""Every action once: menus, tool buttons, context menus, shortcuts and tooltips all show these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from gui.theme import Role, Theme
from gui.widgets.icons import icon


class ActionId(StrEnum):
    """Names for code and settings; never shown."""

    SHOW_NODE = "show_node"
    SHOW_PEERS = "show_peers"
    SHOW_MESSAGES = "show_messages"
    SHOW_GRAPH = "show_graph"
    START_NODE = "start_node"
    CANCEL_ACTIVATION = "cancel_activation"
    COPY_URI = "copy_uri"
    IMPORT_GRAPH = "import_graph"
    SETTINGS = "settings"
    KEYS = "keys"
    LOCK = "lock"
    SWITCH_PROFILE = "switch_profile"
    QUIT = "quit"
    CONNECT = "connect"
    FILTER_PEERS = "filter_peers"
    COPY_NODE_ID = "copy_node_id"
    PING = "ping"
    MESSAGE_PEER = "message_peer"
    RECONNECT = "reconnect"
    DISCONNECT = "disconnect"
    FORCE_DISCONNECT = "force_disconnect"
    REMOVE_ROW = "remove_row"
    SEND = "send"
    THEME_SYSTEM = "theme_system"
    THEME_LIGHT = "theme_light"
    THEME_DARK = "theme_dark"


@dataclass(frozen=True, slots=True)
class Spec:
    """What an action is, before it can do anything."""

    text: str
    """With the menu's mnemonic."""
    icon: str = ""
    shortcut: str = ""
    """In Qt's portable spelling; Ctrl is Command on macOS."""
    checkable: bool = False


def _specs() -> dict[ActionId, Spec]:
    def tr(text: str) -> str:
        return QCoreApplication.translate("Actions", text)

    return {
        ActionId.SHOW_NODE: Spec(tr("&Node"), "node", "Ctrl+1", checkable=True),
        ActionId.SHOW_PEERS: Spec(tr("&Peers"), "peers", "Ctrl+2", checkable=True),
        ActionId.SHOW_MESSAGES: Spec(tr("&Messages"), "messages", "Ctrl+3", checkable=True),
        ActionId.SHOW_GRAPH: Spec(tr("&Graph"), "graph", "Ctrl+4", checkable=True),
        ActionId.START_NODE: Spec(tr("&Start node"), "start"),
        ActionId.CANCEL_ACTIVATION: Spec(tr("&Cancel start"), "stop"),
        ActionId.COPY_URI: Spec(tr("Copy node &URI"), "copy", "Ctrl+Shift+C"),
        ActionId.IMPORT_GRAPH: Spec(tr("&Import network graph…")),
        ActionId.SETTINGS: Spec(tr("S&ettings…"), shortcut="Ctrl+,"),
        ActionId.KEYS: Spec(tr("&Keys and access…"), shortcut="Ctrl+Shift+K"),
        ActionId.LOCK: Spec(tr("&Lock"), shortcut="Ctrl+Shift+L"),
        ActionId.SWITCH_PROFILE: Spec(tr("S&witch node…")),
        ActionId.QUIT: Spec(tr("&Quit"), "quit", "Ctrl+Q"),
        ActionId.CONNECT: Spec(tr("&Connect…"), "connect", "Ctrl+N"),
        ActionId.FILTER_PEERS: Spec(tr("&Filter"), "search", "Ctrl+F"),
        ActionId.COPY_NODE_ID: Spec(tr("Copy node &id"), "copy", "Ctrl+Shift+I"),
        ActionId.PING: Spec(tr("&Ping"), "ping", "F5"),
        ActionId.MESSAGE_PEER: Spec(tr("Send &message…"), "messages", "Ctrl+M"),
        ActionId.RECONNECT: Spec(tr("Connect a&gain"), "retry", "Ctrl+R"),
        ActionId.DISCONNECT: Spec(tr("&Disconnect"), "disconnect", "Del"),
        ActionId.FORCE_DISCONNECT: Spec(tr("&Force-disconnect…"), "force", "Shift+Del"),
        ActionId.REMOVE_ROW: Spec(tr("Remove from the &list"), "remove"),
        ActionId.SEND: Spec(tr("&Send message"), "send", "Ctrl+Return"),
        ActionId.THEME_SYSTEM: Spec(tr("S&ystem theme"), checkable=True),
        ActionId.THEME_LIGHT: Spec(tr("&Light theme"), checkable=True),
        ActionId.THEME_DARK: Spec(tr("&Dark theme"), checkable=True),
    }


class Actions:
    """All actions of one window; each does nothing and is disabled until somebody binds it."""

    def __init__(self, theme: Theme, window: QWidget) -> None:
        self._actions: dict[ActionId, QAction] = {}
        for action_id, spec in _specs().items():
            action = QAction(spec.text, window)
            action.setObjectName(action_id)
            action.setCheckable(spec.checkable)
            action.setEnabled(False)
            if spec.icon:
                action.setIcon(icon(spec.icon, theme, Role.TEXT))
            if spec.shortcut:
                action.setShortcut(QKeySequence.fromString(spec.shortcut, QKeySequence.SequenceFormat.PortableText))
            action.setToolTip(_tooltip(action))
            window.addAction(action)
            self._actions[action_id] = action

    def __getitem__(self, action_id: ActionId) -> QAction:
        return self._actions[action_id]

    def bind(self, action_id: ActionId, callback: Callable[[], object], *, enabled: bool = True) -> None:
        """Say what an action does; once."""
        self._actions[action_id].triggered.connect(lambda _checked=False: callback())
        self._actions[action_id].setEnabled(enabled)

    def enable(self, enabled: bool, *action_ids: ActionId) -> None:
        for action_id in action_ids:
            self._actions[action_id].setEnabled(enabled)

    def fill(self, menu: QMenu, *entries: ActionId | None) -> None:
        """Add actions to a menu; None is a separator."""
        for entry in entries:
            if entry is None:
                menu.addSeparator()
            else:
                menu.addAction(self._actions[entry])


def _tooltip(action: QAction) -> str:
    words = action.text().replace("&", "")
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    return f"{words} ({keys})" if keys else words
