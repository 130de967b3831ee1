"""A failure, in place: what happened, what it means, and buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from PySide6.QtCore import QCoreApplication, QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from gui.theme import ICON_LARGE, ICON_SMALL, SPACE_INSIDE, SPACE_RELATED, Role, Theme
from gui.widgets.basics import Glyph, button, label, paragraph
from gui.widgets.icons import icon
from gui.words import Remedy, Words, action_words, words_for

Offers = Mapping[Remedy, Callable[[], object]]
"""What the place where the failure is shown can do about it."""
_ROWS = 3
_ROW_EM = 35
"""What buttons may take of a line; more would be clipped in the narrowest window that has a notice."""
_PLAIN = (Remedy.RETRY, Remedy.USE_KEY_FILE, Remedy.ASK_AGAIN, Remedy.LOOK_AGAIN)
"""Shown as the primary button where they come first."""


class Notice(QFrame):
    """Hidden until there is something to say."""

    def __init__(self, theme: Theme, *, dismissable: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "notice")
        self._theme = theme
        self._glyph = Glyph("cross", theme, Role.ERROR, side=ICON_LARGE)
        self._title = label("", theme, bold=True)
        self._body = paragraph("", theme)
        self._lines = paragraph("", theme, tone="muted")
        self._lines.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._rows = [QHBoxLayout() for _ in range(_ROWS)]
        self._made: list[QPushButton] = []
        self._details = ""
        text = QVBoxLayout()
        text.setSpacing(SPACE_INSIDE)
        for part in (self._title, self._body, self._lines):
            text.addWidget(part)
        text.addSpacing(SPACE_INSIDE)
        for line in self._rows:
            line.setSpacing(SPACE_RELATED)
            text.addLayout(line)
            line.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACE_RELATED + 4, SPACE_RELATED + 4, SPACE_RELATED + 4, SPACE_RELATED + 4)
        layout.setSpacing(SPACE_RELATED + 4)
        layout.addWidget(self._glyph, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(text, 1)
        if dismissable:
            layout.addWidget(self._dismiss_button(), 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    @property
    def text(self) -> str:
        """All that it says, a line each."""
        return "\n".join(part for part in (self._title.text(), self._body.text(), self._lines.text()) if part)

    def show_error(self, error: BaseException, offers: Offers, *, always: tuple[Remedy, ...] = ()) -> None:
        """Words of the table, with a button for each remedy that is offered here, and for those that always are."""
        words = words_for(error)
        missing = tuple(remedy for remedy in always if remedy not in words.actions)
        self.show_words(replace(words, actions=missing + words.actions), offers)
        self._details = f"{self.text}\n{type(error).__name__}: {error!s}"

    def show_plainly(self) -> None:
        """What is shown is no failure after all: its sign says so."""
        self._glyph.show_icon("info", Role.ACCENT)

    def show_words(self, words: Words, offers: Offers, *, icon_name: str = "cross", role: Role = Role.ERROR) -> None:
        self._glyph.show_icon(icon_name, role)
        self._title.setText(words.title)
        self._body.setText(words.body)
        self._body.setVisible(bool(words.body))
        self._lines.setText("\n".join(words.lines))
        self._lines.setVisible(bool(words.lines))
        self._details = self.text
        self._show_buttons(words, offers)
        self.setAccessibleName(words.title)
        self.setAccessibleDescription(words.body)
        self.show()

    def _show_buttons(self, words: Words, offers: Offers) -> None:
        for made in self._made:
            for each in self._rows:
                each.removeWidget(made)
            made.hide()
            made.deleteLater()
        self._made = []
        line = place = taken = 0
        known = {Remedy.COPY_DETAILS: self._copy, **offers}
        for number, remedy in enumerate(remedy for remedy in words.actions if remedy in known):
            kind = "primary" if number == 0 and remedy in _PLAIN else ""
            text = dict(words.named).get(remedy) or action_words(remedy)
            made = button(text, known[remedy], kind=kind, name=f"remedy-{remedy}")
            made.ensurePolished()
            wide = made.sizeHint().width() + SPACE_RELATED
            if taken and taken + wide > self._theme.em(_ROW_EM) and line < _ROWS - 1:
                line, place, taken = line + 1, 0, 0
            self._rows[line].insertWidget(place, made)
            place, taken = place + 1, taken + wide
            self._made.append(made)

    def _dismiss_button(self) -> QToolButton:
        dismiss = QToolButton()
        words = QCoreApplication.translate("Notice", "Dismiss")
        dismiss.setIcon(icon("cross", self._theme, Role.MUTED))
        dismiss.setIconSize(QSize(ICON_SMALL, ICON_SMALL))
        dismiss.setToolTip(words)
        dismiss.setAccessibleName(words)
        dismiss.clicked.connect(self.hide)
        return dismiss

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._details)
