"""Write a custom message: to whom, which type, which bytes; with what will stand on the wire before it is sent."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPlainTextEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.bolt.keys import short_id
from core.bolt.types import MESSAGE_TYPES
from gui.actions import ActionId, Actions
from gui.messages.draft import FIRST_CUSTOM_ODD, LAST_TYPE, Draft, Form, preview, read_draft, size_words
from gui.messages.type_field import TypeField
from gui.peer_names import peer_name
from gui.phrases import tr
from gui.theme import ICON_SMALL, SPACE_INSIDE, SPACE_RELATED, Role, Size, Theme
from gui.widgets.basics import Elided, button, label, paragraph, row, set_property
from gui.widgets.choice import Choice
from gui.widgets.icons import icon
from gui.widgets.notice import Notice
from gui.words import Remedy

if TYPE_CHECKING:
    from core.node import Node

_TYPED_MAX = 300_000
"""Characters: the longest payload as hex with a space after each byte, and some."""


class Composer(QFrame):
    """Keeps its draft whatever happens to the peer."""

    connect_wanted = Signal()

    def __init__(self, node: Node, theme: Theme, actions: Actions) -> None:
        super().__init__()
        self._node, self._actions = node, actions
        self.setProperty("kind", "dock")
        self._gone: bytes | None = None
        """The chosen peer, once it has left."""
        self.peer = Choice(theme)
        self.peer.setFont(theme.font(fixed=True))
        self.peer.setMinimumContentsLength(21)
        self.peer.setAccessibleName(self.tr("Peer to write to"))
        self.type = TypeField(theme)
        self.type.setAccessibleName(self.tr("Message type"))
        self._dice = self._make_dice(theme)
        self._type_words = paragraph("", theme, size=Size.TABLE, tone="muted")
        self.payload = QPlainTextEdit()
        self.payload.setFont(theme.font(fixed=True))
        self.payload.setTabChangesFocus(True)
        self.payload.setFixedHeight(theme.em(5.5))
        self.payload.setAccessibleName(self.tr("Payload"))
        self._forms, self._form_row = self._make_forms()
        self._size = label("", theme, size=Size.TABLE, tone="muted")
        self._preview = Elided(theme, size=Size.TABLE, fixed=True)
        self._state = paragraph("", theme, size=Size.TABLE, tone="warn")
        self._state.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.send = button(self.tr("Send"), actions[ActionId.SEND].trigger, kind="primary", name="sendButton")
        self.send.setToolTip(actions[ActionId.SEND].toolTip())
        self.notice = Notice(theme, dismissable=True)
        self._lay_out(theme)
        actions.bind(ActionId.SEND, self.submit, enabled=False)
        self.type.textChanged.connect(self.refresh)
        self.payload.textChanged.connect(self._typed)
        self.peer.currentIndexChanged.connect(self._chosen)
        self._forms.idClicked.connect(self._form_changed)
        self._form_changed()

    # --- what others ask of it

    @property
    def draft(self) -> Draft:
        return read_draft(self.type.value(), self.payload.toPlainText(), self.form)

    @property
    def form(self) -> Form:
        return tuple(Form)[self._forms.checkedId()]

    @property
    def state(self) -> str:
        """Why nothing can be sent, or what became of the last message."""
        return self._state.text()

    @property
    def type_words(self) -> str:
        return self._type_words.text()

    @property
    def preview(self) -> str:
        return self._preview.whole

    def known_peers(self) -> list[bytes]:
        """Who can be chosen, the one that left but is still chosen included."""
        return [self.peer.itemData(place) for place in range(self.peer.count())]

    def peer_came(self, node_id: bytes) -> None:
        place = self._place(node_id)
        if place < 0:
            self.peer.addItem(peer_name(self._node, node_id), node_id)
            self.peer.setItemData(self.peer.count() - 1, node_id.hex(), Qt.ItemDataRole.ToolTipRole)
        else:
            self.peer.setItemText(place, peer_name(self._node, node_id))
        if node_id == self._gone:
            self._gone = None
        self.refresh()

    def peer_left(self, node_id: bytes) -> None:
        """The draft stays, and so does the peer it is meant for, until another is chosen."""
        place = self._place(node_id)
        if place < 0:
            return
        if place == self.peer.currentIndex() and self.payload.toPlainText():
            self._gone = node_id
            self.peer.setItemText(place, tr("{id} (gone)", id=peer_name(self._node, node_id)))
        else:
            self.peer.removeItem(place)
        self.refresh()

    def choose(self, node_id: bytes) -> None:
        """Write to this peer next."""
        place = self._place(node_id)
        if place >= 0:
            self.peer.setCurrentIndex(place)
        self.payload.setFocus()

    def submit(self) -> None:
        """Send; the row that appears says “Written”, for nobody confirms more than that."""
        node_id, draft = self.peer.currentData(), self.draft
        if node_id is None or node_id == self._gone or not draft.sendable or self._node.lightning is None:
            self.refresh()
            return
        try:
            self._node.peers.send_custom(node_id, draft.wire)
        except Exception as error:  # noqa: BLE001 - whatever refused it is shown where it was asked for
            self.notice.show_error(error, {Remedy.CONNECT: self.connect_wanted.emit})
            return
        self.notice.hide()
        self.payload.clear()

    def refresh(self) -> None:
        """Show what the draft amounts to now."""
        draft = self.draft
        note = draft.type_problem or draft.type_note
        self._type_words.setText(note)
        plain = not draft.type_problem and draft.type >= FIRST_CUSTOM_ODD
        set_property(self._type_words, "tone", "muted" if plain else "warn")
        self._size.setText(draft.payload_problem or size_words(draft))
        set_property(self._size, "tone", "error" if draft.payload_problem else "muted")
        self._preview.show_text(preview(draft.wire))
        blocked = self._why_not()
        self._state.setText(blocked)
        self._state.setVisible(bool(blocked))
        able = draft.sendable and not blocked
        self.send.setEnabled(able)
        self._actions.enable(able and self.isVisible(), ActionId.SEND)

    # --- inside

    def _why_not(self) -> str:
        if self._gone is not None:
            return tr("{id} disconnected. Your draft is kept.", id=short_id(self._gone))
        if self.peer.count() == 0:
            return tr("Connect to a peer to send messages.")
        return ""

    def _place(self, node_id: bytes) -> int:
        return next((place for place in range(self.peer.count()) if self.peer.itemData(place) == node_id), -1)

    def _typed(self) -> None:
        text = self.payload.toPlainText()
        if len(text) > _TYPED_MAX:
            self.payload.setPlainText(text[:_TYPED_MAX])
            return
        self.refresh()

    def _chosen(self) -> None:
        if self._gone is not None and self.peer.currentData() != self._gone:
            gone, self._gone = self._gone, None
            self.peer.removeItem(self._place(gone))
        self.refresh()

    def _form_changed(self) -> None:
        self.payload.setPlaceholderText(
            tr("Bytes as hex, such as 68 65 6c 6c 6f") if self.form is Form.HEX else tr("Text, sent as UTF-8")
        )
        self.refresh()

    def _roll(self) -> None:
        """A random odd type of the custom range that nobody has claimed."""
        free = range(FIRST_CUSTOM_ODD, LAST_TYPE + 1, 2)
        while (type_ := secrets.choice(free)) in MESSAGE_TYPES:
            pass
        self.type.set_value(type_)

    def _make_dice(self, theme: Theme) -> QToolButton:
        dice = QToolButton()
        dice.setIcon(icon("dice", theme, Role.MUTED))
        dice.setIconSize(QSize(ICON_SMALL, ICON_SMALL))
        words = self.tr("A random odd type")
        dice.setToolTip(words)
        dice.setAccessibleName(words)
        dice.clicked.connect(self._roll)
        return dice

    def _make_forms(self) -> tuple[QButtonGroup, QWidget]:
        group = QButtonGroup(self)
        holder = QWidget()
        layout = QHBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_INSIDE)
        for number, words in enumerate((self.tr("Hex"), self.tr("Text"))):
            segment = QToolButton()
            segment.setText(words)
            segment.setCheckable(True)
            segment.setProperty("kind", "segment")
            segment.setAccessibleName(self.tr("Payload as {form}").format(form=words))
            group.addButton(segment, number)
            layout.addWidget(segment)
        group.button(0).setChecked(True)
        layout.addStretch(1)
        return group, holder

    def _lay_out(self, theme: Theme) -> None:
        def name(text: str, buddy: QWidget) -> QWidget:
            made = label(text, theme, size=Size.TABLE, tone="muted")
            made.setBuddy(buddy)
            return made

        grid = QGridLayout()
        grid.setHorizontalSpacing(SPACE_RELATED)
        grid.setVerticalSpacing(SPACE_RELATED)
        grid.setColumnStretch(1, 1)
        head = row(self.peer, name(self.tr("Type"), self.type), self.type, self._dice, self._type_words)
        head.setStretch(4, 1)
        grid.addWidget(name(self.tr("To"), self.peer), 0, 0)
        grid.addLayout(head, 0, 1)
        payload_name = name(self.tr("Payload"), self.payload)
        payload_name.setContentsMargins(0, SPACE_INSIDE + 1, 0, 0)
        grid.addWidget(payload_name, 1, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.payload, 1, 1)
        under = row(self._form_row, self._size)
        under.insertStretch(1, 1)
        grid.addLayout(under, 2, 1)
        grid.addWidget(label(self.tr("Wire"), theme, size=Size.TABLE, tone="muted"), 3, 0)
        last = row(self._preview, self._state, self.send)
        last.setStretch(0, 3)
        last.setStretch(1, 2)
        grid.addLayout(last, 3, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_RELATED * 3, SPACE_RELATED + 4, SPACE_RELATED * 3, SPACE_RELATED + 4)
        layout.setSpacing(SPACE_RELATED)
        layout.addWidget(self.notice)
        layout.addLayout(grid)
