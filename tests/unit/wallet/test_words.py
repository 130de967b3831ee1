"""The words of a key: shown, asked back, typed in again, and shown nowhere else."""

from __future__ import annotations

import copy
import itertools
import pickle
import traceback
from collections.abc import Sequence

import bdkpython
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.base.errors import LeydenError
from core.wallet.derive import derive_node_key
from core.wallet.errors import (
    WordsChecksum,
    WordsCount,
    WordsMistaken,
    WordsNotShown,
    WordsOfLnd,
    WordUnknown,
)
from core.wallet.words import NewKey, read_words, word_list
from tests.unit.wallet.parts import ABANDON, NOW, REGTEST, abandon_secret

LND = (
    "ability liquid travel stem barely drastic pact cupboard apple thrive morning oak "
    "feature tissue couch old math inform success suggest drink motion know royal"
)
"""From lnd's own aezeed tests: version 0 of its cipher seed."""
ZOO = "zoo " * 11 + "wrong"


def known(*positions: int) -> NewKey:
    """The abandon key, asked back at these positions, one after another."""
    wanted = iter([positions[start : start + 3] for start in range(0, len(positions), 3)])

    def choose(_places: range, _count: int) -> Sequence[int]:
        return next(wanted)

    return NewKey(abandon_secret(), choose=choose)


@pytest.mark.parametrize("count", [12, 24])
def test_a_draft_is_confirmed_by_three_of_its_words(count: int) -> None:
    draft = NewKey.draft(count, created=NOW)
    words = list(draft.words)
    assert (draft.count, len(words)) == (count, count)
    asked = draft.challenge()
    assert len(set(asked)) == 3
    assert list(asked) == sorted(asked)
    assert set(asked) <= set(range(1, count + 1))
    secret = draft.confirm([words[place - 1] for place in asked])
    assert (secret.secret, secret.created) == (" ".join(words), NOW)


def test_every_position_may_be_asked_and_no_three_are_asked_always() -> None:
    seen = [NewKey(abandon_secret()).challenge() for _ in range(300)]
    assert set(itertools.chain(*seen)) == set(range(1, 13))
    assert len(set(seen)) > 50


@pytest.mark.parametrize("count", [0, 11, 15, 18, 21, 25])
def test_no_other_count_is_drafted(count: int) -> None:
    with pytest.raises(ValueError, match="12 or 24"):
        NewKey.draft(count)


def test_answers_may_be_typed_in_any_case_with_spaces_around() -> None:
    draft = known(1, 2, 12)
    draft.challenge()
    assert draft.confirm([" Abandon", "ABANDON\n", "about "]) == abandon_secret()


def test_wrong_answers_are_named_by_their_places_and_others_are_asked_then() -> None:
    draft = known(12, 3, 1, 4, 5, 6)
    assert draft.challenge() == (1, 3, 12)
    assert draft.challenge() == (1, 3, 12)
    with pytest.raises(WordsMistaken) as caught:
        draft.confirm(["abandon", "about", "abandon"])
    assert caught.value.positions == (3, 12)
    assert draft.challenge() == (4, 5, 6)
    assert draft.confirm(["abandon"] * 3) == abandon_secret()


@pytest.mark.parametrize("answers", [[], ["abandon"], ["abandon"] * 2, ["abandon"] * 4, [""] * 3])
def test_fewer_or_more_answers_never_confirm(answers: list[str]) -> None:
    draft = known(1, 2, 3)
    draft.challenge()
    with pytest.raises(WordsMistaken) as caught:
        draft.confirm(answers)
    assert caught.value.positions


def test_once_asked_back_the_words_are_not_shown_again() -> None:
    draft = known(1, 2, 3)
    shown = draft.words
    assert " ".join(shown) == ABANDON
    draft.challenge()
    with pytest.raises(WordsNotShown):
        _ = draft.words
    assert list(shown) == []


def test_nothing_is_confirmed_before_it_was_asked_nor_after_it_was_wiped() -> None:
    draft = known(1, 2, 3)
    with pytest.raises(WordsNotShown):
        draft.confirm(["abandon"] * 3)
    shown = draft.words
    draft.challenge()
    draft.wipe()
    draft.wipe()
    assert (list(shown), draft.count) == ([], 0)
    for use in (lambda: draft.words, draft.challenge, lambda: draft.confirm(["abandon"] * 3)):
        with pytest.raises(WordsNotShown):
            use()


