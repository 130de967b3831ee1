"""What stands above the steps once they are done: the node's own address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame, QVBoxLayout

from gui.own_address import bound_addresses, own_uri
from gui.theme import SPACE_GROUP, SPACE_RELATED, Size, Theme
from gui.widgets.basics import CopyButton, Elided, label, paragraph, row

if TYPE_CHECKING:
    from core.node import Node


class RunningCard(QFrame):
    """Node URI, whole on copy."""

    def __init__(self, node: Node, theme: Theme) -> None:
        super().__init__()
        self._node, self._node_id = node, node.node_id
        self.setProperty("kind", "card")
        self._uri = Elided(theme, fixed=True)
        self._copy = CopyButton(theme, self.tr("node URI"))
        self._hint = paragraph("", theme, size=Size.TABLE, tone="muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_GROUP, SPACE_GROUP - 4, SPACE_GROUP, SPACE_GROUP - 4)
        layout.setSpacing(SPACE_RELATED)
        layout.addWidget(label(self.tr("Node URI"), theme, bold=True))
        address = row(self._uri, self._copy)
        address.setStretch(0, 1)
        layout.addLayout(address)
        layout.addWidget(self._hint)

    @property
    def uri(self) -> str:
        return self._uri.whole

    def refresh(self) -> None:
        uri = own_uri(self._node, self._node_id)
        self._uri.show_text(uri)
        self._copy.offer(uri)
        bound = bound_addresses(self._node)
        if "@" in uri:
            hint = self.tr("Others connect to your node with this. It is safe to share.")
        elif bound:
            hint = self.tr("Listening on port {port} of every interface; add the host others reach you at.").format(
                port=bound[0].port
            )
        else:
            hint = self.tr("Your node does not listen, so only you can open connections. The node id is safe to share.")
        self._hint.setText(hint)
