"""How every table looks and is walked with the keyboard."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from gui.theme import ICON_SMALL, ROW_TABLE_EM, SPACE_RELATED, Size, Theme

_SORT_ARROW = 12


class _Cells(QStyledItemDelegate):
    """Whole rows are selected, so a cell draws no focus of its own; the selected row keeps its colours of state."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        plain = QStyleOptionViewItem(option)
        plain.state &= ~QStyle.StateFlag.State_HasFocus
        super().paint(painter, plain, index)


class Table(QTableView):
    """Read-only rows, one or none selected."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setItemDelegate(_Cells(self))
        self._filling: tuple[int, int] | None = None
        """The column that takes the room that is left, and its least width."""
        self._fonts = (theme.font(Size.TABLE), theme.font(Size.TABLE, fixed=True))
        self.setFont(self._fonts[0])
        self.setIconSize(QSize(ICON_SMALL - 2, ICON_SMALL - 2))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(theme.em(ROW_TABLE_EM))
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setFont(theme.font(Size.CAPTION))
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.horizontalHeader().setMinimumSectionSize(theme.em(3))

    def fit_columns(self, samples: Mapping[int, tuple[str, bool]]) -> None:
        """Give each column room for its header and for a sample text; True where it has an icon."""
        header = self.horizontalHeader()
        for column, (text, with_icon) in samples.items():
            words = str(self.model().headerData(column, Qt.Orientation.Horizontal))
            room = max(
                QFontMetrics(header.font()).horizontalAdvance(words) + _SORT_ARROW,
                max(QFontMetrics(font).horizontalAdvance(text) for font in self._fonts)
                + (self.iconSize().width() + SPACE_RELATED if with_icon else 0),
            )
            self.setColumnWidth(column, room + 3 * SPACE_RELATED)

    def fill_with(self, column: int) -> None:
        """Let one column take the room that the others leave, and no less than it has now."""
        self._filling = (column, self.columnWidth(column))
        self._fill()

    def show_column(self, column: int, shown: bool) -> None:
        """With its room, or without it and its room for others."""
        if self.isColumnHidden(column) is shown:
            self.setColumnHidden(column, not shown)
            self._fill()

    def _fill(self) -> None:
        if self._filling is None:
            return
        column, least = self._filling
        others = self.horizontalHeader().length() - self.columnWidth(column)
        self.setColumnWidth(column, max(least, self.viewport().width() - others))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fill()
        if event.size().height() < event.oldSize().height() and self.selectionModel().hasSelection():
            self.scrollTo(self.currentIndex())  # what was just selected stays in sight when its details open

    def visible_rows(self) -> range:
        """Rows of the view's model that can be seen now."""
        model = self.model()
        if model.rowCount() == 0:
            return range(0)
        first = max(0, self.rowAt(0))
        last = self.rowAt(self.viewport().height() - 1)
        return range(first, (last if last >= 0 else model.rowCount() - 1) + 1)
