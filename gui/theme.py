"""Every colour, size and space of the window, by role.

Widgets name a role and never a value. `Theme` turns the roles of the chosen scheme into a palette and one style
sheet; what paints itself asks `Theme.color` while it paints, so that a change of scheme needs no more than a repaint.
"""

from __future__ import annotations

from enum import StrEnum

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QPalette
from PySide6.QtWidgets import QApplication, QStyle

from gui.stylesheet import style_sheet

SPACE_INSIDE = 4
SPACE_RELATED = 8
SPACE_GROUP = 16
SPACE_PAGE = 24
ICON_SMALL = 16
ICON_LARGE = 20
COLUMN_WIDTH = 640
"""The activation column, in device-independent pixels."""
MOTION_MS = 120
ROW_TABLE_EM = 1.9
ROW_TOUCHED_EM = 2.2


class Role(StrEnum):
    """What a colour is for."""

    WINDOW = "window"
    SURFACE = "surface"
    SUNKEN = "sunken"
    BORDER = "border"
    TEXT = "text"
    MUTED = "muted"
    ACCENT = "accent"
    ON_ACCENT = "on_accent"
    SELECTION = "selection"
    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    INFO = "info"
    INCOMING = "incoming"
    OUTGOING = "outgoing"
    BRASS = "brass"


class Scheme(StrEnum):
    """Which column of the table is in use."""

    LIGHT = "light"
    DARK = "dark"


class ThemeChoice(StrEnum):
    """What the person asked for."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Size(StrEnum):
    """Every text size there is; factors of the interface font."""

    BODY = "body"
    TABLE = "table"
    CAPTION = "caption"
    TITLE = "title"


SIZE_FACTORS: dict[Size, float] = {Size.BODY: 1.0, Size.TABLE: 0.95, Size.CAPTION: 0.85, Size.TITLE: 1.35}

COLOURS: dict[Role, tuple[str, str]] = {
    Role.WINDOW: ("#F5F6F8", "#15181E"),
    Role.SURFACE: ("#FFFFFF", "#1C2027"),
    Role.SUNKEN: ("#ECEEF2", "#101318"),
    Role.BORDER: ("#D3D8E0", "#323845"),
    Role.TEXT: ("#1B1F26", "#E7EAF0"),
    Role.MUTED: ("#586171", "#9DA7B8"),
    Role.ACCENT: ("#3A4BD0", "#8EA2FF"),
    Role.ON_ACCENT: ("#FFFFFF", "#10131A"),
    Role.SELECTION: ("#DCE3FF", "#2B3566"),
    Role.OK: ("#17754A", "#4CC38A"),
    Role.WARN: ("#8A5A00", "#E5B454"),
    Role.ERROR: ("#B3261E", "#FF8A80"),
    Role.INFO: ("#1D5BB8", "#7FB2FF"),
    Role.INCOMING: ("#1D5BB8", "#7FB2FF"),
    Role.OUTGOING: ("#7638B3", "#C79BF2"),
    Role.BRASS: ("#80600F", "#E3BE63"),
}
"""Role to (light, dark)."""

CAPACITY_COLOURS: tuple[tuple[str, str], ...] = (
    ("#9DAEBD", "#566479"),
    ("#6E9DB5", "#4F86A3"),
    ("#3F86A6", "#5FB0BA"),
    ("#2C5A92", "#93D096"),
    ("#2E1F66", "#F2E36B"),
)
"""Light and dark of each class of capacity, the smallest first: lightness alone tells them apart, so that nobody's eyes
need to tell hues."""

GROUNDS = (Role.WINDOW, Role.SURFACE, Role.SUNKEN, Role.SELECTION)
TEXT_ROLES = (
    Role.TEXT,
    Role.MUTED,
    Role.ACCENT,
    Role.OK,
    Role.WARN,
    Role.ERROR,
    Role.INFO,
    Role.INCOMING,
    Role.OUTGOING,
    Role.BRASS,
)


def hex_of(role: Role, scheme: Scheme) -> str:
    """`#RRGGBB` of a role."""
    return COLOURS[role][scheme is Scheme.DARK]


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two `#RRGGBB` colours, 1.0 to 21.0."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class Theme(QObject):
    """The scheme in use, applied to the application; one for the life of the process."""

    changed = Signal()
    """The scheme is another one; palette and style sheet are already set."""

    def __init__(self, app: QApplication, choice: ThemeChoice = ThemeChoice.SYSTEM) -> None:
        super().__init__(app)
        self._app = app
        self._choice = choice
        app.setStyle("Fusion")
        self._base_font = QFont(app.font())
        self._scheme = self._wanted()
        self._apply()
        app.styleHints().colorSchemeChanged.connect(self._follow_system)

    @property
    def scheme(self) -> Scheme:
        return self._scheme

    @property
    def choice(self) -> ThemeChoice:
        return self._choice

    def choose(self, choice: ThemeChoice) -> None:
        """Take another theme; `changed` fires when that means another scheme."""
        self._choice = choice
        self._follow_system()

    def color(self, role: Role) -> QColor:
        return QColor(hex_of(role, self._scheme))

    def capacity_color(self, number: int) -> QColor:
        """Of a class of capacity, 0 for the smallest."""
        return QColor(CAPACITY_COLOURS[number][self._scheme is Scheme.DARK])

    def hex(self, role: Role) -> str:
        return hex_of(role, self._scheme)

    def font(self, size: Size = Size.BODY, *, fixed: bool = False, bold: bool = False) -> QFont:
        """The system's interface or fixed font at one of the four sizes, figures tabular."""
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont) if fixed else QFont(self._base_font)
        if self._base_font.pointSizeF() > 0:
            font.setPointSizeF(self._base_font.pointSizeF() * SIZE_FACTORS[size])
        else:
            font.setPixelSize(round(self._base_font.pixelSize() * SIZE_FACTORS[size]))
        font.setBold(bold)
        if fixed or size is Size.TABLE:
            font.setFeature(QFont.Tag("tnum"), 1)
        return font

    def em(self, count: float = 1.0, size: Size = Size.BODY) -> int:
        """`count` em of a text size, in device-independent pixels."""
        return round(QFontMetricsF(self.font(size)).height() * 0.86 * count)

    @property
    def moves(self) -> bool:
        """Whether the platform allows motion."""
        return self._app.style().styleHint(QStyle.StyleHint.SH_Widget_Animation_Duration) > 0

    def _wanted(self) -> Scheme:
        if self._choice is not ThemeChoice.SYSTEM:
            return Scheme(self._choice.value)
        return Scheme.DARK if self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark else Scheme.LIGHT

    def _follow_system(self) -> None:
        wanted = self._wanted()
        if wanted is not self._scheme:
            self._scheme = wanted
            self._apply()
            self.changed.emit()

    def _apply(self) -> None:
        # Many Linux platforms ignore a wish for a scheme, so palette and sheet carry it and the platform's stays.
        self._app.setPalette(_palette(self._scheme))
        self._app.setStyleSheet(style_sheet({role.value: self.hex(role) for role in Role}))


