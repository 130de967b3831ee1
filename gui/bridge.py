"""The one way from the core to the window: its events, collected and passed on as Qt signals once a frame.

A handler on the bus only notes the event. A single-shot timer is armed while something waits, so a flood of ten
thousand messages costs one signal a frame and a quiet node costs nothing.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from core.base.events import (
    ConnectFailed,
    ConnectProgress,
    CustomMessage,
    EventBus,
    NodeStateChanged,
    PeerConnected,
    PeerDisconnected,
    StepChanged,
    TaskChanged,
)
from core.gossip.graph_values import GraphChanged
from core.peers.events import PeerNotice

FRAME_MS = 16
NOTICES_HELD = 500
MESSAGES_HELD = 10_000
"""More than the message view keeps is not carried to it."""

PeerChange: TypeAlias = PeerConnected | PeerDisconnected


class Bridge(QObject):
    """Subscribed from its making until `close`."""

    node_state_changed = Signal(object)
    """The latest `NodeStateChanged` of the frame."""
    task_changed = Signal(object)
    """A `TaskChanged`; each one, in order, for they are few."""
    steps_changed = Signal(list)
    """`StepChanged` events, the latest a task and status, in the order these first changed."""
    peers_changed = Signal(list)
    """`PeerConnected | PeerDisconnected`, the latest a node id."""
    connect_progress = Signal(object)
    """A `ConnectProgress`, the latest a node id, or a `ConnectFailed`."""
    peer_notices = Signal(list)
    """`PeerNotice` events in order; the newest `NOTICES_HELD` of the frame."""
    custom_messages = Signal(list)
    """`CustomMessage` events in order; the newest `MESSAGES_HELD` of the frame."""
    graph_changed = Signal(list)
    """`GraphChanged` events in order; the core tells one a second at most."""

    def __init__(self, bus: EventBus, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._node_state: NodeStateChanged | None = None
        self._tasks: list[TaskChanged] = []
        self._steps: dict[tuple[int, str], StepChanged] = {}
        self._peers: dict[bytes, PeerChange] = {}
        self._dials: dict[bytes, ConnectProgress | ConnectFailed] = {}
        self._notices: deque[PeerNotice] = deque(maxlen=NOTICES_HELD)
        self._messages: deque[CustomMessage] = deque(maxlen=MESSAGES_HELD)
        self._graph: list[GraphChanged] = []
        self._frame = QTimer(self, singleShot=True, interval=FRAME_MS)
        self._frame.setTimerType(Qt.TimerType.PreciseTimer)
        self._frame.timeout.connect(self.flush)
        self._subscriptions = (
            bus.subscribe(NodeStateChanged, self._on_node_state),
            bus.subscribe(TaskChanged, self._on_task),
            bus.subscribe(StepChanged, self._on_step),
            bus.subscribe(PeerConnected, self._on_peer),
            bus.subscribe(PeerDisconnected, self._on_peer),
            bus.subscribe(ConnectProgress, self._on_dial),
            bus.subscribe(ConnectFailed, self._on_dial),
            bus.subscribe(PeerNotice, self._on_notice),
            bus.subscribe(CustomMessage, self._on_message),
            bus.subscribe(GraphChanged, self._on_graph),
        )

    @property
    def waiting(self) -> bool:
        """Whether the frame timer is armed."""
        return self._frame.isActive()

    def close(self) -> None:
        """Hear nothing more; what waits is dropped."""
        for subscription in self._subscriptions:
            subscription.close()
        self._frame.stop()

    def flush(self) -> None:
        """Pass on what waits: the node's state first, and a task's steps before the end that they explain."""
        self._frame.stop()
        node_state, self._node_state = self._node_state, None
        tasks, self._tasks = self._tasks, []
        steps, self._steps = self._steps, {}
        peers, self._peers = self._peers, {}
        dials, self._dials = self._dials, {}
        if node_state is not None:
            self.node_state_changed.emit(node_state)
        if steps:
            self.steps_changed.emit(list(steps.values()))
        for task in tasks:
            self.task_changed.emit(task)
        if peers:
            self.peers_changed.emit(list(peers.values()))
        for dial in dials.values():
            self.connect_progress.emit(dial)
        if self._notices:
            notices = list(self._notices)
            self._notices.clear()
            self.peer_notices.emit(notices)
        if self._messages:
            messages = list(self._messages)
            self._messages.clear()
            self.custom_messages.emit(messages)
        graph, self._graph = self._graph, []
        if graph:
            self.graph_changed.emit(graph)

    def _arm(self) -> None:
        if not self._frame.isActive():
            self._frame.start()

    def _on_node_state(self, event: NodeStateChanged) -> None:
        self._node_state = event
        self._arm()

    def _on_task(self, event: TaskChanged) -> None:
        self._tasks.append(event)
        self._arm()

    def _on_step(self, event: StepChanged) -> None:
        self._steps[event.task_id, event.status] = event
        self._arm()

    def _on_peer(self, event: PeerChange) -> None:
        self._peers[event.peer_id] = event
        self._arm()

    def _on_dial(self, event: ConnectProgress | ConnectFailed) -> None:
        self._dials[event.peer_id] = event
        self._arm()

    def _on_notice(self, event: PeerNotice) -> None:
        self._notices.append(event)
        self._arm()

    def _on_message(self, event: CustomMessage) -> None:
        self._messages.append(event)
        self._arm()

    def _on_graph(self, event: GraphChanged) -> None:
        self._graph.append(event)
        self._arm()
