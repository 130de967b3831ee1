"""A field for a message type: 0 to 65535, and up or down by two, which keeps it odd."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics, QIntValidator, QKeyEvent
from PySide6.QtWidgets import QLineEdit

from gui.messages.draft import FIRST_CUSTOM_ODD, LAST_TYPE
from gui.theme import SPACE_GROUP, SPACE_RELATED, Theme

_STEP = 2
_STEPS = {Qt.Key.Key_Up: _STEP, Qt.Key.Key_Down: -_STEP, Qt.Key.Key_PageUp: 100, Qt.Key.Key_PageDown: -100}


class TypeField(QLineEdit):
    """A line edit, because a spin box without buttons loses its text under a style sheet."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(str(FIRST_CUSTOM_ODD))
        self.setFont(theme.font(fixed=True))
        self.setValidator(QIntValidator(0, LAST_TYPE, self))
        self.setMaxLength(len(str(LAST_TYPE)))
        digits = QFontMetrics(self.font()).horizontalAdvance("0" * len(str(LAST_TYPE)))
        self.setFixedWidth(digits + 2 * SPACE_RELATED + SPACE_GROUP)

    def value(self) -> int | None:
        """None while what is typed is no type."""
        text = self.text()
        return int(text) if text.isascii() and text.isdigit() and int(text) <= LAST_TYPE else None

    def set_value(self, type_: int) -> None:
        self.setText(str(max(0, min(LAST_TYPE, type_))))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = _STEPS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
            return
        value = self.value()
        if value is not None and 0 <= value + step <= LAST_TYPE:
            self.set_value(value + step)
