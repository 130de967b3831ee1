"""The network generator: valid to the last signature, the same for the same seed, shaped as mainnet is."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from core.bolt.gossip import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from core.bolt.networks import NETWORKS
from tests.support import network_shape
from tests.support.announcements import is_genuine
from tests.support.network import DEFAULT_NOW_S, Network, make_network


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.network.tempfile.gettempdir", lambda: str(tmp_path))


def files(folder: Path) -> list[Path]:
    return list(folder.glob("leyden-test-networks-*/*"))


def test_every_signature_is_right_and_one_flipped_bit_makes_it_wrong() -> None:
    network = make_network(1, 40)
    for announcement in (*network.channel_announcements, *network.node_announcements):
        assert is_genuine(announcement)
        assert not is_genuine(announcement[:-1] + bytes([announcement[-1] ^ 1]))
    for update, signer in zip(network.channel_updates, network.signers, strict=True):
        assert is_genuine(update, signer)


def test_the_parts_belong_together() -> None:
    network = make_network(2, 60, nodes=30)
    channels = [ChannelAnnouncement.decode(message) for message in network.channel_announcements]
    updates = [ChannelUpdate.decode(message) for message in network.channel_updates]
    nodes = {NodeAnnouncement.decode(message).node_id for message in network.node_announcements}
    assert len(nodes) == 30
    assert {channel.node_id_1 for channel in channels} | {channel.node_id_2 for channel in channels} == nodes
    assert all(channel.node_id_1 < channel.node_id_2 for channel in channels)
    assert len({channel.short_channel_id for channel in channels}) == 60
    for number, channel in enumerate(channels):
        assert channel.chain_hash == NETWORKS["regtest"].chain_hash
        for direction in (0, 1):
            update = updates[2 * number + direction]
            assert (update.short_channel_id, update.direction) == (channel.short_channel_id, direction)
            assert update.htlc_minimum_msat <= update.htlc_maximum_msat <= network.capacities_sat[number] * 1000
            assert 0 <= DEFAULT_NOW_S - update.timestamp < 14 * 24 * 3600


def test_it_is_one_network() -> None:
    links = network_shape.links(random.Random(3), 300, 500)
    assert all(one != other for one, other in links)
    reached, border = {0}, [0]
    while border:
        node = border.pop()
        for one, other in links:
            for near, far in ((one, other), (other, one)):
                if near == node and far not in reached:
                    reached.add(far)
                    border.append(far)
    assert len(reached) == 300


def test_a_peer_is_sent_each_channel_before_what_is_about_it() -> None:
    network = make_network(1, 3)
    kinds = [message[1] for message in network]
    assert kinds == [0, 2, 2] * 3 + [1] * len(network.node_announcements)


def test_a_new_update_is_signed_by_the_same_node() -> None:
    network = make_network(1, 3)
    message = network.update(2, 1, fee_base_msat=77)
    assert ChannelUpdate.decode(message).fee_base_msat == 77
    assert is_genuine(message, network.signers[5])
    assert not is_genuine(message, network.signers[4])


def test_the_same_seed_makes_the_same_and_another_another(tmp_path: Path) -> None:
    first = make_network(1, 5)
    for file in files(tmp_path):
        file.unlink()
    assert make_network(1, 5) == first
    assert set(make_network(2, 5).channel_announcements).isdisjoint(first.channel_announcements)
    assert make_network(1, 5, now_s=DEFAULT_NOW_S + 1) != first


def test_what_was_made_once_is_read_again_and_damage_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_network(1, 5)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert make_network(1, 5) == first
    assert file.read_bytes() == whole

    def never(*_args: object) -> Network:
        raise AssertionError("made again")

    monkeypatch.setattr("tests.support.network._Maker.make", never)
    assert make_network(1, 5) == first


def test_it_has_mainnets_shape() -> None:
    """Of 2026-02-03: 17,324 nodes, 54 % with one channel, 1.7 % with 50 or more, the largest with 1,989."""
    links = network_shape.links(random.Random(1), 17_324, 50_808)
    degrees = Counter(node for link in links for node in link)
    assert len(links) == 50_808
    assert len(degrees) == 17_324
    shares = {least: sum(degree >= least for degree in degrees.values()) / len(degrees) for least in (2, 10, 50, 500)}
    assert shares == pytest.approx({2: 0.458, 10: 0.087, 50: 0.0175, 500: 0.00087}, rel=0.1)
    assert max(degrees.values()) == pytest.approx(1_989, rel=0.1)


@pytest.mark.parametrize(("nodes", "channels"), [(2, 1), (2, 5), (5, 4), (6, 100)])
def test_any_size_that_can_be_connected_is_made(nodes: int, channels: int) -> None:
    links = network_shape.links(random.Random(1), nodes, channels)
    assert len(links) == channels
    assert {node for link in links for node in link} == set(range(nodes))


@pytest.mark.parametrize(("nodes", "channels"), [(1, 1), (3, 1), (0, 0)])
def test_what_cannot_be_connected_is_refused(nodes: int, channels: int) -> None:
    with pytest.raises(ValueError, match="cannot be connected"):
        make_network(1, channels, nodes=nodes)
