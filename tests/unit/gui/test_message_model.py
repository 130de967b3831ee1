"""Custom messages as rows, and bytes as people read them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from pytestqt.modeltest import ModelTester

from core.base.events import CustomMessage, Direction
from gui.messages.draft import PAYLOAD_MAX, Form, preview, read_draft, size_words
from gui.messages.dump import as_text, hex_dump
from gui.messages.model import PAYLOAD_BYTES_MAX, ROWS_MAX, Column, MessageModel
from gui.theme import Theme
from tests.support.fake_node import node_id


def _message(
    cursor: int, payload: bytes = b"hello", direction: Direction = Direction.IN, type_: int = 32769
) -> CustomMessage:
    return CustomMessage(cursor, 1_700_000_000.5 + cursor, node_id(1), direction, type_, payload)


@pytest.fixture
def model(theme: Theme) -> MessageModel:
    return MessageModel(theme, rows_max=5)


def _cell(model: MessageModel, row: int, column: Column, role: int = Qt.ItemDataRole.DisplayRole) -> object:
    return model.index(row, column).data(role)


def test_the_model_keeps_qts_rules(model: MessageModel, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(model)
    model.append([_message(1), _message(2)])
    model.append([_message(n) for n in range(3, 8)])


def test_ten_thousand_rows_are_kept() -> None:
    assert ROWS_MAX == 10_000


def test_older_rows_give_way_and_are_counted(model: MessageModel) -> None:
    model.append([_message(n) for n in range(4)])
    model.append([_message(n) for n in range(4, 7)])
    assert [model.message(row).cursor for row in range(model.rowCount())] == [2, 3, 4, 5, 6]  # type: ignore[union-attr]
    assert model.dropped == 2


def test_the_longest_messages_are_bounded_by_their_bytes(theme: Theme) -> None:
    model, longest = MessageModel(theme), bytes(65_533)
    fit = PAYLOAD_BYTES_MAX // len(longest)
    for batch in range(3):
        model.append([_message(batch * fit + n, longest) for n in range(fit)])
        assert model.rowCount() == fit
    assert model.dropped == 2 * fit
    model.append([_message(n, longest) for n in range(fit + 10)])
    assert (model.rowCount(), model.dropped) == (fit, 3 * fit + 10)
    room = PAYLOAD_BYTES_MAX - fit * len(longest)
    model.append([_message(1, bytes(room))])
    assert model.rowCount() == fit + 1
    model.append([_message(2, b"x")])
    assert model.rowCount() == fit + 1  # the oldest made room for it


def test_a_batch_larger_than_the_log_keeps_its_newest(model: MessageModel) -> None:
    model.append([_message(1)])
    model.append([_message(n) for n in range(2, 14)])
    assert [model.message(row).cursor for row in range(model.rowCount())] == [9, 10, 11, 12, 13]  # type: ignore[union-attr]
    assert model.dropped == 8


def test_a_frame_is_one_removal_and_one_insertion_and_never_a_reset(model: MessageModel) -> None:
    heard: list[str] = []
    model.rowsInserted.connect(lambda _p, first, last: heard.append(f"insert {first}-{last}"))
    model.rowsRemoved.connect(lambda _p, first, last: heard.append(f"remove {first}-{last}"))
    model.modelReset.connect(lambda: heard.append("reset"))
    model.append([_message(n) for n in range(5)])
    model.append([_message(n) for n in range(5, 8)])
    model.append([])
    assert heard == ["insert 0-4", "remove 0-2", "insert 2-4"]


def test_what_a_row_shows(model: MessageModel) -> None:
    model.append([_message(1, bytes(range(30))), _message(2, b"", Direction.OUT, 37913), _message(3, type_=40000)])
    assert _cell(model, 0, Column.DIRECTION) == "Received"
    assert _cell(model, 0, Column.TYPE) == "32769 odd"
    assert _cell(model, 0, Column.SIZE) == "32"
    assert _cell(model, 0, Column.FIRST_BYTES) == bytes(range(24)).hex(" ") + " …"
    assert _cell(model, 1, Column.TYPE) == "37913 lsps0_message_id"
    assert _cell(model, 1, Column.FIRST_BYTES) == ""
    assert _cell(model, 2, Column.TYPE) == "40000 even"
    assert node_id(1).hex() in str(_cell(model, 0, Column.PEER, Qt.ItemDataRole.ToolTipRole))


def test_what_was_sent_is_written_and_never_called_delivered(model: MessageModel) -> None:
    model.append([_message(1, direction=Direction.OUT)])
    assert _cell(model, 0, Column.DIRECTION) == "Written"
    assert "does not confirm" in str(_cell(model, 0, Column.DIRECTION, Qt.ItemDataRole.ToolTipRole))


# --- bytes


def test_a_dump_has_offsets_hex_and_ascii() -> None:
    assert hex_dump(bytes.fromhex("8001") + b"hello wire, how are you") == (
        "0000  80 01 68 65 6c 6c 6f 20  77 69 72 65 2c 20 68 6f  ..hello wire, ho\n"
        "0010  77 20 61 72 65 20 79 6f  75                       w are you"
    )


def test_a_long_dump_is_cut_and_says_so() -> None:
    lines = hex_dump(bytes(65_535)).splitlines()
    assert len(lines) == 257
    assert lines[-1] == "… 61,439 more bytes"


def test_text_is_shown_where_it_is_text() -> None:
    assert as_text("grüße\n\t<b>".encode()) == "grüße\n\t<b>"
    assert as_text(b"a\x00b") == "a\N{REPLACEMENT CHARACTER}b"
    assert as_text(b"\xff\xfe") is None
    assert as_text(b"") == ""
    long = as_text("é".encode() * 5000, limit=5)
    assert long is not None
    assert long.startswith("éé\n… ")


# --- drafts


@pytest.mark.parametrize("text", ["68656c6c6f", "68 65 6c\n6c 6F", "0x68656C6C6F"])
def test_hex_is_read_with_or_without_spaces(text: str) -> None:
    draft = read_draft(32769, text, Form.HEX)
    assert draft.payload == b"hello"
    assert draft.sendable
    assert draft.wire == bytes.fromhex("800168656c6c6f")


def test_text_is_sent_as_utf8() -> None:
    assert read_draft(32769, "ü", Form.TEXT).payload == "ü".encode()


@pytest.mark.parametrize(
    ("text", "problem"), [("6", "two hex digits"), ("zz", "“z” is not a hex digit"), ("68 6٣", "not a hex digit")]
)
def test_bad_hex_is_said_and_not_sent(text: str, problem: str) -> None:
    draft = read_draft(32769, text, Form.HEX)
    assert problem in draft.payload_problem
    assert not draft.sendable


@pytest.mark.parametrize(
    ("type_", "problem"),
    [
        (32770, "Try 32771"),
        (32768, "Try 32769"),
        (18, "18 is ping"),
        (17, "17 is error"),
        (1000, "Try 32769"),
        (None, "0 to 65535"),
    ],
)
def test_types_that_are_not_sent(type_: int | None, problem: str) -> None:
    draft = read_draft(type_, "", Form.HEX)
    assert problem in draft.type_problem
    assert not draft.sendable


@pytest.mark.parametrize(
    ("type_", "note"),
    [(32769, "ignores it"), (37913, "lsps0_message_id"), (7, "Lightning specification"), (65535, "hosted")],
)
def test_types_that_are_sent_are_explained(type_: int, note: str) -> None:
    draft = read_draft(type_, "", Form.HEX)
    assert draft.sendable
    assert note in draft.type_note


def test_the_longest_payload_is_sent_and_one_more_byte_is_not() -> None:
    assert read_draft(32769, "a" * PAYLOAD_MAX, Form.TEXT).sendable
    assert "1 bytes too many" in read_draft(32769, "a" * (PAYLOAD_MAX + 1), Form.TEXT).payload_problem


def test_counts_and_preview() -> None:
    draft = read_draft(32769, "hello", Form.TEXT)
    assert size_words(draft) == "5 bytes payload, 7 on the wire, at most 65,535"
    assert preview(draft.wire) == "80 01 | 68 65 6c 6c 6f"
    assert preview(bytes.fromhex("8001")) == "80 01"
    assert preview(bytes(100)).endswith("… 52 more")
