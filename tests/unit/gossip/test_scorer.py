"""What payments taught, over restarts, damage and kills."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gossip.scorer import LiquidityBound, Scorer, ScorerDamaged, decode, encode
from core.storage.errors import ProfileUnusable
from tests.unit.storage.children import run_until_byte

ENTRIES = st.dictionaries(
    st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 1)),
    st.builds(LiquidityBound, st.integers(0, 2**64 - 1), st.floats(0, 1e12)),
    max_size=20,
)


@given(ENTRIES)
def test_what_is_encoded_is_read_back(entries: dict[tuple[int, int], LiquidityBound]) -> None:
    assert decode(encode(entries)) == entries


@given(ENTRIES, st.data())
def test_any_changed_byte_is_found(entries: dict[tuple[int, int], LiquidityBound], data: st.DataObject) -> None:
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
    scorer.payment_failed(103 << 40, 1, 5000, 7.5)
    await scorer.flush()
    again = await Scorer.open(tmp_path / "scorer")
    assert str(again) == "1 channel directions"
    assert again.bound(103 << 40, 1) == LiquidityBound(5000, 7.5)
    assert again.bound(103 << 40, 0) is None


async def test_in_memory_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scorer = await Scorer.open(None)
    scorer.payment_failed(1, 0, 1, 1.0)
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
    content[9] = 2
    path.write_bytes(content)
    scorer = await Scorer.open(path)
    assert scorer.damage is not None and scorer.damage.reason == "version 2 is not known"
    assert scorer.damage.set_aside.read_bytes() == content


async def test_a_flush_that_fails_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    scorer = await Scorer.open(folder / "scorer")
    scorer.payment_failed(1, 0, 1, 1.0)
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
        scorer.payment_failed(number, 0, 1, 1.0)
    await scorer.flush()
asyncio.run(main())
"""


@pytest.mark.parametrize("limit", [0, 13, 9001, 25_000])
async def test_a_kill_at_any_byte_of_a_flush_keeps_the_old_scorer(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "scorer"
    path.write_bytes(encode({(7, 1): LiquidityBound(1, 2.0)}))
    assert run_until_byte(limit, FLUSH, path).returncode == -signal.SIGXFSZ
    scorer = await Scorer.open(path)
    assert (len(scorer), scorer.damage) == (1, None)
