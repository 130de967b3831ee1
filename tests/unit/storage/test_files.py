"""Files stay whole at any kill, and nothing damaged is ever deleted."""

from __future__ import annotations

import random
import signal
import stat
from pathlib import Path

import pytest

from core.storage.errors import ProfileUnusable
from core.storage.files import prove_writable, set_aside, write_atomically
from tests.unit.storage.children import run_until_byte

WRITE = """
import sys
from pathlib import Path
from core.storage.files import write_atomically
write_atomically(Path(sys.argv[1]), b"n" * 5000)
"""


@pytest.mark.parametrize("limit", [0, 1, 4999, *random.Random(2).sample(range(2, 4999), 5)])
def test_a_kill_at_any_byte_of_a_write_leaves_the_old_content(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "scorer"
    path.write_bytes(b"old")
    child = run_until_byte(limit, WRITE, path)
    assert child.returncode == -signal.SIGXFSZ, child.stderr
    assert path.read_bytes() == b"old"
    write_atomically(path, b"and again")
    assert path.read_bytes() == b"and again"


def test_a_write_that_is_not_killed_leaves_the_new_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "scorer"
    path.write_bytes(b"old")
    assert run_until_byte(5000, WRITE, path).returncode == 0
    assert path.read_bytes() == b"n" * 5000
    assert [entry.name for entry in tmp_path.iterdir()] == ["scorer"]


def test_a_written_file_is_readable_by_its_owner_alone_even_over_a_wider_leftover(tmp_path: Path) -> None:
    path = tmp_path / "scorer"
    leftover = tmp_path / "scorer.tmp"
    leftover.write_bytes(b"half")
    leftover.chmod(0o666)
    write_atomically(path, b"whole")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_writing_into_a_folder_that_is_gone_names_the_file_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ProfileUnusable) as caught:
        write_atomically(tmp_path / "gone" / "scorer", b"")
    assert caught.value.path == tmp_path / "gone" / "scorer"
    assert caught.value.reason == "No such file or directory"


def test_set_aside_keeps_every_damaged_file_under_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    kept = []
    for number in range(3):
        path.write_bytes(b"%d" % number)
        kept.append(set_aside(path))
    assert not path.exists()
    assert [aside.read_bytes() for aside in kept] == [b"0", b"1", b"2"]
    assert all(aside.name.startswith("gossip_store.damaged-") for aside in kept)


def test_set_aside_takes_the_companions_along(tmp_path: Path) -> None:
    path = tmp_path / "leyden.sqlite"
    path.write_bytes(b"main")
    (tmp_path / "leyden.sqlite-wal").write_bytes(b"log")
    aside = set_aside(path, companions=("-wal", "-shm"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [aside.name, f"{aside.name}-wal"]


def test_proving_a_folder_writable_leaves_nothing_in_it(tmp_path: Path) -> None:
    prove_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProfileUnusable):
        prove_writable(tmp_path / "gone")
