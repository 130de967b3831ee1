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
    BACKUP_FILE = "backup_file"
    NEW_NODE = "new_node"
    OPEN_AS = "open_as"
    OTHER_PORT = "other_port"
    OTHER_SOURCE = "other_source"
    TRUST_CERTIFICATE = "trust_certificate"
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
    named: tuple[tuple[Remedy, str], ...] = ()
    """Buttons that say more than their remedy does by itself."""


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
        Remedy.BACKUP_FILE: tr("Use a backup file…"),
        Remedy.NEW_NODE: tr("Start a new node…"),
        Remedy.OPEN_AS: tr("Open as that node"),
        Remedy.OTHER_PORT: tr("Use the next port"),
        Remedy.OTHER_SOURCE: tr("Use another server…"),
        Remedy.TRUST_CERTIFICATE: tr("Trust the new certificate…"),
        Remedy.QUIT: tr("Quit"),
    }[action]
