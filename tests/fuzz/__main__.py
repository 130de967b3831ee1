"""Runs every harness for a while and says how much it tried: `python -m tests.fuzz CORPUS SECONDS`.

CORPUS keeps, for each harness, the inputs that reached something new; what broke the code is there as `crash-*`, and
`python -m tests.fuzz.NAME CRASH_FILE` tries it again.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HARNESSES = ("noise", "wire", "rpc", "store", "rapid")
LONGEST_INPUT = 4096
SLOW_S = 10
"""An input that takes so long is a finding."""
SHOWN_LINES = 40

_COUNT = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+)")


def main(corpus: Path, seconds: int) -> int:
    """The exit code: 1 when a harness found something."""
    failed = []
    for name in HARNESSES:
        folder = corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"tests.fuzz.{name}", str(folder), f"-artifact_prefix={corpus}/{name}-"]
        command += [f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", f"-timeout={SLOW_S}"]
        answer = subprocess.run([*command, "-print_final_stats=1"], stderr=subprocess.PIPE, text=True, check=False)
        count, covered = _COUNT.search(answer.stderr), _COVERED.findall(answer.stderr)
        if answer.returncode or count is None:
            failed.append(name)
            print("\n".join(answer.stderr.splitlines()[-SHOWN_LINES:]), flush=True)
        tried = int(count[1]) if count else 0
        kept = sum(1 for _ in folder.iterdir())
        print(
            f"{name}: {'FAILED' if name in failed else 'nothing found'}, {tried:,} executions in all, "
            f"{tried / seconds:,.0f} a second, {covered[-1] if covered else 0} edges, {kept} inputs kept",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
