"""Hostile gossip against the installed program, from outside: what it takes, what it says, memory, and how it answers.

    python -m tests.acceptance.gossip_hostile                          every case in full size
    python -m tests.acceptance.gossip_hostile made_up --count 20000    one case
    python -m tests.acceptance.gossip_hostile --mutations              against changed programs: each must be red

Meanwhile a third process asks `getinfo` a hundred times a second. In full size 99 of 100 answers must come within 50 ms
(in a smaller one the half: other tests share the processors); the longest is told beside the longest of an idle time.
A report is `gossip_CASE_report.json` in this folder; `--reports` names another.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.gossip import limits
from tests.acceptance import gossip_attacks as attacks
from tests.acceptance.gossip_part import UNASKED, Part, changed
from tests.acceptance.gossip_store import main
from tests.acceptance.mutations import Mutation
from tests.acceptance.program import InstalledLeyden
from tests.endurance.hostility import watched

BAR_MS = 50.0
_IDLE_S = 1.0
_MIB = 1 << 20

Attack = Callable[[InstalledLeyden, int, int], Coroutine[Any, Any, attacks.Found]]


@dataclass(frozen=True, slots=True)
class Case:
    """One way to be hostile."""

    name: str
    attack: Attack
    full: int
    small: int
    grows_mib: int
    """How much more memory the program may hold afterwards."""

    async def on(self, leyden: InstalledLeyden, count: int, seed: int) -> Part:
        """Against a program that runs; nobody asks it meanwhile."""
        program = psutil.Process(leyden.pid)
        before = program.memory_info().rss
        facts, bad = await self.attack(leyden, count, seed)
        grown = (program.memory_info().rss - before) / _MIB
        if grown > self.grows_mib:
            bad.append(f"it grew by {grown:.1f} MiB, the bar is {self.grows_mib}")
        facts["memory MiB"] = f"{before / _MIB:.1f} before, {grown:+.1f}"
        command = f"python -m tests.acceptance.gossip_hostile {self.name} --count {count} --seed {seed}"
        return Part(self.name, command, facts, bad)

    async def run(self, folder: Path, count: int, seed: int) -> Part:
        """Against a program of its own, which is asked all the while and must end in order."""
        async with await InstalledLeyden.start(folder, *UNASKED) as leyden:
            idle = await _idle(leyden)
            async with watched(leyden) as answers:
                part = await self.on(leyden, count, seed)
            await leyden.stop()
        share = 0.99 if count >= self.full else 0.5
        if quantile(answers, share) > BAR_MS:
            part.bad.append(f"answers took {quantile(answers, share):.1f} ms at the {share} quantile")
        if leyden.exit_code != 0:
            part.bad.append(f"exit code {leyden.exit_code}")
        part.facts["answers ms"] = (
            f"median {quantile(answers, 0.5):.1f}, 99 of 100 {quantile(answers, 0.99):.1f}, longest {max(answers):.1f} "
            f"of {len(answers)}; longest when idle {idle:.1f}"
        )
        return part


async def _idle(leyden: InstalledLeyden) -> float:
    """What the machine itself does to an answer: milliseconds."""
    async with watched(leyden) as answers:
        await asyncio.sleep(_IDLE_S)
    return max(answers)


async def _made_up(leyden: InstalledLeyden, size: int, seed: int) -> attacks.Found:
    return await attacks.made_up(leyden, size, seed, _cap(size))


async def _made_up_below(folder: Path, count: int, seed: int) -> Part:
    """With a smaller cap where fewer come than the program's."""
    with changed(*lowered(count)):
        return await CASES["made_up"].run(folder, count, seed)


def lowered(count: int) -> list[Mutation]:
    """What makes the cap half of `count`, where the program's own would not be met."""
    own = f"UNCHECKED_A_PEER = {limits.UNCHECKED_A_PEER:_}"
    return (
        []
        if _cap(count) == limits.UNCHECKED_A_PEER
        else [Mutation("core/gossip/limits.py", own, f"UNCHECKED_A_PEER = {_cap(count)}")]
    )


def _cap(count: int) -> int:
    return limits.UNCHECKED_A_PEER if count > limits.UNCHECKED_A_PEER else count // 2


def quantile(values: list[float], share: float) -> float:
    """So large a share of `values` is no larger."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


CASES = {
    case.name: case
    for case in (
        Case("forged", attacks.forged, 20, 1, 24),
        Case("foreign", attacks.foreign, 2_000, 40, 24),
        Case("unknown_nodes", attacks.unknown_nodes, 50_000, 500, 24),
        Case("made_up", _made_up, 100_000, 800, 160),
        Case("queries", attacks.queries, 200, 6, 48),
        Case("zlib", attacks.zlib, 200, 5, 24),
        Case("replies", attacks.replies, 500, 5, 48),
    )
}
PARTS = {
    name: (_made_up_below if name == "made_up" else case.run, case.full, case.small) for name, case in CASES.items()
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PARTS, __doc__))
