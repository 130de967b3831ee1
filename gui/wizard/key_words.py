"""The words of a new key: shown once, then three of them asked back."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from core.wallet.errors import WordsMistaken
from core.wallet.words import NewKey
from gui.theme import SPACE_GROUP, SPACE_INSIDE, SPACE_RELATED, Size, Theme
from gui.widgets.basics import button, label, paragraph, row
from gui.widgets.notice import Notice
from gui.widgets.tick_box import TickBox
from gui.wizard.clipboard import ClipboardGuard
from gui.wizard.context import Context
from gui.wizard.page import WizardPage, buddy_label, card, say
from gui.words import words_for

COLUMNS = 4
"""At most; fewer on a narrow screen, where a word would be cut."""
MOST_WORDS = 24
_COLUMN_EM = 10


class WordsPage(WizardPage):
    """On paper they outlive this computer; here they are seen once."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "", "")
        self.title.setText(self.tr("Write these words down"))
        self.setAccessibleName(self.title.text())
        self.lead.setText(
            self.tr(
                "They are your key, and the only way back to it. They are shown this once and never again; words from "
                "an earlier try are void."
            )
        )
        frame, layout = card()
        self.grid = QGridLayout()
        self.grid.setHorizontalSpacing(SPACE_GROUP)
        self.grid.setVerticalSpacing(SPACE_RELATED)
        layout.addLayout(self.grid)
        self._cells = [_Word(number, self.theme, frame) for number in range(1, MOST_WORDS + 1)]
        self.column.addWidget(frame)
        self.notice = Notice(self.theme)
        self.column.addWidget(self.notice)
        self.guard = ClipboardGuard(self)
        self.copy = button(self.tr("Copy for 30 seconds"), self._copy, name="copyWords")
        self.copied = label("", self.theme, size=Size.CAPTION, tone="muted")
        line = row(self.copy, self.copied)
        line.addStretch(1)
        self.column.addLayout(line)
        self.column.addWidget(
            paragraph(
                self.tr(
                    "Paper is better: what is on the clipboard can be read by every program. Leyden clears it after "
                    "30 seconds if it still holds the words."
                ),
                self.theme,
                size=Size.CAPTION,
                tone="muted",
            )
        )
        self.written = TickBox(self.tr("I have written them down, in their order"), self.theme)
        self.written.setObjectName("written")
        self.written.toggled.connect(self._written)
        self.column.addWidget(self.written)
        self.column.addStretch(1)
        self.guard.cleared.connect(lambda: say(self.copied, self.tr("The clipboard no longer holds them.")))

    def enter(self) -> None:
        self.written.setChecked(False)
        self.written.setEnabled(False)
        self.copy.setEnabled(False)
        say(self.copied, "")
        self.notice.hide()
        self.context.secrets.drop_key()
        self.context.tasks.start(
            self.context.keys.draft(self.machine.entries.words), done=self._show, failed=self._failed
        )

    def leave(self) -> None:
        self._clear()

    def _show(self, draft: NewKey) -> None:
        self.context.secrets.draft = draft
        self._clear()
        columns = max(1, min(COLUMNS, self.width() // self.theme.em(_COLUMN_EM)))
        rows = -(-draft.count // columns)
        for index, (cell, word) in enumerate(zip(self._cells, draft.words, strict=False)):
            self.grid.addWidget(cell, index % rows, index // rows)
            cell.word.setText(word)
            cell.show()
        self.written.setEnabled(True)
        self.copy.setEnabled(True)

    def _failed(self, error: Exception) -> None:
        self.notice.show_error(error, {})

    def _clear(self) -> None:
        for cell in self._cells:
            cell.word.clear()
            cell.hide()
            self.grid.removeWidget(cell)

    def _copy(self) -> None:
        draft = self.context.secrets.draft
        if draft is not None:
            self.guard.put(" ".join(draft.words))
            say(self.copied, self.tr("Copied. Paste it now."))

    def _written(self, yes: bool) -> None:
        self.machine.hold(seen=yes)
        self.changed.emit()


class _Word(QWidget):
    """A place and its word.

    Made once and filled again: a row of a grid that is thrown away takes its spacers along behind Shiboken's back, and
    what Qt makes at their address next is then a `QSpacerItem` to Python, be it a menu.
    """

    def __init__(self, number: int, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        place = label(f"{number}", theme, size=Size.TABLE, tone="muted")
        place.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        place.setFixedWidth(theme.em(1.8))
        self.word = label("", theme, fixed=True)
        line = row(place, self.word)
        line.setStretch(1, 1)
        self.setLayout(line)
        self.hide()


class AskedPage(WizardPage):
    """Three places at random. A wrong word says which, and others are asked."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "", "")
        self.title.setText(self.tr("Three of your words, please"))
        self.setAccessibleName(self.title.text())
        self.lead.setText(self.tr("So that you know your paper is right before anything depends on it."))
        # Above the fields: what it says of an answer is not about the places that are asked next.
        self.verdict = paragraph("", self.theme, tone="muted")
        self.column.addWidget(self.verdict)
        self.asked: tuple[int, ...] = ()
        self.fields: list[QLineEdit] = []
        self.labels: list[QLabel] = []
        for number in range(3):
            field = QLineEdit()
            field.setObjectName(f"answer-{number}")
            field.setFont(self.theme.font(fixed=True))
            field.setMaximumWidth(self.theme.em(18))
            field.textEdited.connect(lambda _text: self._enable())
            name = buddy_label("", field, self.theme)
            self.fields.append(field)
            self.labels.append(name)
            pair = QVBoxLayout()
            pair.setSpacing(SPACE_INSIDE)
            pair.addWidget(name)
            pair.addWidget(field)
            self.column.addLayout(pair)
        self.check_button = button(self.tr("Check"), self.check, name="checkWords")
        line = row(self.check_button)
        line.addStretch(1)
        self.column.addLayout(line)
        self.column.addStretch(1)

    def enter(self) -> None:
        say(self.verdict, "")
        self._ask()

    def leave(self) -> None:
        for field in self.fields:
            field.clear()

    def take_enter(self) -> bool:
        """From field to field, and from the last one the check."""
        empty = next((field for field in self.fields if not field.text().strip()), None)
        if self.machine.held.secret:
            return False
        if empty is None:
            self.check()
        else:
            empty.setFocus()
        return True

    def check(self) -> None:
        draft = self.context.secrets.draft
        if draft is None or not self.check_button.isEnabled():
            return
        try:
            self.context.secrets.secret = draft.confirm([field.text() for field in self.fields])
        except WordsMistaken as error:
            words = words_for(error)
            say(self.verdict, f"{words.title}. {words.body}", "warn")
            self._ask()
            return
        self.machine.hold(secret=True)
        say(self.verdict, self.tr("All three are right. Your key is ready to be kept."), "ok")
        for field in self.fields:
            field.setEnabled(False)
        self.check_button.setEnabled(False)
        self.changed.emit()

    def _ask(self) -> None:
        draft = self.context.secrets.draft
        if draft is None:
            return
        self.asked = draft.challenge()
        for place, name, field in zip(self.asked, self.labels, self.fields, strict=True):
            name.setText(self.tr("Word {n}").format(n=place))
            field.setAccessibleName(name.text())
            field.clear()
            field.setEnabled(True)
        self._enable()
        self.fields[0].setFocus()

    def _enable(self) -> None:
        self.check_button.setEnabled(all(field.text().strip() for field in self.fields))
