"""The lock files: everything pinned and hashed, nothing of the machine that wrote them."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.packaging.conftest import ROOT

LOCKS = sorted((ROOT / "packaging" / "requirements").glob("*.txt"))
IMPORT_NAMES = {
    "py-bitcoinkernel": "pbk",
    "PySide6-Essentials": "PySide6",
    "SecretStorage": "secretstorage",
    "dnspython": "dns",
    "google-crc32c": "google_crc32c",
    "python-socks": "python_socks",
}
LDK_LOCK = ROOT / "packaging" / "counterparts" / "ldk" / "package-lock.json"


def _entries(path: Path) -> Iterator[tuple[Requirement, int]]:
    """Each pinned requirement with its number of hashes."""
    for block in re.split(r"\n(?=\S)", path.read_text()):
        if not block.startswith("#"):
            yield Requirement(block.split("\\")[0]), len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_hashed(path: Path) -> None:
    entries = list(_entries(path))
    assert entries
    for requirement, hashes in entries:
        assert [item.operator for item in requirement.specifier] == ["=="], requirement
        assert hashes, requirement


@pytest.mark.parametrize("path", [*LOCKS, LDK_LOCK], ids=lambda path: path.name)
def test_no_lock_names_a_host_or_a_folder(path: Path) -> None:
    text = path.read_text()
    assert not re.findall(r"https?:|file:|index-url|find-links|\bresolved\b|(?<![\w./-])/(?:\w)", text)


def test_each_npm_package_is_pinned_by_its_integrity() -> None:
    packages = json.loads(LDK_LOCK.read_text())["packages"]
    named = {name: entry for name, entry in packages.items() if name}
    assert set(named) == {"node_modules/lightningdevkit", "node_modules/lightningdevkit-node-net"}
    assert all(entry["integrity"].startswith("sha512-") for entry in named.values())


def test_what_pyproject_asks_for_is_what_the_runtime_lock_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for version in ("3.11", "3.12", "3.13"):
        locked = {canonicalize_name(entry.name): entry for entry in _active("runtime.txt", version)}
        for text in project["dependencies"]:
            asked = Requirement(text)
            if asked.marker is None or asked.marker.evaluate(_environment(version)):
                pin = next(iter(locked[canonicalize_name(asked.name)].specifier)).version
                assert asked.specifier.contains(pin), (version, text, pin)


def test_what_the_code_imports_is_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {IMPORT_NAMES.get(name, name) for name in (Requirement(text).name for text in project["dependencies"])}
    imported = set()
    for path in (path for folder in ("core", "gui") for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).partition(".")[0])
    assert imported - sys.stdlib_module_names - {"core", "gui", "resources", "shiboken6"} == asked


def test_the_suite_runs_with_the_runtimes_own_pins() -> None:
    for version in ("3.11", "3.12", "3.13"):
        dev = {f"{entry.name}{entry.specifier}" for entry in _active("dev.txt", version)}
        assert {f"{entry.name}{entry.specifier}" for entry in _active("runtime.txt", version)} <= dev


def _active(name: str, version: str) -> list[Requirement]:
    entries = [entry for entry, _ in _entries(ROOT / "packaging" / "requirements" / name)]
    return [entry for entry in entries if entry.marker is None or entry.marker.evaluate(_environment(version))]


def _environment(version: str) -> dict[str, str]:
    return {"python_version": version, "python_full_version": f"{version}.4"}


def test_markers_are_read_for_each_python() -> None:
    assert Marker("python_version < '3.12'").evaluate(_environment("3.11"))
    assert not Marker("python_version < '3.12'").evaluate(_environment("3.12"))


def test_packaging_is_no_package() -> None:
    """It would hide the `packaging` that pytest and others import."""
    assert not list((ROOT / "packaging").rglob("__init__.py"))


def test_qt_keeps_the_references_to_none() -> None:
    """PySide6 6.12.0 drops one with each void call where None is mortal, before Python 3.12, and then aborts."""
    from PySide6.QtCore import QObject

    thing = QObject()
    before = sys.getrefcount(None)
    for _ in range(1000):
        thing.setObjectName("x")
    assert abs(sys.getrefcount(None) - before) < 100
