"""kill -9 of a process that stores gossip and compacts, at random moments, hundreds of times.

    python -m tests.endurance.gossip_store [--kills 200] [--seed 1]

Everything that was reported stored must be there after each kill, and the start must have nothing to complain of but
an unfinished record. Exits with 1 when that is not so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.gossip_kills import sweep


def main() -> int:
    """Give the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        found = sweep(Path(folder) / "gossip_store", asked.kills, asked.seed)
    for fault in found.faults:
        print(fault)
    print(
        f"{found.kills} kills ({', '.join(f'{count} while {doing}' for doing, count in found.during.items())}): "
        f"{found.reported} records reported, {found.torn} starts cut an unfinished one, {len(found.faults)} faults"
    )
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
