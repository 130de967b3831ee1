"""Hostile peers at a small size against the program; `tests.endurance.hostility` is the same at full size."""

from __future__ import annotations

from pathlib import Path

from tests.counterparts import Leyden
from tests.endurance.attacks import ATTACKS
from tests.endurance.hostility import BAR_MS, attacked

SECONDS = 1.0
"""The longest that one attack may take here."""


async def test_the_node_stays_up_answers_and_lets_go_of_memory_under_every_attack(home: Path) -> None:
    async with await Leyden.start(home / "node") as node:
        for attack in ATTACKS:  # what is only kept is there afterwards: loaded code, the list of messages
            await attacked(node, attack, attack.small, SECONDS)
        for attack in ATTACKS:
            outcome = await attacked(node, attack, attack.small, SECONDS)
            # The half, not the longest: other tests share the processors. The full size holds the longest to the bar.
            assert outcome.median_ms <= BAR_MS, outcome
            assert outcome.memory_came_back, outcome
            assert outcome.came_to, outcome
        assert node.exit_code is None
    assert node.exit_code == 0
