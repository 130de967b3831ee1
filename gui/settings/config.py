"""Changing single settings in a profile's `config.toml`; every other line stays as it is, comments too.

Blocks; call it through `asyncio.to_thread`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from core.base.settings import MAX_CONFIG_BYTES, SettingInvalid
from core.storage.files import open_regular, profile_errors, write_atomically

_PRIVATE_FOLDER = 0o700


def change_config(path: Path, changes: Mapping[str, str]) -> None:
    """Write the file anew with these settings, whole or not at all; an empty text takes a setting out.

    Raises ProfileUnusable, and SettingInvalid when the file cannot be read or is written in a way that cannot be
    changed line by line: it is left alone then.
    """
    before = _read(path)
    after = changed_text(before, changes)
    if _table(after) != _wanted(_table(before), changes):
        raise SettingInvalid(name="config.toml", value=str(path), reason="change it by hand", origin="config")
    with profile_errors(path.parent):
        path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    write_atomically(path, after.encode())


def changed_text(text: str, changes: Mapping[str, str]) -> str:
    """The lines with each setting of `changes` once, where it stood or at the end."""
    lines = text.splitlines(keepends=True)
    for name, value in changes.items():
        # A JSON text is TOML as well; DEL alone is not, and no setting takes it.
        line = f"{name} = {json.dumps(value, ensure_ascii=False)}\n" if value else ""
        places = [place for place, old in enumerate(lines) if re.match(rf'\s*"?{re.escape(name)}"?\s*=', old)]
        if places:
            lines[places[0]] = line
        elif line:
            if lines and not lines[-1].endswith("\n"):
                lines[-1] += "\n"
            lines.append(line)
    return "".join(lines)


def _wanted(table: Mapping[str, object], changes: Mapping[str, str]) -> dict[str, object]:
    kept = {name: value for name, value in table.items() if name not in changes}
    return kept | {name: value for name, value in changes.items() if value}


def _table(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number beyond Python's limit is no TOMLDecodeError
        raise SettingInvalid(name="config.toml", value="", reason=str(error), origin="config") from None


def _read(path: Path) -> str:
    try:
        with open_regular(path) as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise OSError(f"it is longer than {MAX_CONFIG_BYTES} bytes")
        return data.decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingInvalid(name="config.toml", value=str(path), reason=str(error), origin="config") from None
