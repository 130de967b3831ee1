"""The funding transactions of channels that the chain was seen to hold, in the profile's database.

A block tells which outputs it spends; here is found whose they were. In the database and not in memory: a block is
looked up in its thread, and 50,000 transaction ids are 8 MB as a dictionary.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.storage.database import Database

_SEEN = "gossip_chain_seen"
_TXID_BYTES = 32


@dataclass(frozen=True, slots=True)
class SeenBlock:
    """The last block of which it is known what it spent."""

    height: int
    block_hash: bytes


class Fundings:
    """All of it raises DatabaseDamaged, ProfileUnusable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember(self, fundings: Sequence[tuple[int, bytes]]) -> None:
        """Short channel ids with the ids of their funding transactions, in wire order; outlives a kill."""
        statement = "INSERT OR REPLACE INTO funding_outputs (short_channel_id, txid) VALUES (?, ?)"
        await self._database.write(lambda connection: connection.executemany(statement, fundings))

    async def forget(self, scids: Iterable[int]) -> None:
        """Channels that are gone; others are passed over."""
        rows = [(scid,) for scid in scids]
        statement = "DELETE FROM funding_outputs WHERE short_channel_id = ?"
        await self._database.write(lambda connection: connection.executemany(statement, rows))

    async def known(self) -> list[int]:
        """Short channel ids of all."""

        def read(connection: sqlite3.Connection) -> list[int]:
            return [row[0] for row in connection.execute("SELECT short_channel_id FROM funding_outputs")]

        return await self._database.read(read)

    async def known_of(self, scids: Iterable[int]) -> list[int]:
        """Which of these were seen on the chain once."""
        statement = "SELECT short_channel_id FROM funding_outputs WHERE short_channel_id = ?"

        def read(connection: sqlite3.Connection) -> list[int]:
            return [row[0] for scid in scids for row in connection.execute(statement, (scid,))]

        return await self._database.read(read)

    async def spent(self, outpoints: Iterable[bytes]) -> list[int]:
        """Short channel ids of those whose funding output is one of `outpoints`: txid and index, 36 bytes."""

        def read(connection: sqlite3.Connection) -> list[int]:
            found: list[int] = []
            for outpoint in outpoints:
                index = int.from_bytes(outpoint[_TXID_BYTES:], "little")
                rows = connection.execute(
                    "SELECT short_channel_id FROM funding_outputs WHERE txid = ?", (outpoint[:_TXID_BYTES],)
                )
                found += [row[0] for row in rows if row[0] & 0xFFFF == index]
            return found

        return await self._database.read(read)

    async def seen(self) -> SeenBlock | None:
        """None at the first start."""

        def read(connection: sqlite3.Connection) -> SeenBlock | None:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (_SEEN,)).fetchone()
            if row is None:
                return None
            height, _space, block_hash = str(row[0]).partition(" ")
            return SeenBlock(int(height), bytes.fromhex(block_hash))

        return await self._database.read(read)

    async def note_seen(self, block: SeenBlock) -> None:
        """What the blocks up to this one spent is in the graph."""
        text = f"{block.height} {block.block_hash.hex()}"
        statement = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"
        await self._database.write(lambda connection: connection.execute(statement, (_SEEN, text)))
