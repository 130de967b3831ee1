"""Peers as rows, keyed by node id: rows are inserted, removed and changed, and never all replaced."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from core.base.events import Direction, PeerConnected, PeerDisconnected
from core.gossip.graph_values import GraphChanged
from gui.bridge import PeerChange
from gui.peer_names import announced_by, claimed, peer_name
from gui.phrases import bounded, tr
from gui.theme import Role, Size, Theme
from gui.times import ago, exactly, milliseconds
from gui.widgets.basics import plain_tooltip
from gui.widgets.icons import icon

if TYPE_CHECKING:
    from core.node import Node
    from core.peers.values import PeerInfo

OFFLINE_ROWS_MAX = 500
"""Peers that have left and are still shown; the one that left first gives way."""
Index = QModelIndex | QPersistentModelIndex
NODE_ID_ROLE = int(Qt.ItemDataRole.UserRole)
SORT_ROLE = int(Qt.ItemDataRole.UserRole) + 1
SEARCH_ROLE = int(Qt.ItemDataRole.UserRole) + 2


class Column(IntEnum):
    STATE = 0
    NODE_ID = 1
    ALIAS = 2
    ADDRESS = 3
    DIRECTION = 4
    LATENCY = 5
    SINCE = 6
    MESSAGES_IN = 7
    MESSAGES_OUT = 8


_RIGHT = (Column.LATENCY, Column.SINCE, Column.MESSAGES_IN, Column.MESSAGES_OUT)
_FIXED = (Column.NODE_ID, Column.ADDRESS)


@dataclass(slots=True)
class PeerRow:
    """What is known of one peer; `info` is the last that was seen of them."""

    node_id: bytes
    info: PeerInfo
    connected: bool
    left_at: float | None = None
    """Wall time of the end, for one that is not connected."""
    reason: str = ""
    """Who closed and why, for one that is not connected."""
    alias: str = ""
    """What the peer calls itself by gossip, `«name»`; empty when it has not said."""


class PeerModel(QAbstractTableModel):
    """Filled from `Node` at its making, then by the bridge's changes."""

    def __init__(self, node: Node, theme: Theme) -> None:
        super().__init__()
        self._node, self._theme = node, theme
        self._rows: list[PeerRow] = []
        self._place: dict[bytes, int] = {}
        self._offline: dict[bytes, None] = {}
        """In the order in which they left."""
        self._fonts = {
            True: theme.font(Size.TABLE, fixed=True),
            False: theme.font(Size.TABLE),
        }
        self._icons = {
            "on": icon("state_on", theme, Role.OK),
            "off": icon("state_off", theme, Role.MUTED),
            Direction.IN: icon("incoming", theme, Role.INCOMING),
            Direction.OUT: icon("outgoing", theme, Role.OUTGOING),
        }
        theme.changed.connect(self._repaint)

    # --- what it is fed with

    def catch_up(self) -> None:
        """Take in those who were connected before anybody listened."""
        if self._node.lightning is not None:
            for info in self._node.peers.peers():
                self._connected(info)

    def look_at(self, node_id: bytes) -> None:
        """Take in one peer that is connected, before its event comes."""
        info = self._node.peers.peer(node_id) if self._node.lightning is not None else None
        if info is not None:
            self._connected(info)

    def apply(self, changes: list[PeerChange]) -> None:
        for change in changes:
            info = self._node.peers.peer(change.peer_id) if self._node.lightning is not None else None
            if info is not None:
                self._connected(info)
            elif isinstance(change, PeerDisconnected):
                self._left(change.peer_id, str(change.reason))
            elif isinstance(change, PeerConnected):
                self._left(change.peer_id, "")

    def refresh(self, node_ids: list[bytes]) -> None:
        """Look again at the live figures of some peers; only rows that differ are repainted."""
        if self._node.lightning is None:
            return
        for node_id in node_ids:
            place = self._place.get(node_id)
            info = self._node.peers.peer(node_id)
            if place is None or info is None or not self._rows[place].connected or info == self._rows[place].info:
                continue
            self._rows[place].info = info
            self._changed(place)

    @property
    def knows_names(self) -> bool:
        """Whether any peer has said what it calls itself."""
        return any(row.alias for row in self._rows)

    def graph_changed(self, changes: list[GraphChanged]) -> None:
        """Look again at what peers call themselves; only rows that differ are repainted."""
        if self._node.lightning is None:
            return
        everything = any(change.everything for change in changes)
        heard: frozenset[bytes] = frozenset().union(*(change.nodes for change in changes))
        for node_id in list(self._place) if everything else heard & self._place.keys():
            place = self._place[node_id]
            alias = self._alias_of(node_id)
            if alias != self._rows[place].alias:
                self._rows[place].alias = alias
                self._changed(place)

    def repaint_times(self) -> None:
        """Relative times grow older by themselves."""
        if self._rows:
            last = self.index(len(self._rows) - 1, Column.SINCE)
            self.dataChanged.emit(self.index(0, Column.SINCE), last, [Qt.ItemDataRole.DisplayRole])

    def forget(self, node_id: bytes) -> None:
        """Take away the row of a peer that is not connected."""
        place = self._place.get(node_id)
        if place is not None and not self._rows[place].connected:
            self._remove(place)

    def all_left(self, reason: str) -> None:
        """The node stopped: nobody is connected."""
        for row in self.connected():
            self._left(row.node_id, reason)

    # --- what it tells

    def row_of(self, node_id: bytes) -> PeerRow | None:
        place = self._place.get(node_id)
        return None if place is None else self._rows[place]

    def index_of(self, node_id: bytes) -> QModelIndex:
        place = self._place.get(node_id)
        return QModelIndex() if place is None else self.index(place, 0)

    def connected(self) -> list[PeerRow]:
        return [row for row in self._rows if row.connected]

    def counts(self) -> tuple[int, int, int]:
        """Connected, inbound among them, offline."""
        online = self.connected()
        inbound = sum(row.info.direction is Direction.IN for row in online)
        return len(online), inbound, len(self._rows) - len(online)

    # --- rows

    def _alias_of(self, node_id: bytes) -> str:
        announced = announced_by(self._node, node_id)
        return "" if announced is None else claimed(announced.alias)

    def _connected(self, info: PeerInfo) -> None:
        place = self._place.get(info.node_id)
        row = PeerRow(info.node_id, info, connected=True, alias=self._alias_of(info.node_id))
        if place is None:
            place = len(self._rows)
            self.beginInsertRows(QModelIndex(), place, place)
            self._rows.append(row)
            self._place[info.node_id] = place
            self.endInsertRows()
        else:
            self._rows[place] = row
            self._offline.pop(info.node_id, None)
            self._changed(place)

    def _left(self, node_id: bytes, reason: str) -> None:
        place = self._place.get(node_id)
        if place is None or not self._rows[place].connected:
            return
        row = self._rows[place]
        row.connected, row.left_at, row.reason = False, self._node.clock.time(), reason
        self._changed(place)
        self._offline[node_id] = None
        if len(self._offline) > OFFLINE_ROWS_MAX:
            self._remove(self._place[next(iter(self._offline))])

    def _remove(self, place: int) -> None:
        self.beginRemoveRows(QModelIndex(), place, place)
        node_id = self._rows.pop(place).node_id
        del self._place[node_id]
        self._offline.pop(node_id, None)
        for later in range(place, len(self._rows)):
            self._place[self._rows[later].node_id] = later
        self.endRemoveRows()

    def _changed(self, place: int) -> None:
        self.dataChanged.emit(self.index(place, 0), self.index(place, len(Column) - 1))

    def _repaint(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(Column) - 1))

    # --- QAbstractTableModel

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(Column)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> str | int | None:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return header_words(Column(section))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(Column(section))
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        row, column = self._rows[index.row()], Column(index.column())
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(row, column)
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tooltip(self._tooltip(row, column))
            case Qt.ItemDataRole.DecorationRole:
                return self._icon(row, column)
            case Qt.ItemDataRole.FontRole:
                return self._fonts[column in _FIXED]
            case Qt.ItemDataRole.ForegroundRole:
                return self._theme.color(self._role(row, column))
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(column)
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{header_words(column)}: {self._text(row, column)}"
        if role == NODE_ID_ROLE:
            return row.node_id
        if role == SORT_ROLE:
            return _sort_key(row, column)
        if role == SEARCH_ROLE:
            words = (self._text(row, Column.NODE_ID), row.alias, state_words(row), direction_words(row.info.direction))
            return " ".join((row.node_id.hex(), str(row.info.address), *words))
        return None

    def _text(self, row: PeerRow, column: Column) -> str:
        info = row.info
        match column:
            case Column.STATE:
                return state_words(row)
            case Column.NODE_ID:
                return peer_name(self._node, row.node_id)
            case Column.ALIAS:
                return row.alias
            case Column.ADDRESS:
                return bounded(str(info.address), 80)
            case Column.DIRECTION:
                return direction_words(info.direction)
            case Column.LATENCY:
                return tr("not measured") if info.latency_s is None else milliseconds(info.latency_s)
            case Column.SINCE:
                return ago(self._node.clock.time() - _since(row))
            case Column.MESSAGES_IN:
                return f"{info.messages_in:,}"
            case Column.MESSAGES_OUT:
                return f"{info.messages_out:,}"

    def _tooltip(self, row: PeerRow, column: Column) -> str:
        match column:
            case Column.STATE:
                return row.reason or state_words(row)
            case Column.NODE_ID:
                return row.node_id.hex()
            case Column.ALIAS if row.alias:
                return tr("{alias} is what this node calls itself. Anybody can take any name.", alias=row.alias)
            case Column.ADDRESS:
                return tr("{address} ({kind})", address=bounded(str(row.info.address), 270), kind=row.info.address.kind)
            case Column.SINCE:
                return exactly(_since(row))
            case Column.LATENCY if row.info.latency_s is None:
                return tr("No ping of ours has been answered yet.")
            case _:
                return ""

    def _icon(self, row: PeerRow, column: Column) -> Any:
        if column is Column.STATE:
            return self._icons["on" if row.connected else "off"]
        return self._icons[row.info.direction] if column is Column.DIRECTION else None

    def _role(self, row: PeerRow, column: Column) -> Role:
        if not row.connected or (column is Column.LATENCY and row.info.latency_s is None):
            return Role.MUTED
        return Role.TEXT


