"""The graph page: our node, its peers and what is around them, with counts and freshness of the whole network."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLineEdit,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.bolt.keys import short_id
from core.gossip.graph_values import GraphChanged
from gui.actions import ActionId, Actions
from gui.bridge import Bridge
from gui.graph.canvas import Canvas
from gui.graph.details import NodeDetails
from gui.graph.layout import Place
from gui.graph.legend import Legend
from gui.graph.names import Names
from gui.graph.neighbourhood import Copied, Counts
from gui.graph.picture import Picture, Wanted, make_picture
from gui.graph.results import Results
from gui.network_status import sync_words
from gui.peer_names import alias_text, announced_by, peer_name
from gui.phrases import tr
from gui.tasks import TasksClosed
from gui.theme import ICON_SMALL, SPACE_GROUP, SPACE_INSIDE, SPACE_PAGE, SPACE_RELATED, Role, Size, Theme
from gui.widgets.basics import Elided, EmptyState, label
from gui.widgets.choice import Choice
from gui.widgets.icons import icon
from gui.widgets.notice import Notice
from gui.words_graph import counts_words, freshness_words, left_out_words

if TYPE_CHECKING:
    from core.node import Node
    from gui.tasks import WindowTasks

REFRESH_MS = 500
"""Between two pictures, at least."""
_AGES_MS = 10_000
_BEST = b""
_PEERS_OFFERED = 50
_SEARCH_EM = 12
_STEPS = 2
"""At first: our peers, and whom they have channels with."""


class GraphView(QWidget):
    """Looks at the graph only while it is seen."""

    connect_wanted = Signal(str)
    """What to dial, by a person's click."""

    def __init__(self, node: Node, tasks: WindowTasks, bridge: Bridge, theme: Theme, actions: Actions) -> None:
        super().__init__()
        self._node, self._tasks, self._theme, self._actions = node, tasks, theme, actions
        self._own = node.node_id
        self._centre = self._own
        self._counts = Counts()
        self._kept: dict[bytes, Place] = {}
        self._working: asyncio.Task[Picture] | None = None
        self._stale = True
        self._names: Names | None = None
        self._reading_names = False
        self.notice = Notice(theme, dismissable=True)
        self.search = QLineEdit()
        self.centres = Choice(theme)
        self._step_buttons = QButtonGroup(self)
        self.canvas = Canvas(theme, self._name_of)
        self.legend = Legend(theme, self.canvas)
        self.results = Results(theme)
        self.details = NodeDetails(node, theme)
        self.counts = Elided(theme, size=Size.TABLE, tone="muted")
        self.freshness = label("", theme, size=Size.TABLE, tone="muted")
        self.learning = label("", theme, size=Size.CAPTION, tone="muted")
        self.left_out = Elided(theme, size=Size.CAPTION, tone="muted")
        self.empty = EmptyState(theme)
        self._lay_out()
        self._wait = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._wait.timeout.connect(self._refresh)
        self._ages = QTimer(self, interval=_AGES_MS)
        self._ages.timeout.connect(self._show_freshness)
        self._bind(bridge)
        self.setFocusProxy(self.search)
        self._show_centres()

    # --- what others ask of it

    @property
    def steps(self) -> int:
        return self._step_buttons.checkedId()

    @property
    def busy(self) -> bool:
        """Whether a picture is being made, or about to be."""
        return self._working is not None or self._wait.isActive()

    def look_at(self, node_id: bytes) -> None:
        """Make a node the centre, and select it."""
        self._centre = node_id
        self._kept = {}
        self._show_centres()
        self.details.show_node(node_id, is_centre=True)
        self._change(at_once=True)

    # --- what happens

    def _change(self, *, at_once: bool = False) -> None:
        """The picture is no longer what it should be: make it anew, at most twice a second."""
        self._stale = True
        if self._working is None and self.isVisible() and (at_once or not self._wait.isActive()):
            self._wait.start(0 if at_once else REFRESH_MS)

    def _graph_changed(self, changes: list[GraphChanged]) -> None:
        if any(change.everything or change.nodes for change in changes):
            self._names = None
        self._change()

    def _refresh(self) -> None:
        if not self.isVisible() or self._working is not None:
            return
        self._stale = False
        self._show_centres()
        if self._node.lightning is None:
            self._show_empty()
            return
        # Who asks for a centre that nobody knows any more sees it alone, as it is.
        pairs = tuple((self._own, peer.node_id) for peer in self._node.peers.peers())
        wanted = Wanted(self._own, pairs, self._centre, self.steps)
        with suppress(TasksClosed):  # the window is about to go
            self._working = self._tasks.start(
                asyncio.to_thread(make_picture, Copied.of(self._node.graph), wanted, self._kept),
                done=self._show_picture,
                failed=self._failed,
            )

    def _show_picture(self, picture: Picture) -> None:
        self._working = None
        wanted = picture.wanted
        self._counts = picture.counts
        if (wanted.centre, wanted.steps) != (self._centre, self.steps):
            self._change(at_once=True)
            return
        self._kept = picture.kept()
        chosen = self.details.node_id
        self.canvas.show_picture(picture.around, picture.places)
        self.legend.show_kinds(picture.around)
        if chosen in picture.around.ids and self.canvas.chosen_id != chosen:
            self.canvas.choose(picture.around.ids.index(chosen))
        self.details.show_node(chosen, is_centre=chosen == picture.around.ids[0])
        self.counts.show_text(counts_words(self._counts))
        self._show_remark(picture)
        self._show_freshness()
        self._show_empty()
        if self._stale:
            self._change()

    def _failed(self, error: Exception) -> None:
        self._working = None
        self.notice.show_error(error)

    # --- what a person does

    def _typed(self, _text: str = "") -> None:
        """Look through the names, and read them first where the graph has changed since."""
        text = self.search.text()
        if not text.strip() or self._node.lightning is None:
            self.results.hide()
            return
        if self._names is None:
            if not self._reading_names:
                self._reading_names = True
                reading = Names.read(self._node.graph, self._node.clock)
                self._tasks.start(reading, done=self._names_read, failed=self._names_failed)
            return
        self.results.show_found([(node_id, self._line_of(node_id)) for node_id in self._names.find(text)])

    def _names_read(self, names: Names) -> None:
        self._reading_names = False
        self._names = names
        self._typed()

    def _names_failed(self, error: Exception) -> None:
        self._reading_names = False
        self.notice.show_error(error)

    def _picked(self, node_id: bytes) -> None:
        self.search.clear()
        self.results.hide()
        self.canvas.setFocus()
        self.look_at(node_id)

    def _centre_chosen(self, index: int) -> None:
        self._centre = bytes(self.centres.itemData(index))
        self._kept = {}
        self._change(at_once=True)

    def _steps_chosen(self, _steps: int) -> None:
        self._kept = {}
        self._change(at_once=True)

    def _node_chosen(self, number: int) -> None:
        self.details.show_node(self.canvas.chosen_id, is_centre=number == 0)

    def _centre_on(self, number: int) -> None:
        around = self.canvas.around
        if around is not None:
            self.look_at(around.ids[number])

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Down leads from the search field into what it found, Escape out of the search."""
        if watched is self.search and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Down and self.results.isVisible():
                self.results.setFocus()
                return True
            if event.key() == Qt.Key.Key_Escape and self.search.text():
                self.search.clear()
                return True
        return super().eventFilter(watched, event)

    # --- what is shown

    def _name_of(self, node_id: bytes) -> str:
        """Beside a dot: what it calls itself, or the beginning of its id."""
        if node_id == self._own:
            return tr("your node")
        said = announced_by(self._node, node_id)
        return (alias_text(said.alias) if said is not None else "") or short_id(node_id)

    def _line_of(self, node_id: bytes) -> str:
        said = announced_by(self._node, node_id)
        alias = alias_text(said.alias) if said is not None else ""
        return f"{alias}\n{short_id(node_id)}" if alias else short_id(node_id)

    def _show_centres(self) -> None:
        """The nodes that are offered as centre, and the one that is."""
        offered: list[tuple[bytes, str]] = [(self._own, tr("Your node")), (_BEST, tr("Best connected node"))]
        if self._node.lightning is not None:
            peers = self._node.peers.peers()[:_PEERS_OFFERED]
            offered += [(peer.node_id, tr("Peer {name}", name=peer_name(self._node, peer.node_id))) for peer in peers]
        if self._centre not in dict(offered):
            offered.append((self._centre, self._name_of(self._centre)))
        if offered == [(self.centres.itemData(at), self.centres.itemText(at)) for at in range(self.centres.count())]:
            self.centres.setCurrentIndex([node_id for node_id, _text in offered].index(self._centre))
            return
        self.centres.clear()
        for node_id, text in offered:
            self.centres.addItem(text, node_id)
        self.centres.setCurrentIndex([node_id for node_id, _text in offered].index(self._centre))

    def _show_remark(self, picture: Picture) -> None:
        """Why the centre is another one, and what is not drawn."""
        instead = picture.wanted.centre == self._own and picture.around.ids[0] != self._own
        nobody = tr("Your node has no peer yet: this is the best connected node.") if instead else ""
        self.left_out.show_text("  ".join(filter(None, (nobody, left_out_words(picture.around)))))

    def _show_freshness(self) -> None:
        self.freshness.setText(freshness_words(self._counts, self._node.clock.time()))
        lightning = self._node.lightning
        self.learning.setText("" if lightning is None else sync_words(lightning.gossip.standing))

    def _show_empty(self) -> None:
        around = self.canvas.around
        alone = around is None or len(around.ids) < 2
        if self._node.lightning is None:
            start = self._actions[ActionId.START_NODE].trigger
            self.empty.show_case(tr("Your node is not running."), tr("Start node"), start)
        elif not self._counts.channels and alone:
            self.empty.show_case(
                tr(
                    "Your node has heard of no channel yet. Connect to a peer: it tells what it knows of the network. "
                    "Or take in the gossip_store of another node."
                ),
                tr("Connect…"),
                self._actions[ActionId.CONNECT].trigger,
                (tr("Import network graph…"), self._actions[ActionId.IMPORT_GRAPH].trigger),
            )
        else:
            self._stack.setCurrentWidget(self._picture)
            return
        self._stack.setCurrentWidget(self.empty)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ages.start()
        self._show_empty()
        self._change(at_once=True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._ages.stop()
        self._wait.stop()

    # --- how it is made

    def _bind(self, bridge: Bridge) -> None:
        bridge.graph_changed.connect(self._graph_changed)
        bridge.peers_changed.connect(lambda _changes: self._change())
        bridge.node_state_changed.connect(lambda _event: self._change(at_once=True))
        self.search.installEventFilter(self)
        self.search.textChanged.connect(self._typed)
        self.search.returnPressed.connect(self.results.pick_current)
        self.results.picked.connect(self._picked)
        self.centres.activated.connect(self._centre_chosen)
        self._step_buttons.idClicked.connect(self._steps_chosen)
        self.canvas.selected.connect(self._node_chosen)
        self.canvas.centre_wanted.connect(self._centre_on)
        self.details.connect_wanted.connect(self.connect_wanted)
        self.details.centre_wanted.connect(self.look_at)

    def _lay_out(self) -> None:
        beside = QVBoxLayout()
        beside.setSpacing(SPACE_RELATED)
        beside.addWidget(self.results)
        beside.addWidget(self.details, 1)
        beside.addStretch()  # keeps the results at the top while there are no details
        across = QHBoxLayout()
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(SPACE_RELATED)
        across.addWidget(self.canvas, 1)
        across.addLayout(beside)
        facts = QHBoxLayout()
        facts.setSpacing(SPACE_GROUP)
        facts.addWidget(self.counts, 1)
        facts.addWidget(self.freshness)
        self._picture = QWidget()
        inside = QVBoxLayout(self._picture)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(SPACE_RELATED)
        inside.addLayout(self._controls())
        inside.addLayout(facts)
        inside.addLayout(across, 1)
        beneath = QHBoxLayout()
        beneath.setSpacing(SPACE_GROUP)
        beneath.addWidget(self.left_out, 1)
        beneath.addWidget(self.learning)
        inside.addLayout(beneath)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._picture)
        self._stack.addWidget(self.empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_PAGE, SPACE_GROUP, SPACE_PAGE, SPACE_GROUP)
        layout.setSpacing(SPACE_RELATED)
        layout.addWidget(self.notice)
        layout.addWidget(self._stack, 1)

    def _controls(self) -> QHBoxLayout:
        self.search.setPlaceholderText(tr("Find a node by name or id"))
        self.search.setAccessibleName(tr("Find a node by name or id"))
        self.search.setMaxLength(200)
        self.centres.setAccessibleName(tr("Node in the middle"))
        self.centres.setMinimumContentsLength(10)
        self.search.setMinimumWidth(self._theme.em(_SEARCH_EM))
        line = QHBoxLayout()
        line.setSpacing(SPACE_RELATED)
        line.addWidget(self.search, 1)
        line.addWidget(self.centres)
        for steps, text, name in (
            (1, tr("1 step"), tr("Show the neighbours")),
            (2, tr("2 steps"), tr("Show the neighbours and theirs")),
        ):
            tool = self._tool("", name)
            tool.setText(text)
            tool.setProperty("kind", "segment")
            tool.setCheckable(True)
            tool.setChecked(steps == _STEPS)
            self._step_buttons.addButton(tool, steps)
            line.addWidget(tool)
        line.addSpacing(SPACE_RELATED)
        for icon_name, name, act in (
            ("zoom_out", tr("Zoom out (-)"), lambda: self.canvas.zoom(-1)),
            ("zoom_in", tr("Zoom in (+)"), lambda: self.canvas.zoom(1)),
            ("zoom_fit", tr("Show everything (0)"), self.canvas.fit),
        ):
            tool = self._tool(icon_name, name)
            tool.clicked.connect(lambda _checked=False, act=act: act())
            line.addWidget(tool)
        explain = self._tool("info", tr("What the lines mean"))
        explain.setCheckable(True)
        explain.setChecked(True)
        explain.toggled.connect(self.legend.setVisible)
        self.legend.fits_changed.connect(explain.setChecked)
        line.addWidget(explain)
        line.setContentsMargins(0, 0, 0, SPACE_INSIDE)
        return line

    def _tool(self, icon_name: str, name: str) -> QToolButton:
        tool = QToolButton()
        if icon_name:
            tool.setIcon(icon(icon_name, self._theme, Role.TEXT))
            tool.setIconSize(QSize(ICON_SMALL, ICON_SMALL))
        tool.setProperty("kind", "tool")
        tool.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        tool.setToolTip(name)
        tool.setAccessibleName(name)
        return tool
