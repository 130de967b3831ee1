"""What the panel shows of a peer's own announcement."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from core.bolt.address import Address, AddressKind
from core.bolt.features import LEYDEN_FEATURES
from gui.actions import ActionId
from gui.peers.claim import ClaimBox
from gui.theme import Theme
from gui.window import MainWindow
from tests.support.fake_node import FakeNode, address, node_id

PEER = node_id(11)


@pytest.fixture
def box(node: FakeNode, theme: Theme, qtbot: QtBot) -> ClaimBox:
    made = ClaimBox(node, theme)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    node.run()
    return made


def test_nothing_is_shown_of_a_node_that_gossip_does_not_know(box: ClaimBox) -> None:
    box.show_node(PEER, b"")
    assert box.isHidden()


def test_a_node_with_channels_that_has_not_announced_itself(node: FakeNode, box: ClaimBox) -> None:
    node.channel(1, (PEER, node_id(12)))
    box.show_node(PEER, b"")
    assert box.text == "no name\n1 channel  ·  not announced itself yet"
    assert not box.isHidden()


def test_name_addresses_and_age_are_shown(node: FakeNode, box: ClaimBox) -> None:
    node.channel(1, (PEER, node_id(12)))
    node.channel(2, (PEER, node_id(13)))
    node.announce(PEER, "<b>río</b>".encode(), addresses=[address(1), address(2, 9999)])
    node.clock.jump_wall(300)
    box.show_node(PEER, LEYDEN_FEATURES)
    assert box.text.split("\n") == [
        "«<b>río</b>»",
        "203.0.113.1:9735",
        "203.0.113.2:9999",
        "2 channels  ·  announced 5 min ago",
    ]
    node.announce(PEER, b"anew", features=b"\x80")
    box.show_node(PEER, LEYDEN_FEATURES)
    assert box.text.startswith("«anew»\n2 channels  ·  announced just now\n")


def test_features_are_listed_where_they_are_not_those_of_the_connection(node: FakeNode, box: ClaimBox) -> None:
    node.channel(1, (PEER, node_id(12)))
    node.announce(PEER, b"one", features=b"\x80")
    box.show_node(PEER, b"\x00\x80")
    assert box.features.text() == ""
    box.show_node(PEER, LEYDEN_FEATURES)
    assert box.features.text() == "gossip_queries\n    bit 7, optional, also ours"


def test_long_lists_of_addresses_end(node: FakeNode, box: ClaimBox) -> None:
    node.channel(1, (PEER, node_id(12)))
    node.announce(PEER, b"many", addresses=[address(1, port) for port in range(1, 31)])
    box.show_node(PEER, LEYDEN_FEATURES)
    assert len(box.addresses.whole.split("\n")) == 21
    assert box.addresses.whole.endswith("and 10 more")


def test_a_long_address_gives_way_in_its_middle_and_is_whole_in_the_tooltip(node: FakeNode, box: ClaimBox) -> None:
    onion = f"{'a' * 56}.onion"
    node.channel(1, (PEER, node_id(12)))
    node.announce(PEER, b"far", addresses=[address(1), Address(AddressKind.TORV3, onion, 9735)])
    box.show_node(PEER, LEYDEN_FEATURES)
    box.resize(200, 400)
    box.show()
    near, far = box.addresses.text().split("\n")
    assert near == "203.0.113.1:9735"
    assert "…" in far
    assert far.endswith("9735")
    assert f"{onion}:9735" in box.addresses.toolTip()


def test_the_selected_peer_is_shown_anew_when_the_graph_tells(node: FakeNode, window: MainWindow) -> None:
    node.run()
    node.fake_peers.arrive(PEER, address(11))
    window.show_view(ActionId.SHOW_PEERS)
    window.bridge.flush()
    window.peers.select(PEER)
    assert window.peers.panel.claim.isHidden()
    node.channel(1, (PEER, node_id(12)))
    node.announce(PEER, b"heard later")
    node.tell_graph()
    window.bridge.flush()
    assert window.peers.panel.claim.text.startswith("«heard later»")
    assert window.peers.panel.claim.isVisible()