def _palette(scheme: Scheme) -> QPalette:
    def color(role: Role) -> QColor:
        return QColor(hex_of(role, scheme))

    palette = QPalette()
    for place, role in (
        (QPalette.ColorRole.Window, Role.WINDOW),
        (QPalette.ColorRole.WindowText, Role.TEXT),
        (QPalette.ColorRole.Base, Role.SURFACE),
        (QPalette.ColorRole.AlternateBase, Role.SURFACE),
        (QPalette.ColorRole.Text, Role.TEXT),
        (QPalette.ColorRole.PlaceholderText, Role.MUTED),
        (QPalette.ColorRole.Button, Role.SURFACE),
        (QPalette.ColorRole.ButtonText, Role.TEXT),
        (QPalette.ColorRole.BrightText, Role.ERROR),
        (QPalette.ColorRole.ToolTipBase, Role.SURFACE),
        (QPalette.ColorRole.ToolTipText, Role.TEXT),
        (QPalette.ColorRole.Highlight, Role.SELECTION),
        (QPalette.ColorRole.HighlightedText, Role.TEXT),
        (QPalette.ColorRole.Accent, Role.ACCENT),
        (QPalette.ColorRole.Link, Role.ACCENT),
        (QPalette.ColorRole.LinkVisited, Role.ACCENT),
        (QPalette.ColorRole.Light, Role.SURFACE),
        (QPalette.ColorRole.Midlight, Role.WINDOW),
        (QPalette.ColorRole.Mid, Role.BORDER),
        (QPalette.ColorRole.Dark, Role.BORDER),
        (QPalette.ColorRole.Shadow, Role.BORDER),
    ):
        palette.setColor(place, color(role))
    for place in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, place, color(Role.MUTED))
    return palette
