"""Paint every page of the wizard to PNG files, to be looked at: `python -m tests.support.wizard_preview FOLDER`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtWidgets import QApplication, QPushButton

from core.base.errors import LeydenError
from core.chain.errors import ServerUnreachable
from core.peers.errors import ListenFailed
from core.wallet.errors import KeyringLocked
from core.wallet.keystore import KeyStoreStatus
from core.wallet.secret import Secret
from core.wallet.words import NewKey, read_words
from gui.tasks import WindowTasks
from gui.theme import Theme, ThemeChoice
from gui.wizard.context import Context, Probes
from gui.wizard.machine import ChainKind, Entries, KeyPlan, Machine, PageId
from gui.wizard.window import WizardWindow

SERVER = "electrum.example.org:50002:s"


class FakeKeys:
    """The real words; a keyring as a test wants it."""

    def __init__(self, status: KeyStoreStatus | None = None) -> None:
        self.status = status or KeyStoreStatus(usable=True, where="GNOME Keyring", locked=False)

    async def draft(self, words: int = 12) -> NewKey:
        return NewKey.draft(words)

    async def restore(self, text: str) -> Secret:
        return read_words(text, created=0)

    async def keyring_status(self) -> KeyStoreStatus:
        return self.status


class FakeProbes:
    """Answers, or what they shall fail with."""

    def __init__(self) -> None:
        self.chain_error: LeydenError | None = None
        self.port_errors: dict[int, LeydenError] = {}

    async def chain(self, _entries: Entries) -> str:
        if self.chain_error is not None:
            raise self.chain_error
        return "Electrum server electrum.example.org:50002. Its tip is at height 871,204."

    async def port(self, port: int) -> None:
        if port in self.port_errors:
            raise self.port_errors[port]


class Stage:
    """A wizard with everything around it."""

    def __init__(self, theme: Theme, machine: Machine | None = None, status: KeyStoreStatus | None = None) -> None:
        self.machine = machine or Machine()
        self.keys, self.probes, self.tasks = FakeKeys(status), FakeProbes(), WindowTasks()
        probes = Probes(self.probes.chain, self.probes.port)
        self.context = Context(self.machine, theme, self.tasks, self.keys, probes)
        self.saved: list[str] = []
        self.window = WizardWindow(self.context, self._save)

    async def _save(self, machine: Machine) -> None:
        self.saved.append(machine.to_text())

    def press(self, name: str) -> None:
        found = [each for each in self.window.findChildren(QPushButton) if each.objectName() == name]
        assert len(found) == 1, f"{len(found)} buttons are called {name}"
        assert found[0].isEnabled(), f"{name} is disabled"
        found[0].click()

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def to(self, page: PageId, plan: KeyPlan = KeyPlan.NEW) -> None:
        """Go there as a person would."""
        self.press(f"begin-{plan}")
        while self.machine.page is not page:
            await self.settle()
            self.answer()
            self.press("wizardNext")
        await self.settle()

    def answer(self) -> None:
        """Give the present page what it needs."""
        shown = self.window.page
        if self.machine.page is PageId.IDENTITY:
            shown.alias.setText("Wellenbrecher Süd")  # type: ignore[attr-defined]
            shown.alias.textEdited.emit("Wellenbrecher Süd")  # type: ignore[attr-defined]
            shown.swatches["17754A"].click()  # type: ignore[attr-defined]
        elif self.machine.page is PageId.WORDS:
            shown.written.setChecked(True)  # type: ignore[attr-defined]
        elif self.machine.page is PageId.ASKED:
            self.answer_words()
        elif self.machine.page is PageId.NETWORK:
            shown.servers.setPlainText(f"{SERVER}\nelectrum2.example.org:50002:s")  # type: ignore[attr-defined]

    def answer_words(self, *, wrong: bool = False) -> None:
        draft, page = self.context.secrets.draft, self.window.page
        assert draft is not None
        words = draft._held().secret.split(" ")
        for place, field in zip(page.asked, page.fields, strict=True):  # type: ignore[attr-defined]
            field.setText("abacus" if wrong else words[place - 1])
            field.textEdited.emit(field.text())
        self.press("checkWords")


async def welcome(_stage: Stage) -> None: ...


async def identity(stage: Stage) -> None:
    await stage.to(PageId.IDENTITY)
    stage.answer()


async def identity_too_long(stage: Stage) -> None:
    await stage.to(PageId.IDENTITY)
    page = stage.window.page
    page.alias.setText("Der Wellenbrecher an der Süderelbe")  # type: ignore[attr-defined]
    page.alias.textEdited.emit(page.alias.text())  # type: ignore[attr-defined]


async def key_keyring(stage: Stage) -> None:
    await stage.to(PageId.KEY)


async def key_none(stage: Stage) -> None:
    stage.keys.status = KeyStoreStatus(
        usable=False, where="", locked=None, reason="Null keyring, set by PYTHON_KEYRING_BACKEND"
    )
    await stage.to(PageId.KEY)


async def key_restore(stage: Stage) -> None:
    await stage.to(PageId.KEY, KeyPlan.RESTORE)
    stage.window.page.typed.setPlainText("abandon " * 11 + "about")  # type: ignore[attr-defined]


async def words(stage: Stage) -> None:
    await stage.to(PageId.WORDS)


async def asked(stage: Stage) -> None:
    await stage.to(PageId.ASKED)
    stage.answer_words(wrong=True)


async def network(stage: Stage) -> None:
    await stage.to(PageId.NETWORK)
    stage.answer()
    stage.press("testChain")


async def network_failed(stage: Stage) -> None:
    stage.probes.chain_error = ServerUnreachable(server=SERVER, reason="Connection refused")
    await network(stage)


async def network_port(stage: Stage) -> None:
    stage.probes.port_errors[9735] = ListenFailed(address="0.0.0.0:9735", errno=98, reason="Address already in use")
    await stage.to(PageId.NETWORK)
    stage.window.page.sources.buttons[ChainKind.BITCOIN_RPC].click()  # type: ignore[attr-defined]
    stage.window.page.listen.click()  # type: ignore[attr-defined]
    stage.press("checkPort")


async def start(stage: Stage) -> None:
    await stage.to(PageId.START)


async def start_locked(stage: Stage) -> None:
    await stage.to(PageId.START)
    stage.window.start.show_failure(KeyringLocked(backend="GNOME Keyring"))


SCENES: tuple[Callable[[Stage], object], ...] = (
    welcome,
    identity,
    identity_too_long,
    key_keyring,
    key_none,
    key_restore,
    words,
    asked,
    network,
    network_failed,
    network_port,
    start,
    start_locked,
)


async def paint(app: QApplication, folder: Path, wanted: list[str]) -> None:
    theme = Theme(app, ThemeChoice.LIGHT)
    for choice, suffix in ((ThemeChoice.LIGHT, ""), (ThemeChoice.DARK, "-dark")):
        theme.choose(choice)
        for scene in SCENES:
            if wanted and scene.__name__ not in wanted:
                continue
            stage = Stage(theme)
            stage.window.show()
            await scene(stage)  # type: ignore[misc]
            await stage.settle()
            for _ in range(4):
                app.processEvents()
                await stage.settle()
            name = f"wizard-{scene.__name__.replace('_', '-')}{suffix}.png"
            stage.window.grab().save(str(folder / name), quality=0)
            await stage.tasks.aclose()
            stage.window.close()
            stage.window.deleteLater()
            app.processEvents()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication([])
    asyncio.run(paint(app, folder, sys.argv[2:]))


if __name__ == "__main__":
    main()
