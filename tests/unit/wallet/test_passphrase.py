"""The passphrase file, and the passphrase's silence."""

from __future__ import annotations

import os
import pickle
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wallet.errors import PassphraseFileUnsafe
from core.wallet.passphrase import Passphrase, exposure, read_passphrase_file


def written(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "passphrase"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"one two", b"one two"), (b"one two\n", b"one two"), (b"one two\r\n", b"one two"), (b" one\n\n", b" one\n")],
)
def test_the_last_line_break_alone_is_trimmed(tmp_path: Path, data: bytes, expected: bytes) -> None:
    assert read_passphrase_file(written(tmp_path, data)).to_bytes() == expected


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o644, 0o666])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(PassphraseFileUnsafe, match="wanted 0600"):
        read_passphrase_file(written(tmp_path, b"words", mode))


def test_another_users_file_is_refused(tmp_path: Path) -> None:
    info = list(written(tmp_path, b"words").stat())
    info[4] = os.geteuid() + 1
    assert exposure(os.stat_result(info)) == "it belongs to another user"


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n", b"\xff\xfe", b"x" * 5000], ids=repr)
def test_what_is_no_passphrase_is_refused_without_showing_it(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(PassphraseFileUnsafe) as caught:
        read_passphrase_file(written(tmp_path, data))
    assert "xxx" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_folder_a_pipe_and_nothing_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        with pytest.raises(PassphraseFileUnsafe):
            read_passphrase_file(path)


def test_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    target, link = written(tmp_path, b"words"), tmp_path / "link"
    link.symlink_to(target)
    assert read_passphrase_file(link).to_bytes() == b"words"
    target.chmod(0o644)
    with pytest.raises(PassphraseFileUnsafe):
        read_passphrase_file(link)


def test_a_passphrase_shows_itself_nowhere_and_is_never_empty() -> None:
    words = Passphrase("correct horse")
    assert "horse" not in f"{words} {words!r} {[words]}"
    with pytest.raises(TypeError):
        pickle.dumps(words)
    with pytest.raises(ValueError, match="not empty"):
        Passphrase("")


def test_half_a_surrogate_is_a_passphrase_like_any_other() -> None:
    assert Passphrase("a\ud800b").to_bytes() == b"a\xed\xa0\x80b"


@given(st.binary(max_size=40))
def test_any_bytes_are_a_passphrase_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        path = written(Path(folder), data)
        try:
            found = read_passphrase_file(path)
        except PassphraseFileUnsafe:
            return
        text = data.removesuffix(b"\n").removesuffix(b"\r").decode()
        assert found.to_bytes() == unicodedata.normalize("NFC", text).encode()
