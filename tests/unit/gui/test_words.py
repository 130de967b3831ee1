"""Every failure has words."""

from __future__ import annotations

import errno
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import core
from core.base.errors import LeydenError, all_error_types
from core.base.events import ConnectPhase
from core.peers.errors import (
    AddressAttempt,
    AllAddressesFailed,
    CustomTypeEven,
    HostNotValid,
    ListenFailed,
    PeerHasChannel,
)
from core.storage.errors import DatabaseDamaged, ProfileLocked
from core.wallet.errors import NoUsableKeyring
from gui.words import TABLE, Remedy, action_words, bounded, words_for
from gui.words_node import attempt_words
from tests.support.fake_node import node_id

for _module in pkgutil.walk_packages(core.__path__, "core."):
    importlib.import_module(_module.name)

ERRORS = sorted((kind for kind in all_error_types() if kind.__module__.startswith("core.")), key=lambda k: k.__name__)


def _example(kind: type[LeydenError]) -> LeydenError:
    """An error of this type with facts of the types that it declares."""
    hints = get_type_hints(kind.__init__, vars(inspect.getmodule(kind)))
    facts: dict[str, Any] = {}
    for name in inspect.signature(kind.__init__).parameters:
        if name in ("self", "facts"):
            continue
        hint = hints[name]
        samples = {int: 7, float: 7.0, object: 7, str: "text", bytes: node_id(3), Path: Path("/some/where")}
        facts[name] = samples.get(hint)
        if hint == tuple[AddressAttempt, ...]:
            facts[name] = (AddressAttempt("1.2.3.4:9735", ConnectPhase.DIALLING, "Connection refused"),)
        elif hint == tuple[int, ...]:
            facts[name] = (3, 7)
    return kind(**facts)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_an_entry_that_reads_well(kind: type[LeydenError]) -> None:
    assert kind in TABLE, f"{kind.__name__} has no words"
    words = words_for(_example(kind))
    assert words.title
    assert words.body
    assert not words.title.endswith(".")
    for text in (words.title, words.body, *words.lines):
        assert "{" not in text
        assert "None" not in text


def test_the_table_names_no_error_that_is_gone() -> None:
    assert set(TABLE) <= set(ERRORS)


def test_every_remedy_has_a_button_text() -> None:
    assert all(action_words(remedy) for remedy in Remedy)


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("Connection refused", "Check the port"),
        ("peer closed connection (wrong key?)", "Check the node id"),
        ("Connection timed out", "firewall"),
        ("Network is unreachable", "your own connection"),
        ("getaddrinfo error 'Name or service not known'", "spelling"),
        ("need a proxy", "no proxy is set"),
        ("peer closed connection", "hung up"),
        ("Something nobody foresaw", "Something nobody foresaw"),
    ],
)
def test_each_attempt_says_what_to_do(reason: str, remedy: str) -> None:
    words = attempt_words(AddressAttempt("203.0.113.7:9735", ConnectPhase.DIALLING, reason), "02ab…9f3c")
    assert words.startswith("203.0.113.7:9735: ")
    assert remedy in words


def test_what_the_proxy_said_is_not_taken_for_the_peers_word() -> None:
    attempt = AddressAttempt("a.onion:9735", ConnectPhase.DIALLING, "Connection refused", "host unreachable")
    assert attempt_words(attempt, "02ab…9f3c") == (
        "a.onion:9735: the proxy could not reach it (host unreachable). It may be offline."
    )


def test_every_attempt_of_a_failed_connect_is_listed() -> None:
    attempts = tuple(AddressAttempt(f"203.0.113.{n}:9735", None, "need a proxy") for n in range(3))
    words = words_for(AllAddressesFailed(node_id=node_id(1), attempts=attempts))
    assert len(words.lines) == 3
    assert "3 addresses" in words.body
    assert words.actions[0] is Remedy.RETRY


def test_a_wrong_key_is_told_apart_from_a_node_that_is_down() -> None:
    attempt = AddressAttempt("1.2.3.4:1", ConnectPhase.HANDSHAKE, "peer closed connection (wrong key?)")
    words = words_for(AllAddressesFailed(node_id=node_id(1), attempts=(attempt,)))
    assert "different node" in words.title
    assert words.actions[0] is Remedy.EDIT_ADDRESS


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EADDRINUSE, "taken"), (10048, "taken"), (errno.EACCES, "1024"), (errno.EADDRNOTAVAIL, "no address")],
)
def test_why_a_port_cannot_be_listened_on(number: int, said: str) -> None:
    words = words_for(ListenFailed(address="127.0.0.1:9735", errno=number, reason="os words"))
    assert said in words.title + words.body


def test_a_channel_that_refuses_a_disconnect_offers_force() -> None:
    words = words_for(PeerHasChannel(node_id=node_id(1), state="CHANNELD_NORMAL"))
    assert "CHANNELD_NORMAL" in words.body
    assert words.actions == (Remedy.FORCE_DISCONNECT,)


def test_an_even_type_names_the_next_odd_one() -> None:
    assert "32771" in words_for(CustomTypeEven(type=32770)).body


def test_a_lock_without_a_known_holder_names_none() -> None:
    assert "process" not in words_for(ProfileLocked(path=Path("/p"), pid=None)).body
    assert "process 12" in words_for(ProfileLocked(path=Path("/p"), pid=12)).body


def test_a_profile_in_use_is_named_by_its_folder() -> None:
    assert "works in /p/regtest." in words_for(ProfileLocked(path=Path("/p/regtest/leyden.lock"), pid=12)).body


def test_damage_without_a_file_set_aside_says_that_it_was_left() -> None:
    error = DatabaseDamaged(path=Path("/p"), set_aside=None, reason="bad page")
    assert "left where it is" in words_for(error).body


def test_an_error_that_nobody_foresaw_is_named_by_type_and_text() -> None:
    words = words_for(ValueError("odd"))
    assert "ValueError: odd" in words.body
    assert Remedy.COPY_DETAILS in words.actions


def test_foreign_text_is_cut_and_cleaned() -> None:
    assert bounded("a\x1b[31m\u202eb") == "a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}b"
    assert bounded("x" * 600) == "x" * 500 + "…"


def test_one_attempt_is_said_once() -> None:
    attempt = AddressAttempt("1.2.3.4:1", ConnectPhase.DIALLING, "Connection refused")
    words = words_for(AllAddressesFailed(node_id=node_id(1), attempts=(attempt,)))
    assert "nothing listens on that port" in words.body
    assert "firewall" not in words.body, "the host answered"
    assert words.lines == ()


def test_a_host_that_is_not_found_is_named_with_a_retry() -> None:
    words = words_for(HostNotValid(host="exmaple.com", port=9735, reason="Name or service not known"))
    assert words.title == "Host not found"
    assert "“exmaple.com”" in words.body
    assert Remedy.RETRY in words.actions


def test_a_missing_keyring_keeps_its_reasons_out_of_the_sentence() -> None:
    words = words_for(NoUsableKeyring(found="", reason="Secret Service: no bus; KWallet: no bus"))
    assert words.lines == ("Secret Service: no bus", "KWallet: no bus")
    assert "bus" not in words.body
    found = words_for(NoUsableKeyring(found="keyring.backends.null.Keyring", reason="set by PYTHON_KEYRING_BACKEND"))
    assert found.lines == ("Found: keyring.backends.null.Keyring", "set by PYTHON_KEYRING_BACKEND")
