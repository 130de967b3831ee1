"""One session from outside with LDK and Electrum, written down: commands, JSON answers, and the others' own logs.

    python -m tests.acceptance.recorded_session                 all steps; session.md
    python -m tests.acceptance.recorded_session --mutations     the session against changed programs: for each step a
                                                                change that must turn this step red, and none before it
    python -m tests.acceptance.recorded_session --mutations STEP...

Exit code 1 when a step is red, or with --mutations when another one is red than has to be.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from tests.acceptance.mutations import apply
from tests.acceptance.program import InstalledLeyden
from tests.acceptance.session_mutations import SESSION_MUTATIONS
from tests.acceptance.session_record import Record
from tests.acceptance.session_steps import STEPS, Session, start_leyden
from tests.counterparts import Electrum, Ldk
from tests.counterparts.process import REPOSITORY

RECORD = Path(__file__).with_name("session.md")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", nargs="*", metavar="STEP", choices=[*STEPS, []], help="all when none is given")
    parser.add_argument("--record", type=Path, default=RECORD, help="where the record goes")
    options = parser.parse_args(argv)
    if options.mutations is not None:
        names = options.mutations or list(STEPS)
        as_expected = sum([mutated(name) for name in names])
        print(f"{as_expected} of {len(names)} mutations turn their step red, and none before it")
        return 0 if as_expected == len(names) else 1
    markdown, red, why = run()
    options.record.write_text(markdown)
    print(why or f"{len(STEPS)} of {len(STEPS)} steps green; {options.record}")
    return 1 if red else 0


def run() -> tuple[str, str | None, str]:
    """The record, the first step that is red, and why."""
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:  # short: a unix socket's path may have 107 bytes
        return asyncio.run(_run(Path(folder)))


def mutated(name: str) -> bool:
    """Whether the step is the first red one against its mutation."""
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        tree = Path(folder)
        for part in ("core", "gui", "resources"):
            shutil.copytree(REPOSITORY / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        apply(SESSION_MUTATIONS[name], tree)
        InstalledLeyden.overlay = tree
        try:
            _, red, why = run()
        finally:
            InstalledLeyden.overlay = None
    print(f"{name}: {'red' if red == name else f'NOT AS IT SHOULD: {red} is red'}", flush=True)
    if red != name and why:
        print(why, flush=True)
    return red == name


async def _run(folder: Path) -> tuple[str, str | None, str]:
    record = Record(folder)
    async with (
        await Ldk.start(folder / "ldk") as ldk,
        await Electrum.start(folder / "electrum", "logs pings") as electrum,
    ):
        session = Session(record, await start_leyden(folder / "leyden"), ldk, electrum)
        try:
            for name, step in STEPS.items():
                record.heading(name.replace("_", " ").replace("ldk", "LDK").replace("electrum", "Electrum"))
                record.text(step.__doc__ or "")
                try:
                    await step(session)
                except Exception as error:  # noqa: BLE001 - whatever went wrong is the result
                    why = f"{name} is red:\n{''.join(traceback.format_exception(error))[-4000:]}"
                    return record.markdown(), name, why
        finally:
            await session.leyden.stop()
    return record.markdown(), None, ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
