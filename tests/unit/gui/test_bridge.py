"""Events of the core become few signals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from core.base.events import (
    ConnectPhase,
    ConnectProgress,
    CustomMessage,
    Direction,
    EventBus,
    NodeState,
    NodeStateChanged,
    PeerConnected,
    PeerDisconnected,
    StepChanged,
    StepState,
    TaskChanged,
    TaskState,
)
from core.gossip.graph_values import GraphChanged
from core.peers.events import PeerNotice
from core.peers.reasons import CloseCode, closed_by_them
from gui.bridge import FRAME_MS, MESSAGES_HELD, Bridge
from tests.support.fake_node import address, node_id


@pytest.fixture
def bus() -> EventBus:
    return EventBus()


@pytest.fixture
def bridge(qapp: object, bus: EventBus) -> Iterator[Bridge]:
    made = Bridge(bus)
    yield made
    made.close()
    made.deleteLater()


def _message(cursor: int) -> CustomMessage:
    return CustomMessage(cursor, 1.0, node_id(1), Direction.IN, 32769, b"x")


def _collect(signal: object) -> list:  # type: ignore[type-arg]
    got: list = []  # type: ignore[type-arg]
    signal.connect(got.append)  # type: ignore[attr-defined]
    return got


def test_a_thousand_messages_are_one_signal(bridge: Bridge, bus: EventBus, qtbot: QtBot) -> None:
    got = _collect(bridge.custom_messages)
    for cursor in range(1000):
        bus.publish(_message(cursor))
    assert got == []
    qtbot.waitUntil(lambda: bool(got), timeout=2000)
    assert len(got) == 1
    assert [message.cursor for message in got[0]] == list(range(1000))


def test_the_timer_is_armed_only_while_something_waits(bridge: Bridge, bus: EventBus) -> None:
    assert not bridge.waiting
    bus.publish(_message(1))
    assert bridge.waiting
    bridge.flush()
    assert not bridge.waiting


def test_a_frame_is_sixteen_milliseconds() -> None:
    assert FRAME_MS == 16


def test_a_flood_beyond_what_a_view_keeps_is_bounded(bridge: Bridge, bus: EventBus) -> None:
    got = _collect(bridge.custom_messages)
    for cursor in range(MESSAGES_HELD + 5):
        bus.publish(_message(cursor))
    bridge.flush()
    assert len(got[0]) == MESSAGES_HELD
    assert got[0][-1].cursor == MESSAGES_HELD + 4


def test_a_peers_latest_change_stands_for_all(bridge: Bridge, bus: EventBus) -> None:
    got = _collect(bridge.peers_changed)
    bus.publish(PeerConnected(node_id(1), Direction.OUT, address(), b""))
    bus.publish(PeerConnected(node_id(2), Direction.OUT, address(), b""))
    bus.publish(PeerDisconnected(node_id(1), closed_by_them(CloseCode.PEER_CLOSED)))
    bridge.flush()
    assert [(type(change), change.peer_id) for change in got[0]] == [
        (PeerDisconnected, node_id(1)),
        (PeerConnected, node_id(2)),
    ]


def test_steps_keep_their_order_and_their_latest_state(bridge: Bridge, bus: EventBus) -> None:
    got = _collect(bridge.steps_changed)
    for status, state in (("a", StepState.RUNNING), ("a", StepState.DONE), ("b", StepState.RUNNING)):
        bus.publish(StepChanged(1, status, state))
    bridge.flush()
    assert [(step.status, step.state) for step in got[0]] == [("a", StepState.DONE), ("b", StepState.RUNNING)]


def test_the_step_that_failed_comes_before_the_task_that_ended_by_it(bridge: Bridge, bus: EventBus) -> None:
    order: list[str] = []
    bridge.task_changed.connect(lambda _task: order.append("task"))
    bridge.steps_changed.connect(lambda _steps: order.append("steps"))
    bridge.node_state_changed.connect(lambda _state: order.append("node"))
    bus.publish(TaskChanged(1, TaskState.ERROR))
    bus.publish(StepChanged(1, "a", StepState.FAILED))
    bus.publish(NodeStateChanged(NodeState.PROBLEM))
    bridge.flush()
    assert order == ["node", "steps", "task"]


def test_every_change_of_a_task_arrives(bridge: Bridge, bus: EventBus) -> None:
    got = _collect(bridge.task_changed)
    bus.publish(TaskChanged(1, TaskState.IN_PROGRESS))
    bus.publish(TaskChanged(1, TaskState.OK))
    bridge.flush()
    assert [task.state for task in got] == [TaskState.IN_PROGRESS, TaskState.OK]


def test_dials_and_notices_arrive(bridge: Bridge, bus: EventBus) -> None:
    dials, notices = _collect(bridge.connect_progress), _collect(bridge.peer_notices)
    bus.publish(ConnectProgress(node_id(1), "a:1", ConnectPhase.DIALLING))
    bus.publish(ConnectProgress(node_id(1), "a:1", ConnectPhase.INIT))
    bus.publish(PeerNotice(node_id(1), is_error=False, channel_id=bytes(32), text="hm"))
    bridge.flush()
    assert [dial.phase for dial in dials] == [ConnectPhase.INIT]
    assert [notice.text for notice in notices[0]] == ["hm"]


def test_a_closed_bridge_hears_nothing(bridge: Bridge, bus: EventBus) -> None:
    bus.publish(_message(1))
    bridge.close()
    assert not bridge.waiting
    bus.publish(_message(2))
    assert not bridge.waiting


def test_changes_of_the_graph_come_once_a_frame_in_order(qtbot: QtBot, bus: EventBus, bridge: Bridge) -> None:
    told: list[list[GraphChanged]] = []
    bridge.graph_changed.connect(told.append)
    events = [GraphChanged(added=frozenset({1})), GraphChanged(removed=frozenset({1}))]
    for event in events:
        bus.publish(event)
    assert told == []
    bridge.flush()
    bridge.flush()
    assert told == [events]
