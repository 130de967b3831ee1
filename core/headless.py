"""The node without a window: start, activate, say how it goes, run until told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from types import FrameType
from typing import TextIO

from core.base.descriptors import raise_file_limit
from core.base.errors import LeydenError
from core.base.events import StepChanged, StepState, TaskChanged, TaskState
from core.base.hardening import keep_memory_private
from core.base.settings import Settings
from core.node import Node
from core.rpc.errors import to_rpc_error
from core.rpc.plugins.events import PluginChanged
from core.wallet.errors import (
    KeyringFailed,
    KeyringLocked,
    MemoryKeyRefused,
    NoUsableKeyring,
    PassphraseNeeded,
)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_NO_KEYSTORE = 3

_WORDS = {
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.CANCELLED: "cancelled",
}
_KEYSTORE_HELP = {
    NoUsableKeyring: "Keep the key in an encrypted file instead: --keystore file --passphrase-file FILE",
    KeyringLocked: "Unlock it and start again, or keep the key in a file: --keystore file --passphrase-file FILE",
    KeyringFailed: "Keep the key in an encrypted file instead: --keystore file --passphrase-file FILE",
    PassphraseNeeded: "Put the passphrase into a file that only you can read (0600): --passphrase-file FILE",
    MemoryKeyRefused: "Add --ephemeral if the key shall be gone when the program ends.",
}


def run(settings: Settings) -> int:
    """Run until SIGINT, SIGTERM or `stop`. The exit code: 0, 1 when it could not run, 3 without a key store."""
    keep_memory_private()
    raise_file_limit()
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    node = Node(settings)
    failures: list[BaseException] = []
    own: list[int] = []
    """The task that the start began itself; one that was asked for later may fail without ending the node."""
    node.bus.subscribe(StepChanged, lambda row: _print_step(row, sys.stdout))
    node.bus.subscribe(TaskChanged, lambda event: _note_end(node, event, own, failures))
    node.bus.subscribe(PluginChanged, _print_plugin)
    _stop_at_signals(node)
    try:
        await node.start()
    except LeydenError as error:
        _print_failure(error)
        return EXIT_NO_KEYSTORE if type(error) in _KEYSTORE_HELP else EXIT_FAILED
    try:
        print(f"node {node.node_id.hex()} on {node.network.name}, key in {node.key_location}", flush=True)
        for peer in node.practice_peers:
            print(f"practice peer {peer.name}: {peer.uri}", flush=True)
        if not settings.no_activate:
            own.append(node.activate())
        await node.stop_requested.wait()
    finally:
        await node.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a signal in the last moments changes no exit code
    return EXIT_FAILED if failures else EXIT_OK


def _note_end(node: Node, event: TaskChanged, own: list[int], failures: list[BaseException]) -> None:
    if event.state is TaskState.ERROR and event.error is not None and event.task_id in own:
        failures.append(event.error)
        node.request_stop()
    elif event.state is TaskState.OK:
        for address in (*node.peers.bound, *([] if node.onion_address is None else [node.onion_address])):
            print(f"listening on {address}", flush=True)
        print("running", flush=True)


def _print_step(row: StepChanged, out: TextIO) -> None:
    """One line when a step has ended; what it found, or why it could not."""
    word = _WORDS.get(row.state)
    if word is None:
        return
    duration_ms = (row.duration_s or 0.0) * 1000
    line = f"{row.status}: {word} in {duration_ms:.0f} ms"
    if row.error is not None:
        line += f": {_words(row.error)}"
    elif row.detail:
        line += f": {row.detail}"
    print(line, file=out, flush=True)


def _print_plugin(event: PluginChanged) -> None:
    """One line when a plugin has ended; the node goes on."""
    if event.problem:
        print(f"plugin {event.path}: {event.problem}", file=sys.stderr, flush=True)


def _print_failure(error: LeydenError) -> None:
    print(f"leyden: {_words(error)}", file=sys.stderr)
    help_ = _KEYSTORE_HELP.get(type(error))
    if help_:
        print(help_, file=sys.stderr)


def _words(error: BaseException) -> str:
    return to_rpc_error(error).message if isinstance(error, LeydenError) else f"{type(error).__name__}: {error}"


def _stop_at_signals(node: Node) -> None:
    """The first SIGINT or SIGTERM asks for a stop, the second ends the process at once."""
    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def arrived(number: int, _frame: FrameType | None) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        loop.call_soon_threadsafe(node.request_stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, arrived)
