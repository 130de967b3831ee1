"""Keys and access: where the node's key is, its passphrase, its move, the lock, and who may ask over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QDialog, QFrame, QLabel, QLineEdit, QPushButton, QScrollArea, QVBoxLayout, QWidget

from core.base.errors import LeydenError
from core.bolt.keys import short_id
from core.wallet.keystore import KeyStoreKind
from core.wallet.passphrase import Passphrase
from core.wallet.service import KeyState
from gui.phrases import Remedy, Words, bounded
from gui.tasks import WindowTasks
from gui.theme import SPACE_GROUP, SPACE_INSIDE, SPACE_PAGE, SPACE_RELATED, Role, Size, Theme
from gui.widgets.basics import CopyButton, button, label, paragraph, row
from gui.widgets.notice import Notice
from gui.wizard.page import buddy_label, card, say
from gui.words_keys import keyring_help

_WIDTH_EM = 44
_HEIGHT_EM = 60


class Keys(Protocol):
    """What is wanted of `core.wallet.service.KeyService`."""

    def state(self) -> KeyState: ...

    def change_passphrase(self, old: Passphrase, new: Passphrase) -> Coroutine[Any, Any, None]: ...

    def move(self, to: KeyStoreKind, *, passphrase: Passphrase | None = None) -> Coroutine[Any, Any, None]: ...


class Access(Protocol):
    """What is wanted of `Node`."""

    mmrpc: object | None

    def rpc_bans(self) -> tuple[str, ...]: ...

    def lift_rpc_ban(self, address: str) -> None: ...


class KeysDialog(QDialog):
    """Closed by locking the window; then, as whenever it is closed, no field keeps anything."""

    lock_wanted = Signal()
    moved = Signal()

    def __init__(
        self,
        keys: Keys,
        access: Access,
        passphrase_file: Path | None,
        tasks: WindowTasks,
        theme: Theme,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._keys, self._access, self._tasks, self._theme = keys, access, tasks, theme
        self._passphrase_file = passphrase_file
        self._busy = False
        self.setObjectName("keysDialog")
        self.setWindowTitle(self.tr("Keys and access"))
        self._column = QVBoxLayout()
        self._column.setSpacing(SPACE_GROUP)
        self.notice = Notice(theme)
        self.help = paragraph(keyring_help(), theme, tone="muted")
        self._lay_out()
        self._add_place()
        self._column.addWidget(self.notice)
        self._column.addWidget(self.help)
        self._add_change()
        self._add_move()
        self._add_bans()
        self._column.addStretch(1)
        self.refresh()

    def refresh(self) -> None:
        """As things stand now."""
        state = self._keys.state()
        self.help.hide()
        self.where.setText(
            self.tr("It is in memory alone, and gone when Leyden ends.")
            if state.kind is KeyStoreKind.MEMORY
            else self.tr("It is kept in {where}.").format(where=bounded(state.where, 300))
        )
        self.change_card.setVisible(state.kind is KeyStoreKind.FILE)
        self.move_card.setVisible(state.kind is not KeyStoreKind.MEMORY)
        self._show_move(state)
        self._show_bans()
        self._enable()

    def done(self, result: int) -> None:
        """However it is closed."""
        self._forget()
        self.notice.hide()
        super().done(result)

    # --- the passphrase

    def _change(self) -> None:
        if not self.change_button.isEnabled():
            return
        old, new = Passphrase(self.old.text()), Passphrase(self.new.text())
        self._run(lambda: self._keys.change_passphrase(old, new), self._changed)

    def _changed(self) -> None:
        left = ""
        if self._passphrase_file is not None:
            left = self.tr("{path} still has the old one: write the new one into it before the next start.")
        body = self.tr("The key file opens with the new passphrase alone from now on.")
        self._succeed(self.tr("The passphrase is changed"), body, left.format(path=self._passphrase_file))

    # --- the move

    def _move(self) -> None:
        if not self.move_button.isEnabled():
            return
        to = self._other(self._keys.state())
        passphrase = Passphrase(self.move_first.text())
        self._run(lambda: self._keys.move(to, passphrase=passphrase), self._has_moved)

    def _has_moved(self) -> None:
        where = bounded(self._keys.state().where, 300)
        self._succeed(
            self.tr("The key has moved"),
            self.tr("It is in {where} now: written, read back, and then removed from where it was.").format(
                where=where
            ),
        )
        self.moved.emit()

    @staticmethod
    def _other(state: KeyState) -> KeyStoreKind:
        return KeyStoreKind.FILE if state.kind is KeyStoreKind.KEYRING else KeyStoreKind.KEYRING

    def _show_move(self, state: KeyState) -> None:
        to_file = self._other(state) is KeyStoreKind.FILE
        self.move_title.setText(
            self.tr("Move it to an encrypted file") if to_file else self.tr("Move it to the system's keyring")
        )
        places = {"env": self.tr("the environment"), "config": "config.toml"}
        self.move_words.setText(
            self.tr(
                "{place} names the place of the key, so it cannot be moved: the next start would miss it. Remove the "
                "setting keystore there first."
            ).format(place=places.get(state.pinned, self.tr("An option")))
            if state.pinned
            else self.tr(
                "It is written there and read back; only then is it removed here. Your node goes on meanwhile, and if "
                "anything fails, the key stays where it is."
            )
        )
        self.move_first_label.setText(
            self.tr("Pass&phrase of the new file") if to_file else self.tr("Pa&ssphrase of the file")
        )
        for part in (self.move_first_label, self.move_first, self.move_button):
            part.setVisible(not state.pinned)
        for part in (self.move_second_label, self.move_second, self.move_hint):
            part.setVisible(to_file and not state.pinned)
        self.move_button.setText(self.tr("Move to a file") if to_file else self.tr("Move to the keyring"))

    # --- who may ask over HTTP

    def _show_bans(self) -> None:
        self.bans_card.setVisible(self._access.mmrpc is not None)
        bans = self._access.rpc_bans()
        self.no_bans.setVisible(not bans)
        for made in self._ban_rows:
            self._bans.removeWidget(made)
            made.hide()
            made.deleteLater()
        self._ban_rows = [self._ban_row(address) for address in bans]
        for made in self._ban_rows:
            self._bans.addWidget(made)

    def _ban_row(self, address: str) -> QWidget:
        made = QWidget()
        shown = label(bounded(address, 60), self._theme, fixed=True)
        lift = button(self.tr("Hear it again"), lambda: self._lift(address), name=f"lift-{address}")
        lift.setAccessibleName(self.tr("Hear {address} again").format(address=bounded(address, 60)))
        line = row(shown, lift)
        line.setStretch(0, 1)
        made.setLayout(line)
        return made

    def _lift(self, address: str) -> None:
        self.notice.hide()
        try:
            self._access.lift_rpc_ban(address)
        except LeydenError as error:
            self.notice.show_error(error, {})
            self._reveal()
        self._show_bans()

    # --- what they share

    def _run(self, work: Callable[[], Coroutine[Any, Any, None]], done: Callable[[], None]) -> None:
        """`work` again is what the remedies of its failure do."""
        self._forget()
        self._busy = True
        self.notice.show_words(
            Words(self.tr("At work…"), self.tr("Your system may ask for the password of your keyring.")),
            {},
            icon_name="retry",
            role=Role.MUTED,
        )
        self._enable()

        def failed(error: Exception) -> None:
            self._busy = False
            self.refresh()
            again = dict.fromkeys((Remedy.RETRY, Remedy.ASK_AGAIN, Remedy.LOOK_AGAIN), lambda: self._run(work, done))
            self.notice.show_error(error, {**again, Remedy.HOW_TO_FIX: self.help.show})
            self._reveal()

        self._tasks.start(work(), done=lambda _none: done(), failed=failed)

    def _succeed(self, title: str, body: str, line: str = "") -> None:
        self._busy = False
        self.refresh()
        words = Words(title, body, (line,) if line else ())
        self.notice.show_words(words, {}, icon_name="tick", role=Role.OK)
        self._reveal()

    def _reveal(self) -> None:
        """The notice, once it is laid out: it has just been shown, perhaps far above the button that was pressed."""
        QTimer.singleShot(0, self, lambda: self._scroll.ensureWidgetVisible(self.notice))

    def _forget(self) -> None:
        for field in (self.old, self.new, self.again, self.move_first, self.move_second):
            field.clear()

    def _enable(self) -> None:
        new, again = self.new.text(), self.again.text()
        say(self.change_hint, self._difference(new, again))
        self.change_button.setEnabled(not self._busy and bool(self.old.text()) and bool(new) and new == again)
        first, second = self.move_first.text(), self.move_second.text()
        to_file = self._other(self._keys.state()) is KeyStoreKind.FILE
        say(self.move_hint, self._difference(first, second) if to_file else "")
        self.move_button.setEnabled(not self._busy and bool(first) and (not to_file or first == second))
        self.lock_button.setEnabled(not self._busy)

    def _difference(self, first: str, second: str) -> str:
        if second and first != second:
            return self.tr("The two are not the same yet.")
        return self.tr("Without it nobody can open the file again, Leyden included.")

    # --- how it is made

    def _lay_out(self) -> None:
        inside = QWidget()
        self._column.setContentsMargins(SPACE_PAGE, SPACE_PAGE, SPACE_PAGE, SPACE_GROUP)
        inside.setLayout(self._column)
        scroll = self._scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(inside)
        foot = QFrame()
        foot.setProperty("kind", "dock")
        close = button(self.tr("Close"), self.reject, name="closeKeys")
        line = row()
        line.setContentsMargins(SPACE_PAGE, SPACE_RELATED + SPACE_INSIDE, SPACE_PAGE, SPACE_RELATED + SPACE_INSIDE)
        foot.setLayout(line)
        line.addStretch(1)
        line.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        layout.addWidget(foot)
        room = self.screen().availableSize()
        self.resize(min(self._theme.em(_WIDTH_EM), room.width()), min(self._theme.em(_HEIGHT_EM), room.height()))

    def _add_place(self) -> None:
        state = self._keys.state()
        frame, layout = card()
        layout.addWidget(label(self.tr("Your node's key"), self._theme, bold=True))
        copy = CopyButton(self._theme, self.tr("node id"))
        copy.offer(state.node_id.hex())
        shown = label(short_id(state.node_id), self._theme, fixed=True)
        shown.setToolTip(state.node_id.hex())
        node = row(label(self.tr("Node id"), self._theme, tone="muted"), shown, copy)
        layout.addLayout(node)
        node.addStretch(1)
        self.where = paragraph("", self._theme)
        layout.addWidget(self.where)
        layout.addWidget(
            paragraph(
                self.tr("Locking hides this window and wipes every other secret. The node keeps its connections."),
                self._theme,
                size=Size.CAPTION,
                tone="muted",
            )
        )
        self.lock_button = button(self.tr("Lock now"), self._lock_now, name="lockNow")
        self._add_button(layout, self.lock_button)
        self._column.addWidget(frame)

    def _lock_now(self) -> None:
        self.reject()
        self.lock_wanted.emit()

    def _add_change(self) -> None:
        self.change_card, layout = card()
        layout.addWidget(label(self.tr("Change its passphrase"), self._theme, bold=True))
        self.old, _ = self._add_secret(layout, "oldPassphrase", self.tr("The &present one"))
        self.new, _ = self._add_secret(layout, "newPassphrase", self.tr("The &new one"))
        self.again, _ = self._add_secret(layout, "newPassphraseAgain", self.tr("The new one &again"))
        self.change_hint = paragraph("", self._theme, size=Size.CAPTION, tone="muted")
        layout.addWidget(self.change_hint)
        if self._passphrase_file is not None:
            words = self.tr("Leyden reads the passphrase from {path} when it starts. That file keeps the old one.")
            layout.addWidget(
                paragraph(words.format(path=self._passphrase_file), self._theme, size=Size.CAPTION, tone="warn")
            )
        self.change_button = button(self.tr("Change passphrase"), self._change, kind="primary", name="changePassphrase")
        self.again.returnPressed.connect(self._change)
        self._add_button(layout, self.change_button)
        self._column.addWidget(self.change_card)

    def _add_move(self) -> None:
        self.move_card, layout = card()
        self.move_title = label("", self._theme, bold=True)
        self.move_words = paragraph("", self._theme, tone="muted")
        layout.addWidget(self.move_title)
        layout.addWidget(self.move_words)
        self.move_first, self.move_first_label = self._add_secret(layout, "movePassphrase", "")
        self.move_second, self.move_second_label = self._add_secret(
            layout, "movePassphraseAgain", self.tr("The same a&gain")
        )
        self.move_hint = paragraph("", self._theme, size=Size.CAPTION, tone="muted")
        layout.addWidget(self.move_hint)
        self.move_button = button("", self._move, name="moveKey")
        self._add_button(layout, self.move_button)
        self._column.addWidget(self.move_card)

    def _add_bans(self) -> None:
        self.bans_card, layout = card()
        layout.addWidget(label(self.tr("Programs that ask over HTTP"), self._theme, bold=True))
        words = self.tr("An address that sent ten wrong passwords is heard no more until Leyden ends, or you allow it.")
        layout.addWidget(paragraph(words, self._theme, tone="muted"))
        self.no_bans = label(self.tr("No address is shut out."), self._theme)
        layout.addWidget(self.no_bans)
        self._bans = QVBoxLayout()
        self._bans.setSpacing(SPACE_INSIDE)
        self._ban_rows: list[QWidget] = []
        layout.addLayout(self._bans)
        self._column.addWidget(self.bans_card)

    def _add_secret(self, layout: QVBoxLayout, name: str, text: str) -> tuple[QLineEdit, QLabel]:
        field = QLineEdit()
        field.setObjectName(name)
        field.setEchoMode(QLineEdit.EchoMode.Password)
        field.textChanged.connect(lambda _text: self._enable())
        named = buddy_label(text, field, self._theme)
        layout.addWidget(named)
        layout.addWidget(field)
        return field, named

    @staticmethod
    def _add_button(layout: QVBoxLayout, made: QPushButton) -> None:
        line = row(made)
        layout.addLayout(line)
        line.addStretch(1)
