"""The small window before the main one: it waits for the node to open, and asks when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from core.base.errors import LeydenError
from core.node import Node
from core.wallet.errors import PassphraseNeeded, WrongPassphrase
from core.wallet.keystore import KeyStoreKind
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from core.wallet.service import KeyService
from gui.tasks import WindowTasks
from gui.theme import SPACE_GROUP, SPACE_PAGE, SPACE_RELATED, Role, Size, Theme
from gui.widgets.basics import button, label, paragraph, row
from gui.widgets.icons import icon
from gui.widgets.notice import Notice
from gui.words import Remedy, words_for
from gui.words_keys import keyring_help

SHOWN_AFTER_MS = 300
STILL_WAITING_MS = 15_000
"""A node that opens sooner needs no window for it."""
_WIDTH_EM = 34
_AGAIN = (Remedy.RETRY, Remedy.ASK_AGAIN, Remedy.LOOK_AGAIN)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the next start is tried with; None is what the settings say."""

    keystore: str | None = None
    passphrase: Passphrase | None = None
    secret: Secret | None = None
    """A key restored from its words."""


async def open_node(node: Node, theme: Theme) -> bool:
    """Start `node`, asking whatever it takes. False when the person rather quits."""
    window = OpeningWindow(node, theme)
    attempt: Attempt | None = Attempt()
    try:
        while attempt is not None:
            window.wait()
            try:
                await node.start(keystore=attempt.keystore, passphrase=attempt.passphrase, secret=attempt.secret)
            except LeydenError as error:
                attempt = await window.ask(error)
            else:
                return True
        return False
    finally:
        window.dismiss()


class OpeningWindow(QWidget):
    """Says what is awaited; after a failure, what can be done. Closing it quits."""

    def __init__(self, node: Node, theme: Theme) -> None:
        super().__init__()
        self._node = node
        self._answer: asyncio.Future[Attempt | None] | None = None
        self._last = Attempt()
        self._dismissed = False
        self.setWindowTitle(self.tr("Leyden"))
        self.setWindowIcon(icon("mark", theme, Role.BRASS))
        self._title = label(self.tr("Opening your node"), theme, size=Size.TITLE, bold=True)
        self._where = paragraph(str(node.paths.folder), theme, size=Size.CAPTION, tone="muted")
        self._waiting = paragraph(
            self.tr("Waiting for the node's key. Your system may ask for the password of your keyring."), theme
        )
        self._notice = Notice(theme)
        self._form = _PassphraseForm(theme)
        self._form.hide()
        self._words = _WordsForm(node.keys, theme)
        self._words.hide()
        self._help = paragraph(keyring_help(), theme, tone="muted")
        self._help.hide()
        column = QWidget()
        column.setFixedWidth(theme.em(_WIDTH_EM))
        QVBoxLayout(self).addWidget(column)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(SPACE_PAGE, SPACE_PAGE, SPACE_PAGE, SPACE_PAGE)
        layout.setSpacing(SPACE_RELATED)
        layout.addWidget(self._title)
        layout.addWidget(self._where)
        layout.addSpacing(SPACE_GROUP - SPACE_RELATED)
        for part in (self._waiting, self._notice, self._help, self._form, self._words):
            layout.addWidget(part)
        self._late = QTimer(self, singleShot=True, interval=SHOWN_AFTER_MS)
        self._late.timeout.connect(self.show)
        self._very_late = QTimer(self, singleShot=True, interval=STILL_WAITING_MS)
        self._very_late.timeout.connect(
            lambda: self._waiting.setText(
                self.tr("Still waiting for your keyring… The system's own window may be behind this one.")
            )
        )

    def wait(self) -> None:
        """A start is under way."""
        for part in (self._notice, self._help, self._form, self._words):
            part.hide()
        self._waiting.show()
        self._very_late.start()
        self.adjustSize()
        if not self.isVisible():
            self._late.start()

    async def ask(self, error: LeydenError) -> Attempt | None:
        """Show the failure and wait for what to try next; None is to quit."""
        self._late.stop()
        self._very_late.stop()
        self._answer = asyncio.get_running_loop().create_future()
        self._waiting.hide()
        self._notice.show_error(
            error,
            {
                **dict.fromkeys(_AGAIN, lambda: self._give(Attempt())),
                Remedy.HOW_TO_FIX: self._show_help,
                Remedy.RESTORE_WORDS: self._ask_words,
                Remedy.USE_KEY_FILE: self._ask_passphrase,
                Remedy.QUIT: lambda: self._give(None),
            },
        )
        if isinstance(error, (PassphraseNeeded, WrongPassphrase)):
            self._ask_passphrase()
        self.adjustSize()
        self.show()
        return await self._answer

    def dismiss(self) -> None:
        """The node is open, or never will be."""
        self._dismissed = True
        self._late.stop()
        self._very_late.stop()
        self._form.clear()
        self._words.end()
        self._last = Attempt()
        self.close()
        self.deleteLater()

    def _ask_passphrase(self) -> None:
        self._form.ask(
            new=not self._node.paths.key_file.exists(),
            use=lambda passphrase: self._give(Attempt(KeyStoreKind.FILE, passphrase)),
        )
        self.adjustSize()

    def _show_help(self) -> None:
        self._help.show()
        self.adjustSize()

    def _ask_words(self) -> None:
        self._form.hide()
        self._words.ask(use=lambda secret: self._give(replace(self._last, secret=secret)))
        self.adjustSize()

    def _give(self, attempt: Attempt | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._form.clear()
            if attempt is not None:
                # Words that were typed and checked serve until the key is stored, whatever else is asked in between.
                attempt = self._last = replace(attempt, secret=attempt.secret or self._last.secret)
            self._answer.set_result(attempt)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._dismissed:
            event.accept()
            return
        event.ignore()  # while a start is under way there is nothing to answer; it ends by itself
        self._give(None)


class _PassphraseForm(QFrame):
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
            self._hint.setText(self.tr("The two are not the same yet."))
        elif self._new:
            self._hint.setText(self.tr("Without this passphrase nobody can open the file again, Leyden included."))
        else:
            self._hint.setText("")

    def _submit(self) -> None:
        if self._button.isEnabled():
            self._use(Passphrase(self._first.text()))


class _WordsForm(QFrame):
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
        self._hint.setText("")
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
        self._hint.setText(f"{words.title}. {words.body}")
