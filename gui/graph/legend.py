"""What the colours and kinds of lines mean, in a corner of the picture; only kinds that are in it."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QObject, QSize, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from gui.graph.layer import line_pen
from gui.graph.neighbourhood import Neighbourhood, Standing
from gui.graph.strokes import CONNECTION_CLASS, dash_counts, pieces
from gui.phrases import tr
from gui.theme import SPACE_RELATED, Size, Theme
from gui.widgets.basics import label, row
from gui.words_graph import class_words, standing_words

_SAMPLE_EM = (2.2, 0.9)
_SHARE = 0.25
"""Of the picture's width that it may hide, and twice as much of its height: the middle stays free."""
_SAMPLE_CLASS = 2
"""The colour in which kinds are shown: one from the middle."""


class _Sample(QWidget):
    """A short line as the picture draws it."""

    def __init__(
        self, theme: Theme, capacity_class: int, standing: Standing, *, disabled: bool = False, faded: bool = False
    ) -> None:
        super().__init__()
        self._theme, self._class, self._faded = theme, capacity_class, faded
        self.setFixedSize(QSize(theme.em(_SAMPLE_EM[0]), theme.em(_SAMPLE_EM[1])))
        (count,) = dash_counts(standing, np.array([self.width()]), disabled=disabled).tolist()
        self._pieces = pieces(standing, disabled=disabled, count=count)
        theme.changed.connect(self.update)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(line_pen(self._theme, self._class, faded=self._faded))
        middle = self.height() / 2
        painter.drawLines(
            [QLineF(start * self.width(), middle, end * self.width(), middle) for start, end in self._pieces]
        )
        painter.end()


class Legend(QFrame):
    """A card in the corner of the picture: capacity, then kinds."""

    fits_changed = Signal(bool)
    """Whether there is room for it beside what it would hide, once that is another answer than before."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("kind", "card")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_RELATED, SPACE_RELATED, SPACE_RELATED, SPACE_RELATED)
        layout.setSpacing(2)
        layout.addWidget(label(tr("Capacity"), theme, size=Size.CAPTION, bold=True))
        for number, words in enumerate(class_words()):
            layout.addWidget(_line(_Sample(theme, number, Standing.CHECKED), words, theme))
        layout.addWidget(label(tr("Channel"), theme, size=Size.CAPTION, bold=True))
        self._kinds: dict[str, QWidget] = {}
        for standing in (Standing.CHECKED, Standing.UNCHECKED, Standing.OVERLAY, Standing.CONNECTION):
            number = CONNECTION_CLASS if standing is Standing.CONNECTION else _SAMPLE_CLASS
            self._kinds[standing.name] = _line(_Sample(theme, number, standing), standing_words(standing), theme)
        off = _Sample(theme, _SAMPLE_CLASS, Standing.CHECKED, disabled=True)
        self._kinds["disabled"] = _line(off, tr("switched off by its ends"), theme)
        dying = _Sample(theme, _SAMPLE_CLASS, Standing.CHECKED, faded=True)
        self._kinds["dying"] = _line(dying, tr("closing: its coins were spent"), theme)
        for part in self._kinds.values():
            layout.addWidget(part)
        self._fits: bool | None = None
        parent.installEventFilter(self)

    @property
    def kinds(self) -> set[str]:
        """Names of the kinds that are told."""
        return {name for name, part in self._kinds.items() if not part.isHidden()}

    def show_kinds(self, around: Neighbourhood) -> None:
        """Tell the kinds that are in the picture."""
        there = {standing.name: bool((around.standing == standing).any()) for standing in Standing}
        there["disabled"] = bool(around.disabled.any())
        there["dying"] = bool(around.dying.any())
        for name, part in self._kinds.items():
            part.setVisible(there[name])
        self._settle()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._settle()
        return super().eventFilter(watched, event)

    def _settle(self) -> None:
        """Bottom left of the picture."""
        self.adjustSize()
        around = self.parentWidget().size()
        self.move(SPACE_RELATED, around.height() - self.height() - SPACE_RELATED)
        fits = self.width() <= _SHARE * around.width() and self.height() <= 2 * _SHARE * around.height()
        if fits is not self._fits:
            self._fits = fits
            self.fits_changed.emit(fits)


def _line(sample: _Sample, words: str, theme: Theme) -> QWidget:
    part = QWidget()
    part.setLayout(row(sample, label(words, theme, size=Size.CAPTION, tone="muted"), spacing=SPACE_RELATED))
    return part
