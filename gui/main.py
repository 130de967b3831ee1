"""`leyden`: reads the options and opens the window, or runs headless without importing Qt at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.base.settings import Settings
    from gui.application import Application

EXIT_USAGE = 2
VERIFY_WORKER = ["--verify-worker"]
"""How the frozen program starts itself as a verification worker; no option for people."""


def main() -> int:
    """The console script. Exit codes: 0 stopped in order, 1 failed, 2 bad options or no display, 3 no key store."""
    if sys.argv[1:] == VERIFY_WORKER:
        from core.gossip import verifier

        return verifier.main()
    from core.base.settings import SettingInvalid, parse_arguments

    try:
        settings = parse_arguments(sys.argv[1:], os.environ)
    except SettingInvalid as error:
        where = {"env": "the environment", "config": "config.toml"}.get(error.origin, "the options")
        print(f"leyden: {error.name} in {where} cannot be used: {error.reason}", file=sys.stderr)
        return EXIT_USAGE
    if settings.headless:
        from core import headless

        return headless.run(settings)
    return _run_window(settings)


def _run_window(settings: Settings) -> int:
    try:
        from gui import application
    except ImportError as error:
        print(f"leyden: the window needs PySide6, which cannot be loaded: {error}", file=sys.stderr)
        print("Run without a window: leyden --headless", file=sys.stderr)
        return EXIT_USAGE
    if not application.has_display():
        print("leyden: there is no display to open a window on. Run without one: leyden --headless", file=sys.stderr)
        return EXIT_USAGE
    from core.base.descriptors import raise_file_limit
    from core.base.hardening import keep_memory_private
    from gui.crash import CrashHandler
    from gui.session import open_window

    keep_memory_private()
    raise_file_limit()
    crash = CrashHandler()
    crash.install()
    try:

        async def session(app: Application) -> int:
            return await open_window(app, settings, _resolve)

        return application.run(session, crash=crash)
    finally:
        crash.uninstall()


def _resolve(data_dir: Path, network: str) -> Settings:
    """The settings of another profile under the same flags; what is named last counts."""
    from core.base.settings import parse_arguments

    return parse_arguments([*sys.argv[1:], "--data-dir", str(data_dir), "--network", network], os.environ)


if __name__ == "__main__":
    sys.exit(main())
