"""One run of the window: which profile, the wizard where it is new, the main window; and the stop in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from core.base.finish import finish
from core.base.settings import Settings
from core.node import Node
from gui.opening import Elsewhere, open_node
from gui.profiles import ProfileEntry, choose_profile, list_profiles, next_folder
from gui.tasks import WindowTasks
from gui.theme import Theme
from gui.window import MainWindow
from gui.wizard.run import WizardRun
from gui.wizard.store import is_fresh, state_file

if TYPE_CHECKING:
    from gui.application import Application

Resolve = Callable[[Path, str], Settings]


async def open_window(app: Application, settings: Settings, resolve: Resolve) -> int:
    """Until the person closes the window, a signal arrives or a client says `stop`. Gives the exit code.

    `resolve` gives the settings of another profile: data directory and network.
    """
    session = _Session(app, settings, resolve)
    app.at_stop(session.aclose)
    session.begin()
    code = await app.until_stopped()
    session.raise_failure()
    return code


class _Session:
    """One profile after another, each released before the next is opened."""

    def __init__(self, app: Application, settings: Settings, resolve: Resolve) -> None:
        self._app, self._settings, self._resolve = app, settings, resolve
        self._theme = Theme(app.qt)
        self._owned = AsyncExitStack()
        self._work: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._work = asyncio.ensure_future(self._profiles())
        self._work.add_done_callback(lambda _work: self._app.request_stop())

    async def aclose(self) -> None:
        """Whatever is under way ends, and what was opened is released in order."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await self._release()

    def raise_failure(self) -> None:
        """What ended the session against its will."""
        if self._work is not None and not self._work.cancelled() and (error := self._work.exception()) is not None:
            raise error

    async def _release(self) -> None:
        owned, self._owned = self._owned, AsyncExitStack()
        await finish(owned.aclose())

    async def _profiles(self) -> None:
        root, settings = self._settings.data_dir, self._settings
        asked_for = self._settings.origin("network") != "default" or self._settings.demo
        chosen: Settings | None = settings if asked_for else await self._choose(root, always=False)
        while chosen is not None:
            opened = await self._open(chosen)
            if opened is None:
                return
            if isinstance(opened, Elsewhere):
                await self._release()
                chosen = await self._settings_of(opened.entry)
                continue
            if not await self._until_switched(*opened):
                return
            await self._release()
            chosen = await self._choose(root, always=True)

    async def _choose(self, root: Path, *, always: bool) -> Settings | None:
        """The settings of the profile to open; without asking where there is nothing to choose."""
        profiles = await asyncio.to_thread(list_profiles, root)
        if not profiles or (len(profiles) == 1 and not always):
            one = profiles[0] if profiles else None
            return self._settings if one is None else self._resolve(one.data_dir, one.network)
        going_on, entry = await choose_profile(profiles, self._theme)
        return await self._settings_of(entry) if going_on else None

    async def _settings_of(self, entry: ProfileEntry | None) -> Settings:
        """Of a profile, or of a further node where it is None."""
        if entry is not None:
            return self._resolve(entry.data_dir, entry.network)
        further = await asyncio.to_thread(next_folder, self._settings.data_dir)
        return self._resolve(further, self._settings.network)

    async def _profile_of(self, node_id: bytes) -> ProfileEntry | None:
        profiles = await asyncio.to_thread(list_profiles, self._settings.data_dir)
        return next((entry for entry in profiles if entry.node_id == node_id), None)

    async def _open(self, settings: Settings) -> tuple[Node, MainWindow] | Elsewhere | None:
        if await self._wants_wizard(settings):
            opened = await WizardRun(settings, self._theme, self._resolve, self._owned).go()
            if opened is not None:
                self._show(*opened)
            return opened
        node = Node(settings)
        self._owned.push_async_callback(node.stop)
        outcome = await open_node(node, self._theme, self._profile_of)
        if isinstance(outcome, Elsewhere):
            return outcome
        if not outcome:
            return None
        tasks = WindowTasks()
        window = MainWindow(node, tasks, self._theme)
        self._owned.callback(window.deleteLater)
        self._owned.callback(window.close_now)
        self._owned.push_async_callback(tasks.aclose)
        self._show(node, window)
        if not settings.no_activate:
            node.activate()
        return node, window

    async def _wants_wizard(self, settings: Settings) -> bool:
        """A profile that is new, or whose wizard was left; flags that already say how it shall be come first."""
        if settings.no_wizard or settings.demo or settings.origin("keystore") != "default":
            return False
        paths = settings.paths
        return await asyncio.to_thread(lambda: is_fresh(paths) or state_file(paths).exists())

    def _show(self, node: Node, window: MainWindow) -> None:
        if node.paths.logs.is_dir():
            self._app.crash.keep_faults(node.paths.logs)
        tasks = WindowTasks()
        self._owned.push_async_callback(tasks.aclose)
        window.guard(node.keys, tasks, int(node.settings.auto_lock_minutes))
        window.show()

    async def _until_switched(self, node: Node, window: MainWindow) -> bool:
        """True when another profile is wanted; False when the window or a client asked for the end."""
        over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def settle(switch: bool) -> None:
            if not over.done():
                over.set_result(switch)

        window.close_requested.connect(lambda: settle(False))
        window.switch_requested.connect(lambda: settle(True))
        asked = asyncio.ensure_future(node.stop_requested.wait())
        asked.add_done_callback(lambda _asked: settle(False))
        try:
            return await over
        finally:
            asked.cancel()
