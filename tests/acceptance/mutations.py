"""For each check a change to the program that must turn it red: what is never seen to fail shows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replace `old`, which stands in `file` exactly once, by `new`."""

    file: str
    old: str
    new: str


def apply(mutation: Mutation, tree: Path) -> None:
    """Change the file below `tree`; AssertionError when `old` is not there exactly once."""
    path = tree / mutation.file
    text = path.read_text()
    found = text.count(mutation.old)
    assert found == 1, f"{mutation.old!r} stands {found} times in {mutation.file}"
    path.write_text(text.replace(mutation.old, mutation.new))


MUTATIONS: dict[str, Mutation] = {}
