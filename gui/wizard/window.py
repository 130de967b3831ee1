"""The wizard's window: the pages over the machine, the way between them, and the start at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from gui.theme import COLUMN_WIDTH, ICON_LARGE, SPACE_GROUP, SPACE_INSIDE, SPACE_PAGE, SPACE_RELATED, Role, Size
from gui.widgets.basics import Glyph, button, label, set_property
from gui.widgets.icons import icon
from gui.wizard.context import Context
from gui.wizard.identity import IdentityPage
from gui.wizard.key import KeyPage
from gui.wizard.key_words import AskedPage, WordsPage
from gui.wizard.machine import KeyPlan, Machine, PageId
from gui.wizard.network import NetworkPage
from gui.wizard.page import WizardPage
from gui.wizard.start import StartPage
from gui.wizard.welcome import WelcomePage

_HEIGHT_EM = 62

Save = Callable[[Machine], Awaitable[None]]
"""Keeps where the wizard is, for a restart."""


class WizardWindow(QWidget):
    """Closing it keeps the entries for the next time. `start_asked` is the last button's."""

    start_asked = Signal()
    cancel_start_asked = Signal()
    closed = Signal()

    def __init__(self, context: Context, save: Save) -> None:
        super().__init__()
        self._context, self._machine, self._theme = context, context.machine, context.theme
        self._save = save
        self._starting = False
        self._done = False
        self.setObjectName("wizard")
        self.setWindowTitle(self.tr("Set up Leyden"))
        self.setWindowIcon(icon("mark", self._theme, Role.BRASS))
        self.welcome, self.start = WelcomePage(context), StartPage(context)
        self.pages: dict[PageId, WizardPage] = {
            PageId.WELCOME: self.welcome,
            PageId.IDENTITY: IdentityPage(context),
            PageId.KEY: KeyPage(context),
            PageId.WORDS: WordsPage(context),
            PageId.ASKED: AskedPage(context),
            PageId.NETWORK: NetworkPage(context),
            PageId.START: self.start,
        }
        self._lay_out()
        for page in self.pages.values():
            page.changed.connect(self._refresh)
            page.reveal_wanted.connect(self._reveal)
        self.welcome.begun.connect(self._begin)
        self.start.retry_wanted.connect(self.start_asked)
        self.start.key_wanted.connect(self._to_key)
        self.start.quit_wanted.connect(self.close)
        self._show_page()
        room = self.screen().availableSize()
        width = COLUMN_WIDTH + 2 * SPACE_PAGE + SPACE_GROUP
        self.resize(min(width, room.width()), min(self._theme.em(_HEIGHT_EM), room.height()))

    @property
    def page(self) -> WizardPage:
        return self.pages[self._machine.page]

    def go_next(self) -> None:
        """The primary button: the next page, or on the last one the start."""
        if self._machine.page is PageId.START:
            self.start_asked.emit()
        elif self._machine.can_next:
            self._move(self._machine.next)

    def go_back(self) -> None:
        if self._starting:
            self.cancel_start_asked.emit()
        elif self._machine.preceding is not None:
            if self._machine.page in (PageId.WORDS, PageId.ASKED):
                self._context.secrets.drop_key()
            self._move(self._machine.back)

    def show_starting(self, starting: bool) -> None:
        """While the node starts there is one way: to stop that. Every entry stays."""
        self._starting = starting
        self._refresh()

    def finish(self) -> None:
        """The node runs: the wizard has done its work."""
        self._done = True
        self._context.secrets.clear()
        self.close()

    def _begin(self, plan: str) -> None:
        self._move(lambda: self._machine.begin(KeyPlan(plan)))

    def _to_key(self) -> None:
        """From a failed start: where the key is kept is chosen again. A key that is confirmed stays so."""
        while PageId.KEY in self._machine.route and self._machine.page is not PageId.KEY:
            self._machine.back()
        self._show_page()

    def _move(self, move: Callable[[], object]) -> None:
        self.page.leave()
        move()
        self._context.tasks.start(self._save(self._machine), failed=self._save_failed)
        self._show_page()

    def _save_failed(self, error: Exception) -> None:
        self._unsaved.setText(self.tr("Where you are could not be saved for a restart."))
        self._unsaved.setToolTip(str(error))

    def _show_page(self) -> None:
        for page in self.pages.values():
            page.setVisible(page is self.page)
        self._scroll.verticalScrollBar().setValue(0)
        self._refresh()
        if self.page is self.welcome:
            self.welcome.first.setFocus()
        elif self._next.isEnabled():
            self._next.setFocus()
        else:
            self.page.setFocus()
        self.page.enter()
        self._refresh()

    def _reveal(self, part: QWidget) -> None:
        # Once it is laid out: it has just been shown.
        QTimer.singleShot(0, self, lambda: self._scroll.ensureWidgetVisible(part))

    def _refresh(self) -> None:
        machine = self._machine
        last = machine.page is PageId.START
        self._back.setVisible(machine.preceding is not None or self._starting)
        self._back.setText(self.tr("Stop and go back") if self._starting else self.tr("Back"))
        self._next.setVisible(
            machine.page is not PageId.WELCOME and not self._starting and not (last and self.start.failed)
        )
        self._next.setText(self.tr("Start") if last else self.tr("Next"))
        if self._next.hasFocus() and not (last or machine.can_next):
            # Else Qt gives the focus to Back, and Enter would press it.
            self.page.setFocus()
        self._next.setEnabled(last or machine.can_next)
        if machine.page is PageId.ASKED and machine.can_next:
            self._next.setFocus()
        self._cancel.setVisible(not self._starting)
        self._show_steps()

    def _show_steps(self) -> None:
        names = {
            PageId.WELCOME: self.tr("Welcome"),
            PageId.IDENTITY: self.tr("Identity"),
            PageId.KEY: self.tr("Key"),
            PageId.NETWORK: self.tr("Network"),
            PageId.START: self.tr("Start"),
        }
        at = PageId.KEY if self._machine.page in (PageId.WORDS, PageId.ASKED) else self._machine.page
        passed = True
        for page, step in self._steps.items():
            step.setVisible(page in self._machine.route)
            step.setText(names[page])
            step.setFont(self._theme.font(Size.CAPTION, bold=page is at))
            passed = passed and page is not at
            set_property(step, "tone", "accent" if page is at else "" if passed else "muted")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter presses the button that has the focus, else does what the page asks for, else goes on.

        A window that is no `QDialog` has no default button.
        """
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)
            return
        focused = self.focusWidget()
        if isinstance(focused, QPushButton):
            focused.click()
        elif not self.page.take_enter() and self._next.isVisible() and self._next.isEnabled():
            self.go_next()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.page.leave()
        if not self._done:
            self._context.secrets.clear()
        event.accept()
        self.closed.emit()

    # --- how it is made

    def _lay_out(self) -> None:
        bar = QFrame()
        bar.setProperty("kind", "bar")
        top = QHBoxLayout(bar)
        top.setContentsMargins(SPACE_PAGE, SPACE_RELATED + 4, SPACE_PAGE, SPACE_RELATED + 4)
        top.setSpacing(SPACE_GROUP)
        top.addWidget(Glyph("mark", self._theme, Role.BRASS, side=ICON_LARGE))
        self._steps: dict[PageId, QLabel] = {}
        for page in (PageId.WELCOME, PageId.IDENTITY, PageId.KEY, PageId.NETWORK, PageId.START):
            self._steps[page] = label("", self._theme, size=Size.CAPTION)
            top.addWidget(self._steps[page])
        top.addStretch(1)
        column = QWidget()
        column.setMaximumWidth(COLUMN_WIDTH)
        pages = QVBoxLayout(column)
        pages.setContentsMargins(0, 0, 0, 0)
        # Not a stack: the shortest page would be as high as the longest, and scroll.
        for page in self.pages.values():
            pages.addWidget(page)
        inside = QWidget()
        across = QHBoxLayout(inside)
        across.setContentsMargins(SPACE_PAGE, SPACE_PAGE, SPACE_PAGE, SPACE_GROUP)
        across.addStretch(1)
        across.addWidget(column, 1000)
        across.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidget(inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(bar)
        layout.addWidget(self._scroll, 1)
        layout.addWidget(self._make_foot())

    def _make_foot(self) -> QFrame:
        foot = QFrame()
        foot.setProperty("kind", "dock")
        line = QHBoxLayout(foot)
        line.setContentsMargins(SPACE_PAGE, SPACE_RELATED + SPACE_INSIDE, SPACE_PAGE, SPACE_RELATED + SPACE_INSIDE)
        line.setSpacing(SPACE_RELATED)
        self._cancel = button(self.tr("Continue later"), self.close, name="wizardCancel")
        self._cancel.setToolTip(self.tr("Closes the window. What you entered is kept; words and passphrase are not."))
        self._back = button(self.tr("Back"), self.go_back, name="wizardBack")
        self._next = button(self.tr("Next"), self.go_next, kind="primary", name="wizardNext")
        self._unsaved = label("", self._theme, size=Size.CAPTION, tone="warn")
        line.addWidget(self._cancel)
        line.addWidget(self._unsaved)
        line.addStretch(1)
        line.addWidget(self._back)
        line.addWidget(self._next)
        # Forward first: who tabs on from the last field does not mean to leave.
        QWidget.setTabOrder(self._next, self._back)
        QWidget.setTabOrder(self._back, self._cancel)
        return foot


async def until_closed(window: WizardWindow) -> None:
    """Wait for the person to close it, or for `finish`."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    window.closed.connect(lambda: None if over.done() else over.set_result(None))
    await over
