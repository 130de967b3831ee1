"""What failures in words are made of, for the tables that compose them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QCoreApplication

FOREIGN_TEXT_MAX = 500
"""Characters of a text that is not ours, at most."""


class Remedy(StrEnum):
    """What a person can do about it; a view offers those that it can carry out."""

    RETRY = "retry"
    EDIT_ADDRESS = "edit_address"
    FORCE_DISCONNECT = "force_disconnect"
    CONNECT = "connect"
    START_NODE = "start_node"
    USE_KEY_FILE = "use_key_file"
    COPY_DETAILS = "copy_details"
    ASK_AGAIN = "ask_again"
    LOOK_AGAIN = "look_again"
    HOW_TO_FIX = "how_to_fix"
    RESTORE_WORDS = "restore_words"
    OTHER_PORT = "other_port"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Words:
    """A failure as it is shown."""

    title: str
    """What happened."""
    body: str
    """What it means."""
    lines: tuple[str, ...] = ()
    """One a line: each attempt with its own remedy."""
    actions: tuple[Remedy, ...] = ()
    """The first is the one to offer most plainly."""


def tr(text: str, /, **facts: object) -> str:
    """Translate, then fill in the facts."""
    return QCoreApplication.translate("Words", text).format(**facts)


def bounded(text: str, limit: int = FOREIGN_TEXT_MAX) -> str:
    """Foreign text on the screen: control characters replaced, cut at `limit`."""
    clean = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:limit])
    return clean + "…" if len(text) > limit else clean


def action_words(action: Remedy) -> str:
    """The text of the button."""
    return {
        Remedy.RETRY: tr("Retry"),
        Remedy.EDIT_ADDRESS: tr("Check the address"),
        Remedy.FORCE_DISCONNECT: tr("Force-disconnect…"),
        Remedy.CONNECT: tr("Connect…"),
        Remedy.START_NODE: tr("Start node"),
        Remedy.USE_KEY_FILE: tr("Use an encrypted file"),
        Remedy.COPY_DETAILS: tr("Copy details"),
        Remedy.ASK_AGAIN: tr("Ask again"),
        Remedy.LOOK_AGAIN: tr("Look again"),
        Remedy.HOW_TO_FIX: tr("How to fix this"),
        Remedy.RESTORE_WORDS: tr("Restore from words…"),
        Remedy.OTHER_PORT: tr("Use the next port"),
        Remedy.QUIT: tr("Quit"),
    }[action]
