"""Which records came before, so that none is verified twice: the genuine, the forged and those still under way."""

from __future__ import annotations

from collections import deque

from core.gossip.limits import SEEN_A_GENERATION, SEEN_GENERATIONS


class Seen:
    """The last so many records by 64 bits of keyed hash (Python's own: SipHash with a key of this process).

    Two records that differ in one byte are two: a forged copy never stands in the way of the genuine one.
    """

    __slots__ = ("_generations", "_size")

    def __init__(self, *, generations: int = SEEN_GENERATIONS, size: int = SEEN_A_GENERATION) -> None:
        """It remembers at least the last `(generations - 1) * size`, never more than `generations * size`."""
        self._generations: deque[set[int]] = deque([set()], maxlen=generations)
        self._size = size

    def __len__(self) -> int:
        return sum(map(len, self._generations))

    def add(self, message: bytes) -> bool:
        """Remember `message`; False when it was there already."""
        digest = hash(message)
        for generation in self._generations:
            if digest in generation:
                return False
        if len(self._generations[0]) >= self._size:
            self._generations.appendleft(set())
        self._generations[0].add(digest)
        return True

    def is_new(self, message: bytes) -> bool:
        """Whether `message` is not among those remembered."""
        digest = hash(message)
        return not any(digest in generation for generation in self._generations)

    def forget(self, message: bytes) -> None:
        """Let `message` come again: it could not be judged after all. Without effect when it is not there."""
        digest = hash(message)
        for generation in self._generations:
            generation.discard(digest)
