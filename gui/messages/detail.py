"""One message, whole: what it is, its bytes with offsets, its payload as text."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QSplitter, QVBoxLayout

from core.base.events import CustomMessage, Direction
from core.bolt.keys import short_id
from gui.messages.dump import as_text, hex_dump
from gui.messages.model import type_words
from gui.phrases import tr
from gui.theme import SPACE_GROUP, SPACE_RELATED, Size, Theme
from gui.times import exactly
from gui.widgets.basics import CopyButton, Elided, row

_LINE_CHARACTERS = 4 + 2 + 48 + 2 + 16


def _reader(theme: Theme, name: str, *, fixed: bool) -> QPlainTextEdit:
    reader = QPlainTextEdit()
    reader.setReadOnly(True)
    reader.setTabChangesFocus(True)
    reader.setFont(theme.font(Size.TABLE, fixed=fixed))
    reader.setAccessibleName(name)
    reader.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return reader


class MessageDetail(QFrame):
    """Hidden until a row is selected."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self._head = Elided(theme, size=Size.TABLE)
        self._copy = CopyButton(theme, self.tr("message as hex"))
        self.bytes = _reader(theme, self.tr("Bytes of the message"), fixed=True)
        self.bytes.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text = _reader(theme, self.tr("Payload as text"), fixed=False)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.bytes)
        split.addWidget(self.text)
        split.setChildrenCollapsible(False)
        split.setHandleWidth(SPACE_RELATED)
        split.setStretchFactor(0, 0)
        split.setStretchFactor(1, 1)
        line = QFontMetrics(self.bytes.font()).horizontalAdvance("0") * (_LINE_CHARACTERS + 3)
        split.setSizes([line + 2 * SPACE_GROUP, line // 2])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_GROUP - 4, SPACE_RELATED, SPACE_GROUP - 4, SPACE_GROUP - 4)
        layout.setSpacing(SPACE_RELATED)
        head = row(self._head, self._copy)
        head.setStretch(0, 1)
        layout.addLayout(head)
        layout.addWidget(split, 1)
        self.hide()

    @property
    def head(self) -> str:
        return self._head.whole

    def show_message(self, message: CustomMessage | None) -> None:
        self.setVisible(message is not None)
        if message is None:
            return
        wire = message.type.to_bytes(2, "big") + message.payload
        who = short_id(message.peer_id)
        received = message.direction is Direction.IN
        parts = (
            tr("Received from {id}", id=who) if received else tr("Written to {id}", id=who),
            tr("type {type}", type=type_words(message.type)),
            tr("{n} bytes, the first 2 are the type", n=f"{len(wire):,}"),
            exactly(message.time),
        )
        self._head.show_text("  ·  ".join(parts))
        self._copy.offer(wire.hex())
        self.bytes.setPlainText(hex_dump(wire))
        text = as_text(message.payload)
        self.text.setPlainText(text or "")
        self.text.setPlaceholderText(tr("No payload.") if text == "" else tr("The payload is not UTF-8 text."))
