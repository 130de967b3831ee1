"""Keys and access: what it says of the key, what its buttons do, and that nothing secret stays in a field."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtWidgets import QLineEdit, QPushButton

from core.base.settings import parse_arguments
from core.node import Node
from core.peers.errors import NotBanned
from core.wallet.errors import (
    KeyNotSaved,
    KeyringFailed,
    KeyringLocked,
    KeyStorePinned,
    NoUsableKeyring,
    WrongPassphrase,
)
from core.wallet.keystore import KeyStoreKind
from core.wallet.passphrase import Passphrase
from core.wallet.service import KeyState, UnlockBy
from gui.actions import ActionId
from gui.keys import KeysDialog
from gui.tasks import WindowTasks
from gui.theme import Theme
from gui.window import MainWindow
from tests.support.fake_node import node_id

pytestmark = pytest.mark.qt_loop


class FakeKeys:
    """Says where the key is; notes what is asked, or fails with `error` once."""

    def __init__(self, kind: KeyStoreKind = KeyStoreKind.FILE, pinned: str = "") -> None:
        self.kind, self.pinned, self.error = kind, pinned, None
        self.asked: list[tuple[object, ...]] = []

    def state(self) -> KeyState:
        where = {"file": "/profile/node-key.json", "keyring": "GNOME Keyring", "memory": "memory"}[self.kind]
        return KeyState(node_id(7), self.kind, where, False, UnlockBy.NOTHING, self.pinned)

    async def change_passphrase(self, old: Passphrase, new: Passphrase) -> None:
        self._note("change", old.to_bytes(), new.to_bytes())

    async def move(self, to: KeyStoreKind, *, passphrase: Passphrase | None = None) -> None:
        self._note("move", to, passphrase and passphrase.to_bytes())
        self.kind = to

    def _note(self, *asked: object) -> None:
        self.asked.append(asked)
        if (error := self.error) is not None:
            self.error = None
            raise error


class FakeAccess(SimpleNamespace):
    """A node with bans."""

    def rpc_bans(self) -> tuple[str, ...]:
        return tuple(self.bans)

    def lift_rpc_ban(self, address: str) -> None:
        if address not in self.bans:
            raise NotBanned(subject=address)
        self.bans.remove(address)


class Desk:
    """The dialog and what it stands on."""

    def __init__(
        self, theme: Theme, keys: FakeKeys, *, file: Path | None = None, bans: list[str] | None = None
    ) -> None:
        self.keys = keys
        self.access = FakeAccess(mmrpc=None if bans is None else object(), bans=bans or [])
        self.dialog = KeysDialog(keys, self.access, file, WindowTasks(), theme)
        self.dialog.open()

    def button(self, name: str) -> QPushButton:
        """The one made last: those before it go in the loop's next turns."""
        return [each for each in self.dialog.findChildren(QPushButton) if each.objectName() == name][-1]

    def write(self, name: str, text: str) -> None:
        self.dialog.findChild(QLineEdit, name).setText(text)

    def write_change(self) -> None:
        for name, text in (("oldPassphrase", "old"), ("newPassphrase", "new"), ("newPassphraseAgain", "new")):
            self.write(name, text)

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    def said(self) -> str:
        return "" if self.dialog.notice.isHidden() else self.dialog.notice.text

    def filled(self) -> list[str]:
        return [field.text() for field in self.dialog.findChildren(QLineEdit) if field.text()]


