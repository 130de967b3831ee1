"""The wizard's pages: what they say of an entry, what they hold of a secret, and what their buttons try."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton, QRadioButton, QSpacerItem, QWidget

from core.chain.errors import ServerUnreachable
from core.peers.errors import ListenFailed
from core.wallet.errors import KeyNotSaved, KeyringLocked, NoUsableKeyring
from core.wallet.keystore import KeyStoreStatus
from gui.theme import Theme
from gui.wizard.clipboard import CLEARED_AFTER_MS, ClipboardGuard
from gui.wizard.key import KeyPage
from gui.wizard.key_words import AskedPage
from gui.wizard.machine import ChainKind, KeyPlan, PageId
from tests.support.wizard_preview import SERVER, Stage

pytestmark = pytest.mark.qt_loop
NO_KEYRING = KeyStoreStatus(usable=False, where="", locked=None, reason="Null keyring")


async def closing(stage: Stage) -> None:
    await stage.tasks.aclose()
    stage.window.close()
    stage.window.deleteLater()


def on_stage(act: Callable[[Stage], Awaitable[None]]) -> Callable[[Theme], Awaitable[None]]:
    """A test with a wizard that is closed at its end."""

    async def run(theme: Theme) -> None:
        stage = Stage(theme)
        stage.window.show()
        try:
            await act(stage)
        finally:
            await closing(stage)

    run.__name__, run.__doc__ = act.__name__, act.__doc__
    return run


def texts(widget: QWidget) -> str:
    return "\n".join(each.text() for each in widget.findChildren(QLabel) if each.isVisibleTo(widget))


def enabled(stage: Stage, name: str) -> bool:
    return next(each for each in stage.window.findChildren(QPushButton) if each.objectName() == name).isEnabled()


@on_stage
async def test_the_alias_is_counted_in_bytes_and_too_long_a_one_keeps_the_page(stage: Stage) -> None:
    await stage.to(PageId.IDENTITY)
    page = stage.window.page
    page.alias.setText("ü" * 17)  # type: ignore[attr-defined]
    page.alias.textEdited.emit("ü" * 17)  # type: ignore[attr-defined]
    assert "34 of 32 bytes: 2 bytes too many" in texts(page)
    assert not enabled(stage, "wizardNext")


@on_stage
async def test_the_words_leave_the_screen_with_their_page(stage: Stage) -> None:
    await stage.to(PageId.WORDS)
    page, draft = stage.window.page, stage.context.secrets.draft
    assert draft is not None
    words = list(draft.words)
    assert all(word in texts(page) for word in words)
    page.written.setChecked(True)  # type: ignore[attr-defined]
    stage.press("wizardNext")
    assert not [each for each in page.findChildren(QLabel) if each.text() in words]


@on_stage
async def test_the_way_back_from_the_words_makes_new_ones(stage: Stage) -> None:
    await stage.to(PageId.WORDS)
    first = stage.context.secrets.draft
    stage.press("wizardBack")
    assert stage.context.secrets.draft is None
    stage.press("wizardNext")
    await stage.settle()
    assert stage.context.secrets.draft is not None
    assert first is not stage.context.secrets.draft
    assert first is not None
    assert first.count == 0, "the first is wiped"


@on_stage
async def test_a_wrong_word_is_named_by_its_place_and_others_are_asked(stage: Stage) -> None:
    await stage.to(PageId.ASKED)
    asked = stage.window.page.asked  # type: ignore[attr-defined]
    stage.answer_words(wrong=True)
    assert str(asked[0]) in stage.window.page.verdict.text()  # type: ignore[attr-defined]
    assert not stage.machine.held.secret
    assert not enabled(stage, "wizardNext")
    stage.answer_words()
    assert stage.machine.held.secret
    assert enabled(stage, "wizardNext")


@on_stage
async def test_enter_takes_the_first_way_and_goes_on_from_a_field(stage: Stage) -> None:
    QTest.keyClick(stage.window.focusWidget(), Qt.Key.Key_Return)
    await stage.settle()
    assert stage.machine.page is PageId.IDENTITY
    QTest.keyClick(stage.window.page.alias, Qt.Key.Key_Return)  # type: ignore[attr-defined]
    await stage.settle()
    assert stage.machine.page is PageId.KEY


@on_stage
async def test_enter_does_not_go_back_where_the_way_on_is_barred(stage: Stage) -> None:
    stage.keys.status = NO_KEYRING
    await stage.to(PageId.KEY)
    assert not enabled(stage, "wizardNext")
    QTest.keyClick(stage.window.focusWidget(), Qt.Key.Key_Return)
    assert stage.machine.page is PageId.KEY


@on_stage
async def test_enter_does_not_leave_while_the_words_are_shown(stage: Stage) -> None:
    stage.keys.status = NO_KEYRING
    await stage.to(PageId.KEY)
    page = stage.window.page
    assert isinstance(page, KeyPage)
    for field in (page.first, page.second):
        field.setFocus()
        QTest.keyClicks(field, "correct horse battery")
    QTest.keyClick(page.second, Qt.Key.Key_Return)
    await stage.settle()
    assert stage.machine.page is PageId.WORDS
    QTest.keyClick(stage.window.focusWidget(), Qt.Key.Key_Return)
    assert stage.machine.page is PageId.WORDS
    assert stage.window.isVisible()


@on_stage
async def test_enter_goes_from_answer_to_answer_then_checks_then_goes_on(stage: Stage) -> None:
    await stage.to(PageId.ASKED)
    page, draft = stage.window.page, stage.context.secrets.draft
    assert isinstance(page, AskedPage)
    assert draft is not None
    words = draft._held().secret.split(" ")
    for place, field in zip(page.asked, page.fields, strict=True):
        assert stage.window.focusWidget() is field
        assert not stage.machine.held.secret
        QTest.keyClicks(field, words[place - 1])
        QTest.keyClick(field, Qt.Key.Key_Return)
    assert stage.machine.held.secret
    assert stage.machine.page is PageId.ASKED, "that they are right is seen before the page goes"
    QTest.keyClick(stage.window.focusWidget(), Qt.Key.Key_Return)
    assert stage.machine.page is PageId.NETWORK


@on_stage
async def test_without_a_keyring_the_file_is_chosen_and_the_reason_said(stage: Stage) -> None:
    stage.keys.status = NO_KEYRING
    await stage.to(PageId.KEY)
    page = stage.window.page
    assert "Null keyring" in texts(page)
    assert not page.stores.buttons["keyring"].isEnabled()  # type: ignore[attr-defined]
    assert stage.machine.entries.keystore == "file"
    stage.keys.status = KeyStoreStatus(usable=True, where="KWallet", locked=True)
    stage.press("lookAgain")
    await stage.settle()
    assert page.stores.buttons["keyring"].isEnabled()  # type: ignore[attr-defined]
    assert "KWallet. It is locked" in texts(page)


@on_stage
async def test_two_passphrases_that_differ_are_none(stage: Stage) -> None:
    await stage.to(PageId.KEY)
    page = stage.window.page
    page.stores.buttons["file"].click()  # type: ignore[attr-defined]
    for field, text in ((page.first, "correct horse battery"), (page.second, "correct horse")):  # type: ignore[attr-defined]
        field.setText(text)
        field.textEdited.emit(text)
    assert stage.context.secrets.passphrase is None
    assert not enabled(stage, "wizardNext")
    assert "not the same" in texts(page)
    page.second.setText("correct horse battery")  # type: ignore[attr-defined]
    page.second.textEdited.emit("")  # type: ignore[attr-defined]
    assert enabled(stage, "wizardNext")
    stage.press("wizardNext")
    assert not page.first.text()  # type: ignore[attr-defined]
    assert not page.second.text()  # type: ignore[attr-defined]


@on_stage
async def test_an_unknown_word_is_named_by_its_place(stage: Stage) -> None:
    await stage.to(PageId.KEY, KeyPlan.RESTORE)
    stage.window.page.typed.setPlainText("abandon " * 11 + "abuot")  # type: ignore[attr-defined]
    await stage.settle()
    assert "12" in stage.window.page.verdict.text()  # type: ignore[attr-defined]
    assert "abuot" not in stage.window.page.verdict.text()  # type: ignore[attr-defined]
    assert not enabled(stage, "wizardNext")


@on_stage
async def test_the_test_button_says_what_answered_and_what_failed(stage: Stage) -> None:
    await stage.to(PageId.NETWORK)
    stage.window.page.servers.setPlainText("nonsense")  # type: ignore[attr-defined]
    assert not enabled(stage, "testChain")
    stage.window.page.servers.setPlainText("")  # type: ignore[attr-defined]
    assert enabled(stage, "testChain"), "the public ones"
    assert "public servers are asked" in texts(stage.window.page)
    stage.answer()
    stage.press("testChain")
    await stage.settle()
    page = stage.window.page
    assert "871,204" in page.notice.text  # type: ignore[attr-defined]
    stage.probes.chain_error = ServerUnreachable(server=SERVER, reason="Connection refused")
    stage.press("testChain")
    await stage.settle()
    assert "Connection refused" in page.notice.text  # type: ignore[attr-defined]
    stage.probes.chain_error = None
    stage.press("remedy-retry")
    await stage.settle()
    assert "871,204" in page.notice.text  # type: ignore[attr-defined]


@on_stage
async def test_an_answer_for_servers_that_were_changed_meanwhile_is_not_shown(stage: Stage) -> None:
    await stage.to(PageId.NETWORK)
    stage.answer()
    stage.press("testChain")
    stage.window.page.findChild(QPlainTextEdit, "electrumServers").setPlainText(SERVER)
    await stage.settle()
    assert stage.window.page.notice.isHidden()  # type: ignore[attr-defined]


@on_stage
async def test_a_taken_port_offers_the_next_one(stage: Stage) -> None:
    stage.probes.port_errors[9735] = ListenFailed(address="0.0.0.0:9735", errno=98, reason="Address already in use")
    await stage.to(PageId.NETWORK)
    stage.answer()
    stage.window.page.listen.click()  # type: ignore[attr-defined]
    stage.press("checkPort")
    await stage.settle()
    assert "taken" in stage.window.page.port_notice.text  # type: ignore[attr-defined]
    stage.press("remedy-other_port")
    await stage.settle()
    assert stage.machine.entries.port == "9736"
    assert "Port 9736 is free" in texts(stage.window.page)


@on_stage
async def test_the_practice_chain_is_for_regtest(stage: Stage) -> None:
    await stage.to(PageId.NETWORK)
    page = stage.window.page
    assert not page.sources.buttons[ChainKind.EMBEDDED].isEnabled()  # type: ignore[attr-defined]
    page.network.setCurrentIndex(page.network.findData("regtest"))  # type: ignore[attr-defined]
    assert stage.machine.entries.chain is ChainKind.EMBEDDED
    page.network.setCurrentIndex(page.network.findData("signet"))  # type: ignore[attr-defined]
    assert stage.machine.entries.chain is ChainKind.ELECTRUM


@pytest.mark.parametrize(
    ("error", "said", "buttons"),
    [
        (KeyringLocked(backend="GNOME Keyring"), "keyring is locked", {"ask_again", "quit"}),
        (NoUsableKeyring(found="null", reason="set"), "No keyring found", {"use_key_file", "look_again"}),
        (KeyNotSaved(backend="Windows", reason="error 1783"), "1783", {"use_key_file", "retry"}),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_each_failure_of_a_keyring_shows_its_remedies(
    theme: Theme, error: Exception, said: str, buttons: set[str]
) -> None:
    stage = Stage(theme)
    stage.window.show()
    await stage.to(PageId.START)
    stage.window.start.show_failure(error)
    assert said in stage.window.start.notice.text
    shown = {each.objectName() for each in stage.window.start.notice.findChildren(QPushButton)}
    assert {f"remedy-{name}" for name in buttons} <= shown
    assert not next(b for b in stage.window.findChildren(QPushButton) if b.objectName() == "wizardNext").isVisible()
    await closing(stage)


@on_stage
async def test_another_place_for_the_key_is_chosen_with_the_key_kept(stage: Stage) -> None:
    await stage.to(PageId.START)
    stage.window.start.show_failure(NoUsableKeyring(found="", reason=""))
    stage.press("remedy-use_key_file")
    assert stage.machine.page is PageId.KEY
    assert stage.machine.held.secret
    assert stage.context.secrets.secret is not None


@on_stage
async def test_every_control_has_a_name(stage: Stage) -> None:
    for page in stage.window.pages.values():
        for widget in page.findChildren(QWidget):
            if isinstance(widget, (QPushButton, QRadioButton)):
                assert widget.accessibleName() or widget.text(), widget.objectName()


def test_the_clipboard_is_cleared_when_it_still_holds_ours(qapp: object) -> None:
    guard = ClipboardGuard()
    guard.put("abandon ability")
    assert guard._timer.interval() == CLEARED_AFTER_MS == 30_000
    assert guard._timer.isActive()
    guard._timer.timeout.emit()
    assert QGuiApplication.clipboard().text() == ""
    guard.put("abandon ability")
    QGuiApplication.clipboard().setText("something of the person's")
    guard._timer.timeout.emit()
    assert QGuiApplication.clipboard().text() == "something of the person's"


def test_the_guard_does_not_keep_what_it_put_there(qapp: object) -> None:
    guard = ClipboardGuard()
    guard.put("abandon ability")
    assert "abandon" not in repr(vars(guard))
    guard.clear()


@on_stage
async def test_words_shown_again_and_again_leave_nothing_that_qt_no_longer_has(stage: Stage) -> None:
    """A spacer that Qt has freed and Python still knows gives its type to whatever comes to stand at its address."""
    await stage.to(PageId.WORDS)

    def spacers() -> int:
        gc.collect()
        return sum(isinstance(each, QSpacerItem) for each in shiboken6.getAllValidWrappers())

    before = spacers()
    for _ in range(3):
        stage.press("wizardBack")
        stage.press("wizardNext")
        await stage.settle()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert spacers() <= before
