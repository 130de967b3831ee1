"""A key's words between a person and a `Secret`: shown once, asked back, typed in again."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NoReturn

from core.wallet.derive import new_mnemonic
from core.wallet.errors import WordsChecksum, WordsCount, WordsMistaken, WordsNotShown, WordsOfLnd, WordUnknown
from core.wallet.secret import WORD_COUNTS, Secret, SecretKind

ASKED_BACK = 3
BITS_A_WORD = 11
AEZEED_WORDS = 24
_CASTAGNOLI = 0x82F63B78
"""The polynomial of CRC-32C, bits reversed."""


class Words:
    """The words of a key, on their way to the screen. Iterated they are given; `repr` and errors never show them."""

    __slots__ = ("_words",)

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)

    def __repr__(self) -> str:
        return f"Words({len(self)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("words are never pickled or copied")

    def wipe(self) -> None:
        """Forget them. Python overwrites no text: what goes is the last hold on it."""
        self._words = ()


class NewKey:
    """A key that nobody depends on yet: its words can be shown until three of them are asked back.

    `words`, then `challenge`, then `confirm`, which alone gives the secret to store. Nothing is written anywhere.
    """

    __slots__ = ("__weakref__", "_asked", "_choose", "_secret", "_words")

    def __init__(self, secret: Secret, *, choose: Callable[[range, int], Sequence[int]] | None = None) -> None:
        """`choose` picks the positions to ask for; the system's randomness does unless a test has its own."""
        self._secret: Secret | None = secret
        self._words: Words | None = Words(secret.secret.split(" "))
        self._asked: tuple[int, ...] | None = None
        self._choose = choose or random.SystemRandom().sample

    @classmethod
    def draft(cls, words: int = 12, *, created: int = 0) -> NewKey:
        """A fresh key of 12 or 24 words, else ValueError. Blocks for an import: `KeyService.draft` is the way."""
        return cls(new_mnemonic(words, created))

    @property
    def count(self) -> int:
        """How many words the key has; 0 once it was wiped."""
        return 0 if self._secret is None else len(self._secret.secret.split(" "))

    @property
    def words(self) -> Words:
        """To be written down. WordsNotShown once they were asked back or wiped: then only a new draft shows words."""
        if self._words is None:
            raise WordsNotShown
        return self._words

    def challenge(self) -> tuple[int, ...]:
        """Three positions, counted from 1 and ascending, whose words `confirm` wants. From here on none is shown.

        The same until `confirm` was answered wrongly. WordsNotShown once the draft was wiped.
        """
        secret = self._held()
        if self._words is not None:
            self._words.wipe()
            self._words = None
        if self._asked is None:
            count = len(secret.secret.split(" "))
            self._asked = tuple(sorted(self._choose(range(1, count + 1), ASKED_BACK)))
        return self._asked

    def confirm(self, answers: Sequence[str]) -> Secret:
        """The secret, for `Node.start(secret=...)`. `answers` are in the order of `challenge`.

        WordsMistaken names the positions that were wrong; `challenge` then asks for others. WordsNotShown when nothing
        was asked yet or the draft was wiped.
        """
        secret, asked = self._held(), self._asked
        if asked is None:
            raise WordsNotShown
        words = secret.secret.split(" ")
        given = [_plain(answer) for answer in answers] + [""] * (len(asked) - len(answers))
        wrong = tuple(place for place, answer in zip(asked, given, strict=False) if words[place - 1] != answer)
        if wrong or len(answers) != len(asked):
            self._asked = None
            raise WordsMistaken(positions=wrong or asked)
        return secret

    def wipe(self) -> None:
        """Forget the key: nobody depends on it."""
        if self._words is not None:
            self._words.wipe()
        self._secret = self._words = self._asked = None

    def _held(self) -> Secret:
        if self._secret is None:
            raise WordsNotShown
        return self._secret

    def __repr__(self) -> str:
        return f"NewKey({self.count})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is never pickled or copied")


@cache
def word_list() -> tuple[str, ...]:
    """BIP 39's 2,048 English words in their order, as the library that makes mnemonics has them.

    Made from entropies that spell eleven words each; the twelfth is mostly checksum. Blocks some milliseconds.
    """
    import bdkpython

    found: list[str] = []
    while len(found) < 1 << BITS_A_WORD:
        bits = 0
        for place in range(BITS_A_WORD):
            bits = bits << BITS_A_WORD | (len(found) + place) % (1 << BITS_A_WORD)
        entropy = (bits << 7).to_bytes(16, "big")
        found += str(bdkpython.Mnemonic.from_entropy(entropy)).split(" ")[:BITS_A_WORD]
    return tuple(found[: 1 << BITS_A_WORD])


def read_words(text: str, *, created: int) -> Secret:
    """The secret whose words a person typed: any spacing and case. `created` is in seconds since the epoch.

    WordUnknown names the first word that is in no list by its position, never by itself; WordsCount, WordsOfLnd,
    WordsChecksum. Blocks some milliseconds; `KeyService.restore` is the way.
    """
    words = _plain(text).split()
    positions = {word: position for position, word in enumerate(word_list())}
    for place, word in enumerate(words, 1):
        if word not in positions:
            raise WordUnknown(position=place)
    if len(words) not in WORD_COUNTS:
        raise WordsCount(count=len(words))
    numbers = [positions[word] for word in words]
    # Asked first: one in 256 of LND's seeds is a valid mnemonic by chance, of quite another node.
    if _is_aezeed(numbers):
        raise WordsOfLnd
    if not _is_mnemonic(" ".join(words)):
        raise WordsChecksum
    return Secret(kind=SecretKind.BIP39, secret=" ".join(words), created=created)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).casefold().strip()


def _is_mnemonic(text: str) -> bool:
    import bdkpython

    try:
        bdkpython.Mnemonic.from_string(text)
    except bdkpython.Bip39Error:
        return False
    return True


def _is_aezeed(numbers: Sequence[int]) -> bool:
    """Whether these are LND's cipher seed: 33 bytes, version 0 first, CRC-32C of the other 29 last (lnd/aezeed)."""
    if len(numbers) != AEZEED_WORDS:
        return False
    bits = 0
    for number in numbers:
        bits = bits << BITS_A_WORD | number
    data = bits.to_bytes(AEZEED_WORDS * BITS_A_WORD // 8, "big")
    return data[0] == 0 and _crc32c(data[:-4]) == int.from_bytes(data[-4:], "big")


def _crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
