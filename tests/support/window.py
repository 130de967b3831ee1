"""Fixtures for tests of the window: a theme, a node that is none, and the main window over both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.tasks import WindowTasks
from gui.theme import Theme, ThemeChoice
from gui.window import MainWindow
from tests.support.fake_node import FakeNode


@pytest.fixture(scope="session")
def _one_theme(qapp: QApplication) -> Theme:
    return Theme(qapp, ThemeChoice.LIGHT)


@pytest.fixture
def theme(_one_theme: Theme) -> Iterator[Theme]:
    """Light at the start of each test."""
    yield _one_theme
    _one_theme.choose(ThemeChoice.LIGHT)


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def window(qtbot: QtBot, node: FakeNode, theme: Theme) -> MainWindow:
    """Shown; `window.bridge.flush()` stands for the next frame."""
    made = MainWindow(node, WindowTasks(), theme)  # type: ignore[arg-type]
    qtbot.addWidget(made, before_close_func=lambda widget: widget.close_now())
    made.show()
    return made
