"""What tests of rapid gossip sync share."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def done(work: Generator[None, None, T]) -> T:
    """The result of work that is done in pieces."""
    while True:
        try:
            next(work)
        except StopIteration as ended:
            result: T = ended.value
            return result
