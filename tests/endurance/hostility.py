"""A node as a program, under every attack of `attacks` in turn: does it stay up, answer, and let go of its memory?

    python -m tests.endurance.hostility [--seconds 15] [--only NAME]

`leyden --headless` is attacked from this process and asked `getinfo` a hundred times a second from a third one. Told
are, of each attack, its size and what it came to, the node's resident memory before and after, and how long answers
took. A small round of all attacks comes first, so that what is only kept (the list of messages, ended connections,
loaded code) is there before anything is measured. Exit code 1 when an answer took longer than 50 ms or memory did not
come back within 5 s. The first row, without any attack, shows what the machine itself does to an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from core.base.descriptors import raise_file_limit
from tests.counterparts import Leyden
from tests.endurance.attacks import ATTACKS, Attack, Target
from tests.support.peers import until

BAR_MS = 50.0
BAR_BYTES = 8 << 20
"""How much more memory the node may hold afterwards: the allocator's slack, not what an attack brought."""
SETTLED_S = 5.0
WARM_UP_S = 4.0
IDLE_S = 3.0
ROOT = Path(__file__).parents[2]


@dataclass
class Outcome:
    """One attack on one node."""

    name: str
    size: str
    came_to: int
    before: int
    """Bytes of resident memory."""
    after: int = 0
    answers_ms: list[float] = field(default_factory=list)

    @property
    def max_ms(self) -> float:
        return max(self.answers_ms)

    @property
    def p99_ms(self) -> float:
        return sorted(self.answers_ms)[math.ceil(len(self.answers_ms) * 0.99) - 1]

    @property
    def median_ms(self) -> float:
        return sorted(self.answers_ms)[len(self.answers_ms) // 2]

    @property
    def memory_came_back(self) -> bool:
        return self.after <= self.before + BAR_BYTES

    @property
    def holds(self) -> bool:
        """Whether both bars are kept."""
        return self.memory_came_back and self.max_ms <= BAR_MS

    def row(self) -> str:
        mib = 1 << 20
        return (
            f"| {self.name} | {self.size} | {self.came_to:,} | {self.before / mib:.1f} | {self.after / mib:.1f} "
            f"| {self.p99_ms:.1f} | {self.max_ms:.1f} | {len(self.answers_ms)} | {'yes' if self.holds else 'NO'} |"
        )


@contextlib.asynccontextmanager
async def watched(node: Leyden) -> AsyncIterator[list[float]]:
    """Ask the node all the while; the list is filled, in milliseconds, once it ends."""
    answers: list[float] = []
    watch = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.endurance.watch", str(node.socket), cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, limit=1 << 24,
    )  # fmt: skip
    assert watch.stdin is not None and watch.stdout is not None
    await watch.stdout.readline()
    try:
        yield answers
    finally:
        watch.stdin.close()
        told = await watch.stdout.read()
        if await watch.wait() != 0:
            raise AssertionError("the node stopped answering")
        answers += json.loads(told)


async def attacked(node: Leyden, attack: Attack, size: int, seconds: float) -> Outcome:
    """Attack the node and look at it meanwhile and afterwards. AssertionError when it stops answering."""
    program = psutil.Process(node.pid)
    outcome = Outcome(attack.name, f"{size:,} {attack.unit}", 0, program.memory_info().rss)
    async with watched(node) as answers:
        target = Target(node.node_id, node.port, asyncio.get_running_loop().time() + seconds)
        outcome.came_to = await attack.run(target, size)
    outcome.answers_ms = answers

    def has_settled() -> bool:
        outcome.after = program.memory_info().rss
        return outcome.memory_came_back and not _peers(program)

    with contextlib.suppress(TimeoutError):
        await until(has_settled, SETTLED_S)
    return outcome


def _peers(program: psutil.Process) -> int:
    return sum(link.status == psutil.CONN_ESTABLISHED for link in program.net_connections("tcp"))


async def _idle(target: Target, _size: int) -> int:
    await asyncio.sleep(target.until - asyncio.get_running_loop().time())
    return 0


async def hostility(attacks: Sequence[Attack], seconds: float) -> list[Outcome]:
    """Every attack at full size on one node; rows are printed as they come."""
    print("| attack | size | came to | MiB before | MiB after | p99 ms | max ms | answers | holds |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        async with await Leyden.start(Path(folder)) as node:
            for attack in attacks:
                await attacked(node, attack, attack.small, WARM_UP_S)
            nothing = Attack("none", "", _idle, 0, 0)
            rounds = [(nothing, IDLE_S), *((attack, seconds) for attack in attacks)]
            for attack, limit_s in rounds:
                outcome = await attacked(node, attack, attack.full, limit_s)
                outcomes.append(outcome)
                print(outcome.row(), flush=True)
    return outcomes


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="the longest that one attack may take")
    parser.add_argument("--only", metavar="NAME", choices=[attack.name for attack in ATTACKS])
    options = parser.parse_args()
    raise_file_limit()
    attacks = [attack for attack in ATTACKS if options.only in (None, attack.name)]
    outcomes = asyncio.run(hostility(attacks, options.seconds))
    return 0 if all(outcome.holds for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
