"""Small parts that every view is made of."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QSize, Qt, QTimer
from PySide6.QtGui import QFontMetrics, QGuiApplication, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from gui.theme import ICON_SMALL, SPACE_INSIDE, SPACE_RELATED, Role, Size, Theme
from gui.widgets.icons import icon, paint_icon

_COPIED_SHOWN_MS = 1500


def set_property(widget: QWidget, name: str, value: str) -> None:
    """Set what the style sheet looks at, and have it looked at again."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    for each in (widget, *widget.findChildren(QLabel)):
        each.style().unpolish(each)
        each.style().polish(each)


def label(
    text: str, theme: Theme, *, size: Size = Size.BODY, tone: str = "", fixed: bool = False, bold: bool = False
) -> QLabel:
    """A plain-text label: what a peer says is never read as markup."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setFont(theme.font(size, fixed=fixed, bold=bold))
    if tone:
        made.setProperty("tone", tone)
    return made


def paragraph(text: str, theme: Theme, *, size: Size = Size.BODY, tone: str = "") -> QLabel:
    """A label that wraps."""
    made = label(text, theme, size=size, tone=tone)
    made.setWordWrap(True)
    made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return made


def button(text: str, on_click: Callable[[], object], *, kind: str = "", name: str = "") -> QPushButton:
    """A push button; `name` is its object name for tests and style."""
    made = QPushButton(text)
    made.setAutoDefault(False)
    if kind:
        made.setProperty("kind", kind)
    if name:
        made.setObjectName(name)
    made.clicked.connect(lambda _checked=False: on_click())
    return made


def row(*widgets: QWidget, spacing: int = SPACE_RELATED) -> QHBoxLayout:
    """Widgets side by side, no margins."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


class Elided(QLabel):
    """Lines that give way in the middle or at their ends, mostly one; the whole text is in the tooltip."""

    def __init__(self, theme: Theme, *, size: Size = Size.BODY, tone: str = "", fixed: bool = False) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setFont(theme.font(size, fixed=fixed))
        if tone:
            self.setProperty("tone", tone)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._mode = Qt.TextElideMode.ElideMiddle if fixed else Qt.TextElideMode.ElideRight
        self._whole = ""
        self._hint = ""

    @property
    def whole(self) -> str:
        return self._whole

    def show_text(self, text: str, hint: str = "") -> None:
        """`hint` is the tooltip, where that is to say more than the text itself."""
        self._whole, self._hint = text, hint
        self.setAccessibleName(text)
        self._elide()

    def _elide(self) -> None:
        metrics = QFontMetrics(self.font())
        shown = "\n".join(metrics.elidedText(line, self._mode, self.width()) for line in self._whole.split("\n"))
        self.setText(shown)
        self.setToolTip(plain_tooltip(self._hint or (self._whole if shown != self._whole else "")))

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()


def plain_tooltip(text: str) -> str:
    """Tooltips guess at markup; escaped inside a paragraph, text stays text."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")
    return f"<p style='white-space:pre-wrap'>{escaped}</p>" if escaped else ""


class Glyph(QWidget):
    """An icon as a picture, not a control."""

    def __init__(self, name: str, theme: Theme, role: Role = Role.TEXT, *, side: int = ICON_SMALL) -> None:
        super().__init__()
        self._name, self._theme, self._role = name, theme, role
        self.setFixedSize(side, side)
        theme.changed.connect(self.update)

    def show_icon(self, name: str, role: Role) -> None:
        self._name, self._role = name, role
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_icon(painter, self.rect(), self._name, self._theme.color(self._role))
        painter.end()


class Chip(QFrame):
    """A small framed word with its icon."""

    def __init__(self, theme: Theme, icon_name: str, role: Role) -> None:
        super().__init__()
        self.setProperty("kind", "chip")
        self._glyph = Glyph(icon_name, theme, role, side=theme.em(0.9))
        self._label = label("", theme, size=Size.CAPTION, bold=True)
        layout = row(self._glyph, self._label, spacing=SPACE_INSIDE)
        layout.setContentsMargins(SPACE_RELATED, 2, SPACE_RELATED, 2)
        self.setLayout(layout)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    @property
    def text(self) -> str:
        return self._label.text()

    def show_state(self, text: str, icon_name: str, role: Role) -> None:
        self._label.setText(text)
        self._glyph.show_icon(icon_name, role)
        self.setAccessibleName(text)


class CopyButton(QToolButton):
    """Copies a text and says so for a moment."""

    def __init__(self, theme: Theme, what: str) -> None:
        super().__init__()
        self._text = ""
        self._theme = theme
        self._name = QCoreApplication.translate("CopyButton", "Copy {what}").format(what=what)
        self.setAccessibleName(self._name)
        self.setToolTip(self._name)
        self.setIconSize(QSize(ICON_SMALL, ICON_SMALL))
        self.setIcon(icon("copy", theme, Role.MUTED))
        self._back = QTimer(self, singleShot=True, interval=_COPIED_SHOWN_MS)
        self._back.timeout.connect(self._show_idle)
        self.clicked.connect(self.copy)

    def offer(self, text: str) -> None:
        """What a click copies; nothing disables the button."""
        self._text = text
        self.setEnabled(bool(text))

    def copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text)
        self.setIcon(icon("tick", self._theme, Role.OK))
        self.setToolTip(QCoreApplication.translate("CopyButton", "Copied"))
        self._back.start()

    def _show_idle(self) -> None:
        self.setIcon(icon("copy", self._theme, Role.MUTED))
        self.setToolTip(self._name)


class EmptyState(QWidget):
    """One sentence, and one or two actions."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._sentence = paragraph("", theme, tone="muted")
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._act: Callable[[], object] = lambda: None
        self._button = button("", self._run, name="emptyAction")
        self._other_act: Callable[[], object] = lambda: None
        self._other = button("", self._run_other, name="emptyOtherAction")
        buttons = row(self._button, self._other)
        buttons.insertStretch(0, 1)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setSpacing(SPACE_RELATED * 2)
        layout.addStretch(1)
        layout.addWidget(self._sentence)
        layout.addLayout(buttons)
        layout.addStretch(1)

    def _run(self) -> None:
        self._act()

    def _run_other(self) -> None:
        self._other_act()

    @property
    def sentence(self) -> str:
        return self._sentence.text()

    def show_case(
        self,
        sentence: str,
        action: str = "",
        act: Callable[[], object] | None = None,
        other: tuple[str, Callable[[], object]] | None = None,
    ) -> None:
        """`other` is a second thing that can be done, with its words."""
        self._sentence.setText(sentence)
        self._other.setVisible(other is not None)
        if other is not None:
            self._other_act = other[1]
            self._other.setText(other[0])
        self._button.setText(action)
        self._button.setVisible(act is not None)
        if act is not None:
            self._act = act
