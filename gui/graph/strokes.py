"""Lines of the picture as segments of the screen, in the order in which they are drawn. Pure; numpy alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gui.graph.neighbourhood import Array, Neighbourhood, Standing

CONNECTION_CLASS = -1
_WHOLE = ((0.0, 1.0),)
_UNCHECKED_DASHES = (14.0, 0.7)
"""Of a line that nobody checked: pixels from one dash to the next, and how much of that is drawn."""
_OVERLAY_DASHES = (9.0, 0.25)
"""Of a line that nobody signed: dots."""
_DISABLED_DASHES = (6.0, 0.5)
_DASHES_MAX, _DASHES_MAX_OF_MANY = 14, 4
"""Longer lines have longer dashes: each is painted by itself, and thousands of lines shall not take a second."""
_MANY_LINES = 500
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


def pieces(standing: Standing, *, disabled: bool, count: int) -> tuple[tuple[float, float], ...]:
    """Which parts of a line are drawn: from where to where, of 1. Where it is broken, into `count`, from end to end."""
    dashes = _dashes(standing, disabled=disabled)
    if dashes is None:
        return _WHOLE
    drawn = dashes[1]
    step = 1 / (count - 1 + drawn)
    return tuple((number * step, (number + drawn) * step) for number in range(count))


def dash_counts(standing: Standing, lengths: Array, *, disabled: bool, many: bool = False) -> Array:
    """Into how many dashes lines of so many pixels are broken; `many` when there are so many that few must do."""
    dashes = _dashes(standing, disabled=disabled)
    if dashes is None:
        return np.ones(len(lengths), np.int64)
    counts = np.rint(lengths / dashes[0]).astype(np.int64)
    return np.clip(counts, 2, _DASHES_MAX_OF_MANY if many else _DASHES_MAX)


def _dashes(standing: Standing, *, disabled: bool) -> tuple[float, float] | None:
    """None for a whole line."""
    if standing is Standing.OVERLAY:
        return _OVERLAY_DASHES
    if disabled:
        return _DISABLED_DASHES
    return _UNCHECKED_DASHES if standing is Standing.UNCHECKED else None


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
            many = len(around.first) > _MANY_LINES
            counts = dash_counts(standing, np.hypot(*along.T), disabled=disabled, many=many)
            for count in np.unique(counts).tolist():
                own = counts == count
                for start, end in pieces(standing, disabled=disabled, count=count):
                    found.append(np.concatenate([begin[own] + along[own] * start, begin[own] + along[own] * end], 1))
    return np.concatenate(found)
