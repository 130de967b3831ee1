"""Plugins as real processes, of a small node with real peers; time is moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import cast

import pytest

from core.base.clock import Clock, SystemClock
from core.base.events import Direction
from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.peers.hooks import Refused
from core.peers.values import PeerInfo
from core.rpc.errors import RpcError
from core.rpc.framing import compact
from core.rpc.plugins.events import PluginChanged, PluginState
from core.rpc.plugins.host import PluginHost
from core.rpc.plugins.plugin import Plugin
from core.rpc.plugins.process import PluginProcess, ProcessOwner
from core.rpc.plugins.words import LINES_A_MINUTE
from tests.support.clock import ManualClock
from tests.support.peers import until
from tests.support.plugins import RAW, plugin_file
from tests.unit.rpc.parts import SmallNode

PEER = NodeKey.generate().node_id
SERVE = """
for request in requests():
    method = request.get("method")
    if method == "getmanifest":
        answer(request, manifest)
    elif method == "init":
        answer(request, {})
    else:
        serve(request, method)
"""
HOOKED = RAW + 'manifest["hooks"] = ["custommsg", "peer_connected"]\n'
CALLABLE = RAW + 'manifest["rpcmethods"] = [{"name": "greet", "usage": "", "description": ""}]\n'
SILENT = "def serve(request, method): pass\n" + SERVE
CONTINUES = 'def serve(request, method): answer(request, {"result": "continue"})\n' + SERVE


class Hosted:
    """A host, its node and what it published."""

    def __init__(self, host: PluginHost, node: SmallNode, folder: Path) -> None:
        self.host, self.node, self.folder = host, node, folder
        self.changes: list[PluginChanged] = []
        node.bus.subscribe(PluginChanged, self.changes.append)

    async def start(self, *sources: str) -> list[Plugin]:
        paths = [plugin_file(self.folder, f"plugin{number}", source) for number, source in enumerate(sources)]
        self.host.start([str(path) for path in paths])
        await self.host.ready()
        return self.host._plugins

    def custom(self, type_: int = 40_001) -> list[bool]:
        """Ask about a custom message; what it gives holds True once every plugin has answered."""
        answered: list[bool] = []
        message = type_.to_bytes(2, "big") + b"hi"
        assert self.host.custom_message(PEER, message, lambda: answered.append(True))
        assert not answered
        return answered

    def introduced(self) -> list[Refused | None]:
        verdicts: list[Refused | None] = []
        address = Address(AddressKind.IPV4, "127.0.0.1", 9735)
        peer = PeerInfo(PEER, Direction.IN, address, b"\x02", None, 0, 0, None, 0, 0, 0, 0)
        assert self.host.peer_connected(peer, verdicts.append)
        return verdicts


@contextlib.asynccontextmanager
async def hosted(clock: Clock | None = None) -> AsyncIterator[Hosted]:
    with tempfile.TemporaryDirectory(prefix="ly") as folder:
        node = SmallNode(Path(folder))
        host = PluginHost(node, clock or SystemClock())
        try:
            yield Hosted(host, node, Path(folder))
        finally:
            await host.aclose()
            await node.manager.aclose(flush_timeout_s=0)


def is_gone(pid: int) -> Callable[[], bool]:
    def look() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state == "Z"

    return look


async def test_each_plugin_is_asked_in_turn_and_the_last_answer_lets_the_peer_go_on() -> None:
    async with hosted() as one:
        await one.start(HOOKED + CONTINUES, HOOKED + CONTINUES)
        answered = one.custom()
        await until(lambda: answered)
        assert answered == [True]
        verdicts = one.introduced()
        await until(lambda: verdicts)
        assert verdicts == [None]


async def test_one_plugin_that_does_not_want_a_peer_is_enough() -> None:
    away = """
