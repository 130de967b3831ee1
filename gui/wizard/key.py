"""Where the key comes from and where it is kept."""

from __future__ import annotations

from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from core.wallet.keystore import KeyStoreStatus
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from gui.phrases import bounded
from gui.theme import SPACE_INSIDE, SPACE_RELATED, Size
from gui.widgets.basics import button, label, paragraph, row
from gui.wizard.context import Context
from gui.wizard.machine import KeyPlan
from gui.wizard.page import Options, WizardPage, buddy_label, say
from gui.words import words_for

ADVISED_CHARACTERS = 12


class KeyPage(WizardPage):
    """New or restored; keyring or encrypted file. The words of a new key come on a page of their own."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "", "")
        self.title.setText(self.tr("Your node's key"))
        self.setAccessibleName(self.title.text())
        self.lead.setText(self.tr("A key is your node's identity. Whoever has it can be you."))
        self._checking = 0
        self.count = Options(
            self.theme,
            (
                ("24", self.tr("24 words"), self.tr("What most wallets make.")),
                ("12", self.tr("12 words"), self.tr("Shorter to write down, and strong enough as well.")),
            ),
        )
        self.column.addWidget(self.count)
        self.typed = QPlainTextEdit()
        self.typed.setObjectName("restoreWords")
        self.typed.setFont(self.theme.font(fixed=True))
        self.typed.setPlaceholderText(self.tr("abandon ability able …"))
        self.typed.setTabChangesFocus(True)
        self.typed.setFixedHeight(self.theme.em(6.5))
        self.verdict = paragraph("", self.theme, size=Size.CAPTION, tone="muted")
        self.restoring = self.add_field(self.tr("Your &words, in their order"), self.typed, self.verdict)
        self.column.addWidget(label(self.tr("Where it is kept"), self.theme, bold=True))
        self.stores = Options(
            self.theme,
            (
                ("keyring", self.tr("In the system's keyring"), self.tr("Looking for it…")),
                (
                    "file",
                    self.tr("In an encrypted file"),
                    self.tr("Opened with a passphrase that you enter whenever Leyden starts."),
                ),
            ),
        )
        self.column.addWidget(self.stores)
        self.again = button(self.tr("Look for a keyring again"), self._look, name="lookAgain")
        again = row(self.again)
        again.addStretch(1)
        self.column.addLayout(again)
        self._add_passphrase()
        self.column.addStretch(1)
        self.count.chosen.connect(self._choose_count)
        self.stores.chosen.connect(self._choose_store)
        self.typed.textChanged.connect(self._read)

    def enter(self) -> None:
        entries = self.machine.entries
        restoring = entries.plan is KeyPlan.RESTORE
        self.restoring.setVisible(restoring)
        self.count.setVisible(not restoring)
        self.count.choose(str(entries.words))
        self.stores.choose(entries.keystore)
        if restoring and self.machine.held.secret:
            say(self.verdict, self.tr("These words are a key. They are not shown again."), "ok")
        elif restoring:
            say(self.verdict, self.tr("12 or 24 English words. They are checked here and sent nowhere."))
        self._show_passphrase()
        self._look()

    def leave(self) -> None:
        self._checking += 1
        for field in (self.first, self.second):
            field.clear()
        self.typed.blockSignals(True)
        self.typed.clear()
        self.typed.document().clearUndoRedoStacks()
        self.typed.blockSignals(False)

    def _choose_count(self, value: str) -> None:
        if int(value) != self.machine.entries.words:
            self.context.secrets.drop_key()
        self.machine.edit(words=int(value))
        self.changed.emit()

    def _choose_store(self, value: str) -> None:
        self.machine.edit(keystore=value)
        if value != "file":
            self.context.secrets.passphrase = None
        self._show_passphrase()
        self.changed.emit()

    def _look(self) -> None:
        self.again.hide()
        self.context.tasks.start(self.context.keys.keyring_status(), done=self._found, failed=self._not_found)

    def _found(self, status: KeyStoreStatus) -> None:
        if status.usable:
            state = {True: self.tr("It is locked; the system will ask you."), False: self.tr("It is unlocked.")}
            words = self.tr("Found: {where}. {state}").format(
                where=bounded(status.where, 80), state=state.get(status.locked, "")
            )
            self.stores.offer("keyring", True, words.strip())
        else:
            self._unusable(status.reason)

    def _not_found(self, error: Exception) -> None:
        self._unusable(words_for(error).title)

    def _unusable(self, reason: str) -> None:
        words = self.tr("None that can be trusted with a key was found. {reason}")
        self.stores.offer("keyring", False, words.format(reason=bounded(reason, 200)))
        self.again.show()
        if self.machine.entries.keystore == "keyring":
            self.stores.choose("file")
            self._choose_store("file")

    def _read(self) -> None:
        """Check the words while they are typed; only the last text counts."""
        text = self.typed.toPlainText()
        self._checking += 1
        self.context.secrets.drop_key()
        self.machine.hold(secret=False)
        self.changed.emit()
        words = len(text.split())
        if words < 12:
            say(self.verdict, self.tr("{n} words so far; 12 or 24 make a key.").format(n=words))
            return
        number = self._checking
        self.context.tasks.start(
            self.context.keys.restore(text),
            done=lambda secret: self._accept(number, secret),
            failed=lambda error: self._refuse(number, error),
        )

    def _accept(self, number: int, secret: Secret) -> None:
        if number != self._checking:
            return
        self.context.secrets.secret = secret
        self.machine.hold(secret=True)
        say(self.verdict, self.tr("These words are a key."), "ok")
        self.changed.emit()

    def _refuse(self, number: int, error: Exception) -> None:
        if number == self._checking:
            words = words_for(error)
            say(self.verdict, f"{words.title}. {words.body}", "warn")

    def _add_passphrase(self) -> None:
        self.passphrase = QWidget()
        layout = QVBoxLayout(self.passphrase)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_INSIDE)
        self.first, self.second = QLineEdit(), QLineEdit()
        for name, text, field in (
            ("passphrase", self.tr("&Passphrase of the file"), self.first),
            ("passphraseAgain", self.tr("The same &again"), self.second),
        ):
            field.setObjectName(name)
            field.setEchoMode(QLineEdit.EchoMode.Password)
            field.textEdited.connect(lambda _text: self._take_passphrase())
            layout.addWidget(buddy_label(text, field, self.theme))
            layout.addWidget(field)
            layout.addSpacing(SPACE_RELATED - SPACE_INSIDE)
        self.strength = paragraph("", self.theme, size=Size.CAPTION, tone="muted")
        layout.addWidget(self.strength)
        self.column.addWidget(self.passphrase)

    def _show_passphrase(self) -> None:
        self.passphrase.setVisible(self.machine.entries.keystore == "file")
        if self.machine.held.passphrase:
            say(self.strength, self.tr("You have entered a passphrase. Type here to choose another."), "ok")
        else:
            say(self.strength, self.tr("Without it nobody can open the file again, Leyden included."))

    def _take_passphrase(self) -> None:
        first, second = self.first.text(), self.second.text()
        fine = bool(first) and first == second
        self.context.secrets.passphrase = Passphrase(first) if fine else None
        self.machine.hold(passphrase=fine)
        if second and not fine:
            say(self.strength, self.tr("The two are not the same yet."), "warn")
        elif first and len(first) < ADVISED_CHARACTERS:
            say(self.strength, self.tr("Short: four or five words at random make a better one."), "warn")
        elif fine:
            say(self.strength, self.tr("Both are the same."), "ok")
        else:
            say(self.strength, self.tr("Without it nobody can open the file again, Leyden included."))
        self.changed.emit()
