"""The first page: what this is, and three ways on."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout

from gui.theme import SPACE_GROUP, SPACE_INSIDE, SPACE_RELATED, Role
from gui.widgets.basics import Glyph, button, label, paragraph, row
from gui.wizard.context import Context
from gui.wizard.machine import KeyPlan
from gui.wizard.page import WizardPage, card


class WelcomePage(WizardPage):
    """Each way is a button; there is no Next."""

    begun = Signal(str)
    """A `KeyPlan`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "", "")
        self.first: QPushButton
        """The way that most take: Enter takes it."""
        self.setAccessibleName(self.tr("Welcome"))
        self.title.setText(self.tr("Your node, on this computer"))
        self.lead.setText(self.tr("Leyden runs a Lightning node of your own and shows you what it does."))
        for icon_name, title, sentence in (
            (
                "peers",
                self.tr("It finds and keeps peers"),
                self.tr("Connect to other nodes, directly or through Tor, and see each of them live."),
            ),
            (
                "messages",
                self.tr("It speaks the protocol with you"),
                self.tr("Read and send raw messages, byte by byte."),
            ),
            (
                "info",
                self.tr("It moves no money yet"),
                self.tr("This version opens no channels and makes no payments."),
            ),
        ):
            self.column.addLayout(self._point(icon_name, title, sentence))
        self.column.addSpacing(SPACE_RELATED)
        frame, ways = card()
        ways.setSpacing(SPACE_GROUP)
        for plan, text, sentence, kind in (
            (KeyPlan.NEW, self.tr("Set up a node"), self.tr("With a new key. Takes two minutes."), "primary"),
            (KeyPlan.RESTORE, self.tr("Restore a key"), self.tr("You have 12 or 24 words written down."), ""),
            (
                KeyPlan.MEMORY,
                self.tr("Look around first"),
                self.tr("A practice node on a chain of its own. Nothing is saved."),
                "",
            ),
        ):
            ways.addLayout(self._way(plan, text, sentence, kind))
        self.column.addWidget(frame)
        self.column.addStretch(1)

    def _point(self, icon_name: str, title: str, sentence: str) -> QVBoxLayout:
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(label(title, self.theme, bold=True))
        words.addWidget(paragraph(sentence, self.theme, tone="muted"))
        line = row(Glyph(icon_name, self.theme, Role.ACCENT, side=20), spacing=SPACE_GROUP)
        line.addLayout(words, 1)
        made = QVBoxLayout()
        made.addLayout(line)
        return made

    def _way(self, plan: KeyPlan, text: str, sentence: str, kind: str) -> QVBoxLayout:
        go = button(text, lambda: self.begun.emit(plan), kind=kind, name=f"begin-{plan}")
        if kind == "primary":
            self.first = go
        go.setMinimumWidth(self.theme.em(13))
        go.setAccessibleDescription(sentence)
        words = paragraph(sentence, self.theme, tone="muted")
        line = row(go, spacing=SPACE_GROUP)
        line.addWidget(words, 1)
        made = QVBoxLayout()
        made.setSpacing(SPACE_INSIDE)
        made.addLayout(line)
        return made
