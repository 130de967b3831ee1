"""One plugin: brought up, asked, told, and ended when it dies, stays silent or says what is none of the protocol."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.base.clock import Clock
from core.base.logging import printable
from core.peers.deadlines import Deadline, Deadlines
from core.peers.reasons import os_words
from core.rpc.errors import RpcError
from core.rpc.framing import compact
from core.rpc.plugins.events import PluginState
from core.rpc.plugins.manifest import HOOKS, BadManifest, Manifest, read_manifest
from core.rpc.plugins.process import PluginProcess
from core.rpc.plugins.protocol import Answer, BadMessage, Inbox, Said, encode_request
from core.rpc.plugins.words import LINE_CHARACTERS, PluginWords

SILENCE_S = 10.0
"""How long a plugin may leave what we wait for without any answer."""
ANSWER_S = 60.0
"""How long one request may wait while others are answered: a lost one would hold its peer for ever."""
GRACE_S = 1.0
"""How long a plugin may take to end once its stdin is closed."""
MESSAGES_A_TURN = 16
"""A plugin that says thousands of things at once must not hold the loop."""
UNREAD_BYTES = 8 << 20
"""Of a plugin that does not read: from here on it gets no notification and no method call."""
PLUGIN_ERROR = -3
PLUGIN_TERMINATED = -4
"""CLN's codes."""
_TERMINATED = "Plugin terminated before replying to RPC call."
_log = logging.getLogger(__name__)


class PluginOwner(Protocol):
    """The host, as a plugin sees it."""

    def accept(self, plugin: Plugin, manifest: Manifest) -> None:
        """BadManifest when it clashes with what is there already."""

    def changed(self, plugin: Plugin) -> None:
        """It is active now, or has ended."""


@dataclass(frozen=True, slots=True)
class _Asked:
    method: str
    at: float
    done: Callable[[Answer | None], None]


