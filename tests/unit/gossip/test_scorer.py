"""What payments taught, over restarts, damage and kills."""

from __future__ import annotations

import signal
import struct
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gossip import scorer as scorer_module
from core.gossip.liquidity import FORGOTTEN_S, HALF_LIFE_S, LiquidityBounds
from core.gossip.scorer import Scorer, ScorerDamaged, decode, encode
from core.storage.errors import ProfileUnusable
from tests.unit.storage.children import run_until_byte

ENTRIES = st.dictionaries(
    st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 1)),
    st.builds(
        lambda bounds, at: LiquidityBounds(min(bounds), max(bounds), at),
        st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
        st.floats(0, 1e12),
    ),
    max_size=20,
)
CAPACITY = 1_000_000
SCID = 103 << 40


def sealed(body: bytes) -> bytes:
    """With its checksum."""
    return body + int(google_crc32c.value(body)).to_bytes(4, "big")


def fail(scorer: Scorer, number: int, amount_msat: int = 1, now: float = 1.0) -> None:
    scorer.payment_failed(number, 0, amount_msat, capacity_msat=CAPACITY, now=now)


@given(ENTRIES)
def test_what_is_encoded_is_read_back(entries: dict[tuple[int, int], LiquidityBounds]) -> None:
    assert decode(encode(entries)) == entries


@given(ENTRIES, st.data())
def test_any_changed_byte_is_found(entries: dict[tuple[int, int], LiquidityBounds], data: st.DataObject) -> None:
    content = bytearray(encode(entries))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ScorerDamaged):
        decode(bytes(content))


@given(st.binary(max_size=100))
def test_other_bytes_are_no_scorer(data: bytes) -> None:
    with pytest.raises(ScorerDamaged, match="is not a scorer file"):
        decode(data)


async def test_without_a_file_nothing_is_known_and_it_says_so(tmp_path: Path) -> None:
    scorer = await Scorer.open(tmp_path / "scorer")
    assert (len(scorer), str(scorer)) == (0, "no file yet: nothing learned")
    await scorer.flush()
    assert list(tmp_path.iterdir()) == [], "nothing changed, nothing is written"


async def test_what_was_learned_is_there_after_a_restart(tmp_path: Path) -> None:
    scorer = await Scorer.open(tmp_path / "scorer")
    scorer.payment_passed(SCID, 1, 2000, capacity_msat=CAPACITY, now=7.5)
    scorer.payment_failed(SCID, 1, 5000, capacity_msat=CAPACITY, now=7.5)
    await scorer.flush()
    again = await Scorer.open(tmp_path / "scorer")
    assert str(again) == "1 channel directions"
    assert again.bounds(SCID, 1) == LiquidityBounds(2000, 4999, 7.5)
    assert again.bounds(SCID, 0) is None


async def test_a_file_of_version_1_is_read_and_becomes_one_of_version_2(tmp_path: Path) -> None:
    path = tmp_path / "scorer"
    entry = struct.pack(">QBQd", SCID, 1, 5000, 7.5)
    path.write_bytes(sealed(b"LEYSCORE" + struct.pack(">HI", 1, 1) + entry))
    scorer = await Scorer.open(path)
    assert (scorer.damage, str(scorer)) == (None, "1 channel directions")
    assert scorer.bounds(SCID, 1) == LiquidityBounds(0, 4999, 7.5)
    fail(scorer, 7, now=8.0)
    await scorer.flush()
    assert path.read_bytes()[8:10] == b"\0\2"
    again = await Scorer.open(path)
    assert (len(again), again.bounds(SCID, 1)) == (2, LiquidityBounds(0, 4999, 7.5))


@pytest.mark.parametrize(
    ("version", "entry"),
    [
        (2, struct.pack(">QBQQd", SCID, 2, 0, 1, 1.0)),
        (2, struct.pack(">QBQQd", SCID, 0, 2, 1, 1.0)),
        (2, struct.pack(">QBQQd", SCID, 0, 0, 1, float("nan"))),
        (1, struct.pack(">QBQd", SCID, 0, 1, float("inf"))),
        (1, struct.pack(">QBQQd", SCID, 0, 0, 1, 1.0)),
        (2, struct.pack(">QBQd", SCID, 0, 1, 1.0)),
    ],
    ids=["direction", "order", "no time", "endless time", "too long", "too short"],
)
def test_an_entry_that_makes_no_sense_is_damage(version: int, entry: bytes) -> None:
    with pytest.raises(ScorerDamaged, match=r"makes no sense|length does not match"):
        decode(sealed(b"LEYSCORE" + struct.pack(">HI", version, 1) + entry))


