"""One run of the window: open the node, show the window, activate, and stop in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.node import Node
from gui.opening import open_node
from gui.tasks import WindowTasks
from gui.theme import Theme
from gui.window import MainWindow

if TYPE_CHECKING:
    from core.base.settings import Settings
    from gui.application import Application

_EXIT_QUIT = 0


async def open_window(app: Application, settings: Settings) -> int:
    """Until the person closes the window, a signal arrives or a client says `stop`. Gives the exit code."""
    node = Node(settings)
    app.at_stop(node.stop)
    theme = Theme(app.qt)
    if not await open_node(node, theme):
        return _EXIT_QUIT
    if node.paths.logs.is_dir():
        app.crash.keep_faults(node.paths.logs)
    tasks = WindowTasks()
    window = MainWindow(node, tasks, theme)
    app.at_stop(tasks.aclose)
    window.close_requested.connect(app.request_stop)
    window.show()
    node.activate()
    asked = asyncio.ensure_future(node.stop_requested.wait())
    asked.add_done_callback(lambda _asked: app.request_stop())
    try:
        return await app.until_stopped()
    finally:
        asked.cancel()
        window.close_now()
        window.deleteLater()
