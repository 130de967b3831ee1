"""What was saved stays saved, and a database that cannot be read is never lost."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from core.gossip.fundings import Fundings
from core.storage.database import Database
from core.storage.errors import DatabaseDamaged, DatabaseTooNew, ProfileUnusable
from core.storage.opening import channels_marker
from core.storage.schema import KNOWN_VERSION, MIGRATIONS, Migration
from tests.unit.storage.children import end_child, run_until_byte, start_child

FIXTURE_V1 = Path(__file__).parent / "fixtures" / "leyden-v1.sqlite"
TO_NEXT = Migration(
    KNOWN_VERSION + 1, ("ALTER TABLE peers ADD COLUMN nickname TEXT", "UPDATE peers SET nickname = 'old friend'")
)
"""A version that nobody has yet."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leyden.sqlite"


def put(key: str, value: str):
    return lambda connection: connection.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (key, value))


def get(key: str):
    def work(connection: sqlite3.Connection) -> str | None:
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    return work


async def make(path: Path) -> None:
    """A database with one note in it."""
    database = await Database.open(path)
    await database.write(put("note", "kept"))
    await database.aclose()


async def test_what_was_written_is_there_after_a_restart(path: Path) -> None:
    await make(path)
    database = await Database.open(path)
    assert await database.read(get("note")) == "kept"
    assert (database.damage, database.restore_needed) == (None, None)
    await database.aclose()
    await database.aclose()


async def test_the_database_is_its_owners_alone(path: Path) -> None:
    database = await Database.open(path)
    await database.write(put("note", "kept"))
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()} == {0o600}
    await database.aclose()


async def test_a_commit_goes_through_the_log_to_the_disk(path: Path) -> None:
    database = await Database.open(path)

    def settings(connection: sqlite3.Connection) -> list[object]:
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    assert await database.read(settings) == ["wal", 2]
    await database.aclose()


