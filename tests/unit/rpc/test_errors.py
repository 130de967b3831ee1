"""Every error of the core has a code and a text."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import core
from core.base.errors import all_error_types
from core.base.events import ConnectPhase
from core.peers.errors import AddressAttempt, AllAddressesFailed, ListenFailed, NoAddressKnown
from core.rpc.errors import known_errors, to_rpc_error
from core.storage.errors import ProfileLocked


def _import_everything() -> None:
    for module in pkgutil.walk_packages(core.__path__, "core."):
        importlib.import_module(module.name)


def test_every_error_type_of_the_core_has_a_code_and_a_text() -> None:
    _import_everything()
    ours = {kind for kind in all_error_types() if kind.__module__.startswith("core.")}
    assert ours - known_errors() == set()


def test_no_row_stands_for_a_type_that_is_gone() -> None:
    _import_everything()
    assert known_errors() - set(all_error_types()) == set()


def test_all_addresses_are_named_each_with_state_reason_and_a_closing_space() -> None:
    attempts = (
        AddressAttempt("[::1]:9735", ConnectPhase.DIALLING, "Connection refused"),
        AddressAttempt("127.0.0.1:9735", ConnectPhase.HANDSHAKE, "peer closed connection (wrong key?)"),
        AddressAttempt("abc.onion:9735", None, "need a proxy"),
    )
    error = to_rpc_error(AllAddressesFailed(node_id=bytes(33), attempts=attempts))
    assert (error.code, error.message) == (
        401,
        "All addresses failed: [::1]:9735: Connection establishment: Connection refused. "
        "127.0.0.1:9735: Cryptographic handshake: peer closed connection (wrong key?). abc.onion:9735: need a proxy. ",
    )


def test_texts_of_ours_carry_the_facts() -> None:
    assert to_rpc_error(NoAddressKnown(node_id=bytes(33))).code == 400
    locked = to_rpc_error(ProfileLocked(path=Path("/p/leyden.lock"), pid=7))
    assert (locked.code, locked.message) == (-1, "/p/leyden.lock is held by another process (7)")
    taken = to_rpc_error(ListenFailed(address="127.0.0.1:1", errno=98, reason="Address already in use"))
    assert taken.message == "Cannot listen on 127.0.0.1:1: Address already in use"
