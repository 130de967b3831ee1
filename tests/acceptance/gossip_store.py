"""The graph's store and its use, from outside: the installed program, real counterparts, a report of each part.

    python -m tests.acceptance.gossip_store                             every part in full size
    python -m tests.acceptance.gossip_store kills --count 20 --seed 3   one part
    python -m tests.acceptance.gossip_store --mutations                 against changed programs: each must be red

kills: kill -9 while a peer feeds the program and while it compacts; what it had listed is there afterwards.
damage: a store cut and flipped at random places; what is told to be lost is what is lost.
connect: `connect ID` by a program that has the store of another, and nothing else.
gossmap: pyln-client reads the file while it is written, compacted, and afterwards.
import: stores of Core Lightning's form, its own sample among them.

A report is `gossip_PART_report.json` in this folder; `--reports` names another. What is killed and read by Gossmap has
its compaction hurried (`gossip_part.HURRIED`); nothing else of the program is changed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.gossip_connect import connects
from tests.acceptance.gossip_damage import damages
from tests.acceptance.gossip_kill import kills
from tests.acceptance.gossip_mutations import MUTATIONS
from tests.acceptance.gossip_part import REPORTS, Part, changed
from tests.acceptance.gossip_read import gossmaps, imports
from tests.acceptance.mmrpc_program import short_folder
from tests.acceptance.mutations import Mutation

Run = Callable[[Path, int, int], Coroutine[Any, Any, Part]]
PARTS: Mapping[str, tuple[Run, int, int]] = {
    "kills": (kills, 200, 12),
    "damage": (damages, 1000, 240),
    "connect": (connects, 3, 1),
    "gossmap": (gossmaps, 40, 5),
    "import": (imports, 450, 20),
}
"""What runs a part, how often or of what size when nothing else is said, and against a changed program."""


def main(argv: list[str], parts: Mapping[str, tuple[Run, int, int]] = PARTS, words: str | None = __doc__) -> int:
    """Give the exit code."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all when none is given")
    parser.add_argument("--count", type=int, help="how often, or of what size")
    parser.add_argument("--seed", type=int, default=1, help="of what is random")
    parser.add_argument("--mutations", action="store_true", help="run each part against its mutations")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the reports go")
    options = parser.parse_args(argv)
    unknown = set(options.parts) - parts.keys()
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    good = []
    for name in options.parts or list(parts):
        run, full, small = parts[name]
        if options.mutations:
            good += [_red(name, run, options.count or small, options.seed, each) for each in MUTATIONS[name]]
        else:
            good.append(_green(name, run, options.count or full, options.seed, options.reports))
    print(f"{sum(good)} of {len(good)} as expected")
    return 0 if all(good) else 1


def _green(name: str, run: Run, count: int, seed: int, reports: Path) -> bool:
    began = time.monotonic()
    part = _run(run, count, seed)
    part.write(reports)
    print(f"{'red' if part.bad else 'green':5} {time.monotonic() - began:6.1f} s  {name}: {part.command}")
    for fact, value in part.facts.items():
        print(f"      {fact}: {value}")
    print("\n".join(part.bad), end="\n" if part.bad else "", flush=True)
    return not part.bad


def _red(name: str, run: Run, count: int, seed: int, mutation: Mutation) -> bool:
    """Whether the part fails over the changed program."""
    try:
        with changed(mutation):
            found = _run(run, count, seed)
        words = found.bad[0] if found.bad else ""
    except Exception as error:  # noqa: BLE001 - a part that cannot even end is red
        words = traceback.format_exception_only(error)[-1].strip()
    print(
        f"{'red' if words else 'GREEN':5} {name} against {mutation.file}: {mutation.new!r}: {words[:300]}", flush=True
    )
    return bool(words)


def _run(run: Run, count: int, seed: int) -> Part:
    with short_folder() as folder:
        return asyncio.run(run(Path(folder), count, seed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
