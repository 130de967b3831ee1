"""The window before the main one: what it waits for, what it asks, and that nothing goes on behind its back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton

from core.base.errors import LeydenError
from core.base.settings import parse_arguments
from core.bolt.keys import short_id
from core.node import Node
from core.wallet.errors import KeyMissing, KeyNotSaved, KeyringFailed, KeyringLocked, NoUsableKeyring, WrongKey
from core.wallet.passphrase import Passphrase
from core.wallet.secret import Secret
from gui.opening import Elsewhere, OpeningWindow, open_node
from gui.profiles import ProfileEntry
from gui.theme import Theme
from gui.words import Remedy
from tests.support.fake_node import node_id

pytestmark = pytest.mark.qt_loop


def make_node(home: Path, *options: str) -> Node:
    return Node(
        parse_arguments(["--network", "regtest", "--data-dir", str(home / "d"), "--bind", "127.0.0.1:0", *options])
    )


def shown() -> OpeningWindow | None:
    windows = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, OpeningWindow)]
    return next((window for window in windows if window.isVisible()), None)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)  # a loop that never rests keeps the keyring's thread from Python's lock


def press(name: str) -> None:
    """The button made last: those of the failure before go in the loop's next turns. A disabled one does nothing."""
    window = shown()
    assert window is not None
    [button for button in window.findChildren(QPushButton) if button.objectName() == name][-1].click()


def fields() -> list[QLineEdit]:
    window = shown()
    assert window is not None
    return [field for field in window.findChildren(QLineEdit) if field.isVisibleTo(window)]


async def test_a_node_that_opens_at_once_is_asked_nothing(home: Path, theme: Theme) -> None:
    node = make_node(home, "--keystore", "memory")
    assert await open_node(node, theme)
    assert shown() is None
    await node.stop()


async def test_without_a_keyring_it_offers_a_key_file_and_makes_it(home: Path, theme: Theme) -> None:
    node = make_node(home)
    opening = asyncio.ensure_future(open_node(node, theme))
    await until(lambda: "No keyring" in window_text())
    assert not node.paths.key_file.exists()
    press(f"remedy-{Remedy.USE_KEY_FILE}")
    first, second = fields()
    first.setText("correct horse")
    press("usePassphrase")  # the second is still empty: nothing happens
    assert not opening.done()
    second.setText("correct horse")
    assert first.echoMode() is QLineEdit.EchoMode.Password
    press("usePassphrase")
    assert await opening
    assert node.paths.key_file.exists()
    await node.stop()


async def test_a_wrong_passphrase_asks_again_with_one_field(home: Path, theme: Theme) -> None:
    await test_without_a_keyring_it_offers_a_key_file_and_makes_it(home, theme)
    node = make_node(home)
    opening = asyncio.ensure_future(open_node(node, theme))
    await until(lambda: "passphrase is needed" in window_text())
    (field,) = fields()
    field.setText("wrong")
    press("usePassphrase")
    await until(lambda: "does not open" in window_text())
    fields()[0].setText("correct horse")
    press("usePassphrase")
    assert await opening
    await node.stop()


def window_text() -> str:
    window = shown()
    return window._notice.text if window is not None and window._notice.isVisible() else ""


