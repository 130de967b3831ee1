"""The picture painted ahead, in pieces that the loop can bear: lines and dots of thousands take longer than a frame.

A finished `Layer` is moved and stretched by the canvas while the next one is made for where the view is then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PySide6.QtCore import QLineF, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from gui.graph.neighbourhood import Array, Neighbourhood
from gui.graph.strokes import CONNECTION_CLASS, Strokes, strokes
from gui.theme import Role, Theme, contrast

MARGIN = 0.2
"""Painted beyond each side of the view, of its size: what a pan brings in."""
_BATCH = 48
"""Lines or dots between two looks at the clock: about 0.4 ms."""
WIDTHS = (1.0, 1.0, 1.3, 1.7, 2.2)
"""Of lines, by class of capacity."""
_DENSE_LINES = 500
_DENSE_OPACITY, _DENSE_WIDTH = 0.55, 0.75
"""With more lines than that each is lighter, or they would be one dark spot."""
_CONNECTION_WIDTH = 1.4
_FADED = 0.3
_LEAST_CONTRAST = 1.8
_FULL_SIZE_SCALE = 12.0
"""Pixels a unit at which dots have their own size; further out they shrink, or they would hide everything."""


@dataclass(frozen=True, slots=True)
class View:
    """Where the places of a layout are on the screen: `place * scale + (x, y)`."""

    scale: float = 1.0
    x: float = 0.0
    y: float = 0.0

    def points(self, places: Array) -> Array:
        return places * self.scale + np.array([self.x, self.y])

    def moved(self, dx: float, dy: float) -> View:
        return View(self.scale, self.x + dx, self.y + dy)

    def zoomed(self, factor: float, x: float, y: float) -> View:
        """What is at `x`, `y` stays there."""
        return View(self.scale * factor, x + (self.x - x) * factor, y + (self.y - y) * factor)


@dataclass(frozen=True, slots=True)
class Layer:
    """A finished picture, and the view that it was painted for."""

    image: QImage
    view: View
    margin: tuple[float, float]


def radii(around: Neighbourhood, scale: float) -> Array:
    """Of the dots, in device-independent pixels."""
    grown = min(1.7, max(0.5, (scale / _FULL_SIZE_SCALE) ** 0.5))
    sizes = (2.2 + 0.9 * np.log2(1 + around.sizes)) * grown
    sizes[0] = max(sizes[0], 6.0)
    return sizes


class LayerPainting:
    """One layer under way."""

    def __init__(
        self, around: Neighbourhood, places: Array, view: View, size: tuple[int, int], ratio: float, theme: Theme
    ) -> None:
        """`size` of what is looked at, in device-independent pixels; `ratio` are real ones in each."""
        self.view = view
        self._around, self._theme = around, theme
        self._margin = (round(size[0] * MARGIN), round(size[1] * MARGIN))
        self._size = (size[0] + 2 * self._margin[0], size[1] + 2 * self._margin[1])
        self._points = view.points(places) + np.array(self._margin)
        self._image = QImage(round(self._size[0] * ratio), round(self._size[1] * ratio), QImage.Format.Format_RGB32)
        self._image.setDevicePixelRatio(ratio)
        self._work = self._paint()

    def advance(self, budget_s: float) -> Layer | None:
        """Paint for about so long; the layer once it is finished."""
        until = time.perf_counter() + budget_s
        for _done in self._work:
            if time.perf_counter() >= until:
                return None
        return Layer(self._image, self.view, self._margin)

    def _paint(self) -> Iterator[None]:
        self._image.fill(self._theme.color(Role.SURFACE))
        yield
        for group in strokes(self._around, self._points, *self._size):
            yield from self._lines(group)
        yield from self._dots()

    def _lines(self, group: Strokes) -> Iterator[None]:
        dense = len(self._around.first) > _DENSE_LINES
        pen = line_pen(self._theme, group.capacity_class, faded=group.faded, dense=dense)
        for start in range(0, len(group.segments), _BATCH):
            lines = [QLineF(*ends) for ends in group.segments[start : start + _BATCH].tolist()]
            painter = QPainter(self._image)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(pen)
            painter.drawLines(lines)
            painter.end()
            yield

    def _dots(self) -> Iterator[None]:
        """The smallest first, so that no hub is hidden; the centre last."""
        sizes = radii(self._around, self.view.scale)
        inside = (self._points > -sizes[:, None]).all(axis=1) & (
            self._points < np.array(self._size) + sizes[:, None]
        ).all(1)
        order = np.flatnonzero(inside)
        order = order[np.argsort(sizes[order] + 1000 * (order == 0), kind="stable")]
        ground = self._theme.hex(Role.SURFACE)
        towards = self._theme.hex(Role.TEXT)
        for start in range(0, len(order), _BATCH):
            painter = QPainter(self._image)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(ground), 1.0))
            for number in order[start : start + _BATCH].tolist():
                red, green, blue = self._around.colours[number].tolist()
                said = f"#{red:02X}{green:02X}{blue:02X}" if red >= 0 else self._theme.hex(Role.MUTED)
                painter.setBrush(QColor(seen_on(said, ground, towards)))
                painter.drawEllipse(QPointF(*self._points[number].tolist()), sizes[number], sizes[number])
            painter.end()
            yield


def line_pen(theme: Theme, capacity_class: int, *, faded: bool = False, dense: bool = False) -> QPen:
    """How a line of that class is drawn."""
    connection = capacity_class == CONNECTION_CLASS
    colour = theme.color(Role.ACCENT) if connection else theme.capacity_color(capacity_class)
    dense = dense and not connection
    colour.setAlphaF((_FADED if faded else 1.0) * (_DENSE_OPACITY if dense else 1.0))
    width = _CONNECTION_WIDTH if connection else WIDTHS[capacity_class]
    pen = QPen(colour, width * _DENSE_WIDTH if dense else width)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    return pen


@lru_cache(maxsize=8192)
def seen_on(colour: str, ground: str, towards: str) -> str:
    """An announced colour, moved towards the colour of text until it stands out from the ground."""
    own, goal = QColor(colour), QColor(towards)
    for part in range(11):
        share = part / 10
        mixed = QColor(
            *(round(a + (b - a) * share) for a, b in zip(own.getRgb()[:3], goal.getRgb()[:3], strict=True))  # type: ignore[index]
        )
        if contrast(mixed.name(), ground) >= _LEAST_CONTRAST:
            break
    return mixed.name()
