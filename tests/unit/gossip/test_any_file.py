"""A profile's gossip store and scorer with whatever bytes in them: opened, or set aside, and nothing raised."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.gossip.liquidity import LiquidityBounds
from core.gossip.scorer import MAGIC, Scorer, _checksum, encode
from core.gossip.store import open_gossip_store
from core.gossip.store_format import CURRENT_VERSION, StoreCounts, encode_record

ENTRY = st.tuples(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 1)), st.integers(0, 2**64 - 1))
RECORDS = st.lists(st.binary(min_size=2, max_size=40), max_size=6)
files = settings(max_examples=40)


@files
@given(st.binary(max_size=200) | st.binary(max_size=200).map(bytes([CURRENT_VERSION]).__add__))
@example(b"")
def test_any_bytes_are_a_gossip_store_or_set_aside(content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        path = Path(folder) / "gossip_store"
        path.write_bytes(content)
        store = asyncio.run(open_gossip_store(path))
        assert str(store)
        if store.damage is not None:
            assert store.counts == StoreCounts()
            assert (path.exists(), store.damage.set_aside.read_bytes()) == (False, content)
        elif store.version == CURRENT_VERSION == content[0]:
            assert path.read_bytes() == content[: len(content) - store.torn_bytes]


@files
@given(RECORDS, st.integers(0, 2**32 - 1))
def test_a_gossip_store_goes_round(messages: list[bytes], timestamp: int) -> None:
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        path = Path(folder) / "gossip_store"
        path.write_bytes(bytes([CURRENT_VERSION]) + b"".join(encode_record(each, timestamp) for each in messages))
        store = asyncio.run(open_gossip_store(path))
        assert (store.damage, store.torn_bytes, store.counts.records) == (None, 0, len(messages))


@files
@given(st.binary(max_size=100) | st.lists(ENTRY, max_size=3).map(lambda found: _scorer(dict(found))))
@example(MAGIC + _checksum(MAGIC))
def test_any_bytes_are_a_scorer_or_set_aside(content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        path = Path(folder) / "scorer"
        path.write_bytes(content)
        scorer = asyncio.run(Scorer.open(path))
        if scorer.damage is None:
            assert path.read_bytes() == content == encode(scorer._entries)
        else:
            assert (len(scorer), path.exists(), scorer.damage.set_aside.read_bytes()) == (0, False, content)


def _scorer(found: dict[tuple[int, int], int]) -> bytes:
    return encode({where: LiquidityBounds(bound // 2, bound, 1.5) for where, bound in found.items()})
