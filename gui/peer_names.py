"""How a node is called where there is little room, and what it calls itself: its own claim, marked as one."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from core.bolt.keys import short_id
from gui.phrases import bounded

if TYPE_CHECKING:
    from core.gossip.graph_values import Announced
    from core.node import Node

_NAME_MAX = 32
_MARKS_MAX = 2
"""Combining marks on one character; what writes a language needs no more, and more would reach into other rows."""
_JOINER, _EMOJI_STYLE = "\u200d", "\ufe0f"
_PICTOGRAPHS = range(0x1F000, 0x1FB00)
"""Named here because those of the last years are newer than Python's tables."""
_FROM_THE_RIGHT = {"R", "AL", "AN"}
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"


def peer_name(node: Node, node_id: bytes) -> str:
    """`02ab12…9f3c04`, and behind it the name of a practice peer, so that the one that echoes can be told."""
    name = next((peer.name for peer in node.practice_peers if peer.node_id == node_id), "")
    return f"{short_id(node_id)} {bounded(name, _NAME_MAX)}".rstrip()


def announced_by(node: Node, node_id: bytes) -> Announced | None:
    """What gossip has that node say of itself; None when nothing was heard, or our node is off."""
    found = node.graph.node(node_id) if node.lightning is not None else None
    return None if found is None else found.announced


def claimed(alias: bytes) -> str:
    """An alias as it is shown, `«name»`: the marks say that it is the node's word. Empty for an empty one."""
    text = alias_text(alias)
    return f"«{text}»" if text else ""


def alias_text(alias: bytes) -> str:
    """The 32 bytes of an announcement as one line that stays in its place, whatever they are.

    As Core Lightning reads them, up to the first zero byte. What is no UTF-8 and what steers the text around it
    instead of being seen becomes U+FFFD; emoji stay whole. A text from right to left stands by itself, so that it does
    not turn its neighbours.
    """
    text = alias.partition(b"\0")[0].decode(errors="replace")
    shown: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= _MARKS_MAX:
            shown.append(_harmless(character, shown[-1] if shown else ""))
    line = " ".join("".join(shown).split())
    if any(unicodedata.bidirectional(character) in _FROM_THE_RIGHT for character in line):
        return f"{_ISOLATE}{line}{_END_ISOLATE}"
    return line


def shortened(name: str, limit: int) -> str:
    """The beginning of an `alias_text`, which may have what is no printable text by itself: emoji stay whole."""
    isolated = name.startswith(_ISOLATE)
    text = name.removeprefix(_ISOLATE).removesuffix(_END_ISOLATE)
    if len(text) > limit:
        text = text[:limit].rstrip(_JOINER) + "…"
    return f"{_ISOLATE}{text}{_END_ISOLATE}" if isolated else text


def _harmless(character: str, before: str) -> str:
    if unicodedata.category(character) == "Zs":
        return " "
    if character == _JOINER and before and _is_pictograph(before):
        return character
    if character.isprintable() or ord(character) in _PICTOGRAPHS:
        return character
    return "\N{REPLACEMENT CHARACTER}"


def _is_pictograph(character: str) -> bool:
    return character == _EMOJI_STYLE or ord(character) in _PICTOGRAPHS or unicodedata.category(character) == "So"
