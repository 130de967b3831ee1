"""Which chain, from where, and whether other nodes may connect."""

from __future__ import annotations

from typing import cast

from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from core.base.errors import LeydenError
from core.bolt.networks import NETWORKS
from gui.theme import SPACE_INSIDE, SPACE_RELATED, Role, Size
from gui.widgets.basics import button, label, paragraph, row
from gui.widgets.choice import Choice
from gui.widgets.notice import Notice
from gui.widgets.tick_box import TickBox
from gui.wizard.context import Context
from gui.wizard.machine import ChainKind, KeyPlan, Need, PageId, listening_port, server_fault
from gui.wizard.page import Options, WizardPage, buddy_label, say
from gui.words import Remedy, Words

COOKIE_HINT = "~/.bitcoin/.cookie"


class NetworkPage(WizardPage):
    """Nothing has to be tested to go on; a test says at once what the start would say later."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "", "")
        self.title.setText(self.tr("Network and chain"))
        self.setAccessibleName(self.title.text())
        self.lead.setText(self.tr("A node needs to know the chain: its blocks, and what fees are usual."))
        self._testing = 0
        self.network = Choice(self.theme)
        self.network.setObjectName("network")
        for name in NETWORKS:
            self.network.addItem(self._network_words(name), name)
            item = cast("QStandardItemModel", self.network.model()).item(self.network.count() - 1)
            item.setEnabled(not self._taken(name))
        self.network.setMaximumWidth(self.theme.em(30))
        self.add_field(self.tr("&Network"), self.network)
        self.column.addWidget(label(self.tr("Where the chain comes from"), self.theme, bold=True))
        self.sources = Options(
            self.theme,
            (
                (
                    ChainKind.ELECTRUM,
                    self.tr("Electrum servers"),
                    self.tr("They learn your addresses and when you are online. Your own server is best."),
                ),
                (
                    ChainKind.BITCOIN_RPC,
                    self.tr("Bitcoin Core of yours"),
                    self.tr("Nobody else learns anything, and every block is checked."),
                ),
                (
                    ChainKind.EMBEDDED,
                    self.tr("A practice chain inside Leyden"),
                    self.tr("For regtest: you make the blocks yourself."),
                ),
            ),
        )
        self.column.addWidget(self.sources)
        self._add_electrum()
        self._add_rpc()
        self._add_test()
        self._add_listening()
        self.column.addStretch(1)
        self.network.currentIndexChanged.connect(lambda _index: self._edit(network=self.network.currentData()))
        self.sources.chosen.connect(lambda value: self._edit(chain=ChainKind(value)))

    def enter(self) -> None:
        entries = self.machine.entries
        self.network.blockSignals(True)
        self.network.setCurrentIndex(list(NETWORKS).index(entries.network))
        self.network.blockSignals(False)
        # A key that is kept belongs to its network.
        self.network.setEnabled(entries.plan is not KeyPlan.KEPT)
        self.servers.blockSignals(True)
        self.servers.setPlainText("\n".join(entries.servers))
        self.servers.blockSignals(False)
        for field, text in (
            (self.rpc, entries.rpc),
            (self.rpc_user, entries.rpc_user),
            (self.rpc_file, entries.rpc_secret_file),
            (self.port, entries.port),
        ):
            field.setText(text)
        self.listen.setChecked(entries.listen)
        self._show()

    def leave(self) -> None:
        self._testing += 1

    def _edit(self, **changes: object) -> None:
        self.machine.edit(**changes)
        entries = self.machine.entries
        if entries.network != "regtest" and entries.chain is ChainKind.EMBEDDED:
            self.machine.edit(chain=ChainKind.ELECTRUM)
        elif changes.get("network") == "regtest":
            self.machine.edit(chain=ChainKind.EMBEDDED)
        self._testing += 1
        self.notice.hide()
        self.port_notice.hide()
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        entries, needs = self.machine.entries, self.machine.needs(PageId.NETWORK)
        practice = self.sources.buttons[ChainKind.EMBEDDED]
        practice.setEnabled(entries.network == "regtest")
        self.sources.choose(entries.chain)
        self.electrum.setVisible(entries.chain is ChainKind.ELECTRUM)
        self.core.setVisible(entries.chain is ChainKind.BITCOIN_RPC)
        self.test.setVisible(entries.chain is not ChainKind.EMBEDDED)
        self.test.setEnabled(not {Need.SERVERS, Need.RPC_ADDRESS, Need.RPC_SECRET} & set(needs))
        wrong = [text for text in entries.servers if server_fault(text)]
        if wrong:
            form = self.tr("“{text}” should be HOST:PORT:s with TLS, or HOST:PORT:t without.")
            say(self.server_hint, form.format(text=wrong[0][:60]), "warn")
        elif not entries.servers and entries.network != "regtest":
            say(self.server_hint, self.tr("One a line. Left empty, well-known public servers are asked."))
        else:
            say(self.server_hint, self.tr("One a line. With two or more, Leyden compares what they say."))
        self.port_line.setVisible(entries.listen)
        self.port.setPlaceholderText(str(NETWORKS[entries.network].default_port))
        if Need.PORT in needs:
            say(self.port_hint, self.tr("A port is a number from 1 to 65,535."), "warn")
        elif entries.listen:
            say(self.port_hint, self.tr("A router may have to forward it to this computer."))
        self.check.setEnabled(Need.PORT not in needs)

    def _test(self) -> None:
        self._testing += 1
        number = self._testing
        self.test.setEnabled(False)
        self.notice.show_words(Words(self.tr("Asking for its tip…"), ""), {}, icon_name="retry", role=Role.MUTED)
        self.context.tasks.start(
            self.context.probes.chain(self.machine.entries),
            done=lambda words: self._answered(number, words),
            failed=lambda error: self._failed(number, error),
        )

    def _answered(self, number: int, words: str) -> None:
        if number == self._testing:
            self.test.setEnabled(True)
            self.notice.show_words(Words(self.tr("It works"), words), {}, icon_name="tick", role=Role.OK)
            self.reveal_wanted.emit(self.notice)

    def _failed(self, number: int, error: Exception) -> None:
        if number == self._testing:
            self.test.setEnabled(True)
            self.notice.show_error(error, {Remedy.RETRY: self._test}, always=(Remedy.RETRY,))
            self.reveal_wanted.emit(self.notice)

    def _check_port(self) -> None:
        port = listening_port(self.machine.entries)
        if port is None:
            return
        number = self._testing
        self.context.tasks.start(
            self.context.probes.port(port),
            done=lambda _none: self._port_free(number, port),
            failed=lambda error: self._port_taken(number, error, port),
        )

    def _port_free(self, number: int, port: int) -> None:
        if number == self._testing:
            say(self.port_hint, self.tr("Port {port} is free.").format(port=port), "ok")

    def _port_taken(self, number: int, error: Exception, port: int) -> None:
        if number != self._testing:
            return
        if not isinstance(error, LeydenError):
            raise error
        another = port + 1 if port < 65535 else 9735
        say(self.port_hint, self.tr("Port {port} cannot be used.").format(port=port), "error")
        self.port_notice.show_error(
            error,
            {Remedy.RETRY: self._check_port, Remedy.OTHER_PORT: lambda: self._take_port(another)},
            always=(Remedy.OTHER_PORT,),
        )
        self.reveal_wanted.emit(self.port_notice)

    def _take_port(self, port: int) -> None:
        self.port.setText(str(port))
        self._edit(port=str(port))
        self._check_port()

    def _network_words(self, name: str) -> str:
        words = {
            "bitcoin": self.tr("Bitcoin (real money)"),
            "testnet": self.tr("Testnet 3"),
            "testnet4": self.tr("Testnet 4"),
            "signet": self.tr("Signet"),
            "regtest": self.tr("Regtest (practice, on this computer)"),
        }[name]
        return self.tr("{network}: has a node already").format(network=words) if self._taken(name) else words

    def _taken(self, name: str) -> bool:
        return name in self.context.existing

    # --- how it is made

    def _group(self) -> tuple[QWidget, QVBoxLayout]:
        made = QWidget()
        layout = QVBoxLayout(made)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_INSIDE)
        self.column.addWidget(made)
        return made, layout

    def _add_electrum(self) -> None:
        self.electrum, layout = self._group()
        self.servers = QPlainTextEdit()
        self.servers.setObjectName("electrumServers")
        self.servers.setFont(self.theme.font(fixed=True))
        self.servers.setPlaceholderText("electrum.example.org:50002:s")
        self.servers.setTabChangesFocus(True)
        self.servers.setFixedHeight(self.theme.em(4.6))
        self.server_hint = paragraph("", self.theme, size=Size.CAPTION, tone="muted")
        for part in (buddy_label(self.tr("&Servers"), self.servers, self.theme), self.servers, self.server_hint):
            layout.addWidget(part)
        self.servers.textChanged.connect(
            lambda: self._edit(servers=tuple(text.strip() for text in self.servers.toPlainText().split() if text))
        )

    def _add_rpc(self) -> None:
        self.core, layout = self._group()
        self.rpc, self.rpc_user, self.rpc_file = QLineEdit(), QLineEdit(), QLineEdit()
        for field, name, entry, text, placeholder in (
            (self.rpc, "rpcAddress", "rpc", self.tr("&Address of its RPC"), "127.0.0.1:8332"),
            (self.rpc_user, "rpcUser", "rpc_user", self.tr("&User, empty with a cookie file"), ""),
            (
                self.rpc_file,
                "rpcSecretFile",
                "rpc_secret_file",
                self.tr("&Cookie file, or with a user the file with the password"),
                COOKIE_HINT,
            ),
        ):
            field.setObjectName(name)
            field.setPlaceholderText(placeholder)
            field.textEdited.connect(lambda text, entry=entry: self._edit(**{entry: text.strip()}))
            layout.addWidget(buddy_label(text, field, self.theme))
            layout.addWidget(field)
            layout.addSpacing(SPACE_RELATED - SPACE_INSIDE)

    def _add_test(self) -> None:
        self.test = button(self.tr("Test this source"), self._test, name="testChain")
        line = row(self.test)
        line.addStretch(1)
        self.column.addLayout(line)
        self.notice = Notice(self.theme)
        self.column.addWidget(self.notice)

    def _add_listening(self) -> None:
        self.listen = TickBox(self.tr("Let other nodes connect to me"), self.theme)
        self.listen.setObjectName("listen")
        self.listen.clicked.connect(lambda yes: self._edit(listen=yes))
        self.column.addWidget(self.listen)
        self.port_line, layout = self._group()
        self.port = QLineEdit()
        self.port.setObjectName("port")
        self.port.setMaximumWidth(self.theme.em(8))
        self.port.textEdited.connect(lambda text: self._edit(port=text.strip()))
        self.check = button(self.tr("Check the port"), self._check_port, name="checkPort")
        line = row(self.port, self.check)
        line.addStretch(1)
        self.port_hint = label("", self.theme, size=Size.CAPTION, tone="muted")
        layout.addWidget(buddy_label(self.tr("P&ort"), self.port, self.theme))
        layout.addLayout(line)
        layout.addWidget(self.port_hint)
        self.port_notice = Notice(self.theme)
        layout.addWidget(self.port_notice)
