"""The encrypted file: its format, its permissions, and what no damage gets past."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bolt.networks import Network
from core.wallet.errors import (
    KeyFileDamaged,
    KeyFileFailed,
    KeyFileUnsafe,
    PassphraseNeeded,
    WrongKey,
    WrongPassphrase,
)
from core.wallet.file import FileKeyStore
from core.wallet.key_file import KeyFile, KeyFileError
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from tests.unit.wallet.parts import ABANDON, BITCOIN, REGTEST, TEST_SCRYPT_N, abandon_secret

NODE_ID = bytes.fromhex("02" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
OTHER_ID = bytes.fromhex("03" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
RIGHT = Passphrase("correct horse")


@asynccontextmanager
async def opened(
    path: Path, passphrase: Passphrase | None = RIGHT, network: Network = REGTEST
) -> AsyncIterator[FileKeyStore]:
    store = FileKeyStore(path, network, passphrase, scrypt_n=TEST_SCRYPT_N)
    try:
        yield store
    finally:
        await store.aclose()


async def load(
    path: Path, node_id: bytes | None, passphrase: Passphrase | None = RIGHT, network: Network = REGTEST
) -> Secret | None:
    """As a start of its own would."""
    async with opened(path, passphrase, network) as store:
        return await store.load(node_id)


async def create(path: Path, passphrase: Passphrase | None = RIGHT) -> Secret:
    async with opened(path, passphrase) as store:
        return await store.create(abandon_secret(), NODE_ID)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node-key.json"


@pytest.fixture(scope="module")
def sealed() -> bytes:
    text = abandon_secret().to_text()
    return KeyFile.seal(text, RIGHT, network="regtest", node_id=NODE_ID, n=TEST_SCRYPT_N).encode()


async def test_what_was_created_is_loaded_by_another_store(path: Path) -> None:
    assert await load(path, NODE_ID) is None
    assert await load(path, None) is None
    assert await create(path) == abandon_secret()
    assert await load(path, NODE_ID) == abandon_secret()
    assert await load(path, None) == abandon_secret()


async def test_the_default_costs_what_the_design_says_and_leaves_the_loop_free(path: Path) -> None:
    keeper = FileKeyStore(path, REGTEST, RIGHT)
    creating, turns = asyncio.ensure_future(keeper.create(abandon_secret(), NODE_ID)), 0
    while not creating.done():
        await asyncio.sleep(0.002)
        turns += 1
    fields = json.loads(path.read_text())
    assert (fields["kdf"], fields["n"], fields["r"], fields["p"]) == ("scrypt", 2**17, 8, 1)
    assert fields["cipher"] == "chacha20-poly1305"
    assert turns > 10
    await keeper.aclose()


async def test_the_file_is_for_its_owner_alone_and_holds_nothing_in_clear(path: Path) -> None:
    before = os.umask(0)
    try:
        await create(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert not [word for word in (*ABANDON.split(), "correct", "horse") if word.encode() in path.read_bytes()]


async def test_a_wrong_passphrase_is_told_from_damage(path: Path) -> None:
    await create(path)
    with pytest.raises(WrongPassphrase):
        await load(path, NODE_ID, Passphrase("correct horsE"))


async def test_the_same_words_typed_on_another_system_open_it(path: Path) -> None:
    await create(path, Passphrase("caf\N{LATIN SMALL LETTER E WITH ACUTE}"))
    assert await load(path, NODE_ID, Passphrase("cafe\N{COMBINING ACUTE ACCENT}")) == abandon_secret()


async def test_without_a_passphrase_it_asks_for_one_once_it_knows_whose_the_file_is(path: Path) -> None:
    with pytest.raises(PassphraseNeeded):
        async with opened(path, None) as store:
            await store.prove()
    with pytest.raises(PassphraseNeeded):
        await create(path, None)
    assert list(path.parent.iterdir()) == []
    await create(path)
    with pytest.raises(PassphraseNeeded):
        await load(path, NODE_ID, None)
    with pytest.raises(WrongKey) as caught:
        await load(path, OTHER_ID, None)
    assert (caught.value.found, caught.value.expected) == (NODE_ID, OTHER_ID)


async def test_a_file_that_is_there_is_never_written_over(path: Path) -> None:
    path.write_bytes(b"somebody's")
    path.chmod(0o600)
    with pytest.raises(KeyFileFailed):
        await create(path)
    assert path.read_bytes() == b"somebody's"
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(KeyFileFailed):
        await create(path)
    assert path.is_symlink()


async def test_what_a_kill_left_behind_makes_room(path: Path) -> None:
    path.with_name(path.name + ".new").write_bytes(b"half a")
    await create(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_folder_that_is_not_there_is_an_error_and_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(KeyFileFailed) as caught:
        await create(tmp_path / "gone" / "key")
    assert caught.value.reason == "No such file or directory"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o601])
async def test_a_file_that_others_may_use_is_not_read(path: Path, mode: int) -> None:
    await create(path)
    path.chmod(mode)
    with pytest.raises(KeyFileUnsafe):
        await load(path, NODE_ID)


async def test_a_link_a_folder_and_a_pipe_are_not_read(path: Path) -> None:
    real = path.with_name("real")
    await create(real)
    path.symlink_to(real)
    with pytest.raises(KeyFileUnsafe):
        await load(path, NODE_ID)
    path.unlink()
    path.mkdir()
    with pytest.raises(KeyFileUnsafe):
        await load(path, NODE_ID)
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyFileUnsafe):
        await load(path, NODE_ID)


async def test_another_networks_file_is_not_opened(path: Path) -> None:
    await create(path)
    with pytest.raises(KeyFileUnsafe):
        await load(path, NODE_ID, network=BITCOIN)


async def test_damage_at_any_bit_of_any_byte_is_noticed_and_the_file_left_as_it_is(path: Path, sealed: bytes) -> None:
    for position in range(len(sealed)):
        for bit in range(8):
            damaged = bytearray(sealed)
            damaged[position] ^= 1 << bit
            with pytest.raises(KeyFileError):
                KeyFile.decode(bytes(damaged))
    damaged = bytearray(sealed)
    damaged[-100] ^= 1
    path.write_bytes(damaged)
    path.chmod(0o600)
    with pytest.raises(KeyFileDamaged):
        await load(path, NODE_ID)
    assert path.read_bytes() == damaged


def test_a_file_cut_at_any_byte_or_grown_is_noticed(sealed: bytes) -> None:
    for length in range(len(sealed)):
        with pytest.raises(KeyFileError):
            KeyFile.decode(sealed[:length])
    for more in (b"\n", b" ", b"\0", sealed):
        with pytest.raises(KeyFileError):
            KeyFile.decode(sealed + more)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 400, b"[" * 8000, b"x" * 100_000], ids=["empty", "nul", "deep", "long"]
)
async def test_no_content_is_more_than_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileDamaged):
        await load(path, None)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "hostile",
    [
        *({"n": n} for n in (2**21, 2**13, 2**17 + 1, 0, -(2**17), 10**50)),
        *({"r": 9}, {"r": 2**30}, {"p": 5}, {"p": 0}),
        *({"salt": b""}, {"nonce": b"\0" * 11}, {"box": b"\0" * 16}),
        *({"node_id": b"\5" * 33}, {"network": "elsewhere"}),
    ],
    ids=lambda change: "-".join(f"{name}" for name in change),
)
def test_a_well_spelled_file_that_asks_for_the_absurd_is_refused_before_any_work(
    sealed: bytes, hostile: dict[str, object]
) -> None:
    file = replace(KeyFile.decode(sealed), **hostile)
    with pytest.raises(KeyFileError):
        KeyFile.decode(file.encode())


def test_the_header_is_bound_to_the_box(sealed: bytes) -> None:
    """Whoever swaps the clear part, checksum and all, gets a file that does not open."""
    file = KeyFile.decode(sealed)
    for change in ({"network": "signet"}, {"node_id": OTHER_ID}, {"p": 2}, {"n": 2**15}, {"nonce": b"\1" * 12}):
        assert KeyFile.decode(replace(file, **change).encode()).open(RIGHT) is None
    assert file.open(RIGHT) == abandon_secret().to_text()


@settings(max_examples=400, deadline=None)
@given(
    st.binary(max_size=600)
    | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_bytes_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        KeyFile.decode(data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_field_with_any_value_is_refused_in_one_way(sealed: bytes, data: st.DataObject) -> None:
    fields = json.loads(sealed)
    name = data.draw(st.sampled_from(sorted(fields)))
    fields[name] = data.draw(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()))
    if fields == json.loads(sealed):
        return
    with pytest.raises(KeyFileError):
        KeyFile.decode(json.dumps(fields).encode() + b"\n")


@settings(max_examples=50, deadline=None)
@given(
    text=st.text(min_size=1, max_size=300),
    words=st.text(min_size=1, max_size=40).filter(lambda words: words.isprintable()),
)
def test_every_text_comes_back_under_every_passphrase(text: str, words: str) -> None:
    file = KeyFile.seal(text, Passphrase(words), network="regtest", node_id=NODE_ID, n=TEST_SCRYPT_N)
    assert KeyFile.decode(file.encode()) == file
    assert file.open(Passphrase(words)) == text
