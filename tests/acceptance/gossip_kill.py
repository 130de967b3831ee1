"""kill -9 of the program at random moments while a peer feeds it and while it compacts its store."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.gossip_feeder import Feeder
from tests.acceptance.gossip_listed import graph_line, lacking, listed
from tests.acceptance.gossip_naive import Facts
from tests.acceptance.gossip_part import HURRIED, UNASKED, Part, changed
from tests.acceptance.program import InstalledLeyden, ProgramFailed

LANES = 3
"""Profiles at once, each killed again and again."""
_LONGEST_S = 1.2
_COMPACTION_S = 0.008
"""What a compaction of so small a store takes, about."""
_COMPACTION_WAIT_S = 10.0
_PROPER = re.compile(
    r"ReadingNetworkGraphFromFile: done in \d+ ms: (no file yet: an empty graph|\d+ channels, \d+ nodes in \d+ records"
    r"(; (\d+ bytes of an unfinished record cut off|\d+ damaged headers mended"
    r"|\d+ channels not checked against the chain))*)"
)
"""All that a kill explains: an unfinished record, and one without its last byte, the mark that it is whole."""


@dataclass(slots=True)
class Found:
    """How it went."""

    during: Counter[str] = field(default_factory=Counter)
    reported: int = 0
    """Records that had been listed when the program was killed, over all kills."""
    cut: int = 0
    """Starts that cut something off."""
    bad: list[str] = field(default_factory=list)


async def kills(folder: Path, count: int, seed: int, channels: int = 800) -> Part:
    """`count` kills, every other one as soon as the store is being compacted."""
    found = Found()
    lanes = max(1, min(LANES, count // 2))
    with changed(*HURRIED):
        async with asyncio.TaskGroup() as group:
            for lane in range(lanes):
                wanted = count // lanes + (lane < count % lanes)
                group.create_task(_lane(folder / f"lane{lane}", wanted, seed * 1000 + lane, channels, found))
    facts = {
        "kills": found.during.total(),
        "killed during": dict(found.during),
        "records reported before kills": found.reported,
        "starts that cut off an unfinished record": found.cut,
        "reported": "an update or a node that listchannels or listnodes had answered with",
        "hurried": [f"{each.file}: {each.new}" for each in HURRIED],
    }
    command = f"python -m tests.acceptance.gossip_store kills --count {count} --seed {seed}"
    return Part("kills", command, facts, found.bad)


async def _lane(folder: Path, count: int, seed: int, channels: int, found: Found) -> None:
    chance = random.Random(seed)
    reported = Facts()
    async with await Feeder.start(seed, channels) as feeder:
        for number in range(count + 1):
            async with await InstalledLeyden.start(folder, *UNASKED) as leyden:
                problems = await _looked_at(leyden, reported)
                found.bad += [f"seed {seed}, after kill {number}: {problem}" for problem in problems]
                found.cut += "cut off" in graph_line(leyden)
                if number == count:
                    return
                await feeder.feed(leyden.port, leyden.node_id)
                watching = asyncio.create_task(_watch(leyden, reported))
                try:
                    await _moment(leyden, chance, compacting=number % 2 == 0)
                    await leyden.kill()
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])
                await feeder.gone()
            found.during["compaction" if _temporary(leyden).exists() else "ingest"] += 1
            found.reported += len(reported.halves) + len(reported.nodes)


async def _looked_at(leyden: InstalledLeyden, reported: Facts) -> list[str]:
    line = graph_line(leyden)
    problems = [] if _PROPER.fullmatch(line) else [f"the start says: {line}"]
    return problems + lacking(reported, await listed(leyden))


async def _watch(leyden: InstalledLeyden, reported: Facts) -> None:
    """What it lists is reported, until it is gone. Nothing of an answer that did not come whole is."""
    with contextlib.suppress(OSError, EOFError, ProgramFailed):
        while True:
            now = await listed(leyden)
            reported.halves |= now.halves
            reported.nodes |= now.nodes


async def _moment(leyden: InstalledLeyden, chance: random.Random, *, compacting: bool) -> None:
    """The random one."""
    await asyncio.sleep(chance.uniform(0, _LONGEST_S))
    if compacting:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_COMPACTION_WAIT_S):
                while not _temporary(leyden).exists():
                    await asyncio.sleep(0.0005)
        await asyncio.sleep(chance.uniform(0, _COMPACTION_S))


def _temporary(leyden: InstalledLeyden) -> Path:
    """What a compaction writes: there as long as it lasts, and after a kill in the middle of it."""
    return leyden.data_dir / "regtest" / "gossip_store.tmp"