def serve(request, method): answer(request, {"result": "disconnect", "error_message": "no"})
"""
    async with hosted() as one:
        await one.start(HOOKED + away + SERVE, HOOKED + SILENT)
        verdicts = one.introduced()
        await until(lambda: verdicts)
        assert verdicts == [Refused("no")]


@pytest.mark.parametrize(
    "reply",
    [
        'answer(request, {"result": "what?"})',
        "answer(request, None)",
        'say(id=request["id"], error={"code": 1, "message": "no"})',
    ],
)
async def test_an_answer_that_means_nothing_lets_everything_pass(reply: str) -> None:
    async with hosted() as one:
        (plugin,) = await one.start(HOOKED + f"def serve(request, method): {reply}\n" + SERVE)
        answered, verdicts = one.custom(), one.introduced()
        await until(lambda: answered and verdicts)
        assert verdicts == [None]
        assert plugin.active


async def test_a_hook_that_filters_types_is_not_asked_about_others() -> None:
    filters = 'manifest["hooks"] = [{"name": "custommsg", "filters": [40001]}]\n'
    async with hosted() as one:
        await one.start(RAW + filters + CONTINUES)
        assert not one.host.custom_message(PEER, b"\x9c\x43", lambda: None)
        answered = one.custom(40_001)
        await until(lambda: answered)


async def test_a_plugin_that_leaves_a_hook_unanswered_for_ten_seconds_is_killed_and_the_next_is_asked() -> None:
    clock = ManualClock()
    async with hosted(clock) as one:
        silent, other = await one.start(HOOKED + SILENT, HOOKED + CONTINUES)
        answered = one.custom()
        await clock.advance(9.9)
        assert one.changes[-1].state is PluginState.ACTIVE
        await clock.advance(0.2)
        assert not silent.active
        assert silent.problem == "it did not answer custommsg within 10 s"
        await until(lambda: answered)
        assert other.active
        rows = one.host._plugin_command(None, subcommand="list")["plugins"]  # type: ignore[arg-type]
        assert [row["active"] for row in rows] == [False, True]
        assert rows[0]["problem"] == silent.problem
        assert one.changes[-1] == PluginChanged(str(silent.path), PluginState.ENDED, silent.problem)


@pytest.mark.parametrize(
    ("method", "source"),
    [
        ("getmanifest", RAW + "time.sleep(1000)"),
        (
            "init",
            RAW + 'for request in requests():\n    if request["method"] == "getmanifest": answer(request, manifest)',
        ),
    ],
)
async def test_one_that_never_comes_up_is_killed(method: str, source: str) -> None:
    clock = ManualClock()
    async with hosted(clock) as one:
        path = plugin_file(one.folder, "mute", source)
        one.host.start([str(path)])
        (plugin,) = one.host._plugins
        await until(lambda: any(asked.method == method for asked in plugin._awaited.values()))
        await clock.advance(10.1)
        await one.host.ready()
        assert plugin.problem == f"it did not answer {method} within 10 s"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (RAW + "sys.exit(7)", "it ended with code 7"),
        (RAW + "os.kill(os.getpid(), signal.SIGTERM)", "it was ended by signal 15"),
        (RAW + "os.close(1); time.sleep(1000)", "it closed its stdout"),
        (RAW + 'print("hello {}", flush=True); time.sleep(1000)', "what it said is none of JSON-RPC"),
        (RAW + 'manifest["disable"] = "no wallet"\n' + SILENT, "it does not want to run: no wallet"),
        (RAW + 'manifest["hooks"] = 3\n' + SILENT, "hooks is no list"),
        (CALLABLE.replace("greet", "connect") + SILENT, "its method connect is there already"),
        (RAW + 'manifest["custommessages"] = [18]\n' + SILENT, "its custom message type 18 is one of the protocol's"),
    ],
)
async def test_one_that_cannot_be_used_is_ended_and_says_why(source: str, problem: str) -> None:
    async with hosted() as one:
        (plugin,) = await one.start(source)
        assert plugin.state is PluginState.ENDED
        assert plugin.problem.startswith(problem)
        assert one.changes[-1].problem == plugin.problem


async def test_a_file_that_cannot_be_run_is_named_with_the_reason() -> None:
    async with hosted() as one:
        one.host.start([str(one.folder / "absent")])
        await one.host.ready()
        assert one.host._plugins[0].problem == "it cannot be run: No such file or directory"


async def test_a_call_ends_with_clns_error_when_its_plugin_dies_and_the_method_is_gone() -> None:
    async with hosted() as one:
        (plugin,) = await one.start(CALLABLE + "def serve(request, method): sys.exit(0)\n" + SERVE)
        assert "greet" in one.host.commands
        with pytest.raises(RpcError) as caught:
            await plugin.call("greet", "{}")
        assert (caught.value.code, caught.value.message) == (-4, "Plugin terminated before replying to RPC call.")
        assert "greet" not in one.host.commands


async def test_a_long_call_is_no_silence() -> None:
    clock = ManualClock()
    async with hosted(clock) as one:
        (plugin,) = await one.start(CALLABLE + SILENT)
        calling = asyncio.create_task(plugin.call("greet", "{}"))
        await clock.advance(3600)
        assert plugin.active
        calling.cancel()


async def test_even_types_are_the_plugins_as_long_as_it_runs() -> None:
    async with hosted() as one:
        (plugin,) = await one.start(RAW + 'manifest["custommessages"] = [43690]\n' + SILENT)
        assert (one.host.takes(43690), one.host.takes(43692)) == (True, False)
        plugin.end("enough")
        assert not one.host.takes(43690)


async def test_nothing_of_a_plugin_is_left_when_the_node_stops_not_even_its_children() -> None:
    stubborn = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], stdin=subprocess.DEVNULL)
def serve(request, method): answer(request, {"pid": os.getpid(), "child": child.pid})
"""
    clock = ManualClock()
    async with hosted(clock) as one:
        (plugin,) = await one.start(CALLABLE + stubborn + SERVE + "\ntime.sleep(1000)\n")
        pids = await plugin.call("greet", "{}")
        closing = asyncio.create_task(one.host.aclose())
        await until(lambda: clock._sleepers)
        await clock.advance(1.0)
        await closing
        await until(is_gone(pids["pid"]))
        await until(is_gone(pids["child"]))


