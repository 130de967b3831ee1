"""The specification's test vectors and tables, as files beside this one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def load_json(name: str) -> Any:
    """A vector file as parsed JSON."""
    return json.loads((_FOLDER / name).read_text())


def load_csv(name: str) -> list[dict[str, str]]:
    """A table's rows by column name."""
    with (_FOLDER / name).open(newline="") as file:
        return list(csv.DictReader(file))
