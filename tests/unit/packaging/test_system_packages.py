"""What the system must bring: found, named by its Debian package, installed as root or told in one command."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

MISSING = "\tlinux-vdso.so.1 (0x7ff)\n\tlibxcb-icccm.so.4 => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n"

Program = Callable[[str, str], Path]


@pytest.fixture
def apt(program: Program, tmp_path: Path) -> Path:
    """An apt-get that notes how it was called."""
    notes = tmp_path / "apt.txt"
    program("apt-get", f'echo "$DEBIAN_FRONTEND: $*" >> {notes}')
    return notes


def test_the_library_that_qt_names_wrongly_is_named_rightly(system: ModuleType) -> None:
    assert system.parse_ldd(MISSING) == {"libxcb-icccm.so.4"}
    assert system.packages_of({"libxcb-icccm.so.4", "libxcb-keysyms.so.1"}) == {"libxcb-icccm4", "libxcb-keysyms1"}


def test_the_installed_qt_is_asked(system: ModuleType, program: Program) -> None:
    site_packages = Path(sysconfig.get_path("platlib"))
    assert system.libraries_of_qt(site_packages, wayland=False) == set()
    program("ldd", f"printf '%s' '{MISSING}'")
    assert system.libraries_of_qt(site_packages, wayland=False) == {"libxcb-icccm.so.4"}


def test_before_qt_is_installed_known_libraries_are_tried(system: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        system,
        "LIBRARIES",
        {"libc.so.6": "libc6", "libabsent.so.9": "libabsent9", "libwayland-client.so.0x": "libwayland-client0"},
    )
    monkeypatch.setattr(system, "WAYLAND_ONLY", {"libwayland-client.so.0x"})
    assert system.libraries_before_qt(wayland=False) == {"libabsent9"}
    assert system.libraries_before_qt(wayland=True) == {"libabsent9", "libwayland-client0"}


def test_an_unknown_library_is_told_in_words(system: ModuleType) -> None:
    with pytest.raises(system.SystemLacks, match=r"libnew\.so\.1, which this system lacks"):
        system.packages_of({"libnew.so.1"})


def test_a_user_is_told_the_one_command_and_nothing_is_run(
    system: ModuleType, apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(system.SystemLacks) as told:
        system.install({"b", "a"}, "what Qt needs")
    assert "    sudo apt-get install --no-install-recommends a b\n" in str(told.value)
    assert not apt.exists()


def test_root_updates_once_says_what_it_installs_and_installs_it(
    system: ModuleType, apt: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    system.install({"b", "a"}, "what Qt needs")
    assert apt.read_text().splitlines() == [
        "noninteractive: update -qq",
        "noninteractive: install -y -qq --no-install-recommends a b",
    ]
    assert capsys.readouterr().out == "Installing what Qt needs from Debian, as we are root: a b\n"


def test_a_failed_installation_shows_apts_words(
    system: ModuleType, program: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program("apt-get", 'test "$1" = update || { echo "E: Unable to locate package a"; exit 100; }')
    with pytest.raises(system.SystemLacks, match="could not install"):
        system.install({"a"}, "what Qt needs")
    assert "Unable to locate package a" in capsys.readouterr().err


def test_nothing_missing_asks_nobody(system: ModuleType, apt: Path) -> None:
    system.install(set(), "what Qt needs")
    assert not apt.exists()


def test_another_system_is_told_what_to_look_for(
    system: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(system.SystemLacks, match="on Debian it is in the packages"):
        system.install({"libegl1"}, "libraries that Qt needs")


def test_a_program_that_is_not_on_the_path_is_missing(
    system: ModuleType, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = program("electrum", "")
    monkeypatch.setenv("PATH", str(found.parent))
    missing = system.programs_missing()
    assert "electrum" not in missing
    assert {"gnome-keyring", "xvfb", "xdotool", "nodejs", "npm", "dbus-daemon", "curl"} == missing
