"""What the status bar says of the network."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QPushButton

from core.bolt.wire import ShortChannelId
from core.gossip.graph_values import Trust
from core.gossip.service import Standing
from gui.actions import ActionId
from gui.network_status import NetworkStatus, count, sync_words
from gui.window import MainWindow
from tests.support.fake_node import FakeNode, node_id

# Of the offscreen platform, for menus and sheets.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def _network(node: FakeNode) -> None:
    """Three checked channels, one of them closing, one unchecked, one of a snapshot, and one that came and went."""
    for number in (1, 2, 3, 6):
        node.channel(number, (node_id(number), node_id(90)))
    node.channel(4, (node_id(4), node_id(90)), trust=Trust.UNCHECKED)
    node.channel(5, (node_id(5), node_id(90)), trust=Trust.OVERLAY)
    node.fake_graph.mark_dying(int(ShortChannelId(3, 1, 0)), 100)
    node.fake_graph.remove(int(ShortChannelId(6, 1, 0)))


@pytest.fixture
def status(node: FakeNode, window: MainWindow) -> NetworkStatus:
    node.run()
    window.bridge.flush()
    return window.status.network


def test_each_kind_of_channel_is_counted_apart(node: FakeNode) -> None:
    _network(node)
    found = count(node.fake_graph)
    assert (found.nodes, found.channels, found.checked, found.unchecked, found.overlay, found.dying) == (
        6,
        5,
        3,
        1,
        1,
        1,
    )
    assert found.capacity_sat == 3_000_000
    assert count(FakeNode().fake_graph).newest == 0


def test_it_is_there_while_lightning_is_up(node: FakeNode, window: MainWindow) -> None:
    assert window.status.network.isHidden()
    node.run()
    window.bridge.flush()
    assert window.status.network.isVisible()
    node.lightning = None
    window.status.refresh()
    assert window.status.network.isHidden()


def test_the_line_follows_the_graph(node: FakeNode, window: MainWindow, status: NetworkStatus) -> None:
    assert status.text() == "network: 0 channels"
    _network(node)
    window.status.refresh()
    assert status.text() == "network: 5 channels"
    assert node.lightning is not None
    node.lightning.gossip.standing = Standing(2, asking=True, unverified=0)
    window.status.refresh()
    assert status.text() == "network: 5 channels, learning…"
    node.lightning.gossip.standing = Standing(2, asking=False, unverified=1)
    window.status.refresh()
    assert status.text() == "network: 5 channels, learning…"


def test_an_unchanged_graph_is_not_counted_again(
    node: FakeNode, window: MainWindow, status: NetworkStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    _network(node)
    window.status.refresh()
    monkeypatch.setattr("gui.network_status.count", lambda _graph: pytest.fail("counted again"))
    window.status.refresh()
    assert status.text() == "network: 5 channels"


def test_the_panel_tells_all_and_keeps_telling(node: FakeNode, window: MainWindow, status: NetworkStatus) -> None:
    _network(node)
    assert node.lightning is not None
    node.lightning.gossip.standing = Standing(3, asking=False, unverified=1234)
    node.tell_graph()
    window.bridge.flush()
    node.clock.jump_wall(120)
    window.status.refresh()
    status.click()
    assert status.panel.isVisible()
    assert status.panel.text.split("\n") == [
        "Nodes: 6",
        "Channels: 5",
        "checked on the chain: 3",
        "not checked on the chain: 1",
        "from an unsigned snapshot: 1",
        "closing: 1",
        "3 peers tell what is new. 1,234 messages wait to be verified.",
        "no update heard yet  ·  last change 2 min ago",
    ]
    node.fake_graph.remove(int(ShortChannelId(4, 1, 0)))
    window.status.refresh()
    assert "Channels: 4" in status.panel.text
    assert "not checked" not in status.panel.text
    status.panel.hide()


def test_a_snapshot_that_was_not_taken_is_said_with_its_reason(
    node: FakeNode, window: MainWindow, status: NetworkStatus
) -> None:
    status.click()
    assert "snapshot" not in status.panel.text
    assert node.lightning is not None
    node.lightning.rapid.failure = "no such file\x1b"
    window.status.refresh()
    assert status.panel.text.endswith("not taken in: no such file\ufffd. Leyden tries again within the hour.")
    node.lightning.rapid.failure = ""
    window.status.refresh()
    assert "snapshot" not in status.panel.text
    status.panel.hide()


def test_the_panel_is_gone_with_lightning(node: FakeNode, window: MainWindow, status: NetworkStatus) -> None:
    status.click()
    assert status.panel.isVisible()
    node.lightning = None
    window.status.refresh()
    assert not status.panel.isVisible()


def test_the_panel_leads_to_the_import(
    window: MainWindow, status: NetworkStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    window.actions_table[ActionId.IMPORT_GRAPH].triggered.disconnect()
    window.actions_table.bind(ActionId.IMPORT_GRAPH, lambda: asked.append(True))
    status.click()
    found = status.panel.findChild(QPushButton, "network-import_graph")
    assert isinstance(found, QPushButton)
    found.click()
    assert asked == [True]
    assert not status.panel.isVisible()


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing(0, asking=False, unverified=0), "No peer tells news"),
        (Standing(1, asking=False, unverified=0), "1 peer tells"),
        (Standing(5, asking=False, unverified=0), "5 peers tell"),
        (Standing(5, asking=True, unverified=0), "the whole network"),
    ],
)
def test_what_goes_on_is_said(standing: Standing, words: str) -> None:
    assert words in sync_words(standing)
