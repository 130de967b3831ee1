"""The wizard over a real node, a real key file and the embedded chain: to the end, back, and taken up again."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QPushButton

from core.base.events import NodeState
from core.base.settings import Settings, parse_arguments
from core.wallet.secret import Secret
from core.wallet.service import KeyService
from gui.activation.row import StepRow
from gui.profiles import list_profiles
from gui.theme import Theme
from gui.wizard.machine import ChainKind, KeyPlan, PageId
from gui.wizard.run import WizardRun
from gui.wizard.store import STATE_FILE, is_fresh, state_file
from gui.wizard.window import WizardWindow

pytestmark = pytest.mark.qt_loop
WORDS = "abandon " * 11 + "about"


def resolve(data_dir: Path, network: str) -> Settings:
    return parse_arguments(["--data-dir", str(data_dir), "--network", network, "--offline"])


class Person:
    """Sits before the wizard."""

    def __init__(self, home: Path, theme: Theme, network: str = "regtest") -> None:
        self.data_dir = home / "d"
        self.owned = AsyncExitStack()
        run = WizardRun(resolve(self.data_dir, network), theme, resolve, self.owned)
        self.going = asyncio.ensure_future(run.go())

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            if self.going.done():
                self.going.result()
            await asyncio.sleep(0.005)

    def windows(self) -> list[WizardWindow]:
        return [w for w in QApplication.topLevelWidgets() if isinstance(w, WizardWindow) and w.isVisible()]

    @property
    def window(self) -> WizardWindow:
        return self.windows()[0]

    async def sit_down(self) -> None:
        await self.until(
            lambda: any(isinstance(w, WizardWindow) and w.isVisible() for w in QApplication.topLevelWidgets())
        )

    def button(self, name: str) -> QPushButton:
        return next(each for each in self.window.findChildren(QPushButton) if each.objectName() == name)

    async def press(self, name: str) -> None:
        await self.until(lambda: self.button(name).isEnabled())
        self.button(name).click()

    def page(self) -> PageId:
        return self.window._machine.page

    async def restore_into_a_file(self) -> None:
        """To the last page."""
        await self.sit_down()
        await self.press(f"begin-{KeyPlan.RESTORE}")
        self.window.page.alias.setText("jar")  # type: ignore[attr-defined]
        self.window.page.alias.textEdited.emit("jar")  # type: ignore[attr-defined]
        await self.press("wizardNext")
        self.window.page.typed.setPlainText(WORDS)  # type: ignore[attr-defined]
        self.enter_passphrase()
        await self.press("wizardNext")
        await self.press("wizardNext")
        assert self.page() is PageId.START

    def enter_passphrase(self) -> None:
        page = self.window.page
        page.stores.buttons["file"].click()  # type: ignore[attr-defined]
        for field in (page.first, page.second):  # type: ignore[attr-defined]
            field.setText("correct horse battery")
            field.textEdited.emit(field.text())


async def test_restored_words_make_their_node_with_its_settings(home: Path, theme: Theme) -> None:
    person = Person(home, theme)
    await person.restore_into_a_file()
    assert is_fresh(resolve(person.data_dir, "regtest").paths), "nothing is stored before Start"
    await person.press("wizardNext")
    await person.until(person.going.done)
    opened = person.going.result()
    assert opened is not None
    node, _main = opened
    assert node.state is NodeState.RUNNING
    service = KeyService(node.network, node.clock, node._make_keystore)
    assert node.node_id == await service.node_id_of(await service.restore(WORDS))
    assert node.alias == "jar"
    config = tomllib.loads(node.paths.config.read_text(encoding="utf-8"))
    assert config == {"alias": "jar", "chain-source": "embedded"}
    assert not list(person.data_dir.rglob(STATE_FILE))
    node_id = node.node_id
    await person.owned.aclose()
    assert node.state is NodeState.OFF
    (entry,) = list_profiles(person.data_dir)
    assert (entry.network, entry.node_id) == ("regtest", node_id)


async def test_closed_and_opened_again_it_has_every_entry_and_no_secret(home: Path, theme: Theme) -> None:
    person = Person(home, theme)
    await person.restore_into_a_file()
    person.window.close()
    await person.until(person.going.done)
    assert person.going.result() is None
    text = (person.data_dir / "regtest" / STATE_FILE).read_text(encoding="utf-8")
    assert "abandon" not in text
    assert "correct horse" not in text
    again = Person(home, theme)
    await again.sit_down()
    assert again.page() is PageId.KEY
    assert again.window._machine.entries.alias == "jar"
    assert again.window._machine.entries.plan is KeyPlan.RESTORE
    again.window.close()
    await again.until(again.going.done)


async def test_an_unfinished_wizard_is_that_of_its_network_alone(home: Path, theme: Theme) -> None:
    person = Person(home, theme)
    await person.restore_into_a_file()
    person.window.close()
    await person.until(person.going.done)
    other = Person(home, theme, "signet")
    await other.sit_down()
    assert other.page() is PageId.WELCOME
    assert other.window._machine.entries.alias == ""
    assert other.window._machine.entries.network == "signet"
    assert "regtest" in other.window._context.existing, "begun, so it is not offered for this one"
    other.window.close()
    await other.until(other.going.done)
    assert [(entry.network, entry.unfinished) for entry in list_profiles(person.data_dir)] == [("regtest", True)]


async def test_another_network_chosen_takes_the_unfinished_wizard_with_it(home: Path, theme: Theme) -> None:
    person = Person(home, theme)
    await person.restore_into_a_file()
    machine = person.window._machine
    machine.back()
    machine.edit(network="signet", chain=ChainKind.ELECTRUM, servers=("127.0.0.1:1:t",))
    person.window._show_page()
    await person.press("wizardNext")
    here, there = (resolve(person.data_dir, name).paths for name in ("regtest", "signet"))
    await person.until(lambda: state_file(there).exists() and not state_file(here).exists())
    person.window.close()
    await person.until(person.going.done)
    again = Person(home, theme, "signet")
    await again.sit_down()
    assert again.window._machine.entries.servers == ("127.0.0.1:1:t",)
    again.window.close()
    await again.until(again.going.done)


async def test_a_key_that_cannot_be_stored_says_so_on_the_page_and_the_next_try_goes_through(
    home: Path, theme: Theme
) -> None:
    person = Person(home, theme)
    await person.restore_into_a_file()
    blocker = resolve(person.data_dir, "regtest").paths.config
    blocker.mkdir(parents=True)
    await person.press("wizardNext")
    await person.until(lambda: person.window.start.failed)
    assert "profile folder cannot be used" in person.window.start.notice.text
    blocker.rmdir()
    await person.press("remedy-retry")
    await person.until(person.going.done)
    assert person.going.result() is not None
    await person.owned.aclose()


async def test_a_look_around_leaves_nothing_behind(home: Path, theme: Theme) -> None:
    person = Person(home, theme)
    await person.sit_down()
    await person.press(f"begin-{KeyPlan.MEMORY}")
    await person.press("wizardNext")
    await person.until(person.going.done)
    opened = person.going.result()
    assert opened is not None
    node, _main = opened
    folder = node.paths.data_dir
    assert node.key_location == "memory"
    await person.owned.aclose()
    assert not folder.exists()
    assert not person.data_dir.exists()


async def test_a_new_key_is_shown_once_asked_back_and_then_kept(home: Path, theme: Theme) -> None:
    person = Person(home, theme)
    await person.sit_down()
    await person.press(f"begin-{KeyPlan.NEW}")
    await person.press("wizardNext")
    person.enter_passphrase()
    await person.press("wizardNext")
    page = person.window.page
    await person.until(page.written.isEnabled)  # type: ignore[attr-defined]
    draft = person.window._context.secrets.draft
    assert draft is not None
    words = list(draft.words)
    page.written.setChecked(True)  # type: ignore[attr-defined]
    await person.press("wizardNext")
    asked = person.window.page
    assert not person.button("wizardNext").isEnabled()
    for place, field in zip(asked.asked, asked.fields, strict=True):  # type: ignore[attr-defined]
        field.setText(words[place - 1])
        field.textEdited.emit(field.text())
    await person.press("checkWords")
    await person.press("wizardNext")
    assert person.window._machine.entries.chain is ChainKind.EMBEDDED
    await person.press("wizardNext")
    await person.press("wizardNext")
    await person.until(person.going.done)
    opened = person.going.result()
    assert opened is not None
    node, _main = opened
    service = KeyService(node.network, node.clock, node._make_keystore)
    kept: Secret = await service.restore(" ".join(words))
    assert node.node_id == await service.node_id_of(kept)
    await person.owned.aclose()


async def test_a_dead_chain_server_shows_in_its_row_and_leads_back_to_the_servers(home: Path, theme: Theme) -> None:
    person = Person(home, theme)
    await person.restore_into_a_file()
    dead = "127.0.0.1:1:t"  # nobody listens on port 1
    person.window._machine.edit(chain=ChainKind.ELECTRUM, servers=(dead,))
    await person.press("wizardNext")
    await person.until(lambda: any(each.failure for each in person.window.findChildren(StepRow)))
    (row,) = [each for each in person.window.findChildren(StepRow) if each.failure]
    assert row.status == "PlatformCoin"
    assert "No connection to the chain server" in row.failure
    await person.press("remedy-other_source")
    await person.until(lambda: person.page() is PageId.NETWORK)
    assert person.window._machine.entries.servers == (dead,)
    assert person.window._machine.entries.plan is KeyPlan.KEPT, "its key is stored by now, and is not made again"
    person.window.close()
    await person.until(person.going.done)
    assert person.going.result() is None