async def test_a_plugin_learns_by_its_stdin_that_the_node_is_gone() -> None:
    async with hosted() as one:
        (plugin,) = await one.start(RAW + SILENT)
        assert plugin._process is not None
        plugin._process.close_input()
        await until(lambda: not plugin.active)
        assert plugin.problem == "it ended with code 0"


async def test_what_it_writes_to_stderr_is_logged_in_bounds(caplog: pytest.LogCaptureFixture) -> None:
    chatty = """
def serve(request, method):
    os.write(2, b"\\x1b[31mred\\n" + b"x" * 100000 + b"\\n" + b"line\\n" * 5000)
    answer(request, {})
"""
    caplog.set_level(logging.INFO)
    async with hosted(ManualClock()) as one:
        (plugin,) = await one.start(CALLABLE + chatty + SERVE)
        await plugin.call("greet", "{}")
        await until(lambda: plugin._words._left_out >= 4000)
        plugin._words.close()
    lines = [record.getMessage() for record in caplog.records if "plugin0: " in record.getMessage()]
    assert "plugin plugin0: \\x1b[31mred" in lines
    assert len(lines) <= LINES_A_MINUTE + 2
    assert max(map(len, lines)) < 1_100
    assert any("more lines were left out" in line for line in lines)


async def test_a_plugin_that_does_not_read_is_not_told_without_end() -> None:
    async with hosted() as one:
        deaf = CALLABLE + 'manifest["subscriptions"] = ["custommsg"]\n'
        (plugin,) = await one.start(deaf + SERVE.replace("serve(request, method)", "time.sleep(1000)"))
        notification = compact({"jsonrpc": "2.0", "method": "custommsg", "params": {"x": "0" * 130_000}}).encode()
        for _ in range(200):
            plugin.tell(notification)
        assert plugin._process is not None
        assert plugin._process.unread_bytes < 9 << 20
        with pytest.raises(RpcError, match="does not read"):
            await plugin.call("greet", "{}")


async def test_a_plugin_inherits_no_file_descriptor_but_its_pipes() -> None:
    shows = 'def serve(request, method): answer(request, {"fds": sorted(map(int, os.listdir("/proc/self/fd")))})\n'
    async with hosted() as one:
        opened = os.open("/dev/null", os.O_RDONLY)
        try:
            (plugin,) = await one.start(CALLABLE + shows + SERVE)
            found = (await plugin.call("greet", "{}"))["fds"]
        finally:
            os.close(opened)
        assert found[:3] == [0, 1, 2]
        assert len(found) <= 4  # and that of the folder itself


async def test_one_that_ends_with_its_first_answer_holds_nobody_up() -> None:
    """Its end is known before anything else could be asked of it."""
    source = """
for request in requests():
    data = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": manifest}).encode()
    os.write(1, data + b"\\n\\n}")
"""
    async with hosted() as one, asyncio.timeout(30):
        (plugin,) = await one.start(RAW + source)
        assert plugin.state is PluginState.ENDED
        assert "none of JSON-RPC" in plugin.problem


async def test_one_whose_end_is_heard_before_its_start_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is busy meanwhile hears both in one turn."""
    start = PluginProcess.start

    async def late(path: Path, folder: Path, environment: Mapping[str, str], owner: ProcessOwner) -> PluginProcess:
        process = await start(path, folder, environment, owner)
        await until(lambda: cast(Plugin, owner).state is PluginState.ENDED)
        return process

    monkeypatch.setattr(PluginProcess, "start", late)
    async with hosted() as one, asyncio.timeout(30):
        (plugin,) = await one.start("raise SystemExit(3)")
        assert plugin.problem == "it ended with code 3"


async def test_a_call_of_one_that_closed_its_stdin_ends() -> None:
    source = """
def serve(request, method):
    os.close(0)
    time.sleep(1000)
"""
    async with hosted() as one, asyncio.timeout(30):
        (plugin,) = await one.start(CALLABLE + source + SERVE)
        with pytest.raises(RpcError) as caught:
            await plugin.call("greet", "{}")
        assert caught.value.code == -4
        await until(lambda: plugin.state is PluginState.ENDED)
        assert plugin.problem == "it closed its stdin"
        with pytest.raises(RpcError) as caught:
            await plugin.call("greet", "{}")
        assert caught.value.code == -4


async def test_what_it_gives_for_its_end_is_shown_in_one_line_of_bounded_length() -> None:
    source = """
for request in requests():
    say(id=request["id"], error={"code": 1, "message": "a\\nb\\x1b[31m" + "x" * 100_000})
"""
    async with hosted() as one:
        (plugin,) = await one.start(RAW + source)
        assert plugin.problem.isprintable()
        assert len(plugin.problem) < 1_100
