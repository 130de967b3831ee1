"""Serde's texts for what does not fit a field, and what fits."""

from __future__ import annotations

from typing import Any

import pytest

from core.base.serde import (
    Field,
    Read,
    SerdeError,
    anything,
    boolean,
    nullable,
    sequence,
    string,
    struct,
    u8,
    u16,
    u32,
    u64,
    usize,
    variant,
)

THING = (Field("b", u8), Field("a", string), Field("c", nullable(boolean), None))


def _text(read: Read[Any], value: object) -> str:
    with pytest.raises(SerdeError) as caught:
        read(value)
    return caught.value.text


@pytest.mark.parametrize(
    ("read", "value", "text"),
    [
        (u8, 256, "invalid value: integer `256`, expected u8"),
        (u8, "11", 'invalid type: string "11", expected u8'),
        (u16, -1, "invalid value: integer `-1`, expected u16"),
        (u32, 2**32, "invalid value: integer `4294967296`, expected u32"),
        (u64, 2**64, "invalid type: floating point `18446744073709552000.0`, expected u64"),
        (u64, 1e-7, "invalid type: floating point `0.0000001`, expected u64"),
        (u64, 1e20, "invalid type: floating point `100000000000000000000.0`, expected u64"),
        (usize, True, "invalid type: boolean `true`, expected usize"),
        (usize, None, "invalid type: null, expected usize"),
        (usize, [], "invalid type: sequence, expected usize"),
        (usize, {}, "invalid type: map, expected usize"),
        (string, 1, "invalid type: integer `1`, expected a string"),
        (boolean, "false", 'invalid type: string "false", expected a boolean'),
        (boolean, 'a"\\\n\x01', 'invalid type: string "a\\"\\\\\\n\\u{1}", expected a boolean'),
        (sequence(u8), {}, "invalid type: map, expected a sequence"),
        (sequence(u8), [1, "x"], 'invalid type: string "x", expected u8'),
        (variant("a", "b", "c"), "d", "unknown variant `d`, expected one of `a`, `b`, `c`"),
        (variant("a", "b"), "d", "unknown variant `d`, expected `a` or `b`"),
        (variant("a"), "d", "unknown variant `d`, expected `a`"),
        (variant("a"), 1, "invalid type: integer `1`, expected string or map"),
    ],
)
def test_each_text(read: Read[Any], value: object, text: str) -> None:
    assert _text(read, value) == text


@pytest.mark.parametrize(
    ("read", "value"),
    [(u8, 255), (u64, 2**64 - 1), (string, ""), (boolean, False), (anything, [1]), (nullable(u8), None)],
)
def test_what_fits_is_given_as_it_is(read: Read[Any], value: object) -> None:
    assert read(value) == value
    assert variant("a", "b")("b") == "b"
    assert sequence(u8)([1, 2]) == (1, 2)


def test_a_struct_reads_by_name_or_by_position_with_defaults() -> None:
    for value in ({"a": "x", "b": 1, "more": 2}, [1, "x"], {"a": "x", "b": 1, "c": None}):
        assert struct(value, "Thing", THING) == {"b": 1, "a": "x", "c": None}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "invalid type: null, expected struct Thing"),
        ({"b": "x", "a": 1}, "invalid type: integer `1`, expected a string"),
        ({"c": 1}, "invalid type: integer `1`, expected a boolean"),
        ({}, "missing field `b`"),
        ({"b": 1}, "missing field `a`"),
        ([1], "invalid length 1, expected struct Thing with 3 elements"),
        ([1, "x", None, 4], "invalid length 4, expected fewer elements in array"),
    ],
)
def test_a_struct_tells_faulty_values_in_the_order_of_their_keys_and_then_what_is_missing(
    value: object, text: str
) -> None:
    assert _text(lambda each: struct(each, "Thing", THING), value) == text


def test_a_struct_may_refuse_what_it_does_not_know_and_a_flat_one_takes_no_array() -> None:
    def strict(value: object) -> object:
        return struct(value, "Thing", THING, deny_unknown=True)

    assert _text(strict, {"z": 1}) == "unknown field `z`, expected one of `b`, `a`, `c`"
    assert _text(lambda value: struct(value, "T", THING, flat=True), [1]) == "invalid type: sequence, expected struct T"


def test_a_whole_floating_number_was_worded_otherwise_in_2023() -> None:
    with pytest.raises(SerdeError) as caught:
        u8(2.0)
    assert caught.value.text == "invalid type: floating point `2.0`, expected u8"
    assert caught.value.seed_text == "invalid type: floating point `2`, expected u8"
