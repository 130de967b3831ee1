"""Dialogs that a coroutine can await.

None is ever run with a nested Qt loop: a dialog is opened, and its end resolves a future. The loop goes on meanwhile,
and so does every peer. All text is shown as plain text, because much of it comes from peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QMessageBox, QPushButton, QWidget

from gui.widgets.basics import set_property


async def until_closed(dialog: QDialog) -> int:
    """Open `dialog` and wait for its result: `QDialog.DialogCode`, or what its class gives instead.

    A dialog destroyed with its parent counts as rejected. When the waiting task is cancelled, the dialog is closed.
    The dialog belongs to the caller; with `WA_DeleteOnClose` it is gone afterwards.
    """
    result: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def settle(code: int) -> None:
        if not result.done():
            result.set_result(code)

    def destroyed() -> None:
        settle(int(QDialog.DialogCode.Rejected))

    dialog.finished.connect(settle)
    dialog.destroyed.connect(destroyed)
    dialog.open()
    try:
        return await result
    except asyncio.CancelledError:
        dialog.reject()
        raise


async def choose(
    parent: QWidget | None,
    title: str,
    body: str,
    choices: Sequence[str],
    *,
    details: str = "",
    destructive: int | None = None,
    icon: QMessageBox.Icon = QMessageBox.Icon.NoIcon,
) -> int | None:
    """Ask for one of `choices`; the index of the button pressed, or None for Cancel, Escape and a closed window.

    Enter presses Cancel where one choice is `destructive` (its index), and the first choice elsewhere.
    """
    box = QMessageBox(icon, title, title, QMessageBox.StandardButton.Cancel, parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setInformativeText(body)
    if details:
        box.setDetailedText(details)
    buttons: list[QPushButton] = []
    for index, label in enumerate(choices):
        role = QMessageBox.ButtonRole.DestructiveRole if index == destructive else QMessageBox.ButtonRole.AcceptRole
        made = box.addButton(label, role)
        if index == destructive:
            set_property(made, "kind", "danger")
        buttons.append(made)
    box.setEscapeButton(QMessageBox.StandardButton.Cancel)
    if destructive is None:
        box.setDefaultButton(buttons[0])
    else:
        box.setDefaultButton(QMessageBox.StandardButton.Cancel)
    pressed: list[int] = []
    box.buttonClicked.connect(lambda button: pressed.extend(i for i, ours in enumerate(buttons) if ours is button))
    try:
        await until_closed(box)
    finally:
        _dispose(box)
    return pressed[0] if pressed else None


async def ask(
    parent: QWidget | None, title: str, body: str, action: str, *, details: str = "", destructive: bool = False
) -> bool:
    """Confirm one `action` (the button's label, a verb: `Disconnect`). True only when it was pressed."""
    chosen = await choose(parent, title, body, [action], details=details, destructive=0 if destructive else None)
    return chosen == 0


async def inform(parent: QWidget | None, title: str, body: str, *, details: str = "") -> None:
    """Say something that must be read; back when it is closed."""
    box = QMessageBox(QMessageBox.Icon.NoIcon, title, title, QMessageBox.StandardButton.Ok, parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setInformativeText(body)
    if details:
        box.setDetailedText(details)
    try:
        await until_closed(box)
    finally:
        _dispose(box)


def _dispose(dialog: QDialog) -> None:
    try:
        dialog.deleteLater()
    except RuntimeError:  # its C++ part went with the parent
        return
