"""Every test has a home of its own and only the loopback network; the user's files, buses and screen stay out."""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REMOVED = (
    "DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK", "GNOME_KEYRING_CONTROL",
    "QT_STYLE_OVERRIDE", "QT_SCALE_FACTOR", "XDG_CURRENT_DESKTOP", "PYTHON_KEYRING_BACKEND",
)  # fmt: skip
XDG_FOLDERS = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
    "XDG_CACHE_HOME": ".cache",
    "XDG_RUNTIME_DIR": "run",
}
NEVER_RESOLVES = (".invalid", ".test")
"""RFC 6761 names: answered with "not known" as a resolver must, so that a test may ask for them."""

_refused: list[str] = []
_real: dict[str, Callable[..., Any]] = {}


def pytest_configure() -> None:
    """Take Ctrl-C as usual: a shell that starts the tests in the background has it ignored, children included."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh HOME with its XDG folders; short, because a unix socket's path may have 107 bytes."""
    # Not monkeypatch alone: what the test itself puts into the environment goes again too.
    before = dict(os.environ)
    folder = Path(tempfile.mkdtemp(prefix="ly-"))
    for name in REMOVED:
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("LEYDEN_") and name not in COUNTERPARTS]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    for name, part in XDG_FOLDERS.items():
        (folder / part).mkdir(parents=True, mode=0o700)
        monkeypatch.setenv(name, str(folder / part))
    yield folder
    os.environ.clear()
    os.environ.update(before)
    shutil.rmtree(folder, ignore_errors=True)


COUNTERPARTS = ("LEYDEN_LDK_DIR", "LEYDEN_PYLN_PYTHON", "LEYDEN_BCOIN_DIR", "LEYDEN_ELECTRUMX_PYTHON")
"""Set by packaging/bootstrap.py: where the real counterparts are installed."""


def refused() -> list[str]:
    """What the current test tried beyond loopback; emptied by asking."""
    found, _refused[:] = list(_refused), []
    return found


def guard_network() -> None:
    """Refuse every IP address but loopback, and every name but localhost, for this process."""
    if _real:
        return
    for name in ("connect", "connect_ex", "bind", "sendto"):
        _real[name] = getattr(socket.socket, name)
        setattr(socket.socket, name, _guarded(name))
    _real["getaddrinfo"] = socket.getaddrinfo
    socket.getaddrinfo = _getaddrinfo


def unguard_network() -> None:
    """Give the socket module back as it was."""
    for name, original in _real.items():
        setattr(socket if name == "getaddrinfo" else socket.socket, name, original)
    _real.clear()


def _guarded(name: str) -> Callable[..., Any]:
    real = _real[name]

    def call(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[-1] if arguments else None
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            _check(name, str(address[0]))
        return real(self, *arguments)

    return call


def _check(what: str, host: str) -> None:
    try:
        allowed = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        allowed = host == "localhost"
    if not allowed:
        _refused.append(f"{what} {host or '(any address)'}")
        raise PermissionError(f"tests use loopback only, not {host!r} ({what})")


def _getaddrinfo(host: Any, *arguments: Any, **keywords: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if name and name.endswith(NEVER_RESOLVES):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if name and name != "localhost" and not name.endswith(".localhost") and not _is_literal(name):
        _refused.append(f"name look-up of {name}")
        raise socket.gaierror(socket.EAI_AGAIN, f"tests look up no names, not {name!r}")
    return _real["getaddrinfo"](host, *arguments, **keywords)


def _is_literal(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
