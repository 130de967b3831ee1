"""The lock page: what it hides, what it says, and what opens it."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from core.wallet.errors import KeyringLocked, WrongPassphrase
from core.wallet.keystore import KeyStoreKind
from core.wallet.passphrase import Passphrase
from core.wallet.service import KeyState, UnlockBy
from gui.actions import ActionId
from gui.lock import AutoLock
from gui.tasks import WindowTasks
from gui.window import MainWindow
from tests.support.fake_node import FakeNode, node_id

pytestmark = pytest.mark.qt_loop


class FakeKeys:
    """Opens for one passphrase; raises `error` once."""

    def __init__(self, by: UnlockBy = UnlockBy.PASSPHRASE) -> None:
        self.by, self.locks, self.error = by, 0, None

    def state(self) -> KeyState:
        return KeyState(node_id(7), KeyStoreKind.FILE, "GNOME Keyring", self.locks > 0, self.by, "")

    def lock(self) -> None:
        self.locks += 1

    async def unlock(self, passphrase: Passphrase | None = None) -> None:
        if (error := self.error) is not None:
            self.error = None
            raise error
        if self.by is UnlockBy.PASSPHRASE and (passphrase is None or passphrase.to_bytes() != b"right"):
            from pathlib import Path

            raise WrongPassphrase(path=Path("/key"))


@pytest.fixture
def keys(window: MainWindow) -> FakeKeys:
    made = FakeKeys()
    window.guard(made, WindowTasks(), 0)  # type: ignore[arg-type]
    return made


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_hides_the_views_the_menu_the_shortcuts_and_the_name(window: MainWindow, keys: FakeKeys) -> None:
    title = window.windowTitle()
    window.actions_table[ActionId.LOCK].trigger()
    assert window.locked
    assert keys.locks == 1
    assert not window.menuBar().isVisible()
    assert not window.activation.isVisible()
    assert not window.actions()
    assert "practice jar" not in window.windowTitle()
    assert window.lock_page is not None
    assert "keeps its connections" in window.lock_page.said.text()
    window.show_view(ActionId.SHOW_PEERS)
    QTest.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert not window.peers.isVisible()
    window.lock_page.passphrase.setText("right")
    window.lock_page.open_button.click()
    await settle()
    assert not window.locked
    assert window.windowTitle() == title
    assert window.menuBar().isVisible()
    assert window.actions()


@pytest.mark.qt_log_ignore("This plugin does not support")
async def test_it_closes_the_panel_of_the_network_whose_buttons_would_still_work(
    window: MainWindow, keys: FakeKeys, node: FakeNode
) -> None:
    node.run()
    window.bridge.flush()
    window.status.refresh()
    window.status.network.open_panel()
    assert window.status.network.panel.isVisible()
    window.lock()
    assert not window.status.network.panel.isVisible()


async def test_a_wrong_passphrase_stays_locked_and_leaves_no_text(window: MainWindow, keys: FakeKeys) -> None:
    window.lock()
    page = window.lock_page
    assert page is not None
    assert not page.open_button.isEnabled()
    page.passphrase.setText("wrong")
    page.open_button.click()
    assert page.passphrase.text() == ""
    await settle()
    assert window.locked
    assert "does not open" in page.notice.text


async def test_a_keyring_is_asked_and_can_be_asked_again(window: MainWindow, keys: FakeKeys) -> None:
    keys.by, keys.error = UnlockBy.KEYRING, KeyringLocked(backend="GNOME Keyring")
    window.lock()
    page = window.lock_page
    assert page is not None
    assert not page.passphrase.isVisible()
    page.open_button.click()
    assert page._late.isActive()
    page._late.timeout.emit()
    assert "Still waiting" in page.how.text()
    await settle()
    assert window.locked
    assert "keyring is locked" in page.notice.text
    page.unlock()
    await settle()
    assert not window.locked


def test_a_sign_of_life_puts_the_lock_off(qapp: QApplication) -> None:
    locked: list[bool] = []
    lock = AutoLock(qapp, 2, lambda: locked.append(True), qapp)
    assert lock._timer.interval() == 120_000
    lock._timer.stop()
    lock.eventFilter(qapp, QEvent(QEvent.Type.MouseMove))
    assert lock._timer.isActive()
    lock._timer.timeout.emit()
    assert locked == [True]
    lock._timer.stop()
    qapp.removeEventFilter(lock)
    lock.deleteLater()


def test_zero_minutes_is_never(qapp: QApplication) -> None:
    lock = AutoLock(qapp, 0, lambda: None, qapp)
    assert not lock._timer.isActive()
    lock.deleteLater()
