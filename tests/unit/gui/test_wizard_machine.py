"""The wizard without Qt: pages, moves, needs, and what a restart takes up."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from gui.wizard import machine as module
from gui.wizard.machine import (
    ChainKind,
    KeyPlan,
    Machine,
    MoveNotAllowed,
    Need,
    PageId,
    StateUnreadable,
    alias_bytes,
    listening_port,
)

SERVER = "electrum.example.org:50002:s"


def at_asked() -> Machine:
    machine = Machine()
    machine.begin(KeyPlan.NEW)
    machine.next()
    machine.next()
    machine.hold(seen=True)
    machine.next()
    return machine


def at_network() -> Machine:
    machine = at_asked()
    machine.hold(secret=True)
    machine.next()
    return machine


def test_it_imports_no_qt() -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [name for name in names if name.startswith(("PySide6", "gui"))]


def test_a_new_key_goes_through_every_page() -> None:
    machine, seen = Machine(), [PageId.WELCOME]
    seen.append(machine.begin(KeyPlan.NEW))
    machine.edit(servers=(SERVER,))
    machine.hold(seen=True)
    while machine.following is not None:
        if machine.page is PageId.ASKED:
            machine.hold(secret=True)
        seen.append(machine.next())
    assert seen == list(PageId)


def test_restored_words_are_not_shown_again() -> None:
    machine = Machine()
    machine.begin(KeyPlan.RESTORE)
    assert machine.next() is PageId.KEY
    assert machine.needs() == (Need.RESTORED_WORDS,)
    machine.hold(secret=True)
    assert machine.next() is PageId.NETWORK


def test_looking_around_asks_nothing_and_saves_nothing() -> None:
    machine = Machine()
    assert machine.begin(KeyPlan.MEMORY) is PageId.START
    assert (machine.entries.network, machine.entries.keystore) == ("regtest", "memory")
    assert machine.entries.chain is ChainKind.EMBEDDED
    machine.back()
    machine.begin(KeyPlan.NEW)
    assert machine.entries.keystore == "keyring", "the next way is not in memory as well"


def test_nothing_goes_on_before_three_words_were_asked_back() -> None:
    machine = at_asked()
    assert machine.needs() == (Need.ANSWERS,)
    with pytest.raises(MoveNotAllowed):
        machine.next()


def test_back_from_the_words_gives_the_key_up() -> None:
    machine = at_asked()
    assert machine.back() is PageId.KEY
    assert not machine.held.seen
    assert machine.next() is PageId.WORDS
    assert machine.needs() == (Need.WORDS_SEEN,)


def test_a_confirmed_key_is_kept_on_the_way_back_and_its_words_are_not_shown_twice() -> None:
    machine = at_network()
    assert machine.back() is PageId.KEY
    assert machine.held.secret
    assert machine.next() is PageId.NETWORK


def test_another_number_of_words_gives_up_the_confirmed_key() -> None:
    machine = at_network()
    machine.back()
    machine.edit(words=12)
    assert machine.next() is PageId.WORDS


def test_a_key_that_is_stored_leaves_no_way_to_another() -> None:
    machine = at_network()
    machine.edit(servers=(SERVER,))
    machine.next()
    machine.key_kept()
    assert machine.back() is PageId.NETWORK
    assert machine.back() is PageId.IDENTITY
    with pytest.raises(MoveNotAllowed):
        machine.back()


def test_moves_that_a_page_does_not_offer() -> None:
    machine = Machine()
    with pytest.raises(MoveNotAllowed):
        machine.back()
    machine.begin(KeyPlan.NEW)
    with pytest.raises(MoveNotAllowed):
        machine.begin(KeyPlan.RESTORE)


@pytest.mark.parametrize(
    ("alias", "needs"),
    [
        ("", ()),
        ("x" * 32, ()),
        ("ü" * 16, ()),
        ("ü" * 17, (Need.ALIAS_TOO_LONG,)),
        ("🌊" * 8, ()),
        ("🌊" * 9, (Need.ALIAS_TOO_LONG,)),
        ("a\tb", (Need.ALIAS_UNPRINTABLE,)),
    ],
)
def test_an_alias_is_counted_in_bytes(alias: str, needs: tuple[Need, ...]) -> None:
    machine = Machine()
    machine.edit(alias=alias)
    assert machine.needs(PageId.IDENTITY) == needs


def test_a_lone_surrogate_is_counted_not_raised() -> None:
    assert alias_bytes("\ud800") == 3


@pytest.mark.parametrize(("color", "fine"), [("", True), ("3a4BD0", True), ("3a4bd", False), ("3a4bdg", False)])
def test_a_colour_has_six_hex_digits(color: str, fine: bool) -> None:
    machine = Machine()
    machine.edit(color=color)
    assert (machine.needs(PageId.IDENTITY) == ()) is fine


def test_a_key_file_wants_a_passphrase_and_forgets_it_with_the_choice() -> None:
    machine = Machine()
    machine.edit(keystore="file")
    assert machine.needs(PageId.KEY) == (Need.PASSPHRASE,)
    machine.hold(passphrase=True)
    assert machine.needs(PageId.KEY) == ()
    machine.edit(keystore="keyring")
    machine.edit(keystore="file")
    assert machine.needs(PageId.KEY) == (Need.PASSPHRASE,)


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({}, ()),
        ({"network": "regtest"}, (Need.SERVERS,)),
        ({"servers": (SERVER,)}, ()),
        ({"servers": ("[2001:db8::1]:50001:t",)}, ()),
        ({"servers": (SERVER, "nonsense")}, (Need.SERVERS,)),
        ({"servers": ("host:50002:x",)}, (Need.SERVERS,)),
        ({"servers": ("host:s",)}, (Need.SERVERS,)),
        ({"chain": ChainKind.EMBEDDED}, ()),
        ({"chain": ChainKind.BITCOIN_RPC}, (Need.RPC_ADDRESS, Need.RPC_SECRET)),
        ({"chain": ChainKind.BITCOIN_RPC, "rpc": "127.0.0.1:8332", "rpc_secret_file": "/c"}, ()),
        ({"chain": ChainKind.EMBEDDED, "listen": True, "port": "70000"}, (Need.PORT,)),
        ({"chain": ChainKind.EMBEDDED, "listen": False, "port": "70000"}, ()),
    ],
)
def test_what_the_network_page_needs(changes: dict[str, object], needs: tuple[Need, ...]) -> None:
    machine = Machine()
    machine.edit(**changes)
    assert machine.needs(PageId.NETWORK) == needs


def test_the_port_follows_the_network_until_one_is_typed() -> None:
    machine = Machine()
    machine.edit(network="signet")
    assert listening_port(machine.entries) == 39735
    machine.edit(port="9736")
    assert listening_port(machine.entries) == 9736


def test_a_restart_begins_where_the_secret_is_asked_for_with_every_entry() -> None:
    machine = at_network()
    machine.edit(alias="jar", servers=(SERVER,), listen=True)
    again = Machine.from_text(machine.to_text(), key_kept=False)
    assert again.page is PageId.KEY
    assert again.entries == machine.entries
    assert not again.held.secret


def test_a_restart_after_the_key_was_stored_resumes_behind_it() -> None:
    machine = at_network()
    machine.edit(servers=(SERVER,))
    again = Machine.from_text(machine.to_text(), key_kept=True)
    assert again.page is PageId.NETWORK
    assert again.entries.plan is KeyPlan.KEPT


def test_a_look_around_leaves_nothing_to_resume() -> None:
    machine = Machine()
    machine.begin(KeyPlan.MEMORY)
    again = Machine.from_text(machine.to_text(), key_kept=False)
    assert (again.entries.plan, again.entries.keystore) == (KeyPlan.NEW, "keyring")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"v": 2}',
        '{"v": 1, "page": "moon", "entries": {}}',
        '{"v": 1, "page": "key", "entries": {"passphrase": "x"}}',
        '{"v": 1, "page": "key", "entries": {"alias": 3}}',
        '{"v": 1, "page": "key", "entries": {"servers": "abc"}}',
        '{"v": 1, "page": "key", "entries": {"network": "moon"}}',
        '{"v": 1, "page": "key", "entries": {"words": 13}}',
        '{"v": 1, "page": "key", "entries": 7}',
    ],
)
def test_a_state_that_cannot_be_read_is_told_apart(text: str) -> None:
    with pytest.raises(StateUnreadable):
        Machine.from_text(text, key_kept=False)


def test_what_is_written_holds_no_secret() -> None:
    fields = json.loads(at_network().to_text())
    assert set(fields) == {"v", "page", "entries"}
    assert not [name for name in fields["entries"] if "passphrase" in name or name in ("secret", "mnemonic")]
