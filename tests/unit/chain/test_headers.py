"""The rules that a header is checked by, and which chain is the best."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bolt.networks import NETWORKS
from core.chain.headers import (
    GENESIS_HEADER,
    REGTEST_TARGET,
    Block,
    BlockTree,
    HeaderRefused,
    double_sha256,
    mine_header,
)

ROOT = bytes(32)


def grow(tree: BlockTree, parent: Block, count: int, root: bytes = ROOT) -> Block:
    for _ in range(count):
        parent = tree.add(mine_header(parent, root, 0))
    return parent


def test_the_genesis_block_is_regtests_own() -> None:
    assert double_sha256(GENESIS_HEADER) == NETWORKS["regtest"].chain_hash


def test_mined_headers_meet_the_target_and_link_up() -> None:
    tree = BlockTree()
    tip = grow(tree, tree.tip, 30)
    assert (tip.height, tree.tip) == (30, tip)
    for height in range(1, 31):
        block = tree.at(height)
        assert int.from_bytes(block.hash, "little") <= REGTEST_TARGET
        assert block.header[4:36] == tree.at(height - 1).hash


def changed(header: bytes, offset: int, value: bytes) -> bytes:
    return header[:offset] + value + header[offset + len(value) :]


def remined(header: bytes) -> bytes:
    """The same header with a nonce that meets the target again."""
    return next(
        candidate
        for nonce in range(1000)
        if int.from_bytes(double_sha256(candidate := header[:76] + struct.pack("<I", nonce)), "little")
        <= REGTEST_TARGET
    )


@pytest.mark.parametrize(
    ("offset", "value", "why"),
    [
        (4, b"\x01" * 32, "its previous block is unknown"),
        (72, struct.pack("<I", 0x1D00FFFF), "its target is not regtest's"),
        (68, struct.pack("<I", 1296688602), "its time is not after the median of the blocks before"),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(offset: int, value: bytes, why: str) -> None:
    tree = BlockTree()
    tip = grow(tree, tree.tip, 12)
    header = remined(changed(mine_header(tip, ROOT, 0), offset, value))
    with pytest.raises(HeaderRefused, match=why):
        tree.add(header)
    assert tree.tip is tip


def test_a_header_without_work_is_refused() -> None:
    tree = BlockTree()
    good = mine_header(tree.tip, ROOT, 0)
    lazy = next(
        header
        for nonce in range(1000)
        if int.from_bytes(double_sha256(header := good[:76] + struct.pack("<I", nonce)), "little") > REGTEST_TARGET
    )
    with pytest.raises(HeaderRefused, match="misses the target"):
        tree.add(lazy)


def test_a_header_is_taken_once() -> None:
    tree = BlockTree()
    header = mine_header(tree.tip, ROOT, 0)
    tree.add(header)
    with pytest.raises(HeaderRefused, match="twice"):
        tree.add(header)


@given(first=st.integers(1, 12), fork=st.integers(0, 12), second=st.integers(1, 15))
def test_the_longest_chain_is_best_and_the_first_seen_wins_a_tie(first: int, fork: int, second: int) -> None:
    tree = BlockTree()
    old = grow(tree, tree.tip, first)
    fork = min(fork, first)
    new = grow(tree, tree.at(fork), second, root=b"\x07" * 32)
    best = new if fork + second > first else old
    assert tree.tip is best
    for height in range(best.height, 0, -1):
        assert tree.at(height) is best
        assert best.previous is not None
        best = best.previous
    other = old if tree.tip is new else new
    assert tree.fork_height(other) == (other.height if other is tree.tip else fork)


@given(st.binary(min_size=80, max_size=80), st.booleans())
def test_any_header_is_taken_in_or_refused(header: bytes, on_the_tip: bool) -> None:
    tree = BlockTree()
    if on_the_tip:
        header = changed(header, 4, tree.tip.hash)
    try:
        block = tree.add(header)
    except HeaderRefused:
        assert len(tree) == 1
    else:
        assert tree.get(block.hash) is block
