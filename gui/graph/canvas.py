"""The picture itself: seen, moved, stretched, pointed at and walked with the keyboard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QEnterEvent,
    QFontMetricsF,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from gui.graph.layer import Layer, LayerPainting, View, radii
from gui.graph.neighbourhood import Array, Neighbourhood
from gui.peer_names import shortened
from gui.phrases import tr
from gui.theme import SPACE_INSIDE, SPACE_PAGE, Role, Size, Theme

_SLICE_MS = 8
_SLICE_BUDGET_S = 0.0025
_ZOOM_STEP = 1.2
_PAN_PX = 60
_NEAR_PX = 8.0
"""How far from a dot the pointer may be."""
_DRAG_PX = 4
_LABELS = 28
_LABEL_CANDIDATES = 240
_LABEL_CHARACTERS = 24
_LIT_LINES = 150
"""Of the selected node, the largest: more would not fit into a frame, nor be told apart."""
_LARGEST_FIT = 60.0
_ZOOM_RANGE = (0.2, 40.0)
"""Of the scale that shows everything."""


class Canvas(QWidget):
    """Shows a `Neighbourhood` with the places of its nodes. Node 0 is the centre."""

    selected = Signal(int)
    """Number of the node that was pointed at; -1 for none."""
    centre_wanted = Signal(int)
    """A node was clicked twice, or Enter pressed on it."""

    def __init__(self, theme: Theme, name_of: Callable[[bytes], str]) -> None:
        """`name_of` gives what stands beside a dot, empty for nothing."""
        super().__init__()
        self._theme, self._name_of = theme, name_of
        self._around: Neighbourhood | None = None
        self._places: Array = np.zeros((0, 2), np.float32)
        self._names: dict[int, str] = {}
        self._view = View()
        self._fit_scale = 1.0
        self._follows = True
        """Whether the view still shows everything, as long as nobody moved it."""
        self._layer: Layer | None = None
        self._painting: LayerPainting | None = None
        self._stale = False
        self._labels: list[int] = []
        self._sizes: tuple[float, Array] | None = None
        """The scale, and what it makes of the dots."""
        self._chosen = self._pointed = -1
        self._pressed: QPointF | None = None
        self._dragging = False
        self._slices = QTimer(self, interval=_SLICE_MS)
        self._slices.timeout.connect(self._paint_on)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(tr("Picture of the network"))
        theme.changed.connect(self._repaint_all)

    # --- what others ask of it

    @property
    def around(self) -> Neighbourhood | None:
        return self._around

    @property
    def view(self) -> View:
        return self._view

    @property
    def chosen(self) -> int:
        """Number of the selected node, or -1."""
        return self._chosen

    @property
    def labels(self) -> list[str]:
        """What stands beside dots now."""
        return [self._names[number] for number in self._labels]

    @property
    def painted(self) -> bool:
        """Whether what is shown was painted for this view."""
        return self._painting is None and not self._stale

    def show_picture(self, around: Neighbourhood, places: Array) -> None:
        """Another picture; the same node stays selected, and a view that somebody moved stays where it is."""
        chosen = self.chosen_id
        same_centre = self._around is not None and self._around.ids[0] == around.ids[0]
        self._around, self._places, self._names = around, places, {}
        self._sizes = None
        self._chosen = around.ids.index(chosen) if chosen in around.ids else -1
        self._pointed = -1
        self._labels = []
        if self._follows or not same_centre:
            self.fit()
        self._repaint_all()
        self._describe()

    @property
    def chosen_id(self) -> bytes:
        """Node id of the selected node; empty without one."""
        return self._around.ids[self._chosen] if self._around is not None and self._chosen >= 0 else b""

    def choose(self, number: int) -> None:
        """Select a node, -1 for none, and bring it into sight."""
        if self._around is None or not -1 <= number < len(self._around.ids):
            return
        self._chosen = number
        if number >= 0:
            x, y = self._point(number)
            margin = float(SPACE_PAGE)
            if not (margin <= x <= self.width() - margin and margin <= y <= self.height() - margin):
                self._move(self._view.moved(self.width() / 2 - x, self.height() / 2 - y))
        self._describe()
        self.update()
        self.selected.emit(number)

    def fit(self) -> None:
        """Show everything."""
        self._follows = True
        if not len(self._places) or not self.width():
            return
        low, high = self._places.min(axis=0), self._places.max(axis=0)
        extent = np.maximum(high - low, 1e-3)
        room = (max(1, self.width() - 3 * SPACE_PAGE), max(1, self.height() - 3 * SPACE_PAGE))
        self._fit_scale = min(_LARGEST_FIT, float(min(room[0] / extent[0], room[1] / extent[1])))
        middle = (low + high) / 2 * self._fit_scale
        self._show_view(View(self._fit_scale, self.width() / 2 - middle[0], self.height() / 2 - middle[1]))

    def zoom(self, steps: float, at: QPointF | None = None) -> None:
        """Closer by so many steps, further for negative ones; what is at `at` stays where it is."""
        least, most = (self._fit_scale * bound for bound in _ZOOM_RANGE)
        scale = min(most, max(least, self._view.scale * _ZOOM_STEP**steps))
        at = at or QPointF(self.width() / 2, self.height() / 2)
        self._move(self._view.zoomed(scale / self._view.scale, at.x(), at.y()))

    def pan(self, dx: float, dy: float) -> None:
        """Move the picture by so many pixels."""
        self._move(self._view.moved(dx, dy))

    def finish(self) -> None:
        """Paint to the end now, however long that takes; for pictures and tests."""
        while self.isVisible() and not self.painted:
            self._paint_on()

    # --- where things are

    def _move(self, view: View) -> None:
        self._follows = False
        self._show_view(view)

    def _show_view(self, view: View) -> None:
        if view != self._view:
            self._view = view
            self._repaint_all()

    def _point(self, number: int) -> tuple[float, float]:
        x, y = self._view.points(self._places[number : number + 1])[0].tolist()
        return x, y

    def _radii(self, around: Neighbourhood) -> Array:
        if self._sizes is None or self._sizes[0] != self._view.scale:
            self._sizes = (self._view.scale, radii(around, self._view.scale))
        return self._sizes[1]

    def _node_at(self, place: QPointF) -> int:
        """The nearest dot under the pointer, or -1."""
        if self._around is None:
            return -1
        away = np.hypot(*(self._view.points(self._places) - (place.x(), place.y())).T)
        away -= self._radii(self._around)
        nearest = int(away.argmin())
        return nearest if away[nearest] <= _NEAR_PX else -1

    # --- painting

    def _repaint_all(self) -> None:
        self._stale = True
        self.update()
        if self._around is not None and self.isVisible() and not self._slices.isActive():
            self._slices.start()

    def _paint_on(self) -> None:
        """One slice. A layer that was begun is finished, though the view has moved on: it is nearer than the last."""
        if self._around is None:
            self._slices.stop()
            return
        if self._painting is None:
            self._stale = False
            size = (max(1, self.width()), max(1, self.height()))
            self._painting = LayerPainting(
                self._around, self._places, self._view, size, self.devicePixelRatioF(), self._theme
            )
        layer = self._painting.advance(_SLICE_BUDGET_S)
        if layer is None:
            return
        self._layer, self._painting = layer, None
        self._place_labels()
        self.update()
        if not self._stale:
            self._slices.stop()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.color(Role.SURFACE))
        if self._layer is not None:
            painter.save()
            grown = self._view.scale / self._layer.view.scale
            left, top = self._layer.margin
            painter.translate(self._view.x, self._view.y)
            painter.scale(grown, grown)
            painter.translate(-self._layer.view.x - left, -self._layer.view.y - top)
            painter.drawImage(QPointF(0, 0), self._layer.image)
            painter.restore()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._around is not None:
            self._paint_chosen(painter, self._around)
            self._paint_labels(painter, self._around)
        painter.setPen(QPen(self._theme.color(Role.ACCENT if self.hasFocus() else Role.BORDER), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        painter.end()

    def _paint_chosen(self, painter: QPainter, around: Neighbourhood) -> None:
        """The selected node with its lines, and the one under the pointer, over everything else."""
        sizes = self._radii(around)
        if self._chosen > 0:  # the centre's lines are nearly all there are
            own = np.flatnonzero((around.first == self._chosen) | (around.second == self._chosen))[-_LIT_LINES:]
            painter.setPen(QPen(self._theme.color(Role.TEXT), 1.4))
            segments = self._between_dots(around.first[own], around.second[own], sizes)
            painter.drawLines([QLineF(*segment) for segment in segments.tolist()])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for number, role, away, width in (
            (0, Role.TEXT, 3.0, 1.4),
            (self._pointed, Role.TEXT, 3.0, 1.4),
            (self._chosen, Role.ACCENT, 3.5, 2.4),
        ):
            if number >= 0:
                painter.setPen(QPen(self._theme.color(role), width))
                painter.drawEllipse(QPointF(*self._point(number)), sizes[number] + away, sizes[number] + away)

    def _between_dots(self, first: Array, second: Array, sizes: Array) -> Array:
        """Lines between those nodes, from the edge of one's dot to that of the other; none where dots touch."""
        begin, end = self._view.points(self._places[first]), self._view.points(self._places[second])
        length = np.hypot(*(end - begin).T)
        apart = length > sizes[first] + sizes[second]
        begin, end, length, first, second = (part[apart] for part in (begin, end, length, first, second))
        along = (end - begin) / length[:, None]
        segments: Array = np.hstack([begin + along * sizes[first, None], end - along * sizes[second, None]])
        return segments

    def _paint_labels(self, painter: QPainter, around: Neighbourhood) -> None:
        painter.setFont(self._theme.font(Size.CAPTION))
        metrics = QFontMetricsF(painter.font())
        wanted = dict.fromkeys([*self._labels, self._chosen, self._pointed])
        for number in wanted:
            if number >= 0 and (name := self._name(number)):
                box = self._label_box(number, metrics.size(0, name).toSize(), around)
                ground = self._theme.color(Role.SURFACE)
                ground.setAlphaF(0.85)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(ground)
                painter.drawRoundedRect(box, 4, 4)
                strong = number in (self._chosen, self._pointed, 0)
                painter.setPen(self._theme.color(Role.TEXT if strong else Role.MUTED))
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, name)

    def _place_labels(self) -> None:
        """Beside the largest dots that can be seen, none over another."""
        self._labels = []
        if self._around is None:
            return
        metrics = QFontMetricsF(self._theme.font(Size.CAPTION))
        points = self._view.points(self._places)
        seen = (points >= 0).all(axis=1) & (points <= (self.width(), self.height())).all(axis=1)
        order = np.flatnonzero(seen)
        order = order[np.argsort(-self._around.sizes[order] - 100_000 * (order == 0), kind="stable")]
        taken: list[QRectF] = []
        for number in order[:_LABEL_CANDIDATES].tolist():
            name = self._name(number)
            if not name:
                continue
            box = self._label_box(number, metrics.size(0, name).toSize(), self._around)
            if not any(box.intersects(other) for other in taken):
                taken.append(box)
                self._labels.append(number)
                if len(taken) == _LABELS:
                    break

    def _label_box(self, number: int, size: QSize, around: Neighbourhood) -> QRectF:
        """Beneath its dot."""
        x, y = self._point(number)
        radius = float(self._radii(around)[number])
        width = size.width() + 2 * SPACE_INSIDE
        return QRectF(x - width / 2, y + radius + SPACE_INSIDE, width, size.height())

    def _name(self, number: int) -> str:
        if number not in self._names and self._around is not None:
            self._names[number] = shortened(self._name_of(self._around.ids[number]), _LABEL_CHARACTERS)
        return self._names.get(number, "")

    def _describe(self) -> None:
        if self._around is None:
            return
        told = tr("{n} nodes and {m} lines.", n=f"{len(self._around.ids):,}", m=f"{len(self._around.first):,}")
        if self._chosen >= 0:
            told += " " + tr("Selected: {name}", name=self._name(self._chosen))
        self.setAccessibleDescription(told)

    # --- what a person does

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom(event.angleDelta().y() / 120, event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton:
            self._pressed, self._dragging = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None:
            pointed = self._node_at(event.position())
            if pointed != self._pointed:
                self._pointed = pointed
                self.setCursor(Qt.CursorShape.PointingHandCursor if pointed >= 0 else Qt.CursorShape.ArrowCursor)
                self.update()
            return
        moved = event.position() - self._pressed
        if self._dragging or moved.manhattanLength() >= _DRAG_PX:
            self._dragging = True
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
            self.pan(moved.x(), moved.y())
            self._pressed = event.position()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton and self._pressed is not None:
            if not self._dragging:
                self.choose(self._node_at(event.position()))
            self._pressed, self._dragging = None, False
            self.setCursor(Qt.CursorShape.ArrowCursor)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        number = self._node_at(event.position())
        if number >= 0:
            self.centre_wanted.emit(number)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move, + and - zoom, 0 shows everything, Page keys go from node to node, Enter makes one the centre."""
        key = Qt.Key(event.key())
        pans = {Qt.Key.Key_Left: (1, 0), Qt.Key.Key_Right: (-1, 0), Qt.Key.Key_Up: (0, 1), Qt.Key.Key_Down: (0, -1)}
        if key in pans:
            self.pan(*(_PAN_PX * part for part in pans[key]))
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom(1)
        elif key == Qt.Key.Key_Minus:
            self.zoom(-1)
        elif key in (Qt.Key.Key_0, Qt.Key.Key_Home):
            self.fit()
        elif key in (Qt.Key.Key_PageDown, Qt.Key.Key_PageUp):
            self._step(1 if key == Qt.Key.Key_PageDown else -1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._chosen >= 0:
            self.centre_wanted.emit(self._chosen)
        elif key == Qt.Key.Key_Escape and self._chosen >= 0:
            self.choose(-1)
        else:
            super().keyPressEvent(event)

    def _step(self, by: int) -> None:
        """To the next node, the nearest to the centre first, then the best connected."""
        if self._around is not None:
            count = len(self._around.ids)
            start = self._chosen if self._chosen >= 0 or by > 0 else 0
            self.choose((start + by) % count)

    def leaveEvent(self, event: QEvent) -> None:
        self._pointed = -1
        self.update()
        super().leaveEvent(event)

    def enterEvent(self, event: QEnterEvent) -> None:
        self.update()
        super().enterEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._follows:
            self.fit()
        self._repaint_all()

    def showEvent(self, event: object) -> None:
        super().showEvent(event)  # type: ignore[arg-type]
        self._repaint_all()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._slices.stop()

    def sizeHint(self) -> QSize:
        return QSize(640, 480)
