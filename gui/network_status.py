"""How much of the network is known, in the status bar: one line, and all of it in a panel above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFrame, QLabel, QToolButton, QVBoxLayout, QWidget

from core.gossip.columns import CHECKED, DYING, LIVE, OVERLAY
from core.gossip.graph import Graph
from gui.actions import ActionId, Actions
from gui.graph.neighbourhood import Counts
from gui.phrases import bounded, tr
from gui.theme import SPACE_GROUP, SPACE_INSIDE, SPACE_RELATED, Size, Theme
from gui.times import ago
from gui.widgets.basics import button, label, paragraph, row
from gui.words_graph import freshness_words

if TYPE_CHECKING:
    from core.activation.lightning import Lightning
    from core.gossip.service import Standing
    from core.node import Node

_WIDTH_EM = 30


def count(graph: Graph) -> Counts:
    """Of the graph as it is; half a millisecond at mainnet's size."""
    records = graph.channel_table.records[: graph.channel_table.used]
    state = records["state"]
    live = state & LIVE != 0
    checked, overlay = live & (state & CHECKED != 0), live & (state & OVERLAY != 0)
    stamps = graph.direction_table.records["timestamp"][: graph.direction_table.used]
    channels, checked_count = int(np.count_nonzero(live)), int(np.count_nonzero(checked))
    overlay_count = int(np.count_nonzero(overlay))
    return Counts(
        nodes=graph.node_count,
        channels=channels,
        checked=checked_count,
        unchecked=channels - checked_count - overlay_count,
        overlay=overlay_count,
        dying=int(np.count_nonzero(live & (state & DYING != 0))),
        capacity_sat=int(records["capacity_sat"][checked].sum()),
        newest=int(stamps.max(initial=0)),
    )


def sync_words(standing: Standing) -> str:
    """What goes on to learn more of the network."""
    if standing.asking:
        return tr("A peer is telling what it knows of the whole network.")
    if not standing.streaming:
        return tr("No peer tells news: connect to one that knows the network, or import a graph.")
    if standing.streaming == 1:
        return tr("1 peer tells what is new.")
    return tr("{n} peers tell what is new.", n=standing.streaming)


def short_words(counts: Counts, standing: Standing) -> str:
    """The line in the status bar."""
    channels = tr("{n} channels", n=f"{counts.channels:,}") if counts.channels != 1 else tr("1 channel")
    if standing.asking or standing.unverified:
        return tr("network: {channels}, learning…", channels=channels)
    return tr("network: {channels}", channels=channels)


class NetworkStatus(QToolButton):
    """Shown while Lightning is up; a click opens the panel. Counts again only when the graph is another one."""

    def __init__(self, node: Node, theme: Theme) -> None:
        super().__init__()
        self._node = node
        self._seen: tuple[Graph, int, int] | None = None
        self._counts = Counts()
        self._heard_at: float | None = None
        self.panel = NetworkPanel(theme, self)
        self.setFont(theme.font(Size.CAPTION))
        self.setToolTip(tr("What is known of the network"))
        self.clicked.connect(self.open_panel)
        self.hide()

    def heard(self) -> None:
        """The graph has just changed."""
        self._heard_at = self._node.clock.time()

    def refresh(self) -> None:
        """Look again."""
        lightning = self._node.lightning
        self.setVisible(lightning is not None)
        if lightning is None:
            self._seen = self._heard_at = None
            self.panel.hide()
            return
        graph = self._node.graph
        seen = (graph, graph.version, graph.node_count)
        if seen != self._seen:
            self._seen, self._counts = seen, count(graph)
        standing = lightning.gossip.standing
        words = short_words(self._counts, standing)
        if words != self.text():
            self.setText(words)
            self.setAccessibleName(words)
        if self.panel.isVisible():
            self._fill(lightning)

    def open_panel(self) -> None:
        """Above the line, closed by a click elsewhere or Escape."""
        lightning = self._node.lightning
        if lightning is None:
            return
        self._fill(lightning)
        self.panel.adjustSize()
        corner = self.mapToGlobal(QPoint(self.width() - self.panel.width(), -self.panel.height() - SPACE_INSIDE))
        self.panel.move(corner)
        self.panel.show()

    def _fill(self, lightning: Lightning) -> None:
        now = self._node.clock.time()
        heard_s = None if self._heard_at is None else now - self._heard_at
        self.panel.show_facts(self._counts, lightning.gossip.standing, now, heard_s)
        self.panel.show_failure(lightning.rapid.failure)


