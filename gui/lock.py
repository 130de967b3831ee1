"""The lock page: the window is hidden behind it, the node goes on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from core.wallet.passphrase import Passphrase
from core.wallet.service import KeyState, UnlockBy
from gui.phrases import Remedy, bounded
from gui.tasks import WindowTasks
from gui.theme import SPACE_GROUP, SPACE_RELATED, Role, Size, Theme
from gui.widgets.basics import Glyph, button, label, paragraph, row
from gui.widgets.notice import Notice

STILL_WAITING_MS = 15_000
_WIDTH_EM = 34
_MARK_SIDE = 40
_SIGNS_OF_LIFE = (
    QEvent.Type.KeyPress,
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseMove,
    QEvent.Type.Wheel,
    QEvent.Type.TouchBegin,
)


class Keys(Protocol):
    """What the lock wants of `core.wallet.service.KeyService`."""

    def state(self) -> KeyState: ...

    def lock(self) -> None: ...

    def unlock(self, passphrase: Passphrase | None = None) -> Coroutine[Any, Any, None]: ...


class AutoLock(QObject):
    """Calls `lock` after so many minutes without a key or the pointer, anywhere in the program."""

    def __init__(self, app: QApplication, minutes: int, lock: Callable[[], object], parent: QObject) -> None:
        """Never with 0 minutes."""
        super().__init__(parent)
        self._timer = QTimer(self, singleShot=True, interval=minutes * 60_000)
        self._timer.timeout.connect(lock)
        if minutes:
            app.installEventFilter(self)
            self._timer.start()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() in _SIGNS_OF_LIFE:
            self._timer.start()
        return False


class LockPage(QWidget):
    """Says what is hidden and what goes on, and asks for what opens it."""

    unlocked = Signal()

    def __init__(self, keys: Keys, tasks: WindowTasks, theme: Theme) -> None:
        super().__init__()
        self._keys, self._tasks = keys, tasks
        self.setObjectName("lockPage")
        self.setAccessibleName(self.tr("Leyden is locked"))
        column = QWidget()
        column.setFixedWidth(theme.em(_WIDTH_EM))
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_RELATED)
        layout.addWidget(Glyph("mark", theme, Role.BRASS, side=_MARK_SIDE))
        layout.addSpacing(SPACE_GROUP - SPACE_RELATED)
        layout.addWidget(label(self.tr("Leyden is locked"), theme, size=Size.TITLE, bold=True))
        self.said = paragraph(
            self.tr(
                "Your node goes on and keeps its connections, for which its key stays in memory. Everything else that "
                "is secret has been wiped, and nobody at this screen sees your peers and messages."
            ),
            theme,
            tone="muted",
        )
        layout.addWidget(self.said)
        layout.addSpacing(SPACE_GROUP - SPACE_RELATED)
        self.how = paragraph("", theme)
        self.passphrase = QLineEdit()
        self.passphrase.setObjectName("lockPassphrase")
        self.passphrase.setEchoMode(QLineEdit.EchoMode.Password)
        self.passphrase.setAccessibleName(self.tr("Passphrase of the key file"))
        self.passphrase.setPlaceholderText(self.passphrase.accessibleName())
        self.passphrase.returnPressed.connect(self.unlock)
        self.passphrase.textChanged.connect(lambda _text: self._enable())
        self.notice = Notice(theme)
        self.open_button = button(self.tr("Unlock"), self.unlock, kind="primary", name="unlock")
        for part in (self.how, self.passphrase, self.notice):
            layout.addWidget(part)
        line = row(self.open_button)
        line.addStretch(1)
        layout.addLayout(line)
        # An alignment would give the column the height of its hint, and cut what is wrapped.
        across = QHBoxLayout()
        across.addStretch(1)
        across.addWidget(column)
        across.addStretch(1)
        outer = QVBoxLayout(self)
        outer.addStretch(1)
        outer.addLayout(across)
        outer.addStretch(2)
        self._busy = False
        self._late = QTimer(self, singleShot=True, interval=STILL_WAITING_MS)
        self._late.timeout.connect(lambda: self.how.setText(self.tr("Still waiting for your keyring…")))

    def lock(self) -> None:
        """Wipe what can be wiped, and ask from now on."""
        self._keys.lock()
        self.notice.hide()
        self._ask()

    def unlock(self) -> None:
        """Try it with what was entered."""
        if not self.open_button.isEnabled():
            return
        text = self.passphrase.text()
        self.passphrase.clear()
        self._busy = True
        self.notice.hide()
        self._enable()
        if self._keys.state().unlock_by is UnlockBy.KEYRING:
            self._late.start()
        self._tasks.start(
            self._keys.unlock(Passphrase(text) if text else None), done=self._opened, failed=self._refused
        )

    def _opened(self, _none: None) -> None:
        self._late.stop()
        self._busy = False
        self.unlocked.emit()

    def _refused(self, error: Exception) -> None:
        self._late.stop()
        self._busy = False
        self._ask()
        again = (Remedy.RETRY, Remedy.ASK_AGAIN, Remedy.LOOK_AGAIN)
        # With a passphrase the field is the way to try again.
        offers = {} if self._needs_passphrase else dict.fromkeys(again, self.unlock)
        self.notice.show_error(error, offers)

    @property
    def _needs_passphrase(self) -> bool:
        return self._keys.state().unlock_by is UnlockBy.PASSPHRASE

    def _ask(self) -> None:
        state = self._keys.state()
        words = {
            UnlockBy.PASSPHRASE: self.tr("Enter the passphrase of your key file."),
            UnlockBy.KEYRING: self.tr("{where} is asked. If it is locked, your system asks for its password.").format(
                where=bounded(state.where, 80)
            ),
            UnlockBy.NOTHING: self.tr("The key is in memory alone, so nothing is asked."),
        }
        self.how.setText(words[state.unlock_by])
        self.passphrase.setVisible(self._needs_passphrase)
        self._enable()
        (self.passphrase if self._needs_passphrase else self.open_button).setFocus()

    def _enable(self) -> None:
        missing = self._needs_passphrase and not self.passphrase.text()
        self.open_button.setEnabled(not self._busy and not missing)
