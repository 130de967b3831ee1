"""The one icon set: drawings with `currentColor`, tinted with a role's colour while they are painted."""

from __future__ import annotations

from functools import cache
from importlib import resources

from PySide6.QtCore import QByteArray, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QImage, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from gui.theme import Role, Theme


@cache
def drawing(name: str) -> str:
    """The SVG text of an icon of `resources/icons`."""
    return resources.files("resources").joinpath("icons", f"{name}.svg").read_text(encoding="utf-8")


@cache
def _renderer(name: str, colour: str) -> QSvgRenderer:
    return QSvgRenderer(QByteArray(drawing(name).replace("currentColor", colour).encode()))


def paint_icon(painter: QPainter, rect: QRect | QRectF, name: str, colour: QColor) -> None:
    """Draw an icon into `rect`, square and centred."""
    area = QRectF(rect)
    side = min(area.width(), area.height())
    square = QRectF(area.center().x() - side / 2, area.center().y() - side / 2, side, side)
    _renderer(name, colour.name()).render(painter, square)


class _Tinted(QIconEngine):
    """Asks the theme for the colour at each painting, so an icon survives a change of scheme."""

    def __init__(self, name: str, theme: Theme, role: Role) -> None:
        super().__init__()
        self._name = name
        self._theme = theme
        self._role = role

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        role = Role.MUTED if mode is QIcon.Mode.Disabled else self._role
        paint_icon(painter, rect, self._name, self._theme.color(role))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        self.paint(painter, QRect(QPoint(), size), mode, state)
        painter.end()
        return QPixmap.fromImage(image)

    def clone(self) -> QIconEngine:
        return _Tinted(self._name, self._theme, self._role)

    def key(self) -> str:
        return "leyden"


def icon(name: str, theme: Theme, role: Role = Role.TEXT) -> QIcon:
    """An icon in a role's colour; muted while its button is disabled."""
    drawing(name)  # a name that is none fails here, not at the first painting
    return QIcon(_Tinted(name, theme, role))
