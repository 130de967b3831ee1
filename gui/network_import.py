"""Taking in another node's `gossip_store` from the window: which file, how far it is, and what became of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QDir
from PySide6.QtWidgets import QDialog, QFileDialog, QVBoxLayout, QWidget

from core.base.events import StepState
from core.gossip.importing import ImportReport
from gui.phrases import Remedy, Words, bounded, tr
from gui.theme import SPACE_GROUP, SPACE_PAGE, SPACE_RELATED, Role, Theme
from gui.widgets.basics import Elided, button, label, paragraph, row
from gui.widgets.notice import Notice
from gui.widgets.state_glyph import StateGlyph

if TYPE_CHECKING:
    from core.node import Node
    from gui.tasks import WindowTasks

_WIDTH_EM = 40
_NAME = "gossip_store"


def lightningd_folder(home: Path, network: str) -> Path | None:
    """Where Core Lightning keeps its store of that network; None where there is none."""
    folder = home / ".lightning" / network
    with suppress(OSError):  # somebody else's, mostly
        if (folder / _NAME).is_file():
            return folder
    return None


def import_words(report: ImportReport) -> Words:
    """What became of each message of the file; nothing that was left out goes unsaid."""
    taken = report.channels + report.updates + report.nodes
    lines = [
        tr("New: {n} channels", n=f"{report.channels:,}"),
        tr("New: {n} updates of channels", n=f"{report.updates:,}"),
        tr("New: {n} nodes that announce themselves", n=f"{report.nodes:,}"),
        tr("Known before, or older than what is known: {n}", n=f"{report.known:,}"),
        tr("Of no use (another chain, too old, of unknown channels, or too many): {n}", n=f"{report.passed_over:,}"),
        tr("Refused (malformed, or not signed by whom they name): {n}", n=f"{report.refused:,}"),
    ]
    if report.left_out is not None:
        lines.append(tr("Not all of the file could be read: {what}", what=bounded(report.left_out)))
    if not taken:
        return Words(tr("Nothing in this file was new"), "", tuple(lines))
    return Words(
        tr("{n} messages are part of your graph now", n=f"{taken:,}"),
        tr("Their signatures are right. A channel is unchecked until the chain was seen to hold it.")
        if report.channels
        else "",
        tuple(lines),
    )


class NetworkImport(QDialog):
    """One file at a time. Closing it hides it: what goes on is ended by its own Cancel, or with the node."""

    def __init__(self, node: Node, tasks: WindowTasks, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node, self._tasks = node, tasks
        self._running: asyncio.Task[ImportReport] | None = None
        self._path: Path | None = None
        self._percent = -1
        self.setObjectName("networkImport")
        self.setWindowTitle(self.tr("Import a network graph"))
        self.setModal(False)
        self.setMinimumWidth(theme.em(_WIDTH_EM))
        self._file = Elided(theme, fixed=True)
        self._turning = StateGlyph(theme)
        self._line = label("", theme, tone="muted")
        self.notice = Notice(theme)
        self.choose_button = button(self.tr("Choose file…"), self.choose, kind="primary", name="importChoose")
        self.cancel_button = button(self.tr("Cancel"), self.cancel, name="importCancel")
        self.close_button = button(self.tr("Close"), self.reject, name="importClose")
        lead = self.tr(
            "Take in the file “gossip_store” of another node, such as Core Lightning's in “~/.lightning/{network}”. It "
            "may be one that somebody gave you: nothing in it is believed, every message is verified like gossip from "
            "a peer. The file is only read."
        ).format(network=node.network.name)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_PAGE, SPACE_PAGE, SPACE_PAGE, SPACE_PAGE)
        layout.setSpacing(SPACE_GROUP)
        layout.addWidget(paragraph(lead, theme))
        layout.addWidget(self._file)
        state = row(self._turning, self._line)
        state.addStretch(1)
        layout.addLayout(state)
        layout.addWidget(self.notice)
        buttons = row(self.cancel_button, self.close_button, self.choose_button, spacing=SPACE_RELATED)
        buttons.insertStretch(0, 1)
        layout.addStretch(1)
        layout.addLayout(buttons)
        self._show_state()

    @property
    def running(self) -> bool:
        return self._running is not None

    @property
    def line(self) -> str:
        """How far it is, or how it ended."""
        return self._line.text()

    def choose(self) -> None:
        """Ask for a file and begin with it; while one is taken in, that one is shown."""
        self.show()
        if self.running:
            return
        chooser = QFileDialog(self, self.tr("Choose a gossip_store"))
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.setNameFilters([f"{_NAME} ({_NAME} {_NAME}*)", self.tr("All files (*)")])
        chooser.setFilter(chooser.filter() | QDir.Filter.Hidden)  # nodes keep theirs in hidden folders
        likely = lightningd_folder(Path.home(), self._node.network.name)
        if likely is not None:
            chooser.setDirectory(str(likely))
        chooser.fileSelected.connect(lambda name: self.begin(Path(name)))
        chooser.finished.connect(chooser.deleteLater)
        chooser.open()

    def begin(self, path: Path) -> None:
        """Take in the file at `path`."""
        if self.running:
            return
        self._path, self._percent = path, -1
        self.notice.hide()
        self._file.show_text(bounded(str(path), 1000))
        self._progress(0, 1)
        self._running = self._tasks.start(
            self._node.import_gossip_store(path, self._progress), done=self._done, failed=self._failed
        )
        self._show_state()

    def cancel(self) -> None:
        """Stop; what was taken in stays."""
        if self._running is not None:
            self._running.cancel()
            self._ended(tr("Cancelled. What was taken in until then stays."))

    def _progress(self, done: int, total: int) -> None:
        percent = min(100 * done // max(total, 1), 99)
        if percent > self._percent:
            self._percent = percent
            self._line.setText(tr("{n} % read and verified", n=percent))

    def _done(self, report: ImportReport) -> None:
        self._ended("")
        self.notice.show_words(import_words(report), {}, icon_name="tick", role=Role.OK)

    def _failed(self, error: Exception) -> None:
        self._ended("")
        self.notice.show_error(error, {Remedy.RETRY: self._again})

    def _again(self) -> None:
        if self._path is not None:
            self.begin(self._path)

    def _ended(self, words: str) -> None:
        self._running = None
        self._line.setText(words)
        self._show_state()

    def _show_state(self) -> None:
        self._turning.show_state(StepState.RUNNING if self.running else StepState.WAITING)
        self._turning.setVisible(self.running)
        self._line.setVisible(bool(self._line.text()))
        self._file.setVisible(self._path is not None)
        self.cancel_button.setVisible(self.running)
        self.choose_button.setVisible(not self.running)
        self.close_button.setVisible(not self.running)
