"""Who holds the folder, and what the holder may remove in it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.base.paths import ProfilePaths
from core.storage.errors import ProfileLocked, ProfileUnusable, SocketPathTooLong
from core.storage.profile import Profile, check_socket_path
from tests.unit.storage.children import end_child, run_child, start_child

HOLD = """
import sys
from pathlib import Path
from core.base.paths import ProfilePaths
from core.storage.profile import Profile
profile = Profile.open(ProfilePaths(Path(sys.argv[1]), "regtest"))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def paths(tmp_path: Path) -> ProfilePaths:
    return ProfilePaths(tmp_path / "data", "regtest")


def test_the_folder_is_made_for_its_owner_alone(paths: ProfilePaths) -> None:
    with Profile.open(paths):
        assert stat.S_IMODE(paths.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(paths.lock.stat().st_mode) == 0o600


def test_a_folder_that_others_could_enter_is_closed_to_them(paths: ProfilePaths) -> None:
    paths.folder.mkdir(parents=True)
    paths.folder.chmod(0o755)
    with Profile.open(paths):
        assert stat.S_IMODE(paths.folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(paths: ProfilePaths) -> None:
    paths.folder.mkdir(parents=True)
    os.chown(paths.folder, 12345, 12345)
    with pytest.raises(ProfileUnusable) as caught:
        Profile.open(paths)
    assert caught.value.reason == "belongs to another user"


def test_a_file_in_the_place_of_the_folder_is_told(paths: ProfilePaths) -> None:
    paths.data_dir.mkdir()
    paths.folder.write_bytes(b"")
    with pytest.raises(ProfileUnusable) as caught:
        Profile.open(paths)
    assert caught.value.path == paths.folder


def test_a_second_process_is_told_who_holds_the_folder(paths: ProfilePaths) -> None:
    child = start_child(HOLD, paths.data_dir)
    try:
        with pytest.raises(ProfileLocked) as caught:
            Profile.open(paths)
        assert (caught.value.path, caught.value.pid) == (paths.lock, child.pid)
    finally:
        end_child(child)


def test_the_folder_is_free_once_its_holder_was_killed(paths: ProfilePaths) -> None:
    end_child(start_child(HOLD, paths.data_dir))
    assert paths.lock.read_text().strip().isdigit(), "what it wrote is still there, and means nothing"
    with Profile.open(paths):
        assert paths.lock.read_text() == f"{os.getpid()}\n"


def test_one_process_cannot_hold_the_folder_twice(paths: ProfilePaths) -> None:
    with Profile.open(paths), pytest.raises(ProfileLocked):
        Profile.open(paths)


def test_a_closed_profile_is_free_for_another_process(paths: ProfilePaths) -> None:
    profile = Profile.open(paths)
    profile.close()
    profile.close()
    child = start_child(HOLD, paths.data_dir)
    end_child(child)


def test_a_child_process_does_not_inherit_the_lock(paths: ProfilePaths) -> None:
    profile = Profile.open(paths)
    code = "print('ready', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n", "its own handles alone, by now"
        profile.close()
        with Profile.open(paths):
            assert child.poll() is None
    finally:
        child.communicate(b"\n", timeout=20)


def test_a_lock_file_without_a_number_leaves_the_pid_open(paths: ProfilePaths) -> None:
    with Profile.open(paths):
        paths.lock.write_text("nonsense")
        with pytest.raises(ProfileLocked) as caught:
            Profile.open(paths)
    assert caught.value.pid is None


def test_the_holder_removes_a_stale_socket(paths: ProfilePaths) -> None:
    with Profile.open(paths) as profile:
        run_child("import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", paths.socket)
        assert paths.socket.is_socket()
        assert profile.prepare_socket_path() == paths.socket
        assert not paths.socket.exists()
        assert profile.prepare_socket_path() == paths.socket


def test_what_is_no_socket_is_never_removed(paths: ProfilePaths) -> None:
    with Profile.open(paths) as profile:
        paths.socket.write_text("precious")
        with pytest.raises(ProfileUnusable) as caught:
            profile.prepare_socket_path()
        assert caught.value.reason == "is not a socket"
    assert paths.socket.read_text() == "precious"


def test_who_no_longer_holds_the_folder_removes_nothing(paths: ProfilePaths) -> None:
    profile = Profile.open(paths)
    profile.close()
    with pytest.raises(RuntimeError):
        profile.prepare_socket_path()


def test_the_longest_path_that_passes_can_really_be_bound(tmp_path: Path) -> None:
    fill = 107 - len(os.fsencode(ProfilePaths(tmp_path / "", "regtest").socket)) - 1
    paths = ProfilePaths(tmp_path / ("d" * fill), "regtest")
    with Profile.open(paths) as profile, socket.socket(socket.AF_UNIX) as server:
        server.bind(str(profile.prepare_socket_path()))


def test_a_path_one_byte_too_long_is_refused_with_its_length(tmp_path: Path) -> None:
    fill = 108 - len(os.fsencode(ProfilePaths(tmp_path / "", "regtest").socket)) - 1
    paths = ProfilePaths(tmp_path / ("d" * fill), "regtest")
    with pytest.raises(SocketPathTooLong) as caught:
        check_socket_path(paths)
    assert (caught.value.length, caught.value.limit) == (108, 107)
