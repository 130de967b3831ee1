"""The profiles of a data directory, one a network, and the window that asks which to open."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from core.base.paths import ProfilePaths
from core.bolt.keys import is_public_key, short_id
from core.bolt.networks import NETWORKS
from gui.theme import SPACE_GROUP, SPACE_INSIDE, SPACE_PAGE, SPACE_RELATED, Role, Size, Theme
from gui.widgets.basics import Chip, button, label, paragraph, row
from gui.widgets.icons import icon
from gui.wizard.store import is_fresh, state_file

NODES_FOLDER = "nodes"
"""Below the data directory: further nodes, each with a data directory of its own name."""
MAX_MARKER_BYTES = 4096
_WIDTH_EM = 40
_CHIP_EM = 7.5
"""The longest name of a network, so that what stands beside it begins at one place."""


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    """One node that can be opened."""

    data_dir: Path
    network: str
    name: str
    """The further node's folder; empty for the first of its network."""
    node_id: bytes | None
    """As the profile remembers it; None where it does not, or where that cannot be read."""
    unfinished: bool = False
    """Its wizard was left before the end."""


def list_profiles(data_dir: Path) -> list[ProfileEntry]:
    """Every profile that was begun, the data directory's own first. Blocks for some reads of small files."""
    found = []
    for name, folder in [("", data_dir), *_further(data_dir)]:
        for network in NETWORKS:
            paths = ProfilePaths(folder, network)
            unfinished = state_file(paths).exists()
            if unfinished or not is_fresh(paths):
                found.append(ProfileEntry(folder, network, name, _node_id(paths.key_marker), unfinished))
    return found


def _further(data_dir: Path) -> list[tuple[str, Path]]:
    try:
        folders = sorted(path for path in (data_dir / NODES_FOLDER).iterdir() if path.is_dir())
    except OSError:
        return []
    return [(path.name, path) for path in folders]


def next_folder(data_dir: Path) -> Path:
    """Where a further node goes: the first number that is free."""
    number = 2
    while (data_dir / NODES_FOLDER / str(number)).exists():
        number += 1
    return data_dir / NODES_FOLDER / str(number)


def _node_id(marker: Path) -> bytes | None:
    try:
        with marker.open("rb") as file:
            node_id = bytes.fromhex(json.loads(file.read(MAX_MARKER_BYTES))["node_id"])
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return node_id if is_public_key(node_id) else None


class ProfileChooser(QWidget):
    """A card a profile; closing it chooses none."""

    chosen = Signal(object)
    """A ProfileEntry, or None for a further node."""
    closed = Signal()

    def __init__(self, profiles: list[ProfileEntry], theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName("profileChooser")
        self.setWindowTitle(self.tr("Leyden"))
        self.setWindowIcon(icon("mark", theme, Role.BRASS))
        self.setFixedWidth(theme.em(_WIDTH_EM))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_PAGE, SPACE_PAGE, SPACE_PAGE, SPACE_PAGE)
        layout.setSpacing(SPACE_RELATED)
        layout.addWidget(label(self.tr("Which node?"), theme, size=Size.TITLE, bold=True))
        lead = self.tr("Each has its own key and peers. One is open at a time.")
        layout.addWidget(paragraph(lead, theme, tone="muted"))
        layout.addSpacing(SPACE_RELATED)
        for number, profile in enumerate(profiles):
            layout.addWidget(self._card(number, profile))
        layout.addSpacing(SPACE_RELATED)
        another = row(button(self.tr("Set up another node…"), lambda: self.chosen.emit(None), name="anotherNode"))
        another.addStretch(1)
        layout.addLayout(another)

    def _card(self, number: int, profile: ProfileEntry) -> QFrame:
        frame = QFrame()
        frame.setProperty("kind", "card")
        chip = Chip(self._theme, "node", Role.BRASS if profile.network == "bitcoin" else Role.MUTED)
        chip.show_state(profile.network, "node", Role.BRASS if profile.network == "bitcoin" else Role.MUTED)
        chip.setMinimumWidth(self._theme.em(_CHIP_EM))
        title = self.tr("node {name}").format(name=profile.name) if profile.name else self.tr("first node")
        if profile.unfinished:
            title = self.tr("{node}, not set up to the end yet").format(node=title)
        named = self.tr("no key yet") if profile.node_id is None else short_id(profile.node_id)
        words = QVBoxLayout()
        words.setSpacing(SPACE_INSIDE)
        words.addWidget(label(named, self._theme, fixed=profile.node_id is not None))
        words.addWidget(label(title, self._theme, size=Size.CAPTION, tone="muted"))
        go = button(
            self.tr("Open"),
            lambda: self.chosen.emit(profile),
            kind="primary" if number == 0 else "",
            name=f"open-{number}",
        )
        go.setAccessibleName(self.tr("Open {network} {node}").format(network=profile.network, node=named))
        line = row(chip, spacing=SPACE_GROUP)
        line.setContentsMargins(SPACE_GROUP, SPACE_RELATED, SPACE_GROUP, SPACE_RELATED)
        line.addLayout(words, 1)
        line.addWidget(go, 0, Qt.AlignmentFlag.AlignVCenter)
        frame.setLayout(line)
        return frame

    def closeEvent(self, event: QCloseEvent) -> None:
        event.accept()
        self.closed.emit()


async def choose_profile(profiles: list[ProfileEntry], theme: Theme) -> tuple[bool, ProfileEntry | None]:
    """(True, the one chosen), (True, None) for a further node, (False, None) when the window was closed."""
    answer: asyncio.Future[tuple[bool, ProfileEntry | None]] = asyncio.get_running_loop().create_future()

    def settle(value: tuple[bool, ProfileEntry | None]) -> None:
        if not answer.done():
            answer.set_result(value)

    window = ProfileChooser(profiles, theme)
    window.chosen.connect(lambda profile: settle((True, profile)))
    window.closed.connect(lambda: settle((False, None)))
    window.show()
    try:
        return await answer
    finally:
        window.close()
        window.deleteLater()
