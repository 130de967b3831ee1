"""What the wizard leaves on disk: where it stopped, and at its end the profile's settings. Never a secret.

Everything but `config_text` blocks; call it through `asyncio.to_thread`.
"""

from __future__ import annotations

import json
from pathlib import Path

from core.base.paths import ProfilePaths
from core.storage.errors import ProfileUnusable
from core.storage.files import open_regular, profile_errors, write_atomically
from gui.wizard.machine import ChainKind, Entries, KeyPlan, Machine, StateUnreadable, listening_port

STATE_FILE = "wizard.json"
MAX_STATE_BYTES = 1 << 16
PRIVATE_FOLDER = 0o700


def is_fresh(paths: ProfilePaths) -> bool:
    """Whether a profile was never begun: no settings, no key, no database."""
    return not any(path.exists() for path in (paths.config, paths.key_marker, paths.key_file, paths.database))


def state_file(paths: ProfilePaths) -> Path:
    """Where an unfinished wizard of this profile stands; of no other."""
    return paths.folder / STATE_FILE


def read_state(paths: ProfilePaths) -> Machine | None:
    """Where an earlier run for this profile stopped; None when there was none, or what it left cannot be read."""
    try:
        with open_regular(state_file(paths)) as file:
            text = file.read(MAX_STATE_BYTES).decode()
        machine = Machine.from_text(text, key_kept=paths.key_marker.exists())
    except (OSError, UnicodeDecodeError, StateUnreadable):
        return None
    return machine if machine.entries.network == paths.network else None


def write_state(data_dir: Path, machine: Machine) -> None:
    """In the folder of the network that is chosen now. Raises ProfileUnusable."""
    if machine.entries.plan is KeyPlan.MEMORY:
        return
    chosen = ProfilePaths(data_dir, machine.entries.network)
    _make_folder(data_dir)
    _make_folder(chosen.folder)
    write_atomically(state_file(chosen), machine.to_text().encode(errors="replace"))


def forget_state(paths: ProfilePaths) -> None:
    """The wizard has done its work, or is about another profile now. Raises ProfileUnusable."""
    with profile_errors(paths.folder):
        state_file(paths).unlink(missing_ok=True)


def write_config(paths: ProfilePaths, entries: Entries) -> None:
    """The profile's `config.toml`, whole or not at all. Raises ProfileUnusable."""
    _make_folder(paths.data_dir)
    _make_folder(paths.folder)
    write_atomically(paths.config, config_text(entries).encode())


def config_text(entries: Entries) -> str:
    """The settings as TOML. Where the key is kept is not among them: the profile remembers that, and it may move."""
    values: dict[str, str | list[str]] = {}
    if entries.alias:
        values["alias"] = entries.alias
    if entries.color:
        values["color"] = entries.color.lower()
    values["chain-source"] = entries.chain.value
    if entries.chain is ChainKind.ELECTRUM and entries.servers:
        values["electrum-server"] = list(entries.servers)
    elif entries.chain is ChainKind.BITCOIN_RPC:
        values["bitcoin-rpc"] = entries.rpc
        if entries.rpc_user:
            values["bitcoin-rpc-user"] = entries.rpc_user
            values["bitcoin-rpc-password-file"] = entries.rpc_secret_file
        else:
            values["bitcoin-rpc-cookie"] = entries.rpc_secret_file
    if entries.listen:
        values["bind"] = [f"0.0.0.0:{listening_port(entries)}"]
    # A JSON text or list of texts is TOML as well; DEL alone is not, and no setting takes it.
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise ProfileUnusable(path=folder, reason=error.strerror or str(error)) from None