@pytest.fixture
def desk(theme: Theme) -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(*facts: object, **more: object) -> Desk:
        made.append(Desk(theme, FakeKeys(*facts), **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.dialog.reject()
        each.dialog.deleteLater()


async def test_a_passphrase_is_changed_and_the_file_that_keeps_the_old_one_named(desk: Callable[..., Desk]) -> None:
    at = desk(file=Path("/etc/leyden-pass"))
    at.write_change()
    at.write("newPassphraseAgain", "nev")
    assert not at.button("changePassphrase").isEnabled()
    at.write("newPassphraseAgain", "new")
    at.button("changePassphrase").click()
    assert at.filled() == []
    assert not at.button("lockNow").isEnabled()
    await at.settle()
    assert at.keys.asked == [("change", b"old", b"new")]
    assert "passphrase is changed" in at.said()
    assert "/etc/leyden-pass still has the old one" in at.said()


async def test_a_wrong_old_passphrase_changes_nothing_and_says_so(desk: Callable[..., Desk]) -> None:
    at = desk()
    at.keys.error = WrongPassphrase(path=Path("/profile/node-key.json"))
    at.write_change()
    at.button("changePassphrase").click()
    await at.settle()
    assert "does not open" in at.said()
    assert "has the old one" not in at.said()


@pytest.mark.parametrize(
    ("kind", "fields", "asked"),
    [
        (KeyStoreKind.FILE, ["movePassphrase"], ("move", KeyStoreKind.KEYRING, b"pass")),
        (KeyStoreKind.KEYRING, ["movePassphrase", "movePassphraseAgain"], ("move", KeyStoreKind.FILE, b"pass")),
    ],
)
async def test_the_key_moves_with_the_passphrase_of_the_file(
    desk: Callable[..., Desk], kind: KeyStoreKind, fields: list[str], asked: tuple[object, ...]
) -> None:
    at, heard = desk(kind), list[bool]()
    at.dialog.moved.connect(lambda: heard.append(True))
    for name in fields:
        assert not at.button("moveKey").isEnabled()
        at.write(name, "pass")
    at.button("moveKey").click()
    await at.settle()
    assert at.keys.asked == [asked]
    assert "The key has moved" in at.said()
    assert heard == [True]


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (KeyringLocked(backend="GNOME Keyring"), "keyring is locked", "ask_again"),
        (NoUsableKeyring(found="null", reason="set"), "No keyring found", "look_again"),
        (KeyNotSaved(backend="Windows", reason="error 1783"), "1783", "retry"),
        (KeyringFailed(backend="KWallet", reason="no answer"), "no answer", "retry"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_each_failure_of_the_move_says_so_and_its_remedy_tries_again(
    desk: Callable[..., Desk], error: Exception, said: str, remedy: str
) -> None:
    at = desk()
    at.keys.error = error
    at.write("movePassphrase", "pass")
    at.button("moveKey").click()
    await at.settle()
    assert said in at.said()
    assert at.keys.kind is KeyStoreKind.FILE
    at.button(f"remedy-{remedy}").click()
    await at.settle()
    assert at.keys.kind is KeyStoreKind.KEYRING
    assert len(at.keys.asked) == 2


async def test_a_setting_that_names_the_place_leaves_no_button(desk: Callable[..., Desk]) -> None:
    at = desk(KeyStoreKind.FILE, "config")
    assert at.dialog.move_button.isHidden()
    assert "config.toml names the place" in at.dialog.move_words.text()
    error = KeyStorePinned(origin="config", keystore="file")
    at.dialog.notice.show_error(error, {})
    assert "Nothing was moved" in at.said()


async def test_a_key_in_memory_has_neither_passphrase_nor_move(desk: Callable[..., Desk]) -> None:
    at = desk(KeyStoreKind.MEMORY)
    assert at.dialog.change_card.isHidden()
    assert at.dialog.move_card.isHidden()
    assert "gone when Leyden ends" in at.dialog.where.text()


async def test_closing_it_empties_every_field(desk: Callable[..., Desk]) -> None:
    at = desk()
    at.write_change()
    at.dialog.reject()
    assert at.filled() == []


async def test_bans_are_listed_and_lifted_and_hidden_without_mmrpc(desk: Callable[..., Desk]) -> None:
    assert desk().dialog.bans_card.isHidden()
    at = desk(bans=["127.0.0.1", "127.0.0.2"])
    assert at.dialog.no_bans.isHidden()
    at.button("lift-127.0.0.1").click()
    assert at.access.bans == ["127.0.0.2"]
    at.access.bans.clear()
    at.button("lift-127.0.0.2").click()
    assert "127.0.0.2" in at.said(), "it was lifted elsewhere meanwhile"
    assert not at.dialog.no_bans.isHidden()


async def test_the_window_opens_it_and_locks_from_it(window: MainWindow) -> None:
    class Guarded(FakeKeys):
        def lock(self) -> None: ...

    window.guard(Guarded(), WindowTasks(), 0)  # type: ignore[arg-type]
    window.actions_table[ActionId.KEYS].trigger()
    dialog = window.findChild(KeysDialog)
    assert dialog.isVisible()
    dialog.lock_button.click()
    assert window.locked
    assert not dialog.isVisible()


async def test_over_a_real_key_file_the_new_passphrase_opens_it(home: Path, theme: Theme) -> None:
    settings = parse_arguments(["--network", "regtest", "--data-dir", str(home / "d"), "--offline"])
    node = Node(settings)
    await node.start(keystore="file", passphrase=Passphrase("old"))
    tasks = WindowTasks()
    dialog = KeysDialog(node.keys, node, None, tasks, theme)
    dialog.old.setText("old")
    dialog.new.setText("new")
    dialog.again.setText("new")
    dialog.change_button.click()
    while len(tasks):
        await asyncio.sleep(0.005)
    await asyncio.sleep(0)
    assert "passphrase is changed" in dialog.notice.text
    await node.keys.verify_passphrase(Passphrase("new"))
    with pytest.raises(WrongPassphrase):
        await node.keys.verify_passphrase(Passphrase("old"))
    dialog.deleteLater()
    await node.stop()
