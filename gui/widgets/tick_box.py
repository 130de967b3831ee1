"""A check box with a tick of our own set."""

from __future__ import annotations

from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QCheckBox, QStyle, QStyleOptionButton

from gui.theme import Role, Theme
from gui.widgets.icons import paint_icon


class TickBox(QCheckBox):
    """The style sheet draws the box and leaves the tick out, for it would want a picture file for each scheme."""

    def __init__(self, text: str, theme: Theme) -> None:
        super().__init__(text)
        self._theme = theme

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.isChecked():
            return
        option = QStyleOptionButton()
        self.initStyleOption(option)
        box = self.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_icon(painter, box.adjusted(2, 2, -2, -2), "tick", self._theme.color(Role.ON_ACCENT))
        painter.end()
