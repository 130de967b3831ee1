"""kill -9 at random moments while `gossip_store` is written and compacted, and what is there afterwards.

    python -m tests.support.gossip_kills PATH SEED

is the child: it stores announcements of numbered nodes, replaces some, compacts now and then, and prints a line for
everything of which the store said that it is there.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.gossip.store import GossipStore, open_gossip_store
from tests.unit.gossip.stores import node

BATCH = 60
_COMPACT_SHARE = 0.03
_LONGEST_S = 0.25
_NUMBER_AT, _STAMP_AT = 72 + 29, 68
ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Sweep:
    """How it went."""

    kills: int = 0
    reported: int = 0
    """Records that were reported stored, all in all."""
    torn: int = 0
    """Starts that cut something off."""
    during: Counter[str] = field(default_factory=Counter)
    """What the child was at when it was killed."""
    faults: list[str] = field(default_factory=list)


def sweep(path: Path, kills: int, seed: int) -> Sweep:
    """Kill a child so many times, each on what the last one left."""
    chance, found = random.Random(seed), Sweep()
    reported: dict[int, int] = {}
    for number in range(kills):
        found.during[_kill_one(path, chance.randrange(2**32), chance.uniform(0, _LONGEST_S), reported)] += 1
        found.kills += 1
        problem, torn = asyncio.run(_look(path, reported))
        found.torn += torn
        if problem:
            found.faults.append(f"kill {number}: {problem}")
    found.reported = len(reported)
    return found


def _kill_one(path: Path, seed: int, after_s: float, reported: dict[int, int]) -> str:
    """Gives what the child had begun last; `reported` takes what it said is stored."""
    command = [sys.executable, "-m", "tests.support.gossip_kills", str(path), str(seed)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(after_s)  # the random moment
    child.kill()
    lines = child.stdout.read().split("\n")[:-1]
    child.stdout.close()
    child.wait()
    doing = "storing"
    for line in lines:
        word, *numbers = line.split()
        if word == "stored":
            reported.update({int(name): int(numbers[0]) for name in numbers[1:]})
        doing = {"compacting": "compacting", "marking": "marking"}.get(word, "storing")
    return doing


async def _look(path: Path, reported: dict[int, int]) -> tuple[str, bool]:
    """What is wrong with the store, and whether something was cut off."""
    store = await open_gossip_store(path)
    told = store.report
    stamps = await _stamps(store)
    missing = [name for name, stamp in reported.items() if stamps.get(name, (0, 0))[0] < stamp]
    problems = [f"{len(missing)} reported records are missing, {missing[:3]}"] if missing else []
    if told.problem or told.damage or told.lost_bytes or told.restored:
        problems.append(f"the start says: {told}")
    again = await open_gossip_store(path)
    if again.torn_bytes or again.report.problem:
        problems.append(f"the next start says: {again}")
    return "; ".join(problems), told.torn_bytes > 0


async def _stamps(store: GossipStore) -> dict[int, tuple[int, int]]:
    """By the node's number: the newest timestamp and the record's offset."""
    found: dict[int, tuple[int, int]] = {}
    async for batch in store.batches():
        for number in range(len(batch)):
            message = batch.message(number)
            if message[:2] == b"\x01\x01":
                name, stamp = (int.from_bytes(message[at : at + 4], "big") for at in (_NUMBER_AT, _STAMP_AT))
                found[name] = max(found.get(name, (0, 0)), (stamp, int(batch.offset[number])))
    return found


async def _ingest(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    store = await open_gossip_store(path)
    known = await _stamps(store)
    stamp = max((stamp for stamp, _ in known.values()), default=0) + 1
    print("ready", flush=True)
    while True:
        first = len(known)
        names = [*range(first, first + BATCH), *chance.sample(range(first), min(first, BATCH // 2))]
        offsets = await store.append([(node(name, stamp), stamp) for name in names])
        print("stored", stamp, *names, flush=True)
        old = [known[name][1] for name in names if name in known]
        known.update({name: (stamp, offset) for name, offset in zip(names, offsets, strict=True)})
        print("marking", flush=True)
        await store.mark_deleted(old)
        if chance.random() < _COMPACT_SHARE:
            print("compacting", flush=True)
            moved = await store.compact()
            rows = list(known)
            new = moved(np.array([known[name][1] for name in rows], dtype=np.uint64)).tolist()
            known = {name: (known[name][0], offset) for name, offset in zip(rows, new, strict=True)}
        print("storing", flush=True)
        stamp += 1


if __name__ == "__main__":
    asyncio.run(_ingest(Path(sys.argv[1]), int(sys.argv[2])))
