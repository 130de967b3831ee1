"""The root of every error that a person or a program must tell apart.

Each room raises its own subclasses where the fact is known, as frozen facts and never as a composed sentence:
`core.rpc.errors` maps them to codes and the contract's texts, `gui.words` to words a person can act on. Both tables
are tested for completeness against `all_error_types`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class LeydenError(Exception):
    """A failure with facts. Subclasses take keyword facts and keep them as attributes; no fact is ever a secret."""

    also_raised: ClassVar[bool] = False
    """Set in the body of a type that has subtypes and is nevertheless raised itself."""

    def __init__(self, **facts: object) -> None:
        super().__init__(*facts.values())
        self.facts = facts

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value!r}" for name, value in self.facts.items())
        return f"{type(self).__name__}({facts})"


def all_error_types(root: type[LeydenError] = LeydenError) -> Iterator[type[LeydenError]]:
    """Every concrete error type that is loaded, each once: leaves of the tree, and what is raised above them."""
    children = root.__subclasses__()
    if not children or ("also_raised" in vars(root) and root.also_raised):
        yield root
    for child in children:
        yield from all_error_types(child)
