"""The connect field: shows what it understood while one types, then how the dial goes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from core.base.events import ConnectFailed, ConnectPhase, ConnectProgress, Direction, StepState
from core.bolt.keys import short_id
from gui.bridge import Bridge
from gui.peers.completion import Completion
from gui.peers.connect_text import Understood, understand
from gui.phrases import bounded, tr
from gui.theme import SPACE_INSIDE, SPACE_RELATED, Role, Size, Theme
from gui.times import ago
from gui.widgets.basics import Glyph, button, label, row, set_property
from gui.widgets.notice import Notice
from gui.widgets.state_glyph import StateGlyph
from gui.words import Remedy

if TYPE_CHECKING:
    from core.node import Node
    from core.peers.values import PeerInfo
    from gui.tasks import WindowTasks

_TEXT_MAX = 1000


def phase_words(phase: ConnectPhase) -> str:
    return {
        ConnectPhase.DIALLING: tr("Reaching the host"),
        ConnectPhase.HANDSHAKE: tr("Handshake"),
        ConnectPhase.INIT: tr("Exchanging init"),
    }[phase]


class ConnectBar(QWidget):
    """One dial at a time; failures open beneath with what to do."""

    connected = Signal(bytes)
    """Node id of the peer that is connected now, or was already."""

    def __init__(self, node: Node, tasks: WindowTasks, bridge: Bridge, theme: Theme) -> None:
        super().__init__()
        self._node, self._tasks = node, tasks
        self._own_id = node.node_id
        self._dial: asyncio.Task[PeerInfo] | None = None
        self._dialled: bytes | None = None
        self._read = Understood()
        self.field = QLineEdit()
        self.field.setObjectName("connectField")
        self.field.setPlaceholderText(tr("node-id@host:port, or a part of a name to find it in the network"))
        self.field.setFont(theme.font(fixed=True))
        self.field.setMaxLength(_TEXT_MAX)
        self.field.setClearButtonEnabled(False)
        self.field.setAccessibleName(self.tr("Address of the node to connect to"))
        self.button = button(self.tr("Connect"), self.submit, kind="primary", name="connectButton")
        self.button.setMinimumWidth(self.button.sizeHint().width())  # the field keeps its width when this says Cancel
        self._practice: list[QPushButton] = []
        self._turning = StateGlyph(theme)
        self._glyph = Glyph("info", theme, Role.MUTED)
        self._line = label("", theme, size=Size.TABLE, tone="muted")
        self._line.setObjectName("connectLine")
        self.notice = Notice(theme, dismissable=True)
        top = QHBoxLayout()
        top.setSpacing(SPACE_RELATED)
        top.addWidget(self.field, 1)
        top.addWidget(self.button)
        beneath = QHBoxLayout()
        beneath.setSpacing(SPACE_INSIDE)
        beneath.setContentsMargins(SPACE_RELATED, 0, 0, 0)
        for part in (self._turning, self._glyph):
            beneath.addWidget(part)
        beneath.addWidget(self._line, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_INSIDE)
        layout.addLayout(top)
        layout.addLayout(beneath)
        if node.practice_peers:
            layout.addLayout(self._practice_row(theme))
        layout.addWidget(self.notice)
        self._line.setMinimumHeight(self._turning.height())
        self.completion = Completion(self.field, node, tasks, theme)
        self.field.textChanged.connect(self._typed)
        self.field.returnPressed.connect(self._returned)
        bridge.connect_progress.connect(self._progress)
        self._typed("")

    @property
    def line(self) -> str:
        """What stands beneath the field."""
        return self._line.text()

    @property
    def dialling(self) -> bool:
        return self._dial is not None

    def fill(self, text: str) -> None:
        """Put a text from elsewhere into the field. It is shown and nothing more: who wants it, presses Connect."""
        self.field.setText(text[:_TEXT_MAX])
        self.field.setFocus()

    def dial(self, text: str) -> None:
        """Fill and connect, for a person's click on a known peer."""
        if self._dial is None:
            self.field.setText(text)
            self.submit()

    def refresh(self) -> None:
        """The node came up or went."""
        self._show_button()

    def submit(self) -> None:
        """The button: Connect, or Cancel while a dial goes on."""
        if self._dial is not None:
            self._dial.cancel()
            self._ended()
            self._say("info", Role.MUTED, tr("Cancelled."))
            return
        self._show_read(final=True)
        if not self._read.ready or self._read.node_id is None or self._node.lightning is None:
            return
        self.notice.hide()
        known = self._node.peers.peer(self._read.node_id)
        if known is not None:
            self._already(known)
            return
        self._dialled = self._read.node_id
        self._say("", Role.MUTED, tr("Connecting to {id}…", id=short_id(self._dialled)))
        self._dial = self._tasks.start(
            self._node.peers.connect(self._read.node_id, self._read.host, self._read.port),
            done=self._connected,
            failed=self._failed,
        )
        self._turning.show_state(StepState.RUNNING)
        self._show_button()

    def _returned(self) -> None:
        """Return connects, unless it takes a node from the list: that is to be looked at first."""
        if not self.completion.choosing:
            self.submit()

    def _practice_row(self, theme: Theme) -> QHBoxLayout:
        """A button for each practice peer, which fills the field; connecting stays the person's own click."""
        line = row(label(tr("Practice peers on this computer:"), theme, size=Size.TABLE, tone="muted"))
        line.setContentsMargins(SPACE_RELATED, 0, 0, 0)
        for peer in self._node.practice_peers:
            made = button(peer.name, partial(self.fill, peer.uri), name=f"practice-{peer.name}")
            made.setToolTip(tr("Fill in the address of “{name}”", name=peer.name))
            line.addWidget(made)
            self._practice.append(made)
        line.addStretch(1)
        return line

    def _typed(self, text: str) -> None:
        self._read = understand(text, self._own_id)
        if self._dial is None:
            self.notice.hide()
            self._show_read(final=False)
        self._show_button()

    def _show_read(self, *, final: bool) -> None:
        read = self._read
        if read.problem:
            hint = read.unfinished and not final
            self._say("info" if hint else "cross", Role.MUTED if hint else Role.ERROR, read.problem)
        elif read.node_id is None:
            self._say("", Role.MUTED, tr("Paste or type the address that the other node's owner gave you."))
        else:
            self._say("tick", Role.OK, self._understood_words(read))

    def _understood_words(self, read: Understood) -> str:
        parts = [tr("id {id}", id=short_id(read.node_id or b""))]
        if read.host is None:
            parts.append(tr("no host: an address that is already known will be used"))
            return "  ·  ".join(parts)
        parts.append(tr("host {host} ({kind})", host=bounded(read.host, 80), kind=read.kind))
        if read.port:
            parts.append(tr("port {port}", port=read.port))
        elif not read.host.startswith("/"):
            parts.append(tr("port {port} (this network's default)", port=self._node.network.default_port))
        return "  ·  ".join(parts)

    def _already(self, known: PeerInfo) -> None:
        how = tr("inbound") if known.direction is Direction.IN else tr("outbound")
        since = ago(self._node.clock.time() - known.connected_at)
        self._say("info", Role.INFO, tr("You are already connected ({how}, {since}).", how=how, since=since))
        self.connected.emit(known.node_id)

    def _progress(self, event: ConnectProgress | ConnectFailed) -> None:
        if self._dial is not None and isinstance(event, ConnectProgress) and event.peer_id == self._dialled:
            self._say("", Role.MUTED, f"{phase_words(event.phase)} · {bounded(event.address, 270)}")

    def _connected(self, info: PeerInfo) -> None:
        self._ended()
        self.field.clear()
        self._say("tick", Role.OK, tr("Connected to {id}.", id=short_id(info.node_id)))
        self.connected.emit(info.node_id)

    def _failed(self, error: Exception) -> None:
        self._ended()
        self._show_read(final=True)
        self.notice.show_error(error, {Remedy.RETRY: self.submit, Remedy.EDIT_ADDRESS: self._edit})

    def _edit(self) -> None:
        self.field.setFocus()
        self.field.selectAll()

    def _ended(self) -> None:
        self._dial = None
        self._dialled = None
        self._turning.show_state(StepState.WAITING)
        self._show_button()

    def _show_button(self) -> None:
        dialling = self._dial is not None
        self.button.setText(tr("Cancel") if dialling else tr("Connect"))
        set_property(self.button, "kind", "" if dialling else "primary")
        self.button.setEnabled(dialling or (self._read.ready and self._node.lightning is not None))
        self._turning.setVisible(dialling)
        self.field.setReadOnly(dialling)
        for practice in self._practice:
            practice.setEnabled(not dialling)

    def _say(self, icon_name: str, role: Role, text: str) -> None:
        self._glyph.setVisible(bool(icon_name))
        if icon_name:
            self._glyph.show_icon(icon_name, role)
        self._line.setText(text)
        set_property(self._line, "tone", role.value)
