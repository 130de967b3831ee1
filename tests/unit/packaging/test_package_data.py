"""What a wheel takes along besides code; an editable install would not notice what is missing."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def _taken_along() -> set[Path]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["resources"]
    return {path for pattern in patterns for path in (ROOT / "resources").glob(pattern)}


def test_every_icon_is_in_the_wheel() -> None:
    icons = set((ROOT / "resources" / "icons").iterdir())
    assert icons and icons <= _taken_along()


def test_the_pictures_of_the_readme_are_not() -> None:
    assert not {path for path in _taken_along() if path.suffix == ".png"}
