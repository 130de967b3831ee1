"""Every failure in words: what happened, what it means, what to do.

One table from error type to words; a test holds that no `LeydenError` is without an entry. Texts are composed in the
tables and nowhere else. What a peer or a system said is put in as it came, bounded, and shown as plain text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gui.phrases import Remedy, Words, action_words, bounded, tr
from gui.words_chain import CHAIN_WORDS
from gui.words_keys import KEY_WORDS
from gui.words_node import NODE_WORDS
from gui.words_profile import PROFILE_WORDS

__all__ = ["TABLE", "Remedy", "Words", "action_words", "bounded", "words_for"]

TABLE: dict[type[BaseException], Callable[[Any], Words]] = {**NODE_WORDS, **CHAIN_WORDS, **PROFILE_WORDS, **KEY_WORDS}


def words_for(error: BaseException) -> Words:
    """Words for any failure; one that is not of ours is named by its type and text."""
    for kind in type(error).__mro__:
        compose = TABLE.get(kind)
        if compose is not None:
            return compose(error)
    return Words(
        tr("Something went wrong"),
        tr("{kind}: {text}", kind=type(error).__name__, text=bounded(str(error)) or tr("no further words")),
        actions=(Remedy.RETRY, Remedy.COPY_DETAILS),
    )
