"""Snapshots for rapid gossip sync: what is read of them, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bolt.wire import encode_bigsize
from core.gossip import rapid
from core.gossip.rapid import BadSnapshot, NodeDetail, Snapshot, read_snapshot
from tests.support.rapid_snapshot import REGTEST, Channel, Content, Node, Update, write_snapshot
from tests.unit.gossip.graphs import node_id
from tests.unit.gossip.rapid_parts import done

LATEST = 1_770_000_000
IPV4 = bytes((1, 127, 0, 0, 1, 0x26, 0x07))
SMALL = Content(
    [Channel(100 << 40, node_id(1), node_id(2), b"", 5000), Channel(101 << 40, node_id(1), node_id(3), b"\x01")],
    [Update(100 << 40, 0, (40, 1, 1000, 10, 99)), Update(100 << 40, 1, (40, 1, 7, 10, 99), disabled=True)],
)
HEAD = b"LDK\x01" + REGTEST + LATEST.to_bytes(4, "big")


def read(data: bytes) -> Snapshot:
    return done(read_snapshot(data))


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


@pytest.mark.parametrize("version", [1, 2])
def test_all_of_a_snapshot_is_read(version: int) -> None:
    found = read(write_snapshot(SMALL, LATEST, version))
    assert (found.chain_hash, found.latest_seen, found.is_incremental) == (REGTEST, LATEST, False)
    assert found.node_ids == [node_id(1), node_id(2), node_id(3)] and found.details == []
    assert found.announced.tolist() == [(100 << 40, 0, 1, 5000 * (version - 1)), (101 << 40, 0, 2, 0)]
    assert found.features == {1: b"\x01"}
    usual, other = found.updates.tolist()
    assert (usual[0], usual[1] & 0x83, usual[2:]) == (100 << 40, 0, (40, 1, 1000, 10, 99))
    assert (other[0], other[1] & 0x83, other[2:]) == (100 << 40, 3, (40, 1, 7, 10, 99))


def test_what_is_said_of_nodes_is_read_and_what_nobody_knows_passed_over() -> None:
    unknown, short = bytes((9, 1, 2)), bytes((1, 127))
    nodes = [
        Node(node_id(1), b"\x80", (IPV4, unknown, short, b"", IPV4)),
        Node(node_id(2), b"\x80", reminder=True, more=b"x" * 300),
        Node(node_id(3), reminder=True),
        Node(node_id(4), more=b""),
        Node(node_id(5), b""),
    ]
    found = read(write_snapshot(replace(SMALL, nodes=nodes), LATEST))
    assert found.details == [
        NodeDetail(0, b"\x80", IPV4 + IPV4),
        NodeDetail(1, b"\x80", None),
        NodeDetail(2, None, None),
        NodeDetail(4, b"", None),
    ]
    assert found.node_ids[4] == node_id(5) and len(found.announced) == 2


def test_more_about_the_same_update_is_passed_over_by_version_2_alone() -> None:
    twice = replace(SMALL, updates=[SMALL.updates[0], SMALL.updates[0]])
    first = write_snapshot(replace(SMALL, updates=SMALL.updates[:1]), LATEST)
    data = bytearray(first + b"\x00\x00" + b"\x00\x03abc")
    at = len(first) - len(encode_bigsize(100 << 40)) - 1 - 26 - 4
    assert data[at : at + 4] == number(1)
    data[at : at + 4] = number(2)
    assert len(read(bytes(data)).updates) == 1
    assert len(read(write_snapshot(twice, LATEST, 1)).updates) == 2


def test_what_is_long_is_told_by_ten_bytes() -> None:
    long = b"LDK\x02" + REGTEST + number(LATEST) + b"\x01" + b"\xff\xff" + (5).to_bytes(8, "big") + bytes(65_540)
    assert read(long + number(0) * 3).node_ids == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "wanted"),
        (b"LDX\x01", "does not begin"),
        (b"LDK\x03", "version 3"),
        (b"LDK\x00", "version 0"),
        (HEAD + number(rapid.MAX_NODES + 1), "nodes"),
        (HEAD + number(0) + number(rapid.MAX_CHANNELS + 1), "channels"),
        (HEAD + number(0) * 2 + number(rapid.MAX_UPDATES + 1), "updates"),
        (HEAD + number(rapid.MAX_NODES), "wanted"),
        (HEAD + number(1) + b"\x04" + bytes(32), "public key"),
        (b"LDK\x02" + REGTEST + number(LATEST) + b"\x00" + number(1) + b"\x0a" + bytes(32), "default features 1 of 0"),
        (HEAD + number(0) + number(1) + b"\x00\x00" + b"\x01\x00\x00", "node 0 of 0"),
        (HEAD + number(1) + node_id(1) + number(1) + b"\x00\x00" + b"\x01\x00\x01", "node 1 of 1"),
        (
            HEAD
            + number(1)
            + node_id(1)
            + number(2)
            + b"\x00\x00"
            + b"\xff" * 9
            + b"\x00\x00"
            + b"\x00\x00\x01\x00\x00",
            "beyond the last",
        ),
        (HEAD + number(0) * 2 + number(1) + bytes(25), "wanted"),
        (HEAD + number(0) * 2 + number(1) + bytes(26) + b"\xfd\x00\x01", "canonical"),
    ],
)
def test_what_is_no_snapshot_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(BadSnapshot, match=words):
        read(data)


def test_one_that_is_too_long_is_not_begun() -> None:
    with pytest.raises(BadSnapshot, match="more than"):
        read(HEAD + bytes(rapid.MAX_BYTES))


DETAILED = replace(SMALL, nodes=[Node(node_id(1), b"\x80", (IPV4,)), Node(node_id(2), b"\x02", more=b"abc")])


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_cut_anywhere_is_refused(version: int) -> None:
    whole = write_snapshot(DETAILED, LATEST, version)
    for end in range(len(whole)):
        with pytest.raises(BadSnapshot):
            read(whole[:end])


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_no_flip_does_more_than_refuse(data: st.DataObject) -> None:
    whole = write_snapshot(DETAILED, LATEST, data.draw(st.sampled_from([1, 2])))
    flipped = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        flipped[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(flipped))
    except BadSnapshot:
        return
    assert (found.announced["node_1"] < len(found.node_ids)).all() and (found.announced["node_1"] >= 0).all()


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_no_bytes_behind_the_head_do_more_than_refuse(data: bytes) -> None:
    for version in (b"\x01", b"\x02"):
        try:
            read(b"LDK" + version + REGTEST + data)
        except BadSnapshot:
            continue


def test_a_piece_is_short_whatever_the_number_of_entries() -> None:
    count = 4000
    channels = [Channel((100 + n) << 40, node_id(1), node_id(2 + n)) for n in range(count)]
    updates = [Update(one.scid, 0, (40, 1, 1000, n, 99)) for n, one in enumerate(channels)]
    work = read_snapshot(write_snapshot(Content(channels, updates), LATEST))
    pieces = sum(1 for _ in work)
    assert pieces >= 3 * count // 512 - 3
