"""The node coming up: its statuses in one column, and the node's own address once it runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from core.base.events import NodeState, NodeStateChanged, StepChanged, TaskChanged, TaskState
from core.chain.errors import CertificateChanged
from gui.activation.row import StepRow
from gui.activation.running import RunningCard
from gui.activation.steps import STATUSES, duration_words
from gui.bridge import Bridge
from gui.dialogs import ask, inform
from gui.theme import COLUMN_WIDTH, SPACE_GROUP, SPACE_PAGE, SPACE_RELATED, Size, Theme
from gui.widgets.basics import button, label, paragraph
from gui.widgets.notice import Notice, Offers
from gui.words import Remedy

if TYPE_CHECKING:
    from core.node import Node
    from gui.tasks import WindowTasks

TICK_MS = 100


def _in_groups(fingerprint: bytes) -> str:
    """SHA-256 for eyes: groups of four digits, half a line each."""
    groups = fingerprint.hex(" ", 2).split(" ")
    return "\n".join(" ".join(groups[at : at + 8]) for at in range(0, len(groups), 8))


class _Page(QWidget):
    """As high as its texts are at its width; the least height of a wrapped text is that of a narrow column."""

    def minimumSizeHint(self) -> QSize:
        least = super().minimumSizeHint()
        return QSize(least.width(), 0) if self.hasHeightForWidth() else least


class ActivationView(QScrollArea):
    """Follows the latest activation task; acts through `Node` alone."""

    def __init__(
        self,
        node: Node,
        tasks: WindowTasks,
        bridge: Bridge,
        theme: Theme,
        other_source: Callable[[], object] | None = None,
    ) -> None:
        """`other_source` leads to where another chain source is chosen; without it that is said in words."""
        super().__init__()
        self._node, self._tasks, self._theme = node, tasks, theme
        self._other_source = other_source or self._say_where_sources_stand
        self._task_id: int | None = None
        self._began: float | None = None
        self._outcome: TaskState | None = None
        self._cancelling = False
        self._announced: set[str] = set()
        """The statuses of this task; a program's own task has no platform coin among them."""
        self.setObjectName("activationView")
        self.setAccessibleName(self.tr("Node"))
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._title = label("", theme, size=Size.TITLE, bold=True)
        self._lead = paragraph("", theme, tone="muted")
        self._running = RunningCard(node, theme)
        self.rows = {status: StepRow(theme, status) for status in STATUSES}
        self._notice = Notice(theme)
        self._total = label("", theme, tone="muted")
        self._start = button(self.tr("Start node"), self.start, kind="primary", name="startNode")
        self._cancel = button(self.tr("Cancel"), self.cancel, name="cancelActivation")
        self._lay_out()
        self._ticking = QTimer(self, interval=TICK_MS)
        self._ticking.timeout.connect(self._tick)
        bridge.steps_changed.connect(self.show_steps)
        bridge.task_changed.connect(self.show_task)
        bridge.node_state_changed.connect(self.show_node_state)
        self._refresh()

    def start(self) -> None:
        """Activate the node; also what Retry does."""
        self._node.activate()

    def cancel(self) -> None:
        self._cancelling = True
        self._refresh()
        self._tasks.start(self._node.cancel_activation(), failed=self._cancel_failed)

    def show_steps(self, events: list[StepChanged]) -> None:
        now = self._node.clock.monotonic()
        for event in events:
            if self._task_id is None or event.task_id > self._task_id:
                self._begin(event.task_id)
            row = self.rows.get(event.status)
            if row is not None and event.task_id == self._task_id:
                self._announced.add(event.status)
                row.show_change(event, now, self._offers(event.error))
        self._show_rows()
        if self._began is not None:
            # Steps run before the window is told of them; together they took no less than this.
            self._began = min(self._began, now - sum(row.took_s for row in self.rows.values()))
        self._refresh()

    def show_task(self, event: TaskChanged) -> None:
        if self._task_id is None or event.task_id > self._task_id:
            self._begin(event.task_id)
        if event.task_id != self._task_id:
            return
        self._outcome = None if event.state is TaskState.IN_PROGRESS else event.state
        if self._outcome is not None:
            self._tick()
            self._cancelling = False
        shown_in_row = any(row.failure for row in self.rows.values())
        if event.state is TaskState.ERROR and event.error is not None and not shown_in_row:
            self._notice.show_error(event.error, self._offers(event.error), always=(Remedy.RETRY,))
        self._refresh()

    def _show_rows(self) -> None:
        first = next(iter(self.rows))
        own = not self._announced or first in self._announced
        self.rows[first].setVisible(own)
        self._first_rule.setVisible(own)

    def _offers(self, error: BaseException | None) -> Offers:
        """What this view can do about a failure."""
        offers = {Remedy.RETRY: self.start, Remedy.OTHER_SOURCE: self._other_source}
        if isinstance(error, CertificateChanged):
            offers[Remedy.TRUST_CERTIFICATE] = partial(self._ask_for_trust, error)
        return offers

    def _say_where_sources_stand(self) -> None:
        words = self.tr(
            "Leyden has no page for it yet outside its wizard. Change electrum-server, bitcoin-rpc or chain-source in "
            "{path}, then start Leyden again."
        )
        title = self.tr("Another chain source")
        self._tasks.start(inform(self, title, words.format(path=self._node.paths.config)))

    def _ask_for_trust(self, error: CertificateChanged) -> None:
        self._tasks.start(self._trust(error), failed=self._trust_failed)

    async def _trust(self, error: CertificateChanged) -> None:
        body = self.tr(
            "Somebody between you and {server} could show this certificate as well. Trust it only if the operator says "
            "that it is theirs, or the server is your own.\n\nBefore:\n{expected}\n\nNow:\n{found}"
        ).format(server=error.server, expected=_in_groups(error.expected), found=_in_groups(error.found))
        title = self.tr("Trust the server's new certificate?")
        if await ask(self, title, body, self.tr("Trust the new one"), destructive=True):
            await self._node.trust_certificate(error.server, error.found)
            self.start()

    def _trust_failed(self, error: BaseException) -> None:
        self._notice.show_error(error, {})

    def show_node_state(self, event: NodeStateChanged) -> None:
        if event.state is NodeState.PROBLEM and event.error is not None and self._outcome is TaskState.OK:
            self._notice.show_error(event.error, {})
        self._refresh()

    def _begin(self, task_id: int) -> None:
        self._task_id = task_id
        self._began = self._node.clock.monotonic()
        self._outcome = None
        self._cancelling = False
        self._notice.hide()
        for row in self.rows.values():
            row.reset()
        self._announced = set()
        self._show_rows()

    @property
    def _in_progress(self) -> bool:
        return self._task_id is not None and self._outcome is None

    def _refresh(self) -> None:
        up = self._outcome is TaskState.OK and self._node.state is not NodeState.OFF
        self._title.setText(self._title_words(up))
        lead = self._lead_words()
        self._lead.setText(lead)
        self._lead.setVisible(bool(lead) and not up)
        self._running.setVisible(up)
        if up:
            self._running.refresh()
        self._start.setVisible(not self._in_progress and not up)
        self._start.setText(self.tr("Start node") if self._outcome is not TaskState.ERROR else self.tr("Retry"))
        in_row = any(row.failure for row in self.rows.values()) or not self._notice.isHidden()
        if self._outcome is TaskState.ERROR and in_row:
            self._start.hide()
        self._cancel.setVisible(self._in_progress)
        self._cancel.setEnabled(not self._cancelling)
        self._cancel.setText(self.tr("Stopping…") if self._cancelling else self.tr("Cancel"))
        self._keep_ticking()

    def _title_words(self, up: bool) -> str:
        if up:
            return self.tr("Your node is running")
        if self._in_progress:
            return self.tr("Starting your node")
        if self._outcome is TaskState.ERROR:
            return self.tr("Your node did not start")
        return self.tr("Your node is off")

    def _lead_words(self) -> str:
        if self._outcome is TaskState.CANCELLED:
            return self.tr("Stopped as you asked. The port and every file are released.")
        if self._outcome is TaskState.ERROR:
            return self.tr("What had been opened is closed again. Nothing of your node was changed.")
        if self._in_progress:
            return ""
        if self._task_id is None and self._node.settings.no_activate:
            words = self.tr("Leyden was told to wait (--no-activate). Start the node here{or_there}.")
            there = self.tr(", or have a program do it at {address}").format(address=self._node.settings.mmrpc)
            return words.format(or_there=there if self._node.settings.mmrpc else "")
        return self.tr("Starting it goes through these steps; you can stop at any of them.")

    def _tick(self) -> None:
        now = self._node.clock.monotonic()
        for row in self.rows.values():
            row.tick(now)
        if self._began is not None:
            self._total.setText(self.tr("Total {time}").format(time=duration_words(max(0.0, now - self._began))))

    def _keep_ticking(self) -> None:
        if self._in_progress and self.isVisible():
            if not self._ticking.isActive():
                self._ticking.start()
        else:
            self._ticking.stop()
        self._total.setVisible(self._began is not None)

    def _cancel_failed(self, error: BaseException) -> None:
        self._cancelling = False
        self._notice.show_error(error, {})
        self._refresh()

    def _lay_out(self) -> None:
        card = QFrame()
        card.setProperty("kind", "card")
        steps = QVBoxLayout(card)
        steps.setContentsMargins(SPACE_GROUP, SPACE_RELATED, SPACE_GROUP, SPACE_RELATED)
        steps.setSpacing(0)
        for number, row in enumerate(self.rows.values()):
            if number:
                rule = QFrame()
                rule.setProperty("kind", "rule")
                steps.addWidget(rule)
                if number == 1:
                    self._first_rule = rule
            steps.addWidget(row)
        foot = QHBoxLayout()
        foot.setSpacing(SPACE_RELATED)
        foot.addWidget(self._total)
        foot.addStretch(1)
        foot.addWidget(self._start)
        foot.addWidget(self._cancel)
        column = QWidget()
        column.setMaximumWidth(COLUMN_WIDTH)
        inside = QVBoxLayout(column)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(SPACE_GROUP)
        for part in (self._title, self._lead, self._running, card, self._notice):
            inside.addWidget(part)
        inside.addLayout(foot)
        inside.addStretch(1)
        page = _Page()
        outer = QHBoxLayout(page)
        outer.setContentsMargins(SPACE_PAGE, SPACE_PAGE, SPACE_PAGE, SPACE_PAGE)
        outer.addStretch(1)
        outer.addWidget(column, 1000)
        outer.addStretch(1)
        self.setWidget(page)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._keep_ticking()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._ticking.stop()
