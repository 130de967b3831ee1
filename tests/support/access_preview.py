"""Paint what stands around a key, to be looked at: `python -m tests.support.access_preview FOLDER [SCENE..]`.

The opening window in its troubles, the chooser of profiles, Keys and access, the lock page; light and dark. Run it with
QT_SCALE_FACTOR=2 for a dense screen.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from core.base.errors import LeydenError
from core.base.paths import ProfilePaths
from core.base.settings import Settings
from core.wallet.errors import KeyMissing, KeyringLocked, WrongKey
from core.wallet.keystore import KeyStoreKind
from core.wallet.service import KeyState, UnlockBy
from gui.keys import KeysDialog
from gui.lock import LockPage
from gui.opening import OpeningWindow
from gui.profiles import ProfileChooser, ProfileEntry
from gui.tasks import WindowTasks
from gui.theme import Theme, ThemeChoice
from gui.window import MainWindow
from tests.support.fake_node import FakeNode, address, node_id

FOLDER = Path("/home/ada/.local/share/leyden")
Scene = Callable[[Theme], Awaitable[QWidget]]


class Keys:
    """A key somewhere."""

    def __init__(self, kind: KeyStoreKind) -> None:
        self._kind = kind

    def state(self) -> KeyState:
        where = {KeyStoreKind.FILE: str(FOLDER / "bitcoin" / "node-key.json"), KeyStoreKind.KEYRING: "GNOME Keyring"}
        by = {KeyStoreKind.FILE: UnlockBy.PASSPHRASE, KeyStoreKind.KEYRING: UnlockBy.KEYRING}
        return KeyState(node_id(7), self._kind, where[self._kind], False, by[self._kind], "")

    def lock(self) -> None: ...


def press(widget: QWidget, name: str) -> None:
    next(each for each in widget.findChildren(QPushButton) if each.objectName() == name).click()


async def _opening(theme: Theme, error: LeydenError, *pressed: str) -> OpeningWindow:
    node = SimpleNamespace(paths=ProfilePaths(FOLDER, "bitcoin"), keys=None, settings=Settings(alias="practice jar"))
    window = OpeningWindow(cast("Any", node), theme)
    asking = asyncio.ensure_future(window.ask(error))
    await asyncio.sleep(0)
    for name in pressed:
        press(window, name)
    window.destroyed.connect(asking.cancel)
    return window


async def opening_waiting(theme: Theme) -> QWidget:
    window = await _opening(theme, KeyringLocked(backend="GNOME Keyring"))
    window.wait()
    return window


async def opening_locked(theme: Theme) -> QWidget:
    return await _opening(theme, KeyringLocked(backend="GNOME Keyring"))


async def opening_backup(theme: Theme) -> QWidget:
    return await _opening(theme, KeyringLocked(backend="GNOME Keyring"), "remedy-backup_file")


async def opening_missing(theme: Theme) -> QWidget:
    error = KeyMissing(where="GNOME Keyring", node_id=node_id(7), kept_in="keyring")
    return await _opening(theme, error, "remedy-new_node")


async def opening_other(theme: Theme) -> QWidget:
    error = WrongKey(where="GNOME Keyring", found=node_id(9), expected=node_id(7))
    return await _opening(theme, error, "remedy-open_as")


async def chooser(theme: Theme) -> QWidget:
    return ProfileChooser(
        [
            ProfileEntry(FOLDER, "bitcoin", "", node_id(3)),
            ProfileEntry(FOLDER, "signet", "", None, unfinished=True),
            ProfileEntry(FOLDER / "nodes" / "2", "bitcoin", "2", node_id(4)),
        ],
        theme,
    )


async def keys(theme: Theme) -> QWidget:
    access = SimpleNamespace(mmrpc=object(), rpc_bans=lambda: ("127.0.0.1",), lift_rpc_ban=lambda _address: None)
    return KeysDialog(cast("Any", Keys(KeyStoreKind.KEYRING)), access, None, WindowTasks(), theme)


async def keys_file(theme: Theme) -> QWidget:
    access = SimpleNamespace(mmrpc=None, rpc_bans=tuple, lift_rpc_ban=lambda _address: None)
    file = Path("/home/ada/.leyden-passphrase")
    dialog = KeysDialog(cast("Any", Keys(KeyStoreKind.FILE)), access, file, WindowTasks(), theme)
    dialog._changed()
    return dialog


async def lock(theme: Theme) -> QWidget:
    node = FakeNode()
    window = MainWindow(cast("Any", node), WindowTasks(), theme)
    node.run()
    node.fake_peers.arrive(node_id(11), address(11))
    window.bridge.flush()
    window.guard(cast("Any", Keys(KeyStoreKind.FILE)), WindowTasks(), 0)
    window.lock()
    assert isinstance(window.lock_page, LockPage)
    return window


SCENES: tuple[Scene, ...] = (
    opening_waiting,
    opening_locked,
    opening_backup,
    opening_missing,
    opening_other,
    chooser,
    keys,
    keys_file,
    lock,
)


async def paint(app: QApplication, folder: Path, wanted: list[str]) -> None:
    theme = Theme(app, ThemeChoice.LIGHT)
    for choice, suffix in ((ThemeChoice.LIGHT, ""), (ThemeChoice.DARK, "-dark")):
        theme.choose(choice)
        for scene in SCENES:
            if wanted and scene.__name__ not in wanted:
                continue
            widget = await scene(theme)
            widget.show()
            for _ in range(4):
                app.processEvents()
                await asyncio.sleep(0)
            widget.grab().save(str(folder / f"{scene.__name__.replace('_', '-')}{suffix}.png"), quality=0)
            widget.hide()
            widget.deleteLater()
            app.processEvents()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication([])
    asyncio.run(paint(app, folder, sys.argv[2:]))


if __name__ == "__main__":
    main()
