"""The glyph of a step: waiting ring, turning ring, tick, cross. Painted, and turning only while it is seen."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QHideEvent, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import QWidget

from core.base.events import StepState
from gui.theme import ICON_LARGE, Role, Theme
from gui.widgets.icons import paint_icon

_STROKE = 1.5
_MARK_STROKE = 1.8
_TICK = (((6.0, 10.4), (8.8, 13.2), (14.2, 7.2)),)
_CROSS = (((7.0, 7.0), (13.0, 13.0)), ((13.0, 7.0), (7.0, 13.0)))
"""Lines in the glyph's 20 pixels; the icons of the set would come out too thin inside the circle."""
Lines = tuple[tuple[tuple[float, float], ...], ...]
_TURN_MS = 33
_DEGREES_A_TICK = 12
_ARC_DEGREES = 100


class StateGlyph(QWidget):
    """20 pixels square."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._state = StepState.WAITING
        self._angle = 90
        self._turning = QTimer(self, interval=_TURN_MS)
        self._turning.timeout.connect(self._turn)
        self.setFixedSize(ICON_LARGE, ICON_LARGE)
        theme.changed.connect(self.update)

    @property
    def turning(self) -> bool:
        return self._turning.isActive()

    def show_state(self, state: StepState) -> None:
        self._state = state
        self._keep_turning()
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._state is StepState.DONE:
            self._disc(painter, Role.OK, _TICK)
        elif self._state is StepState.FAILED:
            self._disc(painter, Role.ERROR, _CROSS)
        else:
            self._ring(painter)
        painter.end()

    def _disc(self, painter: QPainter, role: Role, lines: Lines) -> None:
        colour = self._theme.color(role)
        self._circle(painter, colour)
        pen = QPen(colour, _MARK_STROKE)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        for line in lines:
            painter.drawPolyline([QPointF(x, y) for x, y in line])

    def _ring(self, painter: QPainter) -> None:
        running = self._state is StepState.RUNNING
        self._circle(painter, self._theme.color(Role.BORDER if running else Role.MUTED), faint=not running)
        if running:
            pen = QPen(self._theme.color(Role.ACCENT), _STROKE + 0.5)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            painter.drawArc(self._area(), self._angle * 16, -_ARC_DEGREES * 16)
        elif self._state is StepState.CANCELLED:
            paint_icon(painter, QRectF(self.rect()).adjusted(6, 6, -6, -6), "stop", self._theme.color(Role.MUTED))

    def _circle(self, painter: QPainter, colour: QColor, *, faint: bool = False) -> None:
        if faint:
            colour.setAlphaF(0.6)
        painter.setPen(QPen(colour, _STROKE))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(self._area())

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)

    def _turn(self) -> None:
        self._angle = (self._angle - _DEGREES_A_TICK) % 360
        self.update()

    def _keep_turning(self) -> None:
        if self._state is StepState.RUNNING and self.isVisible() and self._theme.moves:
            self._turning.start()
        else:
            self._turning.stop()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._keep_turning()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._turning.stop()