async def test_work_that_fails_leaves_nothing(path: Path) -> None:
    database = await Database.open(path)

    def work(connection: sqlite3.Connection) -> None:
        put("half", "done")(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(work)
    with pytest.raises(sqlite3.IntegrityError):
        await database.write(lambda connection: [put("twice", "x")(connection) for _ in range(2)])
    assert await database.read(get("half")) is None
    assert await database.read(get("twice")) is None
    await database.aclose()


async def test_the_loop_turns_while_a_transaction_takes_its_time(path: Path) -> None:
    database = await Database.open(path)
    release = threading.Event()
    writing = asyncio.ensure_future(database.write(lambda _connection: release.wait(20)))
    behind = asyncio.ensure_future(database.write(put("behind", "it")))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not writing.done() and not behind.done()
    release.set()
    assert await writing is True
    await behind
    await database.aclose()


async def test_a_practice_database_leaves_no_file(tmp_path: Path) -> None:
    database = await Database.open(None)
    await database.expect_channels()
    await database.write(put("note", "gone soon"))
    assert await database.read(get("note")) == "gone soon"
    await database.aclose()
    assert list(tmp_path.iterdir()) == []


WRITE_PAIRS = """
import asyncio, sys
from pathlib import Path
from core.gossip.fundings import Fundings
from core.storage.database import Database
async def main():
    database = await Database.open(Path(sys.argv[1]))
    for number in range(10_000):
        def work(connection):
            for half in "ab":
                connection.execute("INSERT INTO meta VALUES (?, ?)", (f"{number}{half}", "x" * 3000))
        await database.write(work)
        print(number, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("limit", random.Random(7).sample(range(150_000, 2_000_000), 6))
async def test_a_kill_at_any_byte_of_the_log_keeps_all_that_was_saved_and_no_half(path: Path, limit: int) -> None:
    await make(path)
    child = run_until_byte(limit, WRITE_PAIRS, path)
    assert child.returncode == -signal.SIGXFSZ, child.stderr
    told = [int(line) for line in child.stdout.split()]
    database = await Database.open(path)
    assert database.damage is None
    rows = await database.read(lambda connection: connection.execute("SELECT key FROM meta").fetchall())
    keys = {key for (key,) in rows} - {"note"}
    assert told, "it was killed before it saved anything"
    assert {f"{number}{half}" for number in told for half in "ab"} <= keys
    assert {key[:-1] for key in keys if key.endswith("a")} == {key[:-1] for key in keys if key.endswith("b")}
    assert await database.read(get("note")) == "kept"
    await database.aclose()


@pytest.mark.parametrize("limit", [*range(0, 4096, 1500), *random.Random(3).sample(range(4096, 40_000), 4)])
async def test_a_kill_while_the_database_is_being_made_lets_the_next_start_make_it(path: Path, limit: int) -> None:
    child = run_until_byte(limit, WRITE_PAIRS, path)
    assert child.returncode == -signal.SIGXFSZ, child.stderr
    database = await Database.open(path)
    assert database.damage is None
    await database.write(put("note", "works"))
    await database.aclose()


async def test_a_newer_database_is_refused_and_not_one_byte_of_it_changes(path: Path) -> None:
    await make(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA user_version = {KNOWN_VERSION + 6}")
    kept = {entry.name: entry.read_bytes() for entry in path.parent.iterdir() if not entry.name.endswith("-shm")}
    assert f"{path.name}-wal" in kept, "the new version stands in the log alone"
    crashed = path.parent / "crashed"
    crashed.mkdir()
    for name, content in kept.items():
        (crashed / name).write_bytes(content)
    connection.close()
    with pytest.raises(DatabaseTooNew) as caught:
        await Database.open(crashed / path.name)
    assert (caught.value.found, caught.value.known) == (KNOWN_VERSION + 6, KNOWN_VERSION)
    left = {entry.name: entry.read_bytes() for entry in crashed.iterdir() if not entry.name.endswith("-shm")}
    assert left == kept


async def test_a_file_that_is_no_database_is_set_aside_and_the_node_starts(path: Path) -> None:
    garbage = random.Random(1).randbytes(20_000)
    path.write_bytes(garbage)
    database = await Database.open(path)
    assert database.damage is not None and database.damage.set_aside is not None
    assert database.damage.reason == "file is not a database"
    assert database.damage.set_aside.read_bytes() == garbage
    assert database.restore_needed is None, "no channels were ever in it"
    await database.write(put("note", "new"))
    await database.aclose()


async def test_a_broken_page_is_found_at_the_start(path: Path) -> None:
    await make(path)
    content = bytearray(path.read_bytes())
    content[4096 : 4096 + 200] = os.urandom(200)
    path.write_bytes(content)
    database = await Database.open(path)
    assert database.damage is not None and database.damage.set_aside is not None
    assert database.damage.set_aside.read_bytes() == content
    await database.aclose()


async def test_somebody_elses_database_is_set_aside_untouched(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    content = path.read_bytes()
    database = await Database.open(path)
    assert database.damage is not None and database.damage.set_aside is not None
    assert database.damage.reason == "is not a Leyden database"
    assert database.damage.set_aside.read_bytes() == content
    await database.aclose()


async def test_lost_channel_records_ask_for_a_restore_until_they_are_back(path: Path) -> None:
    database = await Database.open(path)
    await database.expect_channels()
    await database.write(put("note", "kept"))
    await database.aclose()
    good = path.read_bytes()
    path.write_bytes(b"\0" * 5000)
    for start in ("the damaged one", "the next one"):
        database = await Database.open(path)
        assert database.restore_needed is not None, start
        assert database.restore_needed.startswith("leyden.sqlite.damaged-"), start
        await database.aclose()
    path.write_bytes(good)
    database = await Database.open(path)
    assert database.restore_needed is None
    await database.aclose()


async def test_a_missing_database_of_a_node_with_channels_asks_for_a_restore(path: Path) -> None:
    database = await Database.open(path)
    await database.expect_channels()
    await database.aclose()
    path.unlink()
    database = await Database.open(path)
    assert database.damage is not None and database.damage.reason == "is missing"
    assert database.restore_needed == "leyden.sqlite: is missing"
    await database.aclose()


async def test_a_kill_before_the_marker_asks_for_no_restore(path: Path) -> None:
    database = await Database.open(path)
    await database.expect_channels()
    await database.aclose()
    channels_marker(path).unlink()
    database = await Database.open(path)
    assert database.restore_needed is None
    await database.aclose()


async def test_something_that_is_no_file_is_told_and_left(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ProfileUnusable) as caught:
        await Database.open(path)
    assert (caught.value.path, caught.value.reason) == (path, "is not a file")


async def test_a_database_that_another_process_keeps_locked_is_told_and_left(path: Path) -> None:
    await make(path)
    child = start_child(
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA locking_mode = EXCLUSIVE')\n"
        "connection.execute('BEGIN EXCLUSIVE')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n",
        path,
    )
    try:
        with pytest.raises(ProfileUnusable) as caught:
            await Database.open(path)
        assert caught.value.reason == "database is locked"
    finally:
        end_child(child)
    assert [entry.name for entry in path.parent.iterdir() if "damaged" in entry.name] == []


async def test_a_table_that_vanishes_while_in_use_is_damage(path: Path) -> None:
    database = await Database.open(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("DROP TABLE meta")
    other.close()
    with pytest.raises(DatabaseDamaged) as caught:
        await database.read(get("note"))
    assert caught.value.set_aside is None
    await database.aclose()


async def test_an_open_that_is_cancelled_leaves_no_thread_and_no_file_open(path: Path) -> None:
    opening = asyncio.ensure_future(Database.open(path))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    database = await Database.open(path)
    await database.aclose()


async def test_every_released_version_can_be_opened(path: Path) -> None:
    shutil.copy(FIXTURE_V1, path)
    database = await Database.open(path)
    counts = await database.read(
        lambda connection: [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("peers", "peer_addresses", "channels")
        ]
    )
    assert counts == [2, 3, 1]
    await database.aclose()


async def test_version_1_becomes_the_newest_with_everything_in_it(path: Path) -> None:
    shutil.copy(FIXTURE_V1, path)
    old = sqlite3.connect(f"file:{FIXTURE_V1}?mode=ro&immutable=1", uri=True)
    addresses = old.execute("SELECT node_id, kind, host, port, used_at FROM peer_addresses").fetchall()
    peers = old.execute("SELECT node_id, saved_at FROM peers").fetchall()
    old.close()
    database = await Database.open(path)

    def work(connection: sqlite3.Connection) -> list[object]:
        return [
            connection.execute("PRAGMA user_version").fetchone(),
            connection.execute("SELECT node_id, kind, host, port, used_at FROM peer_addresses").fetchall(),
            connection.execute("SELECT DISTINCT learnt, failed_at FROM peer_addresses").fetchall(),
            connection.execute("SELECT node_id, saved_at FROM peers").fetchall(),
            connection.execute("SELECT DISTINCT label, note FROM peers").fetchall(),
            connection.execute("SELECT * FROM bans").fetchall(),
        ]

    assert await database.read(work) == [(KNOWN_VERSION,), addresses, [("connect", None)], peers, [("", "")], []]
    await database.aclose()
    assert path.with_name("leyden-v1-before-v2.sqlite").exists()


@pytest.mark.parametrize("version", range(1, KNOWN_VERSION))
async def test_every_earlier_version_can_keep_funding_outputs_afterwards(path: Path, version: int) -> None:
    earlier = await Database.open(path, migrations=MIGRATIONS[:version])
    await earlier.aclose()
    database = await Database.open(path)
    fundings = Fundings(database)
    await fundings.remember([(700_000 << 40 | 5 << 16 | 1, b"\x01" * 32)])
    await database.aclose()
    again = await Database.open(path)
    assert await Fundings(again).known() == [700_000 << 40 | 5 << 16 | 1]
    await again.aclose()


async def test_a_released_migration_was_not_edited(path: Path) -> None:
    released = await Database.open(path, migrations=MIGRATIONS[:1])
    await released.aclose()
    schemas = []
    for file in (path, FIXTURE_V1):
        connection = sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)
        schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall())
        connection.close()
    assert schemas[0] == schemas[1]


async def test_a_migration_keeps_a_copy_of_what_was_before(path: Path) -> None:
    shutil.copy(FIXTURE_V1, path)
    database = await Database.open(path, migrations=(*MIGRATIONS, TO_NEXT))
    labels = await database.read(lambda connection: connection.execute("SELECT nickname FROM peers").fetchall())
    assert labels == [("old friend",)] * 2
    await database.aclose()
    copy = path.with_name("leyden-v1-before-v2.sqlite")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    database = await Database.open(copy)
    assert database.damage is None
    peers = await database.read(lambda connection: connection.execute("SELECT * FROM peers").fetchall())
    assert len(peers) == 2
    await database.aclose()


async def test_a_migration_that_fails_leaves_the_old_version_in_place(path: Path) -> None:
    shutil.copy(FIXTURE_V1, path)
    broken = Migration(KNOWN_VERSION + 1, (*TO_NEXT.statements, "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError):
        await Database.open(path, migrations=(*MIGRATIONS, broken))
    database = await Database.open(path)
    assert database.damage is None
    await database.aclose()


MIGRATE = """
import asyncio, sys
from pathlib import Path
from core.gossip.fundings import Fundings
from core.storage.database import Database
from tests.unit.storage.test_database import MIGRATIONS, TO_NEXT
asyncio.run(Database.open(Path(sys.argv[1]), migrations=(*MIGRATIONS, TO_NEXT)))
"""


@pytest.mark.parametrize("limit", random.Random(5).sample(range(1, 45_000), 4))
async def test_a_kill_within_a_migration_leaves_one_version_or_the_other(path: Path, limit: int) -> None:
    shutil.copy(FIXTURE_V1, path)
    run_until_byte(limit, MIGRATE, path)
    database = await Database.open(path, migrations=(*MIGRATIONS, TO_NEXT))
    assert database.damage is None
    labels = await database.read(lambda connection: connection.execute("SELECT nickname FROM peers").fetchall())
    assert labels == [("old friend",)] * 2
    await database.aclose()