async def test_retry_looks_again_and_closing_the_window_quits(
    home: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, starts = make_node(home), list[object]()
    start = node.start

    async def counted(*, keystore: str | None, passphrase: Passphrase | None, secret: Secret | None) -> None:
        starts.append(keystore)
        await start(keystore=keystore, passphrase=passphrase, secret=secret)

    monkeypatch.setattr(node, "start", counted)
    opening = asyncio.ensure_future(open_node(node, theme))
    await until(lambda: "No keyring" in window_text())
    press(f"remedy-{Remedy.LOOK_AGAIN}")
    await until(lambda: len(starts) == 2 and "No keyring" in window_text())  # hidden while the second start runs
    window = shown()
    assert window is not None
    window.close()
    assert not await opening
    assert shown() is None
    await node.stop()


async def test_a_key_that_is_gone_is_restored_from_its_words(home: Path, theme: Theme) -> None:
    first = make_node(home, "--keystore", "file")
    words = "abandon " * 11 + "about"
    secret = await first.keys.restore(words)
    await first.start(passphrase=Passphrase("correct horse"), secret=secret)
    node_id = first.node_id
    await first.stop()
    first.paths.key_file.unlink()
    node = make_node(home)
    opening = asyncio.ensure_future(open_node(node, theme))
    await until(lambda: "key is not there" in window_text() or "passphrase is needed" in window_text())
    if "passphrase is needed" in window_text():
        for field in fields():
            field.setText("correct horse")
        press("usePassphrase")
        await until(lambda: "key is not there" in window_text())
    press(f"remedy-{Remedy.RESTORE_WORDS}")
    window = shown()
    assert window is not None
    window._words._field.setPlainText("abandon " * 11 + "abandon")
    press("useWords")
    await until(window._words._hint.text)
    window._words._field.setPlainText(words)
    press("useWords")
    await until(lambda: opening.done() or "passphrase is needed" in window_text())
    if not opening.done():
        for field in fields():
            field.setText("correct horse")
        press("usePassphrase")
    assert await opening
    assert node.node_id == node_id
    await node.stop()


OTHER = ProfileEntry(Path("/profiles"), "regtest", "2", node_id(9))


class Trouble:
    """A node whose start fails with what a test injects, and the window over it."""

    def __init__(
        self, home: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch, error: LeydenError, *known: ProfileEntry
    ) -> None:
        self.node, self.starts = make_node(home, "--alias", "jar"), list[dict[str, object]]()

        async def start(**facts: object) -> None:
            self.starts.append(facts)
            if len(self.starts) == 1:
                raise error

        async def profile_of(wanted: bytes) -> ProfileEntry | None:
            return next((entry for entry in known if entry.node_id == wanted), None)

        monkeypatch.setattr(self.node, "start", start)
        self.opening = asyncio.ensure_future(open_node(self.node, theme, profile_of))

    async def asked(self) -> OpeningWindow:
        await until(lambda: window_text() != "")
        window = shown()
        assert window is not None
        return window


MISSING = KeyMissing(where="GNOME Keyring", node_id=node_id(7), kept_in="keyring")
OTHERS = WrongKey(where="GNOME Keyring", found=node_id(9), expected=node_id(7))


@pytest.mark.parametrize(
    ("error", "said", "remedies"),
    [
        (KeyringLocked(backend="GNOME Keyring"), "is locked", "ask_again backup_file restore_words quit"),
        (NoUsableKeyring(found="Null", reason="set"), "Found: Null", "use_key_file look_again how_to_fix quit"),
        (MISSING, "is gone", "restore_words backup_file look_again new_node quit"),
        (OTHERS, "Nothing was changed", "open_as restore_words backup_file retry quit"),
        (KeyNotSaved(backend="Windows", reason="error 1783"), "1783", "use_key_file retry copy_details"),
        (KeyringFailed(backend="KWallet", reason="no answer"), "no answer", "use_key_file retry copy_details"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_each_failure_of_a_keyring_is_said_with_its_remedies(
    home: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch, error: LeydenError, said: str, remedies: str
) -> None:
    trouble = Trouble(home, theme, monkeypatch, error)
    window = await trouble.asked()
    assert said in window_text()
    offered = [each.objectName() for each in window._notice.findChildren(QPushButton)]
    assert offered == [f"remedy-{name}" for name in remedies.split()]
    window.close()
    assert not await trouble.opening


async def test_a_new_node_is_begun_elsewhere_and_only_with_the_name_typed(
    home: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(home, theme, monkeypatch, MISSING)
    await trouble.asked()
    press("remedy-new_node")
    (field,) = fields()
    field.setText("Jar")
    press("useNewNode")
    assert not trouble.opening.done()
    field.setText("jar")
    press("useNewNode")
    assert await trouble.opening == Elsewhere(None)
    assert len(trouble.starts) == 1, "nothing was tried on the old profile"


async def test_a_key_of_another_profile_opens_that_profile(
    home: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(home, theme, monkeypatch, OTHERS, OTHER)
    window = await trouble.asked()
    texts = [each.text() for each in window._notice.findChildren(QPushButton)]
    assert texts[0] == f"Open as {short_id(node_id(9))}"
    press("remedy-open_as")
    assert await trouble.opening == Elsewhere(OTHER)


async def test_a_key_of_no_profile_here_says_what_can_be_done(
    home: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(home, theme, monkeypatch, OTHERS)
    window = await trouble.asked()
    press("remedy-open_as")
    await until(window._help.isVisible)
    assert "No profile here belongs to" in window._help.text()
    window.close()
    assert not await trouble.opening


async def test_a_backup_of_the_key_file_is_opened_in_its_place(
    home: Path, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(home, theme, monkeypatch, KeyringLocked(backend="GNOME Keyring"))
    window = await trouble.asked()
    press("remedy-backup_file")
    assert str(trouble.node.paths.key_file) in window._help.text()
    (field,) = fields()
    field.setText("correct horse")
    press("usePassphrase")
    assert await trouble.opening is True
    assert trouble.starts[1]["keystore"] == "file"


async def test_a_real_backup_takes_the_place_of_a_keyring_that_is_gone(home: Path, theme: Theme) -> None:
    first = make_node(home)
    await first.start(keystore="file", passphrase=Passphrase("correct horse"))
    node_id_ = first.node_id
    await first.stop()
    backup = first.paths.key_file.read_bytes()
    first.paths.key_file.unlink()
    node = make_node(home, "--keystore", "file")
    opening = asyncio.ensure_future(open_node(node, theme))
    await until(lambda: "passphrase is needed" in window_text() or "not there" in window_text())
    if "passphrase is needed" in window_text():
        fields()[0].setText("correct horse")
        fields()[-1].setText("correct horse")
        press("usePassphrase")
        await until(lambda: "not there" in window_text())
    press("remedy-backup_file")
    node.paths.key_file.write_bytes(backup)
    node.paths.key_file.chmod(0o600)
    fields()[0].setText("correct horse")
    press("usePassphrase")
    assert await opening is True
    assert node.node_id == node_id_
    await node.stop()
