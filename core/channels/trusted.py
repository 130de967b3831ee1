"""Nodes whose channels are accepted before they are confirmed: a JSON list of ids in a file, as upstream keeps it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

from core.base.finish import finish
from core.storage.errors import ProfileUnusable
from core.storage.files import open_regular, profile_errors, write_atomically

MAX_TRUSTED_BYTES = 1 << 20
NODE_ID_BYTES = 33


class TrustedNodes:
    """All in memory; a change is in the file before it is here. `path` None keeps nothing."""

    def __init__(self, path: Path | None, nodes: Iterable[bytes]) -> None:
        self._path = path
        self._nodes = dict.fromkeys(nodes)
        self._changing = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path | None) -> TrustedNodes:
        """Raises ProfileUnusable, also for a file that is no such list: it is left as it is."""
        return cls(path, () if path is None else await finish(asyncio.to_thread(_read, path)))

    def all(self) -> tuple[bytes, ...]:
        return tuple(self._nodes)

    async def add(self, node_id: bytes) -> None:
        """One that is trusted already stays so. Raises ProfileUnusable."""
        async with self._changing:
            await finish(self._keep(self._nodes | {node_id: None}))

    async def remove(self, node_id: bytes) -> None:
        """One that is not trusted stays so. Raises ProfileUnusable."""
        async with self._changing:
            await finish(self._keep({known: None for known in self._nodes if known != node_id}))

    async def _keep(self, nodes: dict[bytes, None]) -> None:
        if self._path is not None and nodes != self._nodes:
            content = json.dumps([node_id.hex() for node_id in nodes]).encode()
            await asyncio.to_thread(write_atomically, self._path, content)
        self._nodes = nodes


def _read(path: Path) -> list[bytes]:
    with profile_errors(path):
        try:
            with open_regular(path) as file:
                text = file.read(MAX_TRUSTED_BYTES)
        except FileNotFoundError:
            return []
    try:
        nodes = [bytes.fromhex(each) for each in json.loads(text)]
    except (ValueError, TypeError, RecursionError) as error:
        raise ProfileUnusable(path=path, reason=f"not a list of node ids: {error}") from None
    if any(len(node_id) != NODE_ID_BYTES for node_id in nodes):
        raise ProfileUnusable(path=path, reason=f"not a list of node ids, of {NODE_ID_BYTES} bytes each")
    return nodes
