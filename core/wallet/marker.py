"""Where the profile remembers whose it is: a row of its database, and the same text in a file beside it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from core.storage.database import Database
from core.storage.errors import ProfileUnusable
from core.storage.files import open_regular, profile_errors, write_atomically

ROW = "node_key"
MAX_COPY_BYTES = 1024


class ProfileMarker:
    """Fills `core.wallet.keystore.Marker`.

    The row decides. The copy speaks only where there is no row: after a damaged database was set aside and a new one
    begun, the profile would otherwise look like a first start, and no keyring can be searched for the old key. Nothing
    in either is secret. All of it runs on the database's thread.
    """

    def __init__(self, database: Database, copy: Path | None) -> None:
        """`copy` is None for a profile without a folder."""
        self._database = database
        self._copy = copy

    async def get(self) -> str | None:
        text = await self._database.read(_row)
        if (kept := text) is not None:
            await self._database.read(lambda _connection: self._restore_copy(kept))
        elif (text := await self._database.read(lambda _connection: self._read_copy())) is not None:
            await self.set(text)
        return text

    async def set(self, text: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            # The copy goes first: if only one of the two survives a kill, it is the one that does not decide.
            if self._copy is not None:
                write_atomically(self._copy, text.encode())
            connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (ROW, text))

        await self._database.write(work)

    def _restore_copy(self, text: str) -> None:
        """Without a copy the next lost database would make a first start of this profile."""
        if self._copy is not None and not os.path.lexists(self._copy):
            write_atomically(self._copy, text.encode())

    def _read_copy(self) -> str | None:
        if self._copy is None:
            return None
        try:
            with profile_errors(self._copy), open_regular(self._copy) as file:
                # What cannot be decoded must stay something, and never become the None of a first start.
                return file.read(MAX_COPY_BYTES).decode(errors="replace")
        except ProfileUnusable:
            if os.path.lexists(self._copy):  # a link to nowhere included: what cannot be read is no first start
                raise
            return None


def _row(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (ROW,)).fetchone()
    return None if row is None else str(row[0])
