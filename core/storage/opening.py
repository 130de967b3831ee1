"""Opening the database file: version check, damage, migrations. Blocks; runs on the database's thread."""

from __future__ import annotations

import os
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

from core.storage.errors import DatabaseDamaged, DatabaseTooNew, ProfileUnusable
from core.storage.files import PRIVATE_FILE, profile_errors, set_aside, sync_folder
from core.storage.schema import APPLICATION_ID, Migration

DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
TROUBLE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    }
)
_COMPANIONS = ("-journal", "-wal", "-shm")
_HAS_CHANNELS = "has_channels"
_LOST_CHANNELS = "lost_channels"


@dataclass(frozen=True, slots=True)
class Opened:
    """What `open_database` hands over."""

    connection: sqlite3.Connection
    damage: DatabaseDamaged | None
    restore_needed: str | None


class _Damage(Exception):
    """Why the file cannot be used."""


def channels_marker(database: Path) -> Path:
    """The file whose existence says that channel records were ever written.

    It outlives the database, so that a lost or damaged one is not taken for that of a node without channels.
    """
    return database.with_name(database.name + ".has-channels")


def note_channels(connection: sqlite3.Connection) -> None:
    """Note in the database that it holds channel records.

    It comes before the marker: a kill in between must not leave a marker whose database does not know of it, which
    would ask for a restore.
    """
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, '1')", (_HAS_CHANNELS,))


def leave_channels_marker(database: Path | None) -> None:
    """Make the marker, durably, before the first channel record is written."""
    if database is None:
        return
    marker = channels_marker(database)
    with profile_errors(marker):
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), PRIVATE_FILE))
        sync_folder(marker.parent)


def open_database(path: Path | None, migrations: tuple[Migration, ...]) -> Opened:
    """See `Database.open`."""
    if path is None:
        connection = _connect(Path(":memory:"))
        _migrate(connection, None, migrations)
        return Opened(connection, None, None)
    with profile_errors(path):
        missing = not os.path.lexists(path)  # a link to nowhere would be followed to make a file there
        if not missing and not path.is_file():
            raise ProfileUnusable(path=path, reason="is not a file")
    damage: DatabaseDamaged | None = None
    if not missing:
        try:
            _check(path, migrations[-1].to_version)
            connection = _open_checked(path, migrations)
            return Opened(connection, None, _restore_needed(connection, path))
        except _Damage as found:
            aside = set_aside(path, companions=_COMPANIONS)
            damage = DatabaseDamaged(path=path, set_aside=aside, reason=str(found))
    elif channels_marker(path).exists():
        damage = DatabaseDamaged(path=path, set_aside=None, reason="is missing")
    connection = _begin_new(path, migrations)
    if damage is not None:
        _note_lost_channels(connection, damage)
    return Opened(connection, damage, _restore_needed(connection, path))


def _check(path: Path, known: int) -> None:
    """Look at the file without writing to it. Raises _Damage, DatabaseTooNew, ProfileUnusable."""
    try:
        try:
            _look(path, "ro", known)
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_READONLY:
                raise
            _look(path, "rw", known)  # a kill left a journal; SQLite must roll it back before anything can be read
    except sqlite3.DatabaseError as error:
        if _code(error) in TROUBLE_CODES:
            raise ProfileUnusable(path=path, reason=str(error)) from error
        raise _Damage(str(error)) from error


def _look(path: Path, mode: str, known: int) -> None:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=1.0)
    try:
        found = _version(connection)
        if found > known:
            raise DatabaseTooNew(path=path, found=found, known=known)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (found or tables) and application != APPLICATION_ID:
            raise _Damage("is not a Leyden database")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _Damage(str(verdict))
    finally:
        connection.close()


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's primary result code; 0 for errors of the Python module itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _open_checked(path: Path, migrations: tuple[Migration, ...]) -> sqlite3.Connection:
    """Open for writing and migrate. Raises _Damage, ProfileUnusable."""
    try:
        connection = _connect(path)
        try:
            _migrate(connection, path, migrations)
        except BaseException:
            connection.close()
            raise
        return connection
    except sqlite3.DatabaseError as error:
        if _code(error) in DAMAGE_CODES:
            raise _Damage(str(error)) from error
        if _code(error) in TROUBLE_CODES:
            raise ProfileUnusable(path=path, reason=str(error)) from error
        raise  # a fault in a migration of ours: the file is good and stays where it is


def _begin_new(path: Path, migrations: tuple[Migration, ...]) -> sqlite3.Connection:
    with profile_errors(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), PRIVATE_FILE))
        sync_folder(path.parent)
    try:
        return _open_checked(path, migrations)
    except _Damage as found:  # an empty file cannot be damaged: the disk or the folder is at fault
        raise ProfileUnusable(path=path, reason=str(found)) from found


def _connect(path: Path) -> sqlite3.Connection:
    # Only the database's own thread uses it, but the one that closes it late may be another.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if sys.platform == "darwin":  # there a plain fsync stops at the drive's cache
            connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection, path: Path | None, migrations: tuple[Migration, ...]) -> None:
    """Run what is missing, each migration in its own transaction, a copy of the database made before it."""
    for migration in migrations:
        found = _version(connection)
        if found >= migration.to_version:
            continue
        if found and path is not None:
            _copy_before(connection, path, found, migration.to_version)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {migration.to_version}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _copy_before(connection: sqlite3.Connection, path: Path, version: int, to_version: int) -> None:
    """`VACUUM INTO` a file beside the database; a kill in between leaves no half copy under the final name."""
    target = path.with_name(f"{path.stem}-v{version}-before-v{to_version}{path.suffix}")
    temporary = target.with_name(target.name + ".tmp")
    with profile_errors(target):
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))  # VACUUM takes an empty file
        connection.execute("VACUUM INTO ?", (str(temporary),))
        os.replace(temporary, target)
        sync_folder(path.parent)


def _note_lost_channels(connection: sqlite3.Connection, damage: DatabaseDamaged) -> None:
    where = damage.set_aside.name if damage.set_aside is not None else damage.path.name
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_LOST_CHANNELS, f"{where}: {damage.reason}")
    )


def _restore_needed(connection: sqlite3.Connection, path: Path) -> str | None:
    """Channel records were written once (the marker stands), and not to this database."""
    notes = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    if _HAS_CHANNELS in notes or not channels_marker(path).exists():
        return None
    return str(notes.get(_LOST_CHANNELS, f"{path.name}: holds no channel records"))