def test_neither_words_nor_a_draft_show_or_copy_themselves() -> None:
    draft = known(1, 2, 3)
    for thing in (draft, draft.words):
        assert "abandon" not in f"{thing!r} {thing!s}"
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                attempt(thing)


def test_the_list_is_the_librarys_own() -> None:
    words = word_list()
    assert (len(set(words)), words[0], words[-1]) == (2048, "abandon", "zoo")
    assert list(words) == sorted(words)


@settings(max_examples=50)
@given(st.binary(min_size=16, max_size=16) | st.binary(min_size=32, max_size=32))
def test_any_mnemonic_is_read_back_as_it_was_made(entropy: bytes) -> None:
    text = str(bdkpython.Mnemonic.from_entropy(entropy))
    assert read_words("\t" + text.upper().replace(" ", " \n ") + " ", created=NOW).secret == text


def test_restored_words_are_the_same_node() -> None:
    assert derive_node_key(read_words(ABANDON, created=5), REGTEST).node_id == (
        derive_node_key(abandon_secret(), REGTEST).node_id
    )


@pytest.mark.parametrize("place", range(1, 13))
def test_an_unknown_word_is_named_by_its_place_and_by_nothing_else(place: int) -> None:
    words = ABANDON.split()
    words[place - 1] = "sesame5"
    with pytest.raises(WordUnknown) as caught:
        read_words(" ".join(words), created=NOW)
    assert caught.value.position == place
    assert "sesame5" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(("count", "error"), [(0, WordsCount), (11, WordsCount), (13, WordsCount), (15, WordsCount)])
def test_another_count_is_told(count: int, error: type[WordsCount]) -> None:
    with pytest.raises(error) as caught:
        read_words("abandon " * count, created=NOW)
    assert caught.value.count == count


@pytest.mark.parametrize("text", ["abandon " * 12, "abandon " * 24, "about " + "abandon " * 11])
def test_words_that_do_not_fit_are_told(text: str) -> None:
    with pytest.raises(WordsChecksum):
        read_words(text, created=NOW)


def test_lnds_words_are_told_apart() -> None:
    with pytest.raises(WordsOfLnd):
        read_words(LND, created=NOW)


def test_lnds_words_are_told_apart_also_where_they_are_a_valid_mnemonic_by_chance() -> None:
    """One in 256 is, and makes quite another key: found by trying salts, with a checksum of our own making."""
    text = _aezeed_that_is_a_mnemonic()
    bdkpython.Mnemonic.from_string(text)
    with pytest.raises(WordsOfLnd):
        read_words(text, created=NOW)


def test_a_slip_in_lnds_words_is_a_slip() -> None:
    with pytest.raises(WordsChecksum):
        read_words(LND.replace("royal", "know"), created=NOW)


def test_no_error_holds_a_word() -> None:
    texts = [ABANDON + " abandon", "abandon " * 12, LND, ABANDON.replace("about", "abuot"), ZOO.replace("zoo", "zo0")]
    for text in texts:
        with pytest.raises(LeydenError) as caught:
            read_words(text, created=NOW)
        shown = f"{caught.value!r} {caught.value} {caught.value.facts} {caught.value.__context__!r}"
        assert not set(text.split()) & set(shown.replace("'", " ").split())


def _aezeed_that_is_a_mnemonic() -> str:
    for salt in range(1 << 16):
        body = bytes(27) + salt.to_bytes(2, "big")
        data = body + _crc_by_table(body).to_bytes(4, "big")
        text = str(bdkpython.Mnemonic.from_entropy(data[:32]))
        if _index(text.rpartition(" ")[2]) & 0xFF == data[32]:
            return text
    raise AssertionError("none in 65,536")


def _index(word: str) -> int:
    return word_list().index(word)


def _crc_by_table(data: bytes) -> int:
    """CRC-32C by the schoolbook's table, apart from the code under test."""
    table = []
    for number in range(256):
        entry = number
        for _ in range(8):
            entry = entry >> 1 ^ 0x82F63B78 * (entry & 1)
        table.append(entry)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
