"""The small window before the main one: it waits for the node to open, and asks when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.base.errors import LeydenError
from core.bolt.keys import short_id
from core.node import Node
from core.wallet.errors import KeyMissing, PassphraseNeeded, WrongKey, WrongPassphrase
from core.wallet.keystore import KeyStoreKind
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from gui.opening_forms import AliasForm, PassphraseForm, WordsForm
from gui.profiles import ProfileEntry
from gui.tasks import WindowTasks
from gui.theme import SPACE_GROUP, SPACE_PAGE, SPACE_RELATED, Role, Size, Theme
from gui.widgets.basics import label, paragraph
from gui.widgets.icons import icon
from gui.widgets.notice import Notice
from gui.words import Remedy
from gui.words_keys import keyring_help

SHOWN_AFTER_MS = 300
STILL_WAITING_MS = 15_000
"""A node that opens sooner needs no window for it."""
_WIDTH_EM = 46
_AGAIN = (Remedy.RETRY, Remedy.ASK_AGAIN, Remedy.LOOK_AGAIN)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the next start is tried with; None is what the settings say."""

    keystore: str | None = None
    passphrase: Passphrase | None = None
    secret: Secret | None = None
    """A key restored from its words."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another profile shall be opened instead."""

    entry: ProfileEntry | None
    """None for a new one."""


FindProfile = Callable[[bytes], Awaitable[ProfileEntry | None]]
"""The profile that belongs to a node id, if there is one."""


async def _none(_node_id: bytes) -> ProfileEntry | None:
    return None


