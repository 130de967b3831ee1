"""First light, from outside: starts only the installed programs and real counterparts, and writes a report.

    python -m tests.acceptance.first_light                    all checks, report.json
    python -m tests.acceptance.first_light activation         only those named
    python -m tests.acceptance.first_light --mutations        each check against a changed program: each must be red

Nothing is random, so there is no seed; keys are fresh each time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tests.acceptance.checks import CHECKS, Check
from tests.acceptance.mutations import MUTATIONS, apply
from tests.acceptance.program import InstalledLeyden
from tests.counterparts.process import REPOSITORY

REPORT = Path(__file__).with_name("report.json")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="first_light", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checks", nargs="*", help="names; all when none is given")
    parser.add_argument("--mutations", action="store_true", help="run each check against its mutation")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the report goes")
    options = parser.parse_args(argv)
    unknown = set(options.checks) - CHECKS.keys()
    if unknown:
        parser.error(f"no such check: {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    names = options.checks or list(CHECKS)
    results = [run_mutated(name) if options.mutations else run(name) for name in names]
    report = {
        "command": " ".join([sys.executable, "-m", "tests.acceptance.first_light", *argv]),
        "python": sys.version.split()[0],
        "as expected": sum(result["as expected"] for result in results),
        "of": len(results),
        "checks": results,
    }
    options.report.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(f"{report['as expected']} of {report['of']} as expected; {options.report}")
    return 0 if report["as expected"] == report["of"] else 1


def run(name: str) -> dict[str, Any]:
    """The check as it stands; green is expected."""
    result = _run(CHECKS[name])
    return _told(name, result, as_expected=result["green"])


def run_mutated(name: str) -> dict[str, Any]:
    """The check against its mutation; red is expected."""
    mutation = MUTATIONS[name]
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        tree = Path(folder)
        for part in ("core", "gui", "resources"):
            shutil.copytree(REPOSITORY / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        apply(mutation, tree)
        InstalledLeyden.overlay = tree
        try:
            result = _run(CHECKS[name])
        finally:
            InstalledLeyden.overlay = None
    result["mutation"] = {"file": mutation.file, "old": mutation.old, "new": mutation.new}
    return _told(name, result, as_expected=not result["green"])


def _run(check: Check) -> dict[str, Any]:
    began = time.monotonic()
    # Short, because a unix socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        try:
            facts = asyncio.run(check(Path(folder)))
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the result
            lines = traceback.format_exception(error)
            return {"green": False, "seconds": time.monotonic() - began, "error": "".join(lines)[-4000:]}
    return {"green": True, "seconds": time.monotonic() - began, "facts": facts}


def _told(name: str, result: dict[str, Any], *, as_expected: bool) -> dict[str, Any]:
    result["seconds"] = round(result["seconds"], 2)
    print(f"{'green' if result['green'] else 'red':5} {result['seconds']:6.2f} s  {name}", flush=True)
    if not as_expected:
        print(result.get("error", "green against its mutation"), flush=True)
    return {"name": name, "as expected": as_expected, **result}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
