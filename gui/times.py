"""Points in time as they are shown: short in a table, exact in its tooltip."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, QLocale

from gui.phrases import tr

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def ago(seconds: float) -> str:
    """`now`, `40 s`, `4 min`, `3 h`, `12 d`; what lies ahead by a clock set back is `now`."""
    if seconds < 1:
        return tr("now")
    if seconds < _MINUTE_S:
        return tr("{n} s", n=int(seconds))
    if seconds < _HOUR_S:
        return tr("{n} min", n=int(seconds / _MINUTE_S))
    if seconds < _DAY_S:
        return tr("{n} h", n=int(seconds / _HOUR_S))
    return tr("{n} d", n=int(seconds / _DAY_S))


def exactly(wall_time_s: float) -> str:
    """Date and time to the second in the person's own zone and format."""
    moment = QDateTime.fromSecsSinceEpoch(int(wall_time_s))
    return QLocale().toString(moment, QLocale.FormatType.LongFormat)


def clock_time(wall_time_s: float) -> str:
    """Time of day with milliseconds, for rows that follow each other closely."""
    return QDateTime.fromMSecsSinceEpoch(round(wall_time_s * 1000)).toString("HH:mm:ss.zzz")


def milliseconds(seconds: float) -> str:
    """A round trip: whole milliseconds, and a decimal below ten."""
    value = seconds * 1000
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
