"""While one types into the connect field: nodes that gossip knows, by what they call themselves or by their id.

Taking one fills in its id and nothing more; whom to connect to stays the person's own click.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QCompleter, QLineEdit, QListView

from core.bolt.keys import short_id
from gui.graph.names import Names
from gui.peer_names import announced_by, claimed
from gui.phrases import tr
from gui.theme import Size, Theme
from gui.widgets.basics import plain_tooltip

if TYPE_CHECKING:
    from core.gossip.graph import Graph
    from core.node import Node
    from gui.tasks import WindowTasks

ROWS = 12
LEAST_CHARACTERS = 3
AGAIN_S = 10.0
"""Names are not read again sooner, however much the graph changes: a whole network takes 0.2 s, in pieces."""


class Completion(QObject):
    """Offers at most `ROWS` nodes beneath the field. Names are read when the first character is typed."""

    def __init__(self, field: QLineEdit, node: Node, tasks: WindowTasks, theme: Theme) -> None:
        super().__init__(field)
        self._field, self._node, self._tasks = field, node, tasks
        self._names: Names | None = None
        self._read_of: tuple[Graph, int, int] | None = None
        self._read_at = 0.0
        self._reading: asyncio.Task[Names] | None = None
        self.model = QStandardItemModel(self)
        self.completer = QCompleter(self.model, self)
        self.completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        self.completer.setCompletionRole(Qt.ItemDataRole.UserRole)
        self.completer.setMaxVisibleItems(ROWS)
        popup = QListView()
        popup.setFont(theme.font(Size.TABLE))
        popup.setAccessibleName(tr("Nodes of the network"))
        self.completer.setPopup(popup)
        field.textEdited.connect(self._edited)  # before the completer looks at the model
        field.setCompleter(self.completer)

    @property
    def choosing(self) -> bool:
        """Whether a row of the list is selected: Return takes it, and reaches the field too, before that."""
        popup = self.completer.popup()
        return popup.isVisible() and popup.currentIndex().isValid()

    @property
    def offered(self) -> list[str]:
        """What stands in the list, a line each."""
        return [self.model.item(row).text() for row in range(self.model.rowCount())]

    def _edited(self, text: str) -> None:
        if self._node.lightning is None:
            self._names = self._read_of = None
            self.model.clear()
            return
        self._keep_fresh()
        self._offer(text)

    def _offer(self, text: str) -> None:
        wanted = text.strip()
        found: list[bytes] = []
        if self._names is not None and len(wanted) >= LEAST_CHARACTERS:
            found = self._names.find(wanted)[:ROWS]
        self.model.clear()
        for node_id in found:
            if node_id.hex() != wanted:
                self.model.appendRow(self._item(node_id))

    def _item(self, node_id: bytes) -> QStandardItem:
        announced, known = announced_by(self._node, node_id), self._node.graph.node(node_id)
        alias = "" if announced is None else claimed(announced.alias)
        count = 0 if known is None else known.channels
        channels = tr("{n} channels", n=f"{count:,}") if count != 1 else tr("1 channel")
        item = QStandardItem("  ·  ".join(part for part in (alias, short_id(node_id), channels) if part))
        item.setData(node_id.hex(), Qt.ItemDataRole.UserRole)
        item.setToolTip(plain_tooltip(node_id.hex()))
        item.setEditable(False)
        return item

    def _keep_fresh(self) -> None:
        graph, now = self._node.graph, self._node.clock.monotonic()
        wanted = (graph, graph.version, graph.node_count)
        is_due = self._names is None or now - self._read_at >= AGAIN_S
        if self._reading is None and graph.node_count and wanted != self._read_of and is_due:
            self._read_of, self._read_at = wanted, now
            self._reading = self._tasks.start(
                Names.read(graph, self._node.clock), done=self._names_read, failed=self._not_read
            )

    def _names_read(self, names: Names) -> None:
        """The popup opens by itself when this is what the person waits for."""
        self._reading, self._names = None, names
        if self._field.hasFocus() and not self._field.isReadOnly():
            self._offer(self._field.text())
            if self.model.rowCount():
                self.completer.complete()

    def _not_read(self, error: Exception) -> None:
        """Completing is a help and no more: the fault is reported, and the next character tries again."""
        self._reading = self._read_of = None
        asyncio.get_running_loop().call_exception_handler({"message": "names were not read", "exception": error})
