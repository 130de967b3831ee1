"""The eight statuses as rows."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from PySide6.QtWidgets import QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from core.base.events import NodeState, StepChanged, StepState, TaskChanged, TaskState
from core.chain.errors import (
    AllServersFailed,
    CertificateChanged,
    NoChainSource,
    ServerBehind,
    ServerLied,
    ServerRefused,
    ServerStalled,
    ServerUnreachable,
    WrongChain,
    WrongPassword,
)
from core.peers.errors import ListenFailed
from gui.actions import ActionId
from gui.activation.steps import STATUSES, duration_words, in_words
from gui.window import MainWindow
from tests.support import fake_node
from tests.support.fake_node import FakeNode

TAKEN = ListenFailed(address="127.0.0.1:9735", errno=98, reason="Address already in use")


def _button(window: MainWindow, name: str) -> QPushButton:
    found = window.activation.findChild(QPushButton, name)
    assert isinstance(found, QPushButton)
    return found


def _states(window: MainWindow) -> list[StepState]:
    return [row.state for row in window.activation.rows.values()]


def _total(window: MainWindow) -> str:
    return window.activation._total.text()


def test_there_is_a_row_for_each_status_in_order(window: MainWindow) -> None:
    from core.activation.steps import OWN_START

    assert list(window.activation.rows) == list(OWN_START) == list(STATUSES) == list(fake_node.STATUSES)
    assert set(_states(window)) == {StepState.WAITING}


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_words_of_its_own(status: str) -> None:
    assert in_words(status) != status


def test_an_unknown_status_is_shown_by_its_name() -> None:
    assert in_words("WaitingForTrezorToConnect") == "WaitingForTrezorToConnect"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "< 1 ms"), (0.0006, "1 ms"), (0.0123, "12 ms"), (0.9996, "1.0 s"), (59.94, "59.9 s"), (125, "2 min 5 s")],
)
def test_durations_are_short_and_true(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_a_node_that_is_off_offers_to_start(window: MainWindow, node: FakeNode) -> None:
    assert _button(window, "startNode").isVisible()
    assert not _button(window, "cancelActivation").isVisible()
    _button(window, "startNode").click()
    assert node.activations == 1


def test_rows_follow_the_steps(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.finish_steps(STATUSES[:2], duration_s=0.25)
    node.step(STATUSES[2], StepState.RUNNING, done=12480, total=50808, detail="channels")
    window.bridge.flush()
    rows = list(window.activation.rows.values())
    assert [row.state for row in rows[:4]] == [StepState.DONE, StepState.DONE, StepState.RUNNING, StepState.WAITING]
    assert rows[0].duration == "250 ms"
    assert rows[2].detail == "channels · 12,480 / 50,808"
    assert _button(window, "cancelActivation").isVisible()
    assert not _button(window, "startNode").isVisible()


def test_no_progress_is_invented(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.step(STATUSES[0], StepState.RUNNING)
    window.bridge.flush()
    assert window.activation.rows[STATUSES[0]].detail == ""


async def test_a_step_that_takes_long_says_that_it_is_at_work(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.step(STATUSES[0], StepState.RUNNING)
    window.bridge.flush()
    await node.clock.advance(11)
    window.activation._tick()
    assert "Still at work" in window.activation.rows[STATUSES[0]].detail
    assert window.activation.rows[STATUSES[0]].duration == "11.0 s"
    assert _total(window) == "Total 11.0 s"


def test_a_failure_opens_in_its_row_with_retry(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.finish_steps(STATUSES[:4])
    node.fail_step(STATUSES[4], TAKEN)
    window.bridge.flush()
    row = window.activation.rows[STATUSES[4]]
    assert "127.0.0.1:9735 is taken" in row.failure
    assert window.activation._notice.isHidden(), "said once, in its row"
    assert not _button(window, "cancelActivation").isVisible()
    retry = row.findChild(QPushButton, "remedy-retry")
    assert isinstance(retry, QPushButton)
    retry.click()
    assert node.activations == 2
    window.bridge.flush()
    assert row.failure == ""
    assert set(_states(window)) == {StepState.WAITING}


def test_a_failure_outside_any_step_is_shown_beneath(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.bus.publish(TaskChanged(1, TaskState.ERROR, NoChainSource(network="bitcoin")))
    window.bridge.flush()
    assert "No chain source is set for bitcoin" in window.activation._notice.text
    _button(window, "remedy-retry").click()
    assert node.activations == 2


async def test_cancel_asks_the_node_and_says_that_it_stops(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.step(STATUSES[0], StepState.RUNNING)
    window.bridge.flush()
    cancel = _button(window, "cancelActivation")
    cancel.click()
    assert not cancel.isEnabled()
    assert cancel.text() == "Stopping…"
    await asyncio.sleep(0)
    assert node.cancelled == 1
    node.step(STATUSES[0], StepState.CANCELLED)
    window.bridge.flush()
    assert window.activation.rows[STATUSES[0]].state is StepState.CANCELLED
    assert "released" in window.activation._lead.text()
    assert _button(window, "startNode").isVisible()
    await asyncio.sleep(0)


def test_a_running_node_shows_its_own_uri_to_copy(window: MainWindow, node: FakeNode, qtbot: object) -> None:
    node.run()
    window.bridge.flush()
    assert window.activation._running.uri == f"{node.node_id.hex()}@127.0.0.1:9735"
    assert window.activation._running.isVisible()
    assert not _button(window, "startNode").isVisible()
    assert set(_states(window)) == {StepState.DONE}


def test_events_of_an_older_task_change_nothing(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.activate()
    window.bridge.flush()
    node.bus.publish(TaskChanged(1, TaskState.ERROR, TAKEN))
    node.bus.publish(StepChanged(1, STATUSES[0], StepState.FAILED, error=TAKEN))
    window.bridge.flush()
    assert window.activation._title.text() == "Starting your node"
    assert set(_states(window)) == {StepState.WAITING}


def test_only_a_running_step_that_is_seen_turns(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.step(STATUSES[0], StepState.RUNNING)
    window.bridge.flush()
    glyph = window.activation.rows[STATUSES[0]]._glyph
    assert glyph.turning
    window.show_view(ActionId.SHOW_PEERS)
    assert not glyph.turning
    assert not window.activation._ticking.isActive()
    node.step(STATUSES[0], StepState.RUNNING, detail="on it")
    window.bridge.flush()
    assert not glyph.turning
    window.show_view(ActionId.SHOW_NODE)
    assert glyph.turning
    node.step(STATUSES[0], StepState.DONE, duration_s=0.1)
    node.bus.publish(TaskChanged(1, TaskState.OK))
    node.change_state(NodeState.RUNNING)
    window.bridge.flush()
    assert not glyph.turning
    assert not window.activation._ticking.isActive()


def test_the_page_is_no_higher_than_its_texts(window: MainWindow, node: FakeNode, qtbot: QtBot) -> None:
    node.activate()
    for status in STATUSES:
        node.step(status, StepState.DONE, detail="a detail that is long enough to be wrapped in a narrow column")
    window.bridge.flush()
    window.resize(window.minimumSize())
    page = window.activation.widget()
    qtbot.waitUntil(lambda: window.activation.verticalScrollBar().maximum() > 0)
    qtbot.waitUntil(lambda: page.height() == page.heightForWidth(page.width()))


def test_the_total_is_no_less_than_its_steps(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.finish_steps(STATUSES, duration_s=0.1)
    node.bus.publish(TaskChanged(1, TaskState.OK))
    window.bridge.flush()
    assert _total(window) == "Total 900 ms"


CHANGED = CertificateChanged(host="203.0.113.5", port=50002, expected=b"\x01" * 32, found=b"\x02" * 32)
SERVER = "203.0.113.5:50002"
REMEDIES = {"remedy-retry", "remedy-other_source", "remedy-copy_details"}


@pytest.mark.parametrize(
    ("error", "said", "remedies"),
    [
        (ServerUnreachable(server=SERVER, reason="Connection refused"), "Connection refused", REMEDIES),
        (ServerStalled(server=SERVER, timeout_s=10), "within 10 s", REMEDIES),
        (ServerLied(server=SERVER, reason="no proof of work"), "no proof of work", REMEDIES),
        (ServerRefused(server=SERVER, reason="busy"), "busy", REMEDIES),
        (ServerBehind(server=SERVER, height=1, best_height=9), "behind", REMEDIES),
        (CHANGED, "certificate has changed", REMEDIES | {"remedy-trust_certificate"}),
        (WrongPassword(server=SERVER), "Wrong password", REMEDIES),
        (WrongChain(server=SERVER, genesis=bytes(32)), "another network", REMEDIES),
        (AllServersFailed(reason=f"{SERVER}: gone"), "No chain server", REMEDIES),
        (NoChainSource(network="bitcoin"), "No chain source", {"remedy-retry", "remedy-other_source"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_failure_of_the_chain_shows_in_its_row_with_its_remedies(
    window: MainWindow, node: FakeNode, error: Exception, said: str, remedies: set[str]
) -> None:
    node.activate()
    node.fail_step(STATUSES[0], error)
    window.bridge.flush()
    row = window.activation.rows[STATUSES[0]]
    assert said in row.failure
    assert {each.objectName() for each in row.findChildren(QPushButton)} == remedies


@pytest.mark.qt_loop
async def test_a_new_certificate_is_trusted_once_the_person_confirms_and_never_by_enter(
    window: MainWindow, node: FakeNode
) -> None:
    node.activate()
    node.fail_step(STATUSES[0], CHANGED)
    window.bridge.flush()

    async def asked() -> QMessageBox:
        _button(window, "remedy-trust_certificate").click()
        await asyncio.sleep(0)
        return window.activation.findChildren(QMessageBox)[-1]

    box = await asked()
    assert "0202 0202" in box.informativeText()
    assert box.defaultButton() is box.button(QMessageBox.StandardButton.Cancel)
    box.defaultButton().click()
    await _settle()
    assert node.trusted == []
    assert node.activations == 1
    box = await asked()
    next(each for each in box.buttons() if each.text() == "Trust the new one").click()
    await _settle()
    assert node.trusted == [(SERVER, CHANGED.found)]
    assert node.activations == 2


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.qt_loop
async def test_where_another_source_is_set_is_said(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    node.fail_step(STATUSES[0], NoChainSource(network="bitcoin"))
    window.bridge.flush()
    _button(window, "remedy-other_source").click()
    await asyncio.sleep(0)
    (box,) = window.activation.findChildren(QMessageBox)
    assert "config.toml" in box.informativeText()
    box.accept()
    await _settle()


def test_a_node_that_was_told_to_wait_says_so_and_offers_to_start(window: MainWindow, node: FakeNode) -> None:
    node.settings = dataclasses.replace(node.settings, no_activate=True, mmrpc="127.0.0.1:7783")
    window.activation._refresh()
    assert "--no-activate" in window.activation._lead.text()
    assert "127.0.0.1:7783" in window.activation._lead.text()
    assert _button(window, "startNode").isVisible()
    assert node.activations == 0


def test_a_programs_task_shows_its_own_rows(window: MainWindow, node: FakeNode) -> None:
    node.activate()
    for status in STATUSES[1:]:
        node.step(status, StepState.WAITING)
    window.bridge.flush()
    shown = [row.status for row in window.activation.rows.values() if row.isVisible()]
    assert shown == list(STATUSES[1:])
    node.activate()
    for status in STATUSES:
        node.step(status, StepState.WAITING)
    window.bridge.flush()
    assert all(row.isVisible() for row in window.activation.rows.values())
