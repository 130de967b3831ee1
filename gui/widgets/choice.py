"""A combo box with an arrow of our own set."""

from __future__ import annotations

from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox

from gui.theme import ICON_SMALL, SPACE_RELATED, Role, Theme
from gui.widgets.icons import paint_icon


class Choice(QComboBox):
    """The style sheet leaves the arrow out, for it would want a picture file for each scheme."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        right = self.width() - SPACE_RELATED - ICON_SMALL
        area = QRect(right, (self.height() - ICON_SMALL) // 2, ICON_SMALL, ICON_SMALL)
        paint_icon(painter, area, "chevron", self._theme.color(Role.MUTED))
        painter.end()
