"""Settings of this profile: pages beside a list of their names. What is changed is kept in `config.toml`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QDialog, QHBoxLayout, QListWidget, QStackedWidget, QVBoxLayout, QWidget

from gui.phrases import bounded, tr
from gui.settings.config import change_config
from gui.settings.network import NetworkPage
from gui.theme import SPACE_GROUP, SPACE_PAGE, Size, Theme
from gui.top_bar import IN_MEMORY
from gui.widgets.basics import button, paragraph, row
from gui.widgets.notice import Notice

if TYPE_CHECKING:
    from core.node import Node
    from gui.tasks import WindowTasks

_SIZE_EM = (54, 34)
_LIST_EM = 10


class SettingsDialog(QDialog):
    """Nothing is changed before Save; closing forgets what was not saved."""

    def __init__(self, node: Node, tasks: WindowTasks, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node, self._tasks = node, tasks
        self._saving: asyncio.Task[None] | None = None
        self._saved: dict[str, str] = {}
        """What was written since the program started, and is in force from its next start."""
        self.setObjectName("settingsDialog")
        self.setWindowTitle(tr("Settings"))
        self.setModal(False)
        self.network = NetworkPage(node.settings, theme)
        self.pages = QListWidget()
        self.pages.setFont(theme.font(Size.BODY))
        self.pages.setAccessibleName(tr("Pages"))
        self.pages.setFixedWidth(theme.em(_LIST_EM))
        self._stack = QStackedWidget()
        for name, page in ((tr("Network"), self.network),):
            self.pages.addItem(name)
            self._stack.addWidget(page)
        self.pages.currentRowChanged.connect(self._stack.setCurrentIndex)
        self.pages.setCurrentRow(0)
        self.notice = Notice(theme)
        self.state = paragraph("", theme, size=Size.TABLE, tone="muted")
        self.save_button = button(tr("Save"), self.save, kind="primary", name="saveSettings")
        across = QHBoxLayout()
        across.setSpacing(SPACE_GROUP)
        across.addWidget(self.pages)
        across.addWidget(self._stack, 1)
        foot = row(self.state, button(tr("Close"), self.reject, name="closeSettings"), self.save_button)
        foot.setStretch(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_PAGE, SPACE_PAGE, SPACE_PAGE, SPACE_PAGE)
        layout.setSpacing(SPACE_GROUP)
        layout.addLayout(across, 1)
        layout.addWidget(self.notice)
        layout.addLayout(foot)
        self.network.changed.connect(self._show_state)
        self.resize(theme.em(_SIZE_EM[0]), theme.em(_SIZE_EM[1]))

    def open_anew(self) -> None:
        """Show what is kept, without what an earlier look left unsaved."""
        if self._saving is None:
            self.network.show_values(self._saved)
            self.notice.hide()
        self._show_state()
        self.show()
        self.raise_()

    def save(self) -> None:
        """Write what differs."""
        changes = self.network.changes(self._saved)
        if self._saving is not None or not changes or self.network.fault:
            return
        self.notice.hide()
        self._saving = self._tasks.start(
            asyncio.to_thread(change_config, self._node.paths.config, changes),
            done=lambda _none: self._written(changes),
            failed=self._failed,
        )
        self._show_state()

    def _written(self, changes: dict[str, str]) -> None:
        self._saving = None
        self._saved |= changes
        self._show_state()

    def _failed(self, error: Exception) -> None:
        self._saving = None
        self._show_state()
        self.notice.show_error(error, {})

    def _show_state(self) -> None:
        changes = self.network.changes(self._saved)
        self.save_button.setEnabled(self._saving is None and bool(changes) and not self.network.fault)
        self.state.setText(self.network.fault or (self._saved_words() if self._saved and not changes else ""))

    def _saved_words(self) -> str:
        """A practice node lives in a folder that goes with it, and nothing else tells such a node from others."""
        if self._node.key_location == IN_MEMORY:
            folder = bounded(str(self._node.paths.folder), 300)
            return tr("Saved in {folder}. When that is a practice node's, it goes when Leyden ends.", folder=folder)
        return tr("Saved. It is in force when Leyden is started again.")
