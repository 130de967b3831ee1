"""The profile's SQLite database, on one thread of its own.

WAL with `synchronous=FULL`: what `write` returned from is on the disk. Every call runs as one transaction on the
writer thread, in the order of the calls, so the loop never waits for a commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from core.base.finish import finish
from core.storage import opening
from core.storage.errors import DatabaseDamaged, ProfileUnusable
from core.storage.schema import MIGRATIONS, Migration

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Database:
    """Open with `Database.open`. `None` as path keeps everything in memory (practice node)."""

    def __init__(self, path: Path | None, opened: opening.Opened, executor: ThreadPoolExecutor) -> None:
        self.path = path
        self.damage: DatabaseDamaged | None = opened.damage
        """Set when this start found the database damaged, set it aside and began a new one."""
        self.restore_needed: str | None = opened.restore_needed
        """Why Lightning must not start: channel records were written once and are lost. It stays across restarts until
        the database that holds them is back."""
        self._expects_channels = False
        self._connection = opened.connection
        self._executor: ThreadPoolExecutor | None = executor

    @classmethod
    async def open(cls, path: Path | None, *, migrations: Sequence[Migration] = MIGRATIONS) -> Database:
        """Open or make the database and bring it to the newest version.

        Raises DatabaseTooNew (file untouched), ProfileUnusable. A damaged file is set aside and told by `damage`.
        """
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(executor, opening.open_database, path, tuple(migrations))
        try:
            return cls(path, await asyncio.shield(work), executor)
        except BaseException:
            executor.shutdown(wait=False)
            await finish(_discard(work))  # whoever opens it next must not meet this one half way
            raise

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction; returns once it is committed, raises with everything rolled back.

        A caller that is cancelled leaves either state, never a half one. Raises DatabaseDamaged, ProfileUnusable.
        """
        return await self._run(work, "IMMEDIATE")

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent state. Raises DatabaseDamaged, ProfileUnusable."""
        return await self._run(work, "DEFERRED")

    async def expect_channels(self) -> None:
        """Call before a channel record is written: from then on a lost database is known as one with channels."""
        if not self._expects_channels:
            path = self.path
            await self.write(opening.note_channels)
            await self.read(lambda _connection: opening.leave_channels_marker(path))
            self._expects_channels = True

    async def aclose(self) -> None:
        """Wait for what was asked before, then close; closing twice does nothing."""
        if self._executor is None:
            return
        executor, self._executor = self._executor, None
        await finish(_close(executor, self._connection))

    async def _run(self, work: Work[T], mode: str) -> T:
        if self._executor is None:
            raise RuntimeError("the database is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._transact, work, mode)

    def _transact(self, work: Work[T], mode: str) -> T:
        connection = self._connection
        try:
            connection.execute(f"BEGIN {mode}")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            raise self._translate(error) from error
        return result

    def _translate(self, error: sqlite3.DatabaseError) -> Exception:
        """A broken file or a full disk is a fact to tell; a broken rule of the schema is our own fault and stays."""
        path = self.path or Path(":memory:")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in opening.DAMAGE_CODES or "no such table" in str(error):
            return DatabaseDamaged(path=path, set_aside=None, reason=str(error))
        if code in opening.TROUBLE_CODES:
            return ProfileUnusable(path=path, reason=str(error))
        return error


async def _discard(work: asyncio.Future[opening.Opened]) -> None:
    await asyncio.wait([work])
    if work.exception() is None:
        work.result().connection.close()


async def _close(executor: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
    closing = asyncio.get_running_loop().run_in_executor(executor, connection.close)
    executor.shutdown(wait=False)
    await closing
