"""One run of the wizard: from the first page, or where the last run stopped, to a node that runs."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from enum import Enum, auto
from pathlib import Path

from core.base.clock import SystemClock
from core.base.errors import LeydenError
from core.base.events import TaskChanged, TaskState
from core.base.finish import finish
from core.base.paths import ProfilePaths
from core.base.settings import Settings
from core.node import Node
from gui.activation.view import ActivationView
from gui.profiles import list_profiles
from gui.tasks import WindowTasks
from gui.theme import Theme
from gui.window import MainWindow
from gui.wizard import store
from gui.wizard.context import Context, Probes
from gui.wizard.machine import ChainKind, Entries, KeyPlan, Machine
from gui.wizard.probe import chain_probe, port_probe
from gui.wizard.start import host, unhost
from gui.wizard.window import WizardWindow

Resolve = Callable[[Path, str], Settings]
"""The settings of a profile, flags and environment included; raises SettingInvalid."""


class _Wish(Enum):
    START = auto()
    STOP = auto()
    RUNNING = auto()
    CLOSE = auto()


class WizardRun:
    """`go` gives the node that runs and its main window, or None when the person closed the wizard."""

    def __init__(self, settings: Settings, theme: Theme, resolve: Resolve, owned: AsyncExitStack) -> None:
        """What is made is put on `owned`: the node's stop, the window's end, a folder of practice."""
        self._settings, self._theme, self._resolve, self._owned = settings, theme, resolve, owned
        self._data_dir = settings.data_dir
        self._kept = settings.paths
        """The profile in whose folder the unfinished wizard is kept."""
        self._wishes: asyncio.Queue[_Wish] = asyncio.Queue()
        self._tasks = WindowTasks()

    async def go(self) -> tuple[Node, MainWindow] | None:
        machine = await asyncio.to_thread(store.read_state, self._settings.paths) or Machine(self._first_entries())
        profiles = await asyncio.to_thread(list_profiles, self._data_dir)
        taken = {entry.network for entry in profiles if entry.data_dir == self._data_dir}
        existing = frozenset(taken - {machine.entries.network})
        keys = Node(self._settings).keys
        probes = Probes(chain_probe(SystemClock(), self._settings), port_probe)
        context = Context(machine, self._theme, self._tasks, keys, probes, existing=existing)
        window = WizardWindow(context, self._save)
        for signal, wish in (
            (window.start_asked, _Wish.START),
            (window.cancel_start_asked, _Wish.STOP),
            (window.closed, _Wish.CLOSE),
        ):
            signal.connect(lambda wish=wish: self._wishes.put_nowait(wish))
        window.show()
        try:
            return await self._until_running(window, context)
        finally:
            context.secrets.clear()
            await finish(self._tasks.aclose())
            window.finish()
            window.deleteLater()

    def _first_entries(self) -> Entries:
        given = self._settings
        chain = ChainKind.EMBEDDED if given.network == "regtest" else ChainKind.ELECTRUM
        return Entries(network=given.network, alias=given.alias, color=given.color, chain=chain)

    async def _save(self, machine: Machine) -> None:
        """For the network that is chosen now; what was kept for another one that was chosen before is forgotten."""
        chosen = ProfilePaths(self._data_dir, machine.entries.network)
        await asyncio.to_thread(store.write_state, self._data_dir, machine)
        if self._kept != chosen:
            await asyncio.to_thread(store.forget_state, self._kept)
            self._kept = chosen

    async def _until_running(self, window: WizardWindow, context: Context) -> tuple[Node, MainWindow] | None:
        while True:
            wish = await self._wishes.get()
            if wish is _Wish.CLOSE:
                return None
            if wish is not _Wish.START:
                continue
            attempt = AsyncExitStack()
            window.show_starting(True)
            try:
                opened = await self._attempt(window, context, attempt)
            except LeydenError as error:
                await attempt.aclose()
                window.show_starting(False)
                window.start.show_failure(error)
                continue
            except BaseException:
                await finish(attempt.aclose())
                raise
            if opened is None:
                await attempt.aclose()
                window.show_starting(False)
                window.go_back()
                continue
            self._owned.push_async_callback(attempt.aclose)
            await asyncio.to_thread(store.forget_state, self._kept)
            return opened

    async def _attempt(
        self, window: WizardWindow, context: Context, attempt: AsyncExitStack
    ) -> tuple[Node, MainWindow] | None:
        """None when the person stopped it. Raises what opening the node raises."""
        machine, secrets = context.machine, context.secrets
        window.start.show_waiting(
            window.tr("Storing and reading back the node's key. Your system may ask for the password of your keyring.")
        )
        settings = await self._settings_of(machine.entries, attempt)
        node = Node(settings)
        attempt.push_async_callback(node.stop)
        kept = machine.entries.plan is KeyPlan.KEPT
        await node.start(
            keystore=None if kept else machine.entries.keystore,
            passphrase=secrets.passphrase,
            secret=None if kept else secrets.secret,
        )
        machine.key_kept()
        secrets.drop_key()
        if machine.entries.plan is KeyPlan.KEPT:
            await self._save(machine)
        return await self._bring_up(node, window, attempt)

    async def _settings_of(self, entries: Entries, attempt: AsyncExitStack) -> Settings:
        if entries.plan is KeyPlan.MEMORY:
            folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="leyden-")
            attempt.push_async_callback(asyncio.to_thread, folder.cleanup)
            return self._resolve(Path(folder.name), entries.network)
        paths = ProfilePaths(self._data_dir, entries.network)
        await asyncio.to_thread(store.write_config, paths, entries)
        return self._resolve(self._data_dir, entries.network)

    async def _bring_up(
        self, node: Node, window: WizardWindow, attempt: AsyncExitStack
    ) -> tuple[Node, MainWindow] | None:
        tasks = WindowTasks()
        main = MainWindow(node, tasks, self._theme)  # hears everything from the first step on, and is shown at the end
        attempt.callback(main.deleteLater)
        attempt.callback(main.close_now)
        attempt.push_async_callback(tasks.aclose)
        view = ActivationView(
            node, tasks, main.bridge, self._theme, other_source=lambda: self._wishes.put_nowait(_Wish.STOP)
        )
        host(window.start, view)

        def note(event: TaskChanged) -> None:
            if event.state is TaskState.OK and event.task_id == node.task_id:
                self._wishes.put_nowait(_Wish.RUNNING)

        heard = node.bus.subscribe(TaskChanged, note)
        try:
            node.activate()
            while (wish := await self._wishes.get()) is _Wish.START:
                pass
        finally:
            heard.close()
            unhost(window.start, view)
            view.hide()
            view.deleteLater()
        if wish is _Wish.CLOSE:
            self._wishes.put_nowait(wish)
        return (node, main) if wish is _Wish.RUNNING else None
