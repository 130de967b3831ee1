"""The OS keyring: which backends are trusted with a key, on which thread, and what their failures become."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import keyring as keyring_package
import pytest
from keyring.backends import SecretService
from keyring.errors import InitError, NoKeyringError, PasswordSetError
from keyring.errors import KeyringLocked as LibraryLocked

from core.base.errors import LeydenError
from core.bolt.networks import NETWORKS
from core.wallet import keyring_backends
from core.wallet.errors import KeyringFailed, KeyringLocked, NoUsableKeyring
from core.wallet.keyring_backends import TRUSTED, find_backend
from core.wallet.os_keyring import USERNAME, OsKeyringStore, item_service
from core.wallet.secret import Secret
from tests.unit.wallet.parts import REGTEST, PretendKeyring, abandon_secret

NODE_ID = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
ITEM = (item_service(REGTEST, NODE_ID), USERNAME)


@asynccontextmanager
async def opened(keyring: PretendKeyring) -> AsyncIterator[OsKeyringStore]:
    store = OsKeyringStore(REGTEST, find=keyring.found)
    try:
        yield store
    finally:
        await store.aclose()


# Which backends -------------------------------------------------------------------------------------------------------

UNTRUSTED = [
    "keyring.backends.null.Keyring",
    "keyring.backends.fail.Keyring",
    "keyring.backends.chainer.ChainerBackend",
    "keyring.backends.kwallet.DBusKeyringKWallet4",
    "keyrings.alt.file.PlaintextKeyring",
    "keyrings.alt.file.EncryptedKeyring",
    "untrusted_backend.Keyring",
    "no.such.module.Keyring",
    "nonsense",
]


@pytest.fixture
def plaintext_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module like keyrings.alt: installed, of high priority, and it writes what it is given into a file."""
    written = tmp_path / "written"
    (tmp_path / "untrusted_backend.py").write_text(
        "from keyring.backends import SecretService\n"
        f"open({str(written)!r}, 'a').write('imported')\n"
        "class Keyring(SecretService.Keyring):\n"
        "    priority = 99\n"
        f"    def set_password(self, *a): open({str(written)!r}, 'a').write(str(a))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return written


@pytest.mark.parametrize("name", UNTRUSTED)
def test_an_untrusted_backend_named_by_the_environment_is_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch, plaintext_backend: Path
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", name)
    with pytest.raises(NoUsableKeyring) as caught:
        find_backend()
    assert (caught.value.found, caught.value.reason) == (name, "set by PYTHON_KEYRING_BACKEND")
    assert not plaintext_backend.exists()


@pytest.mark.parametrize("name", UNTRUSTED)
def test_an_untrusted_backend_named_by_keyrings_file_is_refused_and_its_path_not_taken_up(
    name: str, home: Path, tmp_path: Path, plaintext_backend: Path
) -> None:
    path = home / ".config" / "python_keyring" / "keyringrc.cfg"
    path.parent.mkdir(parents=True)
    path.write_text(f"[backend]\ndefault-keyring={name}\nkeyring-path={tmp_path}/more\n")
    before = list(sys.path)
    with pytest.raises(NoUsableKeyring) as caught:
        find_backend()
    assert (caught.value.found, caught.value.reason) == (name, f"set by {path}")
    assert sys.path == before
    assert not plaintext_backend.exists()


def test_a_file_that_cannot_be_read_is_not_taken_for_an_empty_one(home: Path) -> None:
    path = home / ".config" / "python_keyring" / "keyringrc.cfg"
    path.parent.mkdir(parents=True)
    path.write_text("default-keyring without a section\n")
    with pytest.raises(NoUsableKeyring, match="cannot be read"):
        find_backend()


def test_what_the_library_was_told_to_use_counts_for_nothing() -> None:
    before = keyring_package.get_keyring()
    keyring_package.set_keyring(PretendKeyring())
    try:
        with pytest.raises(NoUsableKeyring):
            find_backend()
    finally:
        keyring_package.set_keyring(before)


def test_a_class_that_turns_out_to_be_another_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody patched the module: the look at the built backend notices."""

    class Keyring(SecretService.Keyring):
        priority = 5

    monkeypatch.setattr(SecretService, "Keyring", Keyring)
    with pytest.raises(NoUsableKeyring) as caught:
        find_backend()
    assert caught.value.found.endswith("<locals>.Keyring")


def test_a_trusted_backend_that_says_it_is_second_rate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:

    class Keyring(SecretService.Keyring):
        priority = 0.5

    monkeypatch.setattr(SecretService, "Keyring", Keyring)
    with pytest.raises(NoUsableKeyring, match=r"its priority is 0\.5"):
        find_backend()


@pytest.mark.parametrize("name", TRUSTED)
def test_every_trusted_name_is_a_backend_of_the_library(name: str) -> None:
    module, _, class_name = name.rpartition(".")
    __import__(module)
    assert keyring_backends.dotted_name(object.__new__(getattr(sys.modules[module], class_name))) == name


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system's own keyring needs no bus")
async def test_without_a_bus_there_is_no_keyring_and_each_reason_is_told() -> None:
    store = OsKeyringStore(REGTEST)
    with pytest.raises(NoUsableKeyring) as caught:
        await store.load(NODE_ID)
    assert "Secret Service: " in caught.value.reason
    assert "KDE Wallet: " in caught.value.reason
    status = await store.status()
    assert (status.usable, status.locked) == (False, None)
    assert status.reason == caught.value.reason
    await store.aclose()


def test_keyring_and_bdkpython_are_imported_only_when_a_key_is_wanted() -> None:
    code = (
        "import sys, pathlib\n"
        "from core.base.paths import ProfilePaths\n"
        "from core.bolt.networks import NETWORKS\n"
        "import core.wallet.node_key, core.wallet.marker\n"
        "from core.wallet.choice import choose_keystore\n"
        "choose_keystore('keyring', ProfilePaths(pathlib.Path('.'), 'regtest'), NETWORKS['regtest'])\n"
        "print(sorted({'keyring', 'bdkpython', 'secretstorage'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert run.stdout == "[]\n"


# One thread -----------------------------------------------------------------------------------------------------------


async def test_every_call_is_made_on_one_daemon_thread_and_never_two_at_once() -> None:
    keyring = PretendKeyring()
    inside, most = 0, 0

    def before(_operation: str, _service: str) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.001)  # long enough for a second thread to be seen
        inside -= 1

    keyring.before = before
    async with opened(keyring) as store:
        await store.create(abandon_secret(), NODE_ID)
        await asyncio.gather(store.prove(), *(store.load(NODE_ID) for _ in range(5)))
    assert most == 1
    assert [thread.daemon for thread in keyring.threads] == [True]
    assert threading.main_thread() not in keyring.threads


async def test_an_answer_after_cancel_is_discarded_and_the_next_call_gets_its_own() -> None:
    keyring = PretendKeyring()
    keyring.items[ITEM] = abandon_secret().to_text()
    asked, answered = threading.Event(), threading.Event()

    def prompt(_operation: str, _service: str) -> None:
        asked.set()
        answered.wait()

    keyring.before = prompt
    async with opened(keyring) as store:
        task = asyncio.ensure_future(store.load(NODE_ID))
        await asyncio.to_thread(asked.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        again = asyncio.ensure_future(store.load(NODE_ID))
        await asyncio.sleep(0)
        assert not again.done()
        answered.set()
        assert await again == abandon_secret()


async def test_stopping_does_not_wait_for_a_prompt() -> None:
    keyring = PretendKeyring()
    asked, answered = threading.Event(), threading.Event()

    def prompt(_operation: str, _service: str) -> None:
        asked.set()
        answered.wait()

    keyring.before = prompt
    async with opened(keyring) as store:
        task = asyncio.ensure_future(store.load(NODE_ID))
        await asyncio.to_thread(asked.wait)
        task.cancel()
        began = time.monotonic()
        await store.aclose()
        assert 0.9 < time.monotonic() - began < 20
        answered.set()


# Reading and writing --------------------------------------------------------------------------------------------------


async def test_without_a_node_id_the_keyring_is_not_even_asked() -> None:
    keyring = PretendKeyring()
    async with opened(keyring) as store:
        assert await store.load(None) is None
    assert keyring.calls == []


async def test_keys_of_two_nodes_and_two_networks_share_no_name() -> None:
    other = bytes([3]) + NODE_ID[1:]
    networks = [REGTEST, NETWORKS["signet"]]
    assert len({item_service(network, node_id) for network in networks for node_id in (NODE_ID, other)}) == 4


async def test_the_keyring_is_proven_before_a_key_is_written_and_the_probe_is_gone_after() -> None:
    keyring = PretendKeyring()
    async with opened(keyring) as store:
        assert await store.create(abandon_secret(), NODE_ID) == abandon_secret()
    assert [call.split()[0] for call in keyring.calls] == ["set", "get", "delete", "get", "set", "get"]
    assert [call.endswith("/probe") for call in keyring.calls] == [True, True, True, False, False, False]
    assert list(keyring.items) == [ITEM]
    assert Secret.from_text(keyring.items[ITEM]) == abandon_secret()


async def test_a_keyring_that_forgets_like_the_null_backend_gets_no_key() -> None:
    keyring = PretendKeyring()
    keyring.forgets = True
    async with opened(keyring) as store:
        with pytest.raises(KeyringLocked):
            await store.create(abandon_secret(), NODE_ID)
    assert not [call for call in keyring.calls if "probe" not in call]


async def test_an_item_under_the_keys_name_is_never_written_over() -> None:
    keyring = PretendKeyring()
    keyring.items[ITEM] = "something"
    async with opened(keyring) as store:
        with pytest.raises(KeyringFailed):
            await store.create(abandon_secret(), NODE_ID)
    assert keyring.items[ITEM] == "something"


async def test_the_same_key_again_is_read_and_not_written() -> None:
    keyring = PretendKeyring()
    keyring.items[ITEM] = abandon_secret().to_text()
    async with opened(keyring) as store:
        assert await store.create(abandon_secret(), NODE_ID) == abandon_secret()
    assert f"set {ITEM[0]}" not in keyring.calls


async def test_a_key_that_cannot_be_read_back_is_not_called_saved() -> None:
    keyring = PretendKeyring()

    def lose(operation: str, service: str) -> None:
        keyring.forgets = operation == "set" and "probe" not in service

    keyring.before = lose
    async with opened(keyring) as store:
        with pytest.raises(KeyringFailed, match="does not give it back"):
            await store.create(abandon_secret(), NODE_ID)


@pytest.mark.parametrize("text", ["", "abandon", "{}", '{"v": 1, "kind": "bip39", "secret": "abandon", "created": 1}'])
async def test_an_item_that_is_no_key_is_told_without_its_text(text: str) -> None:
    keyring = PretendKeyring()
    keyring.items[ITEM] = text
    async with opened(keyring) as store:
        with pytest.raises(KeyringFailed) as caught:
            await store.load(NODE_ID)
    assert "abandon" not in str(caught.value)


class PromptDismissedException(Exception):
    """secretstorage's, by name."""


class SecretServiceNotAvailableException(Exception):
    """secretstorage's, by name."""


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


FAILURES: dict[str, tuple[Exception, type[LeydenError]]] = {
    "locked": (LibraryLocked("Failed to unlock the collection!"), KeyringLocked),
    "dismissed": (InitError("Failed to create the collection: Prompt dismissed.."), KeyringLocked),
    "dismissed by cause": (caused(InitError("x"), PromptDismissedException()), KeyringLocked),
    "dismissed while writing": (PromptDismissedException("Prompt dismissed."), KeyringLocked),
    "cannot begin": (InitError("Failed to open keyring: no wallet"), NoUsableKeyring),
    "no keyring": (NoKeyringError("none"), NoUsableKeyring),
    "service gone": (SecretServiceNotAvailableException("gone"), NoUsableKeyring),
    "refused": (PasswordSetError("no"), KeyringFailed),
    "windows 1783": (OSError(1783, "The stub received bad data"), KeyringFailed),
    "windows 8": (OSError(8, "Not enough memory resources"), KeyringFailed),
    "bus broken": (ConnectionResetError("bus"), KeyringFailed),
    "a bug": (AttributeError("x"), KeyringFailed),
}


@pytest.mark.parametrize("operation", ["get", "set"])
@pytest.mark.parametrize(("error", "expected"), FAILURES.values(), ids=FAILURES.keys())
async def test_each_failure_of_a_backend_has_its_own_name(
    operation: str, error: Exception, expected: type[LeydenError]
) -> None:
    keyring = PretendKeyring()

    def fail(called: str, _service: str) -> None:
        if called == operation:
            raise error

    keyring.before = fail
    async with opened(keyring) as store:
        with pytest.raises(expected) as caught:
            await (store.load(NODE_ID) if operation == "get" else store.create(abandon_secret(), NODE_ID))
    assert "Pretend Keyring" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert ITEM not in keyring.items
