"""Timed activation on each backend: every status and its duration, as who polls `::status` sees it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.activation_backends import NAMES, Backend, backend, shown
from tests.acceptance.activation_part import Part
from tests.acceptance.activation_profile import GRAPH_CHANNELS, fill
from tests.acceptance.checks import STATUSES
from tests.acceptance.mmrpc_program import INIT, PASSWORD, STATUS, Line, MmrpcLeyden

_DONE = re.compile(r"(\w+): done in (\d+) ms(?:: (.*))?")
_CLIENT = 7
_KEYS = ["platform_coin", "address", "balance"]


@dataclass(frozen=True, slots=True)
class Timing:
    """One activation."""

    backend: str
    enable: str
    enable_ms: float
    polled: dict[str, float]
    """Milliseconds for which each status was seen; one that was over between two polls is not there."""
    polls: int
    streamed: list[str]
    """The statuses that the event stream told, in order."""
    told: dict[str, str]
    """By status: duration and fact of the node's own line."""
    total_ms: float
    result: dict[str, Any]

    def faults(self) -> list[str]:
        order = [status for status in STATUSES if status in self.polled]
        faults = []
        if list(self.polled) != order:
            faults.append(f"{self.backend}: polled {list(self.polled)}")
        if self.streamed != [*STATUSES, "Ok"]:
            faults.append(f"{self.backend}: the stream told {self.streamed}")
        if list(self.told) != list(STATUSES):
            faults.append(f"{self.backend}: the node told {list(self.told)}")
        if list(self.result) != _KEYS or list(self.result["balance"]) != ["spendable", "unspendable"]:
            faults.append(f"{self.backend}: result {self.result}")
        return faults


async def _timing(leyden: MmrpcLeyden, source: Backend, line: Line) -> Timing:
    began = time.monotonic()
    answer = await line.ask(source.enable)
    enable_ms = (time.monotonic() - began) * 1000
    assert answer.status == 200, answer
    since = len(leyden.lines())
    headers = {"Userpass": PASSWORD}
    url = f"{leyden.url}event-stream?id={_CLIENT}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as stream:
        listening = asyncio.create_task(_streamed(stream))
        began = time.monotonic()
        params = {"ticker": "RBTC-lightning", "client_id": _CLIENT}
        begun = await line.mm(INIT, {**params, "activation_params": {"name": "timed", "listening_port": 0}})
        polled, polls, result = await _polled(line, begun.body["result"]["task_id"])
        total_ms = (time.monotonic() - began) * 1000
        async with asyncio.timeout(30):
            streamed = await listening
    lines = [match for text in leyden.lines()[since:] if (match := _DONE.fullmatch(text))]
    told = {match[1]: f"{match[2]} ms: {match[3] or ''}" for match in lines}
    for ticker in ("RBTC-lightning", "RBTC-segwit"):
        await line.disable(ticker)
    return Timing(source.name, shown(source.enable), enable_ms, polled, polls, streamed, told, total_ms, result)


async def _polled(line: Line, task_id: int) -> tuple[dict[str, float], int, dict[str, Any]]:
    """As fast as answers come: for how long each status was seen; how many polls; the result."""
    first: dict[str, float] = {}
    polls = 0
    async with asyncio.timeout(60):
        while True:
            answer = await line.mm(STATUS, {"task_id": task_id})
            now, polls = time.monotonic(), polls + 1
            result = answer.body["result"]
            if result["status"] != "InProgress":
                assert result["status"] == "Ok", result
                times = [*first.values(), now]
                spans = {status: (times[at + 1] - begun) * 1000 for at, (status, begun) in enumerate(first.items())}
                return spans, polls, result["details"]
            first.setdefault(result["details"], now)


async def _streamed(stream: aiohttp.ClientResponse) -> list[str]:
    """Until the task has ended; a status once, however often it was told."""
    statuses: list[str] = []
    async for raw in stream.content:
        if raw.startswith(b"data: "):
            message = json.loads(raw.removeprefix(b"data: "))["message"]
            running = message["status"] == "InProgress"
            status = message["details"] if running else message["status"]
            if statuses[-1:] != [status]:
                statuses.append(status)
            if not running:
                break
    return statuses


async def timed(folder: Path, count: int, seed: int, graph_channels: int = GRAPH_CHANNELS) -> Part:
    """`count` activations on each backend, one after the other."""
    found: list[Timing] = []
    for name in NAMES:
        async with backend(name, folder / name) as source:
            place = folder / name / "leyden"
            await fill(place / "data" / "regtest", seed, graph_channels)
            async with (
                await MmrpcLeyden.launch(place, "--no-activate", *source.settings) as leyden,
                leyden.line() as line,
            ):
                found += [await _timing(leyden, source, line) for _ in range(count)]
    facts = {
        "activations": len(found),
        "total ms": {name: [round(each.total_ms) for each in found if each.backend == name] for name in NAMES},
        "enable ms": {name: [round(each.enable_ms) for each in found if each.backend == name] for name in NAMES},
        "graph": f"{graph_channels} channels",
        "bodies": {each.backend: each.enable for each in found},
    }
    return Part("timed", count, seed, facts, _table(found), [fault for each in found for fault in each.faults()])


def _table(found: list[Timing]) -> list[str]:
    lines = []
    for timing in found:
        lines += [
            "",
            f"**{timing.backend}**: enabled in {timing.enable_ms:.0f} ms, active in {timing.total_ms:.0f} ms, "
            f"{timing.polls} polls; result `{json.dumps(timing.result)}`",
            "",
            "| status | polled ms | the node's own line |",
            "|---|---|---|",
        ]
        for status in STATUSES:
            seen = timing.polled.get(status)
            polled = "over between two polls" if seen is None else f"{seen:.1f}"
            lines.append(f"| {status} | {polled} | {timing.told.get(status, 'none')} |")
    return lines
