"""What the system itself must bring and pip cannot: Qt's shared libraries, and the programs that the suite talks to.

Looks first, then either installs (as root, saying so) or names the one command that does. Never calls sudo.
Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libX11.so.6": "libx11-6",
    "libbrotlidec.so.1": "libbrotli1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-glx.so.0": "libxcb-glx0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb.so.1": "libxcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1",
}
"""What Qt's widgets, its xcb plugin and its Wayland plugin load, and the Debian package that has it.

Needed because Qt's own message is wrong: without libxcb-icccm4 it asks for libxcb-cursor0.
"""

WAYLAND_ONLY = frozenset({"libwayland-client.so.0", "libwayland-cursor.so.0", "libwayland-egl.so.1"})

PROGRAMS = {
    "Xvfb": "xvfb",
    "curl": "curl",
    "dbus-daemon": "dbus-daemon",
    "dbus-run-session": "dbus-daemon",
    "electrum": "electrum",
    "gnome-keyring-daemon": "gnome-keyring",
    "node": "nodejs",
    "npm": "npm",
    "xdotool": "xdotool",
}
"""Programs that the suite starts, and the Debian package of each."""


class SystemLacks(Exception):
    """Something must be installed that we may not or cannot install; the text says what and how."""


def libraries_before_qt(wayland: bool) -> set[str]:
    """Packages of known libraries that the loader does not find: a forecast, for when no Qt is installed yet."""
    missing = set()
    for soname, package in LIBRARIES.items():
        if soname in WAYLAND_ONLY and not wayland:
            continue
        try:
            ctypes.CDLL(soname)
        except OSError:
            missing.add(package)
    return missing


def libraries_of_qt(site_packages: Path, wayland: bool) -> set[str]:
    """Sonames that the installed Qt asks for and the loader does not find."""
    pyside = site_packages / "PySide6"
    plugins = pyside / "Qt" / "plugins" / "platforms"
    objects = [pyside / "QtWidgets.abi3.so", pyside / "QtSvg.abi3.so", plugins / "libqxcb.so"]
    if wayland:
        objects.append(plugins / "libqwayland.so")
    present = [str(path) for path in objects if path.exists()]
    if not present or shutil.which("ldd") is None:
        return set()
    answer = subprocess.run(["ldd", *present], capture_output=True, text=True, check=False, env=_plain_environment())
    return parse_ldd(answer.stdout)


def parse_ldd(text: str) -> set[str]:
    """Sonames on lines such as `libxcb-icccm.so.4 => not found`."""
    return {line.split()[0] for line in text.splitlines() if line.rstrip().endswith("=> not found")}


def packages_of(sonames: Iterable[str]) -> set[str]:
    """Debian packages that have these libraries; raises `SystemLacks` for one that is not known here."""
    unknown = sorted(soname for soname in sonames if soname not in LIBRARIES)
    if unknown:
        raise SystemLacks(
            f"Qt needs {', '.join(unknown)}, which this system lacks, and we do not know the package that has it.\n"
            f"Find it with your system's package search, install it and start again."
        )
    return {LIBRARIES[soname] for soname in sonames}


def programs_missing() -> set[str]:
    """Debian packages of the programs that the suite needs and that are not on the path."""
    return {package for program, package in PROGRAMS.items() if shutil.which(program) is None}


def venv_package_missing() -> set[str]:
    """Debian splits `ensurepip` off its Python; without it no virtual environment has pip."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return {f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"}
    return set()


def install(packages: Iterable[str], why: str) -> None:
    """Bring Debian packages in as root; raises `SystemLacks` with the one command otherwise.

    `why` completes "… for", as in "what Qt needs".
    """
    wanted = sorted(packages)
    if not wanted:
        return
    if shutil.which("apt-get") is None:
        raise SystemLacks(
            f"This system lacks {why}; on Debian it is in the packages\n\n    {' '.join(wanted)}\n\n"
            f"Install what your system calls them and start again."
        )
    if not _is_root():
        raise SystemLacks(f"This system lacks {why}. This installs it:\n\n    {command(wanted)}\n\nThen start again.")
    print(f"Installing {why} from Debian, as we are root: {' '.join(wanted)}", flush=True)
    environment = {**_plain_environment(), "DEBIAN_FRONTEND": "noninteractive"}
    # A fresh system has no package lists; a failed update still leaves the lists it had.
    _run(["apt-get", "update", "-qq"], environment)
    if not _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted], environment):
        raise SystemLacks(
            f"apt-get could not install {why}; its words are above. To try by hand:\n\n    {command(wanted)}"
        )


def command(packages: Sequence[str]) -> str:
    """What a person runs to install them."""
    return "sudo apt-get install --no-install-recommends " + " ".join(shlex.quote(package) for package in packages)


def _run(arguments: list[str], environment: dict[str, str]) -> bool:
    """Quiet unless it fails."""
    answer = subprocess.run(
        arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    if answer.returncode != 0:
        print(answer.stdout[-4000:], file=sys.stderr, flush=True)
    return answer.returncode == 0


def _plain_environment() -> dict[str, str]:
    """ldd and apt in the C locale, and without a library path that Leyden itself would not have."""
    return {**os.environ, "LC_ALL": "C"}


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
