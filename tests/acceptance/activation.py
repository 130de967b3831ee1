"""Activation to the letter, from outside: only installed programs and real counterparts, and a report of each part.

    python -m tests.acceptance.activation                                every part
    python -m tests.acceptance.activation cancel --count 200 --seed 4    one part, in full size
    python -m tests.acceptance.activation kill --mutations               against changed programs: each must be red

A report is `activation_PART_report.json` and `.md` in this folder; `--reports` names another.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.acceptance.activation_cancel import sweep
from tests.acceptance.activation_kill import kills
from tests.acceptance.activation_mutations import MUTATIONS
from tests.acceptance.activation_part import REPORTS, Part
from tests.acceptance.activation_timed import timed
from tests.acceptance.mmrpc_errors import error_table
from tests.acceptance.mmrpc_program import short_folder
from tests.acceptance.mmrpc_seed import seed_session
from tests.acceptance.mutations import Mutation, apply
from tests.acceptance.program import InstalledLeyden
from tests.counterparts.process import REPOSITORY

Run = Callable[[Path, int, int], Awaitable[Part]]
PARTS: dict[str, tuple[Run, int]] = {
    "seed_session": (seed_session, 1),
    "errors": (error_table, 1),
    "timed": (timed, 3),
    "cancel": (sweep, 200),
    "kill": (kills, 100),
}
"""What runs a part, and how often when nothing else is said."""
DEFAULT_SEED = 4
MUTATED_COUNT = 4
"""So that the cancel sweep has starts of both kinds."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="activation", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all when none is given")
    parser.add_argument("--count", type=int, help="how often")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of what is random")
    parser.add_argument("--mutations", action="store_true", help="run each part against its mutations")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the reports go")
    options = parser.parse_args(argv)
    unknown = set(options.parts) - PARTS.keys()
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    names = options.parts or list(PARTS)
    if options.mutations:
        good = [_red(name, mutation, options.seed) for name in names for mutation in MUTATIONS[name]]
    else:
        good = [_green(name, options.count or PARTS[name][1], options.seed, options.reports) for name in names]
    print(f"{sum(good)} of {len(good)} as expected")
    return 0 if all(good) else 1


def _green(name: str, count: int, seed: int, reports: Path) -> bool:
    began = time.monotonic()
    part = _run(name, count, seed)
    part.write(reports)
    print(f"{'red' if part.bad else 'green':5} {time.monotonic() - began:6.1f} s  {name}: {part.command}", flush=True)
    print("\n".join(part.bad), end="\n" if part.bad else "", flush=True)
    return not part.bad


def _red(name: str, mutation: Mutation, seed: int) -> bool:
    """Whether the part fails over the changed program."""
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        tree = Path(folder)
        for part in ("core", "gui", "resources"):
            shutil.copytree(REPOSITORY / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        apply(mutation, tree)
        InstalledLeyden.overlay = tree
        try:
            found = _run(name, MUTATED_COUNT, seed)
        except Exception as error:  # noqa: BLE001 - a part that cannot even end is red
            words = traceback.format_exception_only(error)[-1].strip()
        else:
            words = found.bad[0] if found.bad else ""
        finally:
            InstalledLeyden.overlay = None
    print(
        f"{'red' if words else 'GREEN':5} {name} against {mutation.file}: {mutation.new!r}: {words[:300]}", flush=True
    )
    return bool(words)


def _run(name: str, count: int, seed: int) -> Part:
    with short_folder() as folder:
        return asyncio.run(PARTS[name][0](Path(folder), count, seed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
