"""What stands in the composer, checked; pure, so that each keystroke can ask."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.bolt.types import CUSTOM_TYPE_MIN, MESSAGE_TYPES, name_of
from gui.phrases import tr

PAYLOAD_MAX = 65_533
"""Bytes: a message has 65,535 at most, two of them its type (BOLT 1)."""
FIRST_CUSTOM_ODD = CUSTOM_TYPE_MIN + 1
LAST_TYPE = 65_535
PREVIEW_BYTES = 48


class Form(StrEnum):
    """How the payload is typed."""

    HEX = "hex"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as it would be sent."""

    type: int
    payload: bytes
    type_problem: str = ""
    """Why this type is not sent; empty when it is."""
    type_note: str = ""
    """What is worth knowing about a type that is sent."""
    payload_problem: str = ""

    @property
    def wire(self) -> bytes:
        """The message: type, then payload."""
        return self.type.to_bytes(2, "big") + self.payload

    @property
    def sendable(self) -> bool:
        return not self.type_problem and not self.payload_problem


def read_draft(type_: int | None, text: str, form: Form) -> Draft:
    """Judge what is typed.

    `type_` is 0 to 65535, None while it is none; `text` is hex with or without spaces and `0x`, or text that is sent
    as UTF-8.
    """
    payload, payload_problem = _read_payload(text, form)
    if type_ is None:
        return Draft(0, payload, tr("Give a type, 0 to 65535."), "", payload_problem)
    type_problem, type_note = _judge_type(type_)
    return Draft(type_, payload, type_problem, type_note, payload_problem)


def _judge_type(type_: int) -> tuple[str, str]:
    info = MESSAGE_TYPES.get(type_)
    if info is not None and info.cln_refused:
        return tr("{type} is {name}, which your node sends by itself.", type=type_, name=info.name), ""
    if type_ % 2 == 0:
        near = type_ + 1 if type_ >= CUSTOM_TYPE_MIN else FIRST_CUSTOM_ODD
        return (
            tr(
                "Even types are not sent. A peer that does not know {type} must close the connection (BOLT 1). "
                "Try {odd}.",
                type=type_,
                odd=near,
            ),
            "",
        )
    if type_ < CUSTOM_TYPE_MIN:
        words = tr("0 to 32767 is for the Lightning specification: {type} may mean something to the peer.", type=type_)
        return "", words
    name = name_of(type_)
    if name is not None:
        return "", tr("{type} is known as {name}.", type=type_, name=name)
    return "", tr("Odd: a peer that does not know it ignores it.")


def _read_payload(text: str, form: Form) -> tuple[bytes, str]:
    if form is Form.TEXT:
        payload = text.encode("utf-8", "surrogatepass")
        return payload, _size_problem(len(payload))
    digits = "".join(text.split()).removeprefix("0x").removeprefix("0X")
    wrong = next((character for character in digits if character not in "0123456789abcdefABCDEF"), None)
    if wrong is not None:
        return b"", tr("“{c}” is not a hex digit (0-9, a-f). Choose Text to send it as text.", c=wrong)
    if len(digits) % 2:
        return bytes.fromhex(digits[:-1]), tr("A byte has two hex digits; the last one has one.")
    payload = bytes.fromhex(digits)
    return payload, _size_problem(len(payload))


def _size_problem(length: int) -> str:
    if length <= PAYLOAD_MAX:
        return ""
    return tr("{n} bytes too many; a payload has {max} at most.", n=f"{length - PAYLOAD_MAX:,}", max=f"{PAYLOAD_MAX:,}")


def size_words(draft: Draft) -> str:
    return tr(
        "{n} bytes payload, {m} on the wire, at most 65,535",
        n=f"{len(draft.payload):,}",
        m=f"{len(draft.payload) + 2:,}",
    )


def preview(wire: bytes) -> str:
    """`80 01 | 68 69`: type, then payload, cut with a count of what is left out."""
    payload = wire[2:PREVIEW_BYTES]
    left_out = len(wire) - 2 - len(payload)
    shown = f"{wire[:2].hex(' ')} | {payload.hex(' ')}" if payload else wire[:2].hex(" ")
    return shown + (tr(" … {n} more", n=f"{left_out:,}") if left_out else "")