def header_words(column: Column) -> str:
    return {
        Column.STATE: tr("State"),
        Column.NODE_ID: tr("Node id"),
        Column.ALIAS: tr("Calls itself"),
        Column.ADDRESS: tr("Address"),
        Column.DIRECTION: tr("Direction"),
        Column.LATENCY: tr("Latency, ms"),
        Column.SINCE: tr("Since"),
        Column.MESSAGES_IN: tr("Msgs in"),
        Column.MESSAGES_OUT: tr("Msgs out"),
    }[column]


def state_words(row: PeerRow) -> str:
    return tr("Connected") if row.connected else tr("Offline")


def direction_words(direction: Direction) -> str:
    return tr("Inbound") if direction is Direction.IN else tr("Outbound")


def _since(row: PeerRow) -> float:
    return row.info.connected_at if row.left_at is None else row.left_at


def _alignment(column: Column) -> int:
    side = Qt.AlignmentFlag.AlignRight if column in _RIGHT else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)


def _sort_key(row: PeerRow, column: Column) -> Any:
    info = row.info
    match column:
        case Column.STATE:
            return 0 if row.connected else 1
        case Column.NODE_ID:
            return row.node_id.hex()
        case Column.ALIAS:
            return (not row.alias, row.alias.casefold())
        case Column.ADDRESS:
            return str(info.address)
        case Column.DIRECTION:
            return direction_words(info.direction)
        case Column.LATENCY:
            return float("inf") if info.latency_s is None else info.latency_s
        case Column.SINCE:
            return -_since(row)
        case Column.MESSAGES_IN:
            return info.messages_in
        case Column.MESSAGES_OUT:
            return info.messages_out
