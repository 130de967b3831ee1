"""Where knowledge of the network comes from, and what of it is believed."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLineEdit, QVBoxLayout, QWidget

from core.base.setting_faults import FAULTS
from core.base.settings import Settings
from gui.phrases import bounded, tr
from gui.theme import SPACE_GROUP, Size, Theme
from gui.widgets.basics import label, paragraph
from gui.widgets.tick_box import TickBox
from gui.wizard.page import buddy_label, card
from gui.words_node import RAPID_TRUST

CHECK_CHAIN = "gossip-check-chain"
RAPID = "rapid-gossip-sync"
_SOURCE_MAX = 1000


class NetworkPage(QWidget):
    """Two settings. One that an option or the environment has set cannot be changed here, and says so."""

    changed = Signal()

    def __init__(self, settings: Settings, theme: Theme) -> None:
        super().__init__()
        self._settings, self._theme = settings, theme
        self.check_chain = TickBox(tr("&Look channels up on the chain"), theme)
        self.rapid = TickBox(tr("Learn the network faster from an unsigned &snapshot"), theme)
        self.source = QLineEdit()
        self.source.setObjectName("rapidSource")
        self.source.setFont(theme.font(fixed=True))
        self.source.setMaxLength(_SOURCE_MAX)
        public = "https://rapidsync.lightningdevkit.org/snapshot" if settings.network == "bitcoin" else "https://…"
        self.source.setPlaceholderText(tr("{url} or a file", url=public))
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(SPACE_GROUP)
        self._add_check()
        self._add_rapid()
        self._column.addStretch(1)
        self.show_values({})
        self.check_chain.toggled.connect(self._edited)
        self.rapid.toggled.connect(self._edited)
        self.source.textEdited.connect(self._edited)

    @property
    def fault(self) -> str:
        """Why what was typed cannot be used; empty when it can."""
        if not self.rapid.isChecked() or not self.rapid.isEnabled():
            return ""
        text = self.source.text().strip()
        if not text:
            return tr("Name the snapshot's server or file.")
        reason = FAULTS[RAPID](text)
        return tr("This source cannot be used: {reason}.", reason=bounded(reason, 200)) if reason else ""

    def show_values(self, saved: Mapping[str, str]) -> None:
        """As they are kept: `saved` is newer than the settings in force."""
        source = self._kept(RAPID, saved)
        self.check_chain.setChecked(self._kept(CHECK_CHAIN, saved) == "on")
        self.rapid.setChecked(bool(source))
        self.source.setText(source)
        self._show_source()

    def changes(self, saved: Mapping[str, str]) -> dict[str, str]:
        """What differs from what is kept."""
        shown = {
            CHECK_CHAIN: "on" if self.check_chain.isChecked() else "off",
            RAPID: self.source.text().strip() if self.rapid.isChecked() else "",
        }
        return {name: value for name, value in shown.items() if value != self._kept(name, saved)}

    def _kept(self, name: str, saved: Mapping[str, str]) -> str:
        return saved[name] if name in saved else str(self._settings.value(name))

    def _edited(self) -> None:
        self._show_source()
        self.changed.emit()

    def _show_source(self) -> None:
        self.source.setEnabled(self.rapid.isChecked() and self.rapid.isEnabled())

    def _add_check(self) -> None:
        frame, layout = card()
        layout.addWidget(self.check_chain)
        words = tr(
            "Anybody can announce channels that are not there. A channel counts, and is passed on to other nodes, when "
            "its funding output was seen on the chain. Switched off, channels are shown and used as unchecked, and "
            "none is passed on. An Electrum server sees which outputs you ask for: those of all channels."
        )
        layout.addWidget(paragraph(words, self._theme, size=Size.TABLE, tone="muted"))
        self._add_origin(CHECK_CHAIN, frame, layout, self.check_chain)

    def _add_rapid(self) -> None:
        frame, layout = card()
        layout.addWidget(self.rapid)
        layout.addWidget(paragraph(RAPID_TRUST, self._theme, size=Size.TABLE, tone="muted"))
        name = buddy_label(tr("Server or &file"), self.source, self._theme)
        name.setTextFormat(Qt.TextFormat.PlainText)
        layout.addWidget(name)
        layout.addWidget(self.source)
        self._add_origin(RAPID, frame, layout, self.rapid)

    def _add_origin(self, name: str, frame: QFrame, layout: QVBoxLayout, switch: QWidget) -> None:
        where = {"cmdline": tr("an option"), "env": tr("the environment")}.get(self._settings.origin(name))
        if where is not None:
            switch.setEnabled(False)
            words = tr("Set by {where} for this run: take that away to change it here.", where=where)
            layout.addWidget(label(words, self._theme, size=Size.CAPTION, tone="warn"))
        self._column.addWidget(frame)
