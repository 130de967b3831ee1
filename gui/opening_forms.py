"""What the opening window asks a person for: a passphrase, the words of a key, or the name of the node."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLineEdit, QPlainTextEdit, QVBoxLayout

from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from core.wallet.service import KeyService
from gui.phrases import bounded
from gui.tasks import WindowTasks
from gui.theme import SPACE_RELATED, Size, Theme
from gui.widgets.basics import button, label, paragraph, row
from gui.wizard.page import say
from gui.words import words_for


class PassphraseForm(QFrame):
    """One field to open a key file, two to make one."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._use: Callable[[Passphrase], object] = lambda _passphrase: None
        self._new = False
        self._first, self._second = QLineEdit(), QLineEdit()
        self._first_label = label(self.tr("&Passphrase"), theme)
        self._second_label = label(self.tr("The same &again"), theme)
        for field, name in ((self._first, self._first_label), (self._second, self._second_label)):
            field.setEchoMode(QLineEdit.EchoMode.Password)
            field.textChanged.connect(self._check)
            field.returnPressed.connect(self._submit)
            name.setTextFormat(Qt.TextFormat.AutoText)  # for the mnemonic of our own text
            name.setBuddy(field)
        self._hint = paragraph("", theme, size=Size.CAPTION, tone="muted")
        self._button = button("", self._submit, kind="primary", name="usePassphrase")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_RELATED)
        for part in (self._first_label, self._first, self._second_label, self._second, self._hint):
            layout.addWidget(part)
        buttons = row(self._button)
        buttons.addStretch(1)
        layout.addLayout(buttons)

    def ask(self, *, new: bool, use: Callable[[Passphrase], object]) -> None:
        self._new, self._use = new, use
        for part in (self._second_label, self._second):
            part.setVisible(new)
        self._button.setText(self.tr("Make the key file") if new else self.tr("Open the key file"))
        self._check()
        self.show()
        self._first.setFocus()

    def clear(self) -> None:
        """No field keeps a passphrase longer than it is needed."""
        for field in (self._first, self._second):
            field.clear()

    def _check(self) -> None:
        first, second = self._first.text(), self._second.text()
        matches = not self._new or first == second
        self._button.setEnabled(bool(first) and matches)
        if self._new and second and not matches:
            say(self._hint, self.tr("The two are not the same yet."), "warn")
        elif self._new:
            say(self._hint, self.tr("Without this passphrase nobody can open the file again, Leyden included."))
        else:
            say(self._hint, "")

    def _submit(self) -> None:
        if self._button.isEnabled():
            self._use(Passphrase(self._first.text()))


class WordsForm(QFrame):
    """The words of the key that this profile belongs to. They are checked before anything is tried with them."""

    def __init__(self, keys: KeyService, theme: Theme) -> None:
        super().__init__()
        self._keys, self._tasks = keys, WindowTasks()
        self._use: Callable[[Secret], object] = lambda _secret: None
        self._field = QPlainTextEdit()
        self._field.setObjectName("restoreWords")
        self._field.setFont(theme.font(fixed=True))
        self._field.setTabChangesFocus(True)
        self._field.setFixedHeight(theme.em(6.5))
        name = label(self.tr("Its 12 or 24 &words, in their order"), theme)
        name.setTextFormat(Qt.TextFormat.AutoText)
        name.setBuddy(self._field)
        self._hint = paragraph("", theme, size=Size.CAPTION, tone="warn")
        self._button = button(self.tr("Restore this key"), self._submit, kind="primary", name="useWords")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_RELATED)
        for part in (name, self._field, self._hint):
            layout.addWidget(part)
        buttons = row(self._button)
        buttons.addStretch(1)
        layout.addLayout(buttons)

    def ask(self, *, use: Callable[[Secret], object]) -> None:
        self._use = use
        say(self._hint, "")
        self.show()
        self._field.setFocus()

    def end(self) -> None:
        """No field keeps words longer than they are needed."""
        self._field.clear()
        self._tasks.cancel_all()

    def _submit(self) -> None:
        self._tasks.start(self._keys.restore(self._field.toPlainText()), done=self._restored, failed=self._refused)

    def _restored(self, secret: Secret) -> None:
        self._field.clear()
        self._use(secret)

    def _refused(self, error: Exception) -> None:
        words = words_for(error)
        say(self._hint, f"{words.title}. {words.body}", "warn")


class AliasForm(QFrame):
    """A new node is begun by nobody who did not type the old one's name."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._alias = ""
        self._use: Callable[[], object] = lambda: None
        self._why = paragraph("", theme)
        self._field = QLineEdit()
        self._field.setObjectName("aliasTyped")
        self._field.setAccessibleName(self.tr("Name of the node that is given up"))
        self._field.textChanged.connect(lambda _text: self._check())
        self._field.returnPressed.connect(self._submit)
        self._button = button(self.tr("Set up a new node"), self._submit, kind="danger", name="useNewNode")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_RELATED)
        layout.addWidget(self._why)
        layout.addWidget(self._field)
        buttons = row(self._button)
        layout.addLayout(buttons)
        buttons.addStretch(1)

    def ask(self, alias: str, *, use: Callable[[], object]) -> None:
        self._alias, self._use = alias, use
        self._why.setText(
            self.tr(
                "A new node has another id: its peers do not know it, and what belonged to the old one does not come "
                "along. It gets a profile of its own; this one stays as it is, for the day its key is found. Type "
                "{alias} to go on."
            ).format(alias=bounded(alias, 60))
        )
        self._field.clear()
        self._check()
        self.show()
        self._field.setFocus()

    def _check(self) -> None:
        self._button.setEnabled(self._field.text() == self._alias)

    def _submit(self) -> None:
        if self._button.isEnabled():
            self._use()
