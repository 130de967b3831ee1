"""What goes to a worker comes out as what is to be verified, and nothing else passes for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bolt.gossip import SignedPart
from core.gossip.limits import BATCH_BYTES, BATCH_RECORDS
from core.gossip.verify_frames import (
    COUNT,
    LENGTH,
    Record,
    SignedBy,
    Verdict,
    answer,
    frames,
    parts,
    read_verdicts,
)

PART = SignedPart(b"d" * 32, ((b"s" * 64, b"k" * 33), (b"t" * 64, b"l" * 33)))


def _through(records: list[Record]) -> list[SignedPart | None]:
    return [part for _, frame in frames(records) for part in parts(frame[LENGTH.size :])]


def test_a_part_comes_through_whole() -> None:
    assert _through([PART, PART]) == [PART, PART]


def test_an_update_is_checked_with_the_signer_given() -> None:
    update = (258).to_bytes(2, "big") + b"s" * 64 + b"content"
    [part] = _through([SignedBy(update, b"k" * 33)])
    assert part is not None
    assert part.checks == ((b"s" * 64, b"k" * 33),)
    assert _through([update]) == [None]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\x01",
        (256).to_bytes(2, "big") + bytes(300),
        (257).to_bytes(2, "big") + bytes(66),
        (18).to_bytes(2, "big") + bytes(100),
        SignedPart(b"d" * 32, ()),
        SignedPart(b"d" * 31, PART.checks),
        SignedPart(b"d" * 32, ((b"s" * 63, b"k" * 33),)),
    ],
)
def test_what_cannot_be_checked_is_malformed_and_hurts_nobody_else(record: Record) -> None:
    assert _through([PART, record, PART]) == [PART, None, PART]


def test_frames_are_bounded() -> None:
    records: list[Record] = [bytes(20)] * 1_000 + [bytes(5_000)] * 30 + [bytes(65_535)]
    made = list(frames(records))
    assert sum(count for count, _ in made) == len(records)
    for count, frame in made:
        assert count <= BATCH_RECORDS
        assert LENGTH.unpack_from(frame)[0] == len(frame) - LENGTH.size
        assert len(frame) <= LENGTH.size + BATCH_BYTES or count == 1
    assert list(frames([])) == []


@pytest.mark.parametrize("record", [bytes(65_536), SignedBy(b"", b"k" * 32), SignedBy(bytes(65_536), b"k" * 33)])
def test_what_no_transport_carries_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="bytes"):
        list(frames([record]))


@given(st.lists(st.binary(max_size=400)))
def test_any_bytes_give_one_part_each(records: list[bytes]) -> None:
    assert len(_through(list(records))) == len(records)


def test_verdicts_come_back() -> None:
    data = answer(list(Verdict))
    assert COUNT.unpack_from(data) == (len(Verdict),)
    assert read_verdicts(data[COUNT.size :]) == list(Verdict)
    with pytest.raises(ValueError, match="verdict"):
        read_verdicts(b"\x00\x63")


def test_only_a_valid_record_is_true() -> None:
    assert [verdict for verdict in Verdict if verdict] == [Verdict.VALID]


def test_a_frame_is_filled_to_its_last_byte() -> None:
    head = len(next(frames([b""]))[1]) - LENGTH.size
    most = BATCH_BYTES - 2 * head - 20
    assert [count for count, _ in frames([bytes(20), bytes(most)])] == [2]
    assert [count for count, _ in frames([bytes(20), bytes(most + 1)])] == [1, 1]


def test_verdicts_on_the_wire() -> None:
    names = ["VALID", "WRONG_SIGNATURE", "BAD_KEY", "MALFORMED"]
    assert [(verdict.value, verdict.name) for verdict in Verdict] == list(enumerate(names))
