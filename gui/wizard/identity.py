"""Name and colour, as other nodes will see them."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from core.base.setting_faults import MAX_ALIAS_BYTES
from gui.phrases import bounded
from gui.theme import SPACE_GROUP, SPACE_INSIDE, SPACE_RELATED, Role, Size, Theme
from gui.widgets.basics import label, paragraph
from gui.wizard.context import Context
from gui.wizard.machine import Need, PageId, alias_bytes
from gui.wizard.page import WizardPage, buddy_label, card, say

OFFERED = ("3A4BD0", "17754A", "80600F", "B3261E", "7638B3", "1D5BB8", "0F7C86", "586171")
"""Colours that stand out on light and dark; any other can be typed."""


class IdentityPage(WizardPage):
    """Both may stay empty: then the node id gives them."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "", "")
        self.title.setText(self.tr("How other nodes will see you"))
        self.setAccessibleName(self.title.text())
        self.lead.setText(self.tr("A name and a colour. Both are public and can be changed later."))
        self.alias = QLineEdit()
        self.alias.setObjectName("alias")
        self.alias.setPlaceholderText(self.tr("Left empty, it is made from the node id"))
        self.count = label("", self.theme, size=Size.CAPTION, tone="muted")
        self.color = QLineEdit()
        self.color.setObjectName("color")
        self.color.setFont(self.theme.font(fixed=True))
        self.color.setPlaceholderText("RRGGBB")
        self.color.setMaximumWidth(self.theme.em(9))
        self.fault = label("", self.theme, size=Size.CAPTION)
        self.add_field(self.tr("&Name"), self.alias, self.count)
        self._add_colours()
        self._add_preview()
        self.column.addStretch(1)
        self.alias.textEdited.connect(lambda text: self._edit(alias=text))
        self.color.textEdited.connect(lambda text: self._edit(color=text.strip().removeprefix("#")))

    def enter(self) -> None:
        self.alias.setText(self.machine.entries.alias)
        self.color.setText(self.machine.entries.color)
        self._show()
        self.alias.setFocus()

    def _edit(self, **changes: str) -> None:
        self.machine.edit(**changes)
        self._show()
        self.changed.emit()

    def _take(self, color: str) -> None:
        self.color.setText(color)
        self._edit(color=color)

    def _show(self) -> None:
        entries, needs = self.machine.entries, self.machine.needs(PageId.IDENTITY)
        size = alias_bytes(entries.alias)
        words = self.tr("{n} of {limit} bytes").format(n=size, limit=MAX_ALIAS_BYTES)
        if Need.ALIAS_TOO_LONG in needs:
            over = self.tr("{n} bytes too many. A letter outside English can take up to 4.")
            words = f"{words}: " + over.format(n=size - MAX_ALIAS_BYTES)
        elif Need.ALIAS_UNPRINTABLE in needs:
            words = self.tr("It holds a character that cannot be shown.")
        say(self.count, words, "error" if {Need.ALIAS_TOO_LONG, Need.ALIAS_UNPRINTABLE} & set(needs) else "muted")
        wrong = Need.COLOR_INVALID in needs
        say(self.fault, self.tr("A colour has six hex digits, such as 3A4BD0.") if wrong else "", "error")
        self.disc.show_color("" if wrong else entries.color)
        self.shown_alias.setText(bounded(entries.alias, 60) or self.tr("leyden-02ab9f3c"))
        for color, swatch in self.swatches.items():
            swatch.setChecked(color == entries.color.upper())

    def _add_colours(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(SPACE_INSIDE)
        self.swatches: dict[str, _Swatch] = {}
        for color in OFFERED:
            swatch = _Swatch(self.theme, color)
            swatch.clicked.connect(lambda _checked=False, color=color: self._take(color))
            self.swatches[color] = swatch
            line.addWidget(swatch)
        line.addSpacing(SPACE_RELATED)
        line.addWidget(self.color)
        line.addStretch(1)
        made = QVBoxLayout()
        made.setSpacing(SPACE_INSIDE)
        made.addWidget(buddy_label(self.tr("&Colour"), self.color, self.theme))
        made.addLayout(line)
        made.addWidget(self.fault)
        self.column.addLayout(made)

    def _add_preview(self) -> None:
        frame, layout = card()
        layout.addWidget(label(self.tr("As peers see you"), self.theme, size=Size.CAPTION, tone="muted"))
        self.disc = _Disc(self.theme)
        self.shown_alias = label("", self.theme, bold=True)
        line = QHBoxLayout()
        line.setSpacing(SPACE_GROUP - 4)
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(self.shown_alias)
        names.addWidget(label("02ab9f3c…9f3c51", self.theme, size=Size.CAPTION, tone="muted", fixed=True))
        line.addWidget(self.disc)
        line.addLayout(names, 1)
        layout.addLayout(line)
        layout.addWidget(
            paragraph(
                self.tr("The node id comes from your key, on the next pages. A name is no proof: anybody can take it."),
                self.theme,
                size=Size.CAPTION,
                tone="muted",
            )
        )
        self.column.addWidget(frame)


class _Swatch(QToolButton):
    """One colour to take."""

    def __init__(self, theme: Theme, color: str) -> None:
        super().__init__()
        self._theme, self._color = theme, color
        self.setCheckable(True)
        self.setAccessibleName(self.tr("Colour {color}").format(color=color))
        self.setToolTip(color)
        self.setObjectName(f"swatch-{color}")
        self.setFixedSize(theme.em(1.9), theme.em(1.9))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ring = self.isChecked() or self.hasFocus()
        painter.setPen(Qt.PenStyle.NoPen)
        if ring:
            painter.setBrush(self._theme.color(Role.ACCENT if self.hasFocus() else Role.TEXT))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
            painter.setBrush(self._theme.color(Role.WINDOW))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(2.5, 2.5, -2.5, -2.5), 5, 5)
        painter.setBrush(QColor(f"#{self._color}"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(5, 5, -5, -5), 4, 4)
        painter.end()


class _Disc(QWidget):
    """The node's colour; a ring while it is left to the node id."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._color = theme, ""
        self.setFixedSize(theme.em(1.9), theme.em(1.9))
        theme.changed.connect(self.update)

    def show_color(self, color: str) -> None:
        self._color = color
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(self._theme.color(Role.MUTED if not self._color else Role.BORDER))
        painter.setBrush(QColor(f"#{self._color}") if self._color else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QRectF(self.rect()).adjusted(2, 2, -2, -2))
        painter.end()
