"""What a node calls itself, as it is shown."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.peer_names import alias_text, announced_by, claimed, shortened
from tests.support.fake_node import FakeNode, node_id

VECTORS = Path(__file__).parents[2] / "vectors" / "hostile_aliases.txt"


def _real() -> list[bytes]:
    """Aliases that nodes of mainnet had announced in February 2026, the ones that are hard to show."""
    return [line.partition(b":")[2] for line in VECTORS.read_bytes().removesuffix(b"\n").split(b"\n")]


def _stays_in_its_place(shown: str) -> bool:
    inner = shown.removeprefix("\u2068").removesuffix("\u2069")
    marks = 0
    for character in inner:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        emoji = character == "\u200d" or 0x1F000 <= ord(character) < 0x1FB00
        if marks > 2 or not (character.isprintable() or emoji):
            return False
    return inner == " ".join(inner.split()) and len(shown) <= 34


def test_real_aliases_are_one_harmless_line_each() -> None:
    assert len(_real()) == 40
    for alias in _real():
        assert _stays_in_its_place(alias_text(alias)), alias


@given(st.binary(max_size=32) | st.text(max_size=32).map(str.encode))
def test_any_bytes_are_one_harmless_line(alias: bytes) -> None:
    assert _stays_in_its_place(alias_text(alias[:32]))


@pytest.mark.parametrize(
    ("alias", "shown"),
    [
        (b"ACINQ\0\0\0", "ACINQ"),
        (b"ACINQ\0hidden", "ACINQ"),
        (b"<b>bold</b> & co", "<b>bold</b> & co"),
        (b" two  lines\nand\ta \x1b[31mred\x7f", "two lines\ufffdand\ufffda \ufffd[31mred\ufffd"),
        (b"not UTF-8 \x80\xff", "not UTF-8 \ufffd\ufffd"),
        ("\u202edesrever".encode(), "\ufffddesrever"),
        ("hid\u200bden".encode(), "hid\ufffdden"),
        ("a\u200db".encode(), "a\ufffdb"),
        ("🐈\u200d⬛ cat".encode(), "🐈\u200d⬛ cat"),
        ("👨\u200d⚕\ufe0f".encode(), "👨\u200d⚕\ufe0f"),
        ("Libre🪽".encode(), "Libre🪽"),
        ("Z\u0301\u0302\u0303\u0304\u0305!".encode(), "Z\u0301\u0302!"),
        ("عقدة".encode(), "\u2068عقدة\u2069"),
        ("wide\u00a0\u3000space".encode(), "wide space"),
        (b" \0", ""),
        (bytes(32), ""),
    ],
)
def test_what_an_alias_becomes(alias: bytes, shown: str) -> None:
    assert alias_text(alias) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ACINQ", "ACINQ"),
        ("abcdefgh", "abcde…"),
        ("🐈\u200d⬛🐈\u200d⬛", "🐈\u200d⬛🐈…"),
        ("Libre🪽", "Libre…"),
        ("🪼🪼", "🪼🪼"),
        ("\u2068عقدة\u2069", "\u2068عقدة\u2069"),
        ("\u2068عقدةعقدة\u2069", "\u2068عقدةع…\u2069"),
    ],
)
def test_the_beginning_of_a_long_name(name: str, shown: str) -> None:
    assert shortened(name, 5) == shown


def test_a_claim_is_marked_as_one() -> None:
    assert claimed(b"ACINQ") == "«ACINQ»"
    assert claimed(bytes(32)) == ""


def test_a_node_announces_itself_or_nothing_is_known() -> None:
    node = FakeNode()
    assert announced_by(node, node_id(1)) is None  # type: ignore[arg-type]
    node.run()
    node.channel(1, (node_id(1), node_id(2)))
    node.announce(node_id(1), b"one")
    announced = announced_by(node, node_id(1))  # type: ignore[arg-type]
    assert announced is not None
    assert claimed(announced.alias) == "«one»"
    assert announced_by(node, node_id(2)) is None  # type: ignore[arg-type]
    assert announced_by(node, node_id(3)) is None  # type: ignore[arg-type]
