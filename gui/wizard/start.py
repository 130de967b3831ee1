"""The last page: what was chosen, then the node coming up in the view that the main window has too."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from gui.phrases import bounded
from gui.theme import SPACE_GROUP, SPACE_RELATED
from gui.widgets.basics import Elided, label
from gui.widgets.notice import Notice
from gui.wizard.context import Context
from gui.wizard.machine import ChainKind, KeyPlan, PageId, listening_port
from gui.wizard.page import WizardPage, card
from gui.words import Remedy, words_for


class StartPage(WizardPage):
    """Shows a failure where it happens, with what can be done as buttons."""

    retry_wanted = Signal()
    key_wanted = Signal()
    """Another place for the key shall be chosen."""
    quit_wanted = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__(context, "", "")
        self.title.setText(self.tr("Ready to start"))
        self.setAccessibleName(self.title.text())
        self.lead.setText(self.tr("This is what you chose. Nothing is stored before you press Start."))
        frame, layout = card()
        self.grid = QGridLayout()
        self.grid.setHorizontalSpacing(SPACE_GROUP)
        self.grid.setVerticalSpacing(SPACE_RELATED)
        self.grid.setColumnStretch(1, 1)
        layout.addLayout(self.grid)
        self.summary = frame
        self.column.addWidget(frame)
        self.waiting = label("", self.theme, tone="muted")
        self.waiting.hide()
        self.column.addWidget(self.waiting)
        self.notice = Notice(self.theme)
        self.column.addWidget(self.notice)
        self.column.addStretch(1)
        self.values: dict[str, Elided] = {}

    def enter(self) -> None:
        self.notice.hide()
        self.waiting.hide()
        for number, (name, value) in enumerate(self._chosen()):
            if name not in self.values:
                self.values[name] = Elided(self.theme)
                self.grid.addWidget(label(name, self.theme, tone="muted"), number, 0)
                self.grid.addWidget(self.values[name], number, 1)
            self.values[name].show_text(value)

    def show_waiting(self, text: str) -> None:
        """The key is being stored or read."""
        self.notice.hide()
        self.waiting.setText(text)
        self.waiting.show()

    def show_failure(self, error: BaseException) -> None:
        """The node could not be opened; nothing of it is left behind."""
        self.waiting.hide()
        offers = {Remedy.QUIT: self.quit_wanted.emit}
        for remedy in (Remedy.RETRY, Remedy.ASK_AGAIN, Remedy.LOOK_AGAIN):
            offers[remedy] = self.retry_wanted.emit
        if PageId.KEY in self.machine.route:
            for remedy in (Remedy.USE_KEY_FILE, Remedy.RESTORE_WORDS):
                offers[remedy] = self.key_wanted.emit
        again = {Remedy.RETRY, Remedy.ASK_AGAIN, Remedy.LOOK_AGAIN} & set(words_for(error).actions)
        self.notice.show_error(error, offers, always=() if again else (Remedy.RETRY,))
        self.changed.emit()

    @property
    def failed(self) -> bool:
        """A failure stands there, with its own buttons."""
        return not self.notice.isHidden()

    def _chosen(self) -> list[tuple[str, str]]:
        entries = self.machine.entries
        chain = {
            ChainKind.ELECTRUM: ", ".join(entries.servers) or self.tr("well-known public Electrum servers"),
            ChainKind.BITCOIN_RPC: self.tr("Bitcoin Core at {address}").format(address=entries.rpc),
            ChainKind.EMBEDDED: self.tr("the practice chain inside Leyden"),
        }[entries.chain]
        kept = {
            "keyring": self.tr("the system's keyring"),
            "file": self.tr("an encrypted file"),
            "memory": self.tr("memory alone: gone when Leyden ends"),
        }[entries.keystore]
        key = {
            KeyPlan.NEW: self.tr("new, {n} words, in {place}"),
            KeyPlan.RESTORE: self.tr("restored from words, in {place}"),
            KeyPlan.MEMORY: self.tr("new, in {place}"),
            KeyPlan.KEPT: self.tr("kept in {place}"),
        }[entries.plan]
        port = listening_port(entries)
        return [
            (self.tr("Name"), bounded(entries.alias, 60) or self.tr("from the node id")),
            (self.tr("Key"), key.format(n=entries.words, place=kept)),
            (self.tr("Network"), entries.network),
            (self.tr("Chain from"), bounded(chain, 200)),
            (
                self.tr("Listens"),
                self.tr("on port {port}").format(port=port)
                if entries.listen
                else self.tr("on this computer only")
                if entries.network == "regtest"
                else self.tr("no"),
            ),
        ]


def host(page: StartPage, view: QWidget) -> None:
    """Put the activation view where the summary was."""
    page.waiting.hide()
    page.summary.hide()
    page.title.hide()
    page.lead.hide()
    page.column.insertWidget(0, view, 1)


def unhost(page: StartPage, view: QWidget) -> None:
    """The way back: the summary again."""
    page.column.removeWidget(view)
    for part in (page.summary, page.title, page.lead):
        part.show()
