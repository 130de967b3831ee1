"""Custom messages as rows, oldest first: the newest ten thousand, and of their payloads at most 32 MiB."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from core.base.events import CustomMessage, Direction
from core.bolt.keys import short_id
from core.bolt.types import name_of
from gui.phrases import tr
from gui.theme import Role, Size, Theme
from gui.times import clock_time, exactly
from gui.widgets.basics import plain_tooltip
from gui.widgets.icons import icon

ROWS_MAX = 10_000
PAYLOAD_BYTES_MAX = 32 * 1024 * 1024
"""As the core's own ring: ten thousand of the longest messages would be 650 MB."""
FIRST_BYTES = 24
Index = QModelIndex | QPersistentModelIndex


class Column(IntEnum):
    TIME = 0
    DIRECTION = 1
    PEER = 2
    TYPE = 3
    SIZE = 4
    FIRST_BYTES = 5


_FIXED = (Column.TIME, Column.PEER, Column.FIRST_BYTES)


class MessageModel(QAbstractTableModel):
    """A bounded log: rows come at the end and go at the beginning."""

    def __init__(self, theme: Theme, rows_max: int = ROWS_MAX) -> None:
        super().__init__()
        self._theme = theme
        self._rows: list[CustomMessage] = []
        self._rows_max = rows_max
        self._payload_bytes = 0
        self.dropped = 0
        """Messages that gave way to newer ones."""
        self._fonts = {True: theme.font(Size.TABLE, fixed=True), False: theme.font(Size.TABLE)}
        self._icons = {
            Direction.IN: icon("incoming", theme, Role.INCOMING),
            Direction.OUT: icon("outgoing", theme, Role.OUTGOING),
        }
        theme.changed.connect(self._repaint)

    def append(self, messages: list[CustomMessage]) -> None:
        """Take in a frame's messages in two steps at most, however many there are."""
        arriving, arriving_bytes = self._newest_that_fit(messages)
        self.dropped += len(messages) - len(arriving)
        surplus = max(0, len(self._rows) + len(arriving) - self._rows_max)
        left_bytes = self._payload_bytes - sum(len(row.payload) for row in self._rows[:surplus])
        while surplus < len(self._rows) and left_bytes + arriving_bytes > PAYLOAD_BYTES_MAX:
            left_bytes -= len(self._rows[surplus].payload)
            surplus += 1
        if surplus > 0:
            self.beginRemoveRows(QModelIndex(), 0, surplus - 1)
            del self._rows[:surplus]
            self.dropped += surplus
            self.endRemoveRows()
        if arriving:
            first = len(self._rows)
            self.beginInsertRows(QModelIndex(), first, first + len(arriving) - 1)
            self._rows += arriving
            self.endInsertRows()
        self._payload_bytes = left_bytes + arriving_bytes

    def _newest_that_fit(self, messages: list[CustomMessage]) -> tuple[list[CustomMessage], int]:
        """What could be kept of them if nothing else were, and its bytes."""
        total, first = 0, max(0, len(messages) - self._rows_max)
        for place in range(len(messages) - 1, first - 1, -1):
            size = len(messages[place].payload)
            if total + size > PAYLOAD_BYTES_MAX:
                return messages[place + 1 :], total
            total += size
        return messages[first:], total

    def message(self, row: int) -> CustomMessage | None:
        return self._rows[row] if 0 <= row < len(self._rows) else None

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
        message = self.message(index.row()) if index.isValid() else None
        if message is None:
            return None
        column = Column(index.column())
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return _text(message, column)
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tooltip(_tooltip(message, column))
            case Qt.ItemDataRole.DecorationRole:
                return self._icons[message.direction] if column is Column.DIRECTION else None
            case Qt.ItemDataRole.FontRole:
                return self._fonts[column in _FIXED]
            case Qt.ItemDataRole.ForegroundRole:
                return self._theme.color(_role(message, column))
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(column)
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{header_words(column)}: {_text(message, column)}"
        return None

    def _repaint(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(Column) - 1))


def header_words(column: Column) -> str:
    return {
        Column.TIME: tr("Time"),
        Column.DIRECTION: tr("Direction"),
        Column.PEER: tr("Peer"),
        Column.TYPE: tr("Type"),
        Column.SIZE: tr("Bytes"),
        Column.FIRST_BYTES: tr("First bytes"),
    }[column]


def direction_words(direction: Direction) -> str:
    """Never “delivered”: nobody confirms that."""
    return tr("Received") if direction is Direction.IN else tr("Written")


def type_words(type_: int) -> str:
    """`32769 odd`, `37913 lsps0_message_id`: the number always."""
    return f"{type_} {name_of(type_) or (tr('odd') if type_ % 2 else tr('even'))}"


def _text(message: CustomMessage, column: Column) -> str:
    match column:
        case Column.TIME:
            return clock_time(message.time)
        case Column.DIRECTION:
            return direction_words(message.direction)
        case Column.PEER:
            return short_id(message.peer_id)
        case Column.TYPE:
            return type_words(message.type)
        case Column.SIZE:
            return f"{len(message.payload) + 2:,}"
        case Column.FIRST_BYTES:
            more = " …" if len(message.payload) > FIRST_BYTES else ""
            return message.payload[:FIRST_BYTES].hex(" ") + more


def _tooltip(message: CustomMessage, column: Column) -> str:
    match column:
        case Column.TIME:
            return exactly(message.time)
        case Column.PEER:
            return message.peer_id.hex()
        case Column.SIZE:
            return tr("{n} bytes payload and 2 of type", n=f"{len(message.payload):,}")
        case Column.DIRECTION if message.direction is Direction.OUT:
            return tr("Lightning does not confirm the delivery of unknown messages. The peer may ignore it.")
        case _:
            return ""


def _role(message: CustomMessage, column: Column) -> Role:
    if column is Column.DIRECTION:
        return Role.INCOMING if message.direction is Direction.IN else Role.OUTGOING
    return Role.MUTED if column is Column.TIME else Role.TEXT


def _alignment(column: Column) -> int:
    side = Qt.AlignmentFlag.AlignRight if column is Column.SIZE else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)