class NetworkPanel(QFrame):
    """Figures, what goes on, how fresh it is, and what can be done about it."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self._theme = theme
        self.setProperty("kind", "notice")
        self.setObjectName("networkPanel")
        self.setAccessibleName(tr("What is known of the network"))
        self.setFixedWidth(theme.em(_WIDTH_EM))
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(SPACE_GROUP, SPACE_GROUP, SPACE_GROUP, SPACE_GROUP)
        self._layout.setSpacing(SPACE_RELATED)
        self._layout.addWidget(label(tr("The network, as you know it"), theme, bold=True))
        self._values: dict[str, tuple[QLabel, QLabel]] = {}
        for name, words in (
            ("nodes", tr("Nodes")),
            ("channels", tr("Channels")),
            ("checked", tr("checked on the chain")),
            ("unchecked", tr("not checked on the chain")),
            ("overlay", tr("from an unsigned snapshot")),
            ("dying", tr("closing")),
        ):
            self._add(name, words)
        self._sync = paragraph("", theme, size=Size.TABLE)
        self._fresh = paragraph("", theme, size=Size.TABLE, tone="muted")
        self._failed = paragraph("", theme, size=Size.TABLE, tone="warn")
        self._layout.addWidget(self._sync)
        self._layout.addWidget(self._fresh)
        self._layout.addWidget(self._failed)
        self.show_failure("")

    def offer(self, actions: Actions, *action_ids: ActionId) -> None:
        """Buttons for these actions, in a row at the end."""
        buttons = []
        for action_id in action_ids:
            action = actions[action_id]
            made = button(action.text().replace("&", ""), action.trigger, name=f"network-{action_id}")
            made.clicked.connect(self.hide)
            buttons.append(made)
        line = row(*buttons)
        line.addStretch(1)
        self._layout.addLayout(line)

    @property
    def text(self) -> str:
        """All that it says, a line each."""
        shown = [f"{name.text()}: {value.text()}" for name, value in self._values.values() if not value.isHidden()]
        return "\n".join((*shown, *filter(None, (self._sync.text(), self._fresh.text(), self._failed.text()))))

    def show_facts(self, counts: Counts, standing: Standing, now: float, heard_s: float | None) -> None:
        """`heard_s` is how long ago the graph changed, None when it has not since the window is there."""
        for name, (words, value) in self._values.items():
            figure = getattr(counts, name)
            value.setText(f"{figure:,}")
            for part in (words, value):
                part.setVisible(bool(figure) or name in ("nodes", "channels"))
        parts = [sync_words(standing)]
        if standing.unverified:
            parts.append(tr("{n} messages wait to be verified.", n=f"{standing.unverified:,}"))
        self._sync.setText(" ".join(parts))
        fresh = [freshness_words(counts, now)]
        if heard_s is not None:
            changed = tr("last change just now") if heard_s < 1 else tr("last change {ago} ago", ago=ago(heard_s))
            fresh.append(changed)
        self._fresh.setText("  ·  ".join(fresh))

    def show_failure(self, reason: str) -> None:
        """Why the snapshot that the settings name was not taken; empty hides the line."""
        words = tr(
            "The snapshot was not taken in: {reason}. Leyden tries again within the hour.", reason=bounded(reason)
        )
        self._failed.setText(words if reason else "")
        self._failed.setVisible(bool(reason))

    def _add(self, name: str, words: str) -> None:
        part_of_channels = name not in ("nodes", "channels")
        text = label(words, self._theme, size=Size.TABLE, tone="muted" if part_of_channels else "")
        value = label("", self._theme, size=Size.TABLE, tone="muted" if part_of_channels else "")
        line = row(text)
        line.setContentsMargins(SPACE_GROUP if part_of_channels else 0, 0, 0, 0)
        line.addStretch(1)
        line.addWidget(value)
        self._values[name] = (text, value)
        self._layout.addLayout(line)