async def test_what_failed_passed_and_succeeded_is_what_is_known() -> None:
    scorer = await Scorer.open(None)
    scorer.payment_passed(SCID, 0, 300_000, capacity_msat=CAPACITY, now=1.0)
    assert scorer.bounds(SCID, 0) == LiquidityBounds(300_000, CAPACITY, 1.0)
    fail(scorer, SCID, 800_000)
    assert scorer.bounds(SCID, 0) == LiquidityBounds(300_000, 799_999, 1.0)
    fail(scorer, SCID, 900_000)
    scorer.payment_passed(SCID, 0, 100_000, capacity_msat=CAPACITY, now=1.0)
    assert scorer.bounds(SCID, 0) == LiquidityBounds(300_000, 799_999, 1.0), "neither said anything new"
    scorer.payment_succeeded(SCID, 0, 200_000, capacity_msat=CAPACITY, now=1.0)
    assert scorer.bounds(SCID, 0) == LiquidityBounds(100_000, 599_999, 1.0)
    assert scorer.bounds(SCID, 1) == LiquidityBounds(200_000, CAPACITY, 1.0)


async def test_what_is_learned_stands_on_what_was_not_yet_forgotten() -> None:
    scorer = await Scorer.open(None)
    fail(scorer, SCID, 200_001, now=1.0)
    later = 1.0 + HALF_LIFE_S
    scorer.payment_passed(SCID, 0, 400_000, capacity_msat=CAPACITY, now=later)
    assert scorer.bounds(SCID, 0) == LiquidityBounds(400_000, 600_000, later)


async def test_what_is_forgotten_goes_when_something_is_learned() -> None:
    scorer = await Scorer.open(None)
    fail(scorer, 1, now=1.0)
    fail(scorer, 2, now=2.0)
    fail(scorer, 1, now=3.0)
    fail(scorer, 3, now=1.5 + FORGOTTEN_S)
    assert (len(scorer), scorer.bounds(2, 0) is not None) == (3, True)
    fail(scorer, 4, now=2.0 + FORGOTTEN_S)
    assert (len(scorer), scorer.bounds(2, 0)) == (3, None)


async def test_what_was_learned_longest_ago_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer_module, "MAX_ENTRIES", 3)
    scorer = await Scorer.open(tmp_path / "scorer")
    for number in (1, 2, 3, 1, 4):
        fail(scorer, number)
    assert [scorer.bounds(number, 0) is None for number in (1, 2, 3, 4)] == [False, True, False, False]
    await scorer.flush()
    monkeypatch.setattr(scorer_module, "MAX_ENTRIES", 2)
    again = await Scorer.open(tmp_path / "scorer")
    assert str(again) == "2 channel directions"
    assert [again.bounds(number, 0) is None for number in (1, 3, 4)] == [False, True, False]


async def test_in_memory_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scorer = await Scorer.open(None)
    fail(scorer, 1)
    await scorer.flush()
    assert list(tmp_path.iterdir()) == []


async def test_a_damaged_file_is_set_aside_and_told(tmp_path: Path) -> None:
    path = tmp_path / "scorer"
    path.write_bytes(encode({})[:-1] + b"?")
    scorer = await Scorer.open(path)
    assert scorer.damage is not None and scorer.damage.reason == "checksum does not match"
    assert str(scorer) == (
        f"damaged, set aside as {scorer.damage.set_aside.name} (checksum does not match): nothing learned"
    )
    assert [entry.name for entry in tmp_path.iterdir()] == [scorer.damage.set_aside.name]


async def test_a_newer_version_is_set_aside_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "scorer"
    content = bytearray(encode({}))
    content[9] = 3
    path.write_bytes(content)
    scorer = await Scorer.open(path)
    assert scorer.damage is not None and scorer.damage.reason == "version 3 is not known"
    assert scorer.damage.set_aside.read_bytes() == content


async def test_a_flush_that_fails_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    scorer = await Scorer.open(folder / "scorer")
    fail(scorer, 1)
    with pytest.raises(ProfileUnusable):
        await scorer.flush()
    folder.mkdir()
    await scorer.flush()
    assert len(await Scorer.open(folder / "scorer")) == 1


FLUSH = """
import asyncio, sys
from pathlib import Path
from core.gossip.scorer import Scorer
async def main():
    scorer = await Scorer.open(Path(sys.argv[1]))
    for number in range(1000):
        scorer.payment_failed(number, 0, 1, capacity_msat=9, now=1.0)
    await scorer.flush()
asyncio.run(main())
"""


@pytest.mark.parametrize("limit", [0, 13, 9001, 25_000])
async def test_a_kill_at_any_byte_of_a_flush_keeps_the_old_scorer(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "scorer"
    path.write_bytes(encode({(7, 1): LiquidityBounds(0, 1, 2.0)}))
    assert run_until_byte(limit, FLUSH, path).returncode == -signal.SIGXFSZ
    scorer = await Scorer.open(path)
    assert (len(scorer), scorer.damage) == (1, None)
