"""What a search has found, to be walked with the arrow keys."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from gui.phrases import tr
from gui.theme import Size, Theme
from gui.widgets.basics import plain_tooltip

_HEIGHT_EM = 14


class Results(QListWidget):
    """Hidden while nothing is searched."""

    picked = Signal(bytes)
    """Node id of the row that was clicked, or on which Enter was pressed."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setAccessibleName(tr("Nodes found"))
        self.setFont(theme.font(Size.TABLE))
        self.setMaximumHeight(theme.em(_HEIGHT_EM))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemClicked.connect(self._pick)
        self.hide()

    def show_found(self, found: Sequence[tuple[bytes, str]]) -> None:
        """Node ids, best first, each with its line; none says that there are none."""
        self.clear()
        for node_id, line in found:
            item = QListWidgetItem(line)
            item.setData(Qt.ItemDataRole.UserRole, node_id)
            item.setToolTip(plain_tooltip(node_id.hex()))
            self.addItem(item)
        if found:
            self.setCurrentRow(0)
        else:
            nothing = QListWidgetItem(tr("No node known by that name or id."))
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
            self.addItem(nothing)
        self.show()

    def pick_current(self) -> None:
        """Take the row that is marked, the first one at first."""
        if self.currentItem() is not None:
            self._pick(self.currentItem())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.pick_current()
        else:
            super().keyPressEvent(event)

    def _pick(self, item: QListWidgetItem) -> None:
        node_id = item.data(Qt.ItemDataRole.UserRole)
        if node_id is not None:
            self.picked.emit(bytes(node_id))