async def open_node(node: Node, theme: Theme, profile_of: FindProfile = _none) -> bool | Elsewhere:
    """Start `node`, asking whatever it takes. False when the person rather quits."""
    window = OpeningWindow(node, theme, profile_of)
    attempt: Attempt | Elsewhere | None = Attempt()
    try:
        while attempt is not None:
            if isinstance(attempt, Elsewhere):
                return attempt
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

    def __init__(self, node: Node, theme: Theme, profile_of: FindProfile = _none) -> None:
        super().__init__()
        self._node, self._profile_of = node, profile_of
        self._tasks = WindowTasks()
        self._answer: asyncio.Future[Attempt | Elsewhere | None] | None = None
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
        self._form = PassphraseForm(theme)
        self._form.hide()
        self._words = WordsForm(node.keys, theme)
        self._words.hide()
        self._alias = AliasForm(theme)
        self._alias.hide()
        self._help = paragraph("", theme, tone="muted")
        self._help.hide()
        column = QWidget()
        column.setFixedWidth(theme.em(_WIDTH_EM))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(column)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(SPACE_PAGE, SPACE_PAGE, SPACE_PAGE, SPACE_PAGE)
        layout.setSpacing(SPACE_RELATED)
        layout.addWidget(self._title)
        layout.addWidget(self._where)
        layout.addSpacing(SPACE_GROUP - SPACE_RELATED)
        for part in (self._waiting, self._notice, self._help, self._form, self._words, self._alias):
            layout.addWidget(part)
        layout.addStretch(1)
        self._fitting = QTimer(self, singleShot=True, interval=0)
        self._fitting.timeout.connect(self._fit_now)
        self._late = QTimer(self, singleShot=True, interval=SHOWN_AFTER_MS)
        self._late.timeout.connect(self.show)
        self._very_late = QTimer(self, singleShot=True, interval=STILL_WAITING_MS)
        self._very_late.timeout.connect(
            lambda: self._waiting.setText(
                self.tr("Still waiting for your keyring… The system's own window may be behind this one.")
            )
        )

    def _fit(self) -> None:
        """As high as its texts are at its width, once what was shown or hidden is laid out."""
        self._fit_now()
        self._fitting.start()

    def _fit_now(self) -> None:
        layout = self.layout()
        layout.activate()
        width = layout.sizeHint().width()
        self.setFixedSize(width, layout.totalHeightForWidth(width))

    def wait(self) -> None:
        """A start is under way."""
        self._notice.hide()
        self._put_forms_away()
        self._waiting.show()
        self._very_late.start()
        self._fit()
        if not self.isVisible():
            self._late.start()

    async def ask(self, error: LeydenError) -> Attempt | Elsewhere | None:
        """Show the failure and wait for what to try next; None is to quit."""
        self._late.stop()
        self._very_late.stop()
        self._answer = asyncio.get_running_loop().create_future()
        self._waiting.hide()
        self._notice.show_error(
            error,
            {
                **dict.fromkeys(_AGAIN, lambda: self._give(Attempt())),
                Remedy.HOW_TO_FIX: lambda: self._say(keyring_help()),
                Remedy.RESTORE_WORDS: self._ask_words,
                Remedy.BACKUP_FILE: self._ask_backup,
                Remedy.NEW_NODE: lambda: self._ask_alias(error),
                Remedy.OPEN_AS: lambda: self._open_as(error),
                Remedy.USE_KEY_FILE: self._ask_passphrase,
                Remedy.QUIT: lambda: self._give(None),
            },
        )
        if isinstance(error, PassphraseNeeded):
            # Every start with a key file asks: nothing is wrong.
            self._notice.show_plainly()
        if isinstance(error, (PassphraseNeeded, WrongPassphrase)):
            self._ask_passphrase()
        self._fit()
        self.show()
        return await self._answer

    def dismiss(self) -> None:
        """The node is open, or never will be."""
        self._dismissed = True
        for timer in (self._late, self._very_late, self._fitting):
            timer.stop()
        self._form.clear()
        self._words.end()
        self._tasks.cancel_all()
        self._last = Attempt()
        self.close()
        self.deleteLater()

    def _ask_passphrase(self) -> None:
        self._put_forms_away()
        self._form.ask(
            new=not self._node.paths.key_file.exists(),
            use=lambda passphrase: self._give(Attempt(KeyStoreKind.FILE, passphrase)),
        )
        self._fit()

    def _put_forms_away(self) -> None:
        for part in (self._help, self._form, self._words, self._alias):
            part.hide()

    def _say(self, text: str) -> None:
        self._put_forms_away()
        self._help.setText(text)
        self._help.show()
        self._fit()

    def _ask_words(self) -> None:
        self._put_forms_away()
        self._words.ask(use=lambda secret: self._give(replace(self._last, secret=secret)))
        self._fit()

    def _ask_backup(self) -> None:
        """Leyden takes a key file from its own place alone, where it can see to who may read it."""
        words = self.tr("Copy your backup of the key file to {path}, and enter its passphrase here.")
        self._say(words.format(path=self._node.paths.key_file))
        self._form.ask(new=False, use=lambda passphrase: self._give(Attempt(KeyStoreKind.FILE, passphrase)))
        self._fit()

    def _ask_alias(self, error: LeydenError) -> None:
        if not isinstance(error, KeyMissing):
            return
        self._put_forms_away()
        alias = self._node.settings.alias or f"leyden-{error.node_id.hex()[:8]}"
        self._alias.ask(alias, use=lambda: self._give(Elsewhere(None)))
        self._fit()

    def _open_as(self, error: LeydenError) -> None:
        if isinstance(error, WrongKey):
            self._tasks.start(self._profile_of(error.found), done=lambda entry: self._found(error, entry))

    def _found(self, error: WrongKey, entry: ProfileEntry | None) -> None:
        if entry is not None:
            self._give(Elsewhere(entry))
            return
        words = self.tr(
            "No profile here belongs to {found}, and Leyden does not turn one node's profile into another's. To run "
            "{found}, open Leyden with another --data-dir and restore its words there."
        )
        self._say(words.format(found=short_id(error.found)))

    def _give(self, attempt: Attempt | Elsewhere | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._form.clear()
            if isinstance(attempt, Attempt):
                # Words that were typed and checked serve until the key is stored, whatever else is asked in between.
                attempt = self._last = replace(attempt, secret=attempt.secret or self._last.secret)
            self._answer.set_result(attempt)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._dismissed:
            event.accept()
            return
        event.ignore()  # while a start is under way there is nothing to answer; it ends by itself
        self._give(None)
