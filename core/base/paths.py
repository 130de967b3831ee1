"""Where a profile's files stand: one folder per data directory and network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs


def default_data_dir() -> Path:
    """The user's data folder as the platform has it, such as `~/.local/share/leyden`."""
    return Path(platformdirs.user_data_dir("leyden", appauthor=False, roaming=False))


@dataclass(frozen=True, slots=True)
class ProfilePaths:
    """The names of everything in one profile folder."""

    data_dir: Path
    network: str

    @property
    def folder(self) -> Path:
        return self.data_dir / self.network

    @property
    def lock(self) -> Path:
        return self.folder / "leyden.lock"

    @property
    def database(self) -> Path:
        return self.folder / "leyden.sqlite"

    @property
    def socket(self) -> Path:
        """CLN's own name, so that its clients find it."""
        return self.folder / "lightning-rpc"

    @property
    def gossip_store(self) -> Path:
        return self.folder / "gossip_store"

    @property
    def rapid_gossip(self) -> Path:
        """Unsigned snapshots of the network, apart from signed gossip."""
        return self.folder / "rapid_gossip"

    @property
    def scorer(self) -> Path:
        return self.folder / "scorer"

    @property
    def chain(self) -> Path:
        """The embedded regtest chain's blocks."""
        return self.folder / "regtest-chain"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def key_file(self) -> Path:
        return self.folder / "node-key.json"

    @property
    def key_marker(self) -> Path:
        """Which node the profile belongs to, beside the database's own record of it. Not secret."""
        return self.folder / "node-id.json"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"
