"""One status of the activation as a row."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from core.base.events import StepChanged, StepState
from gui.activation.steps import duration_words, in_words
from gui.phrases import bounded
from gui.theme import SPACE_INSIDE, SPACE_RELATED, Size, Theme
from gui.widgets.basics import label, paragraph
from gui.widgets.notice import Notice, Offers
from gui.widgets.state_glyph import StateGlyph
from gui.words import Remedy

SLOW_S = 10.0
"""A step that takes longer says that it is still at work."""
_DETAIL_MAX = 200


def state_words(state: StepState) -> str:
    translate = QCoreApplication.translate
    return {
        StepState.WAITING: translate("StepRow", "waiting"),
        StepState.RUNNING: translate("StepRow", "running"),
        StepState.DONE: translate("StepRow", "done"),
        StepState.FAILED: translate("StepRow", "failed"),
        StepState.CANCELLED: translate("StepRow", "cancelled"),
    }[state]


class StepRow(QWidget):
    """Glyph, words over the protocol's name, duration; a detail beneath, and a failure in place."""

    def __init__(self, theme: Theme, status: str) -> None:
        super().__init__()
        self.status = status
        self.state = StepState.WAITING
        self._started: float | None = None
        self.took_s = 0.0
        """How long the step ran, once it has ended."""
        self._glyph = StateGlyph(theme)
        self._title = label(in_words(status), theme)
        self._name = label(status, theme, size=Size.CAPTION, tone="muted", fixed=True)
        self._duration = label("", theme, size=Size.TABLE, tone="muted")
        self._duration.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._detail = paragraph("", theme, size=Size.TABLE, tone="muted")
        self._notice = Notice(theme)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, SPACE_INSIDE, 0, SPACE_INSIDE)
        layout.setHorizontalSpacing(SPACE_RELATED + 4)
        layout.setVerticalSpacing(0)
        layout.setColumnStretch(1, 1)
        layout.addWidget(self._glyph, 0, 0)
        layout.addWidget(self._title, 0, 1)
        layout.addWidget(self._duration, 0, 2)
        layout.addWidget(self._name, 1, 1)
        beneath = self._beneath = QVBoxLayout()
        beneath.setContentsMargins(0, 0, 0, 0)
        beneath.setSpacing(SPACE_INSIDE)
        beneath.addWidget(self._detail)
        beneath.addWidget(self._notice)
        beneath.addSpacing(SPACE_INSIDE)
        layout.addLayout(beneath, 2, 1, 1, 2)
        self.reset()

    @property
    def detail(self) -> str:
        return self._detail.text()

    @property
    def duration(self) -> str:
        return self._duration.text()

    @property
    def failure(self) -> str:
        """What the open failure says; empty when there is none."""
        return "" if self._notice.isHidden() else self._notice.text

    def reset(self) -> None:
        self.state = StepState.WAITING
        self._started = None
        self.took_s = 0.0
        self._duration.clear()
        self._show_detail("")
        self._notice.hide()
        self._show_state()

    def show_change(self, event: StepChanged, now: float, offers: Offers) -> None:
        """`now` is the monotonic clock, for the running duration."""
        self.state = event.state
        if event.state is StepState.RUNNING and self._started is None:
            self._started = now
        if event.duration_s is not None:
            self.took_s = event.duration_s
            self._duration.setText(duration_words(event.duration_s))
        self._show_detail(_detail_of(event))
        if event.state is StepState.FAILED and event.error is not None:
            self._notice.show_error(event.error, offers, always=(Remedy.RETRY,))
        else:
            self._notice.hide()
        self._beneath.setContentsMargins(0, SPACE_INSIDE if self.failure else 0, 0, 0)
        self._show_state()

    def tick(self, now: float) -> None:
        """Bring the duration of a running step up to date."""
        if self.state is not StepState.RUNNING or self._started is None:
            return
        passed = now - self._started
        if passed >= 1:
            self._duration.setText(duration_words(passed))
        if passed > SLOW_S and not self._detail.text():
            self._show_detail(self.tr("Still at work; this takes longer than usual."))

    def _show_detail(self, text: str) -> None:
        self._detail.setText(text)
        self._detail.setVisible(bool(text))

    def _show_state(self) -> None:
        self._glyph.show_state(self.state)
        self.setAccessibleName(f"{in_words(self.status)}: {state_words(self.state)}")


def _detail_of(event: StepChanged) -> str:
    progress = ""
    if event.done is not None:
        progress = f"{event.done:,}" if event.total is None else f"{event.done:,} / {event.total:,}"
    detail = bounded(event.detail, _DETAIL_MAX)
    return " · ".join(part for part in (detail, progress) if part)