class Plugin:
    """Runs once (`process.ProcessOwner`)."""

    def __init__(self, path: Path, owner: PluginOwner, clock: Clock, deadlines: Deadlines) -> None:
        self.path = path
        self.state = PluginState.STARTING
        self.problem = ""
        """Why it ended, in plain words."""
        self.manifest = Manifest()
        self._owner = owner
        self._clock = clock
        self._deadlines = deadlines
        self._words = PluginWords(path.name, clock)
        self._inbox = Inbox()
        self._process: PluginProcess | None = None
        self._numbers = itertools.count(1)
        self._awaited: dict[str, _Asked] = {}
        """What must be answered in time, oldest first."""
        self._calls: dict[str, _Asked] = {}
        """RPC methods, which take the time that they take."""
        self._answered_at = clock.monotonic()
        self._deadline: Deadline | None = None
        self._turn: asyncio.Handle | None = None
        self._untold = 0

    def __repr__(self) -> str:
        return f"Plugin({self.path.name}, {self.state.value})"

    @property
    def active(self) -> bool:
        return self.state is PluginState.ACTIVE

    # -- life

    async def bring_up(self, folder: Path, environment: Mapping[str, str], configuration: Mapping[str, Any]) -> None:
        """Run it in `folder`, ask for its manifest and initialise it. Whatever goes wrong ends it and nothing else."""
        try:
            self._process = await PluginProcess.start(self.path, folder, environment, self)
        except OSError as error:
            self.end(f"it cannot be run: {os_words(error)}")
            return
        try:
            manifest = read_manifest(await self._answer("getmanifest", {"allow-deprecated-apis": False}))
            if manifest.disabled is not None:
                raise BadManifest(f"it does not want to run: {manifest.disabled}")
            self._owner.accept(self, manifest)
            self.manifest = manifest
            started = await self._answer("init", {"options": dict(manifest.options), "configuration": configuration})
            if isinstance(started, dict) and started.get("disable") is not None:
                raise BadManifest(f"it does not want to run: {started['disable']}")
        except BadManifest as error:
            self.end(str(error))
        else:
            self._begin()

    def _begin(self) -> None:
        if self.state is not PluginState.STARTING:
            return
        for hook in sorted(set(self.manifest.hooks) - HOOKS):
            _log.info("plugin %s: its hook %s is never called here", self.path.name, hook)
        self.state = PluginState.ACTIVE
        _log.info("plugin %s runs", self.path)
        self._owner.changed(self)

    async def _answer(self, method: str, params: Mapping[str, Any]) -> Any:
        """The result. BadManifest when it is an error, or the plugin has ended."""
        if self.state is PluginState.ENDED:
            raise BadManifest(self.problem)  # as soon as it was run, or with its last answer
        waiting: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self.ask(method, compact(params), lambda answer: None if waiting.done() else waiting.set_result(answer))
        answer = await waiting
        if answer is None:
            raise BadManifest(self.problem)
        if answer.failure is not None:
            raise BadManifest(f"it answered {method} with an error: {answer.failure.message}")
        return answer.result

    def end(self, problem: str) -> None:
        """Kill it; who waits for an answer gets none. The first problem stays, in one line that can be shown."""
        if self.state is PluginState.ENDED:
            return
        was_active = self.active
        self.state, self.problem = PluginState.ENDED, printable(problem, LINE_CHARACTERS)
        _log.warning("plugin %s %s: %s", self.path, "has ended" if was_active else "did not start", self.problem)
        self._settle()
        if self._process is not None:
            self._process.kill()
        self._owner.changed(self)

    async def aclose(self) -> None:
        """Ask it to end by closing its stdin, kill it after a second; nothing of it is left."""
        if self.state is not PluginState.ENDED:
            self.state, self.problem = PluginState.ENDED, "the node is stopping"
            self._settle()
        if self._process is None:
            return
        self._process.close_input()
        overdue = self._deadlines.after(GRACE_S, self._process.kill)
        await self._process.gone()
        overdue.cancel()

    def _settle(self) -> None:
        """Nothing is waited for any more."""
        for pending in (self._deadline, self._turn):
            if pending is not None:
                pending.cancel()
        self._deadline = self._turn = None
        waiting = [*self._awaited.values(), *self._calls.values()]
        self._awaited.clear()
        self._calls.clear()
        for asked in waiting:
            asked.done(None)

    # -- what others do with a plugin

    def ask(self, method: str, params: str, done: Callable[[Answer | None], None]) -> None:
        """Send a request that must be answered in time; `done` gets None when the plugin ends first, in a later turn.

        `params` is JSON.
        """
        self._send(self._awaited, method, params, done)
        self._watch()

    def tell(self, notification: bytes) -> None:
        """Send a notification; dropped while the plugin does not read."""
        if self._process is None:
            return
        if self._process.unread_bytes > UNREAD_BYTES:
            self._untold += 1
            return
        if self._untold:
            _log.warning("plugin %s was not told of %d events: it did not read", self.path.name, self._untold)
            self._untold = 0
        self._process.write(notification)

    async def call(self, method: str, params: str) -> Any:
        """The result of an RPC method of the plugin's. RpcError with its own error, or CLN's when it ends first."""
        if self._process is None or not self.active:
            raise RpcError(PLUGIN_TERMINATED, _TERMINATED)
        if self._process.unread_bytes > UNREAD_BYTES:
            raise RpcError(PLUGIN_ERROR, f"Plugin {self.path.name} does not read")
        waiting: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._send(self._calls, method, params, lambda answer: None if waiting.done() else waiting.set_result(answer))
        answer = await waiting
        if answer is None:
            raise RpcError(PLUGIN_TERMINATED, _TERMINATED)
        if answer.failure is not None:
            raise RpcError(answer.failure.code, answer.failure.message, answer.failure.data)
        return answer.result

    def complain(self, text: str) -> None:
        """What it did wrong without consequence."""
        self._words.said("warn", text)

    def _send(
        self, waiting: dict[str, _Asked], method: str, params: str, done: Callable[[Answer | None], None]
    ) -> None:
        assert self._process is not None
        request_id = f"leyden:{method}#{next(self._numbers)}"
        waiting[request_id] = _Asked(method, self._clock.monotonic(), done)
        self._process.write(encode_request(request_id, method, params))

    # -- silence

    def _watch(self) -> None:
        """One deadline a plugin, moved on as answers come."""
        oldest = next(iter(self._awaited.values()), None)
        if self._deadline is not None or oldest is None:
            return
        due = min(max(oldest.at, self._answered_at) + SILENCE_S, oldest.at + ANSWER_S)
        self._deadline = self._deadlines.after(due - self._clock.monotonic(), lambda: self._look(oldest, due))

    def _look(self, oldest: _Asked, due: float) -> None:
        self._deadline = None
        still_due = min(max(oldest.at, self._answered_at) + SILENCE_S, oldest.at + ANSWER_S) <= due
        if still_due and next(iter(self._awaited.values()), None) is oldest:
            self.end(f"it did not answer {oldest.method} within {due - oldest.at:.0f} s")
        else:
            self._watch()

    # -- what its process tells

    def output(self, data: bytes) -> None:
        self._inbox.feed(data)
        if self._turn is None:
            self._take_turn()

    def complained(self, data: bytes) -> None:
        self._words.feed(data)

    def ended(self, how: str) -> None:
        self._words.close()
        self.end(how)

    def _take_turn(self) -> None:
        """Take what has come, a bounded number of messages a turn."""
        self._turn = None
        for _ in range(MESSAGES_A_TURN):
            if self.state is PluginState.ENDED or self._process is None:
                return
            try:
                message = self._inbox.next()
            except BadMessage as error:
                self.end(f"what it said is none of JSON-RPC: {error}")
                return
            if message is None:
                self._process.read(True)
                return
            self._take(message)
        if self._process is not None:
            self._process.read(False)
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def _take(self, message: Answer | Said) -> None:
        if isinstance(message, Said):
            if message.method == "log" and isinstance(message.params, dict):
                self._words.said(message.params.get("level"), message.params.get("message", ""))
            return
        asked = self._awaited.pop(message.id, None)
        if asked is not None:
            self._answered_at = self._clock.monotonic()
        else:
            asked = self._calls.pop(message.id, None)
        if asked is not None:
            asked.done(message)
