"""Lines of the picture as segments of the screen, in the order in which they are drawn. Pure; numpy alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gui.graph.neighbourhood import Array, Neighbourhood, Standing

CONNECTION_CLASS = -1
_WHOLE = ((0.0, 1.0),)
_GAP = ((0.0, 0.4), (0.6, 1.0))
"""Of a line that nobody checked: open in the middle."""
_STUBS = ((0.0, 0.22), (0.78, 1.0))
"""Of a line that nobody signed: hardly more than its ends."""
_DASHES = tuple((start / 10, (start + 1) / 10) for start in range(0, 10, 2))
_OUTSIDE_PX = 2.0


@dataclass(frozen=True, slots=True)
class Strokes:
    """Segments that look the same."""

    capacity_class: int
    """0 to 4; `CONNECTION_CLASS` for a connection without a channel."""
    faded: bool
    """The channel is dying."""
    segments: Array
    """x1, y1, x2 and y2, in device-independent pixels."""


def pieces(standing: Standing, *, disabled: bool) -> tuple[tuple[float, float], ...]:
    """Which parts of a line are drawn: from where to where, of 1."""
    if standing is Standing.OVERLAY:
        return _STUBS
    if disabled:
        return _DASHES
    return _GAP if standing is Standing.UNCHECKED else _WHOLE


def strokes(around: Neighbourhood, points: Array, width: float, height: float) -> Iterator[Strokes]:
    """What of the lines can be seen in a picture of that size, the smallest capacity first. `points` are on screen."""
    first, second = points[around.first], points[around.second]
    low, high = np.minimum(first, second), np.maximum(first, second)
    seen = (high >= -_OUTSIDE_PX).all(axis=1) & (low <= (width + _OUTSIDE_PX, height + _OUTSIDE_PX)).all(axis=1)
    connection = around.standing == Standing.CONNECTION
    classes = np.where(connection, CONNECTION_CLASS, around.classes)
    for kind in (0, 1, 2, 3, 4, CONNECTION_CLASS):
        for faded in (True, False):
            alike = seen & (classes == kind) & (around.dying == faded)
            if alike.any():
                yield Strokes(kind, faded, _segments(around, first, second, alike))


def _segments(around: Neighbourhood, first: Array, second: Array, alike: Array) -> Array:
    found = []
    for standing in Standing:
        for disabled in (False, True):
            chosen = alike & (around.standing == standing) & (around.disabled == disabled)
            if not chosen.any():
                continue
            begin, along = first[chosen], (second - first)[chosen]
            for start, end in pieces(standing, disabled=disabled):
                found.append(np.concatenate([begin + along * start, begin + along * end], axis=1))
    return np.concatenate(found)
