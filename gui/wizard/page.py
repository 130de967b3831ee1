"""What every page of the wizard is made of."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QLabel, QRadioButton, QVBoxLayout, QWidget

from gui.theme import SPACE_GROUP, SPACE_INSIDE, SPACE_RELATED, Size, Theme
from gui.widgets.basics import label, paragraph, set_property
from gui.wizard.context import Context

_INDENT = 24
"""As wide as a radio button and its space, so that a sentence stands under its own words."""


class WizardPage(QWidget):
    """A title, a sentence, and what the page asks. It edits the machine and says so; it never moves it."""

    changed = Signal()
    """The machine knows something else now."""
    reveal_wanted = Signal(QWidget)
    """A part of the page is to be scrolled into view."""

    def __init__(self, context: Context, title: str, lead: str) -> None:
        super().__init__()
        self.context, self.machine, self.theme = context, context.machine, context.theme
        self.setAccessibleName(title)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(SPACE_GROUP)
        head = QVBoxLayout()
        head.setSpacing(SPACE_RELATED)
        self.title = label(title, self.theme, size=Size.TITLE, bold=True)
        self.lead = paragraph(lead, self.theme, tone="muted")
        head.addWidget(self.title)
        head.addWidget(self.lead)
        self.column.addLayout(head)

    def enter(self) -> None:
        """The page is about to be shown: fill it from the machine."""

    def leave(self) -> None:
        """The page is left, or the wizard closes: keep nothing secret on the screen."""

    def take_enter(self) -> bool:
        """Enter was pressed in a field: whether the page did something of its own with it."""
        return False

    def minimumSizeHint(self) -> QSize:
        least = super().minimumSizeHint()
        return QSize(least.width(), 0) if self.hasHeightForWidth() else least

    def add_field(self, text: str, field: QWidget, hint: QLabel | None = None) -> QWidget:
        """A labelled field, with its mnemonic and what it has to say beneath; all of it in one widget."""
        made = QWidget()
        layout = QVBoxLayout(made)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_INSIDE)
        layout.addWidget(buddy_label(text, field, self.theme))
        layout.addWidget(field)
        if hint is not None:
            layout.addWidget(hint)
        self.column.addWidget(made)
        return made


def buddy_label(text: str, field: QWidget, theme: Theme) -> QLabel:
    """A label of our own text, with a mnemonic that leads to its field."""
    made = label(text, theme)
    made.setTextFormat(Qt.TextFormat.AutoText)
    made.setBuddy(field)
    return made


def card() -> tuple[QFrame, QVBoxLayout]:
    """A framed group."""
    frame = QFrame()
    frame.setProperty("kind", "card")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(SPACE_GROUP, SPACE_GROUP, SPACE_GROUP, SPACE_GROUP)
    layout.setSpacing(SPACE_RELATED)
    return frame, layout


class Options(QFrame):
    """Radio buttons, each with a sentence beneath that says what it means."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, options: Sequence[tuple[str, str, str]]) -> None:
        """`options` are (value, text, sentence)."""
        super().__init__()
        self.setProperty("kind", "card")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_GROUP, SPACE_GROUP - 4, SPACE_GROUP, SPACE_GROUP - 4)
        layout.setSpacing(SPACE_INSIDE)
        self._theme = theme
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QRadioButton] = {}
        self.sentences: dict[str, QLabel] = {}
        for number, (value, text, sentence) in enumerate(options):
            if number:
                layout.addSpacing(SPACE_INSIDE)
            button = QRadioButton(text)
            button.setObjectName(f"option-{value}")
            button.setAccessibleDescription(sentence)
            beneath = paragraph(sentence, theme, size=Size.TABLE, tone="muted")
            beneath.setIndent(_INDENT)
            self._group.addButton(button)
            self.buttons[value], self.sentences[value] = button, beneath
            layout.addWidget(button)
            layout.addWidget(beneath)
            button.clicked.connect(lambda _checked=False, value=value: self.chosen.emit(value))

    def choose(self, value: str) -> None:
        """Show `value` as chosen, without saying so."""
        self.buttons[value].setChecked(True)

    def offer(self, value: str, enabled: bool, sentence: str) -> None:
        """Whether a choice can be made, and what it means."""
        self.buttons[value].setEnabled(enabled)
        self.buttons[value].setAccessibleDescription(sentence)
        self.sentences[value].setText(sentence)


def say(hint: QLabel, text: str, tone: str = "muted") -> None:
    """A word beneath a field, in the colour of its state. An empty one takes no room."""
    hint.setText(text)
    hint.setVisible(bool(text))
    set_property(hint, "tone", tone)
