"""The cancel sweep: activation given up by HTTP at random moments, and what is left of it, counted from outside."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.acceptance.activation_backends import NAMES, Backend, backend
from tests.acceptance.activation_outside import LEFT, freed, held, written
from tests.acceptance.activation_part import Part
from tests.acceptance.activation_profile import GRAPH_CHANNELS, fill
from tests.acceptance.mmrpc_program import CANCEL, STATUS, Line, MmrpcLeyden

BAR_MS = 200.0
OTHERS_SHARE = 0.15
"""Of the moments, on each backend but ElectrumX: that one is slow, for it holds answers back to hide their sizes."""
LANES = {"electrumx": 8}
"""Processes at once on one backend: only where nearly all the time is waiting."""
POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Of asyncio's own pool, which makes them as they are needed and keeps them; more than these are left over."""
MAX_TOO_LATE = 5
"""Times as many draws as moments that may come after the task had ended."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One activation that was given up."""

    backend: str
    own_start: bool
    """The node's own, with its platform coin; otherwise `init` on a coin that was enabled before."""
    after_ms: float
    status: str
    """That the task had right before."""
    freed_ms: float
    answered_ms: float
    left: dict[str, int]
    again: str
    """How the next activation ended."""

    def good(self, *, timed: bool) -> bool:
        return (not timed or self.freed_ms <= BAR_MS) and not self.left and self.again == "Ok"


class Sweep:
    """On one backend, in one process."""

    def __init__(self, leyden: MmrpcLeyden, line: Line, source: Backend, chance: random.Random) -> None:
        self._leyden = leyden
        self._line = line
        self._source = source
        self._chance = chance
        self._longest: dict[bool, float] = {}
        self.too_late = 0
        self._at_first = held(leyden.pid)
        self._most_threads = self._at_first.threads + POOL_THREADS

    async def warm_up(self) -> None:
        """Whole activations of both kinds: how long they take."""
        for own_start in (False, True):
            await self._prepare(own_start)
            began = time.monotonic()
            task_id = await self._begin(own_start)
            ended = await self._line.until_ended(task_id)
            assert ended["status"] == "Ok", ended
            self._longest[own_start] = time.monotonic() - began
            await self._clear()

    async def moment(self, own_start: bool) -> Moment | None:
        """None when the task had ended before."""
        await self._prepare(own_start)
        before = await self._settled()
        before = replace(before, listening=self._at_first.listening, threads=max(before.threads, self._most_threads))
        wrote = written(self._leyden.data_dir)
        after = self._chance.uniform(0.0, self._longest[own_start])
        task_id = await self._begin(own_start)
        await asyncio.sleep(after)
        status = await self._line.mm(STATUS, {"task_id": task_id, "forget_if_finished": False})
        began = time.monotonic()
        freeing = asyncio.create_task(freed(self._leyden.pid, before, began))
        answer = await self._line.mm(CANCEL, {"task_id": task_id})
        answered = time.monotonic() - began
        if answer.status == 409:
            freeing.cancel()
            self.too_late += 1
            await self._clear()
            return None
        assert answer.body["result"] == "success", answer
        seconds, left = await freeing
        left |= written(self._leyden.data_dir).more_than(wrote)
        gone = await self._line.mm(STATUS, {"task_id": task_id})
        assert gone.body.get("error_type") == "NoSuchTask", gone
        again = await self._line.until_ended(await self._begin(own_start))
        await self._clear()
        return Moment(
            *(self._source.name, own_start, after * 1000, _name(status.body["result"])),
            *(seconds * 1000, answered * 1000, left, again["status"]),
        )

    async def _prepare(self, own_start: bool) -> None:
        if not own_start:
            answer = await self._line.ask(self._source.enable)
            assert answer.status == 200, answer

    async def _begin(self, own_start: bool) -> int:
        if own_start:
            return int((await self._leyden.call("activatenode"))["task_id"])
        return await self._line.init()

    async def _clear(self) -> None:
        """As if nothing had been enabled."""
        for ticker in ("RBTC-lightning", "RBTC-segwit"):
            await self._line.disable(ticker)

    async def _settled(self) -> Any:
        """What the process holds, twice the same: a connection that was closed may still be going."""
        before = held(self._leyden.pid)
        while (now := held(self._leyden.pid)) != before:
            before = now
        return now


def _name(result: dict[str, Any]) -> str:
    return str(result["details"]) if result["status"] == "InProgress" else str(result["status"])


async def sweep(
    folder: Path, count: int, seed: int, graph_channels: int = GRAPH_CHANNELS, *, timed: bool = True
) -> Part:
    """`count` moments; the report's part. Not `timed`: other programs have the processors too."""
    moments: list[Moment] = []
    too_late = 0
    for name, wanted in _shares(count).items():
        async with backend(name, folder / name) as source:
            lanes = min(LANES.get(name, 1), wanted)
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(
                        _lane(
                            folder / f"{name}{lane}",
                            source,
                            wanted // lanes + (lane < wanted % lanes),
                            seed + lane,
                            graph_channels,
                        )
                    )
                    for lane in range(lanes)
                ]
        for lane_of in running:
            found, late = lane_of.result()
            moments += found
            too_late += late
    return _part(moments, too_late, count, seed, timed=timed)


def _shares(count: int) -> dict[str, int]:
    """How many moments on each backend; at least one, where there are enough."""
    other = max(1, round(count * OTHERS_SHARE))
    return {"electrumx": max(1, count - 2 * other), "bitcoin-rpc": other, "embedded": other}


async def _lane(folder: Path, source: Backend, wanted: int, seed: int, graph_channels: int) -> tuple[list[Moment], int]:
    """So many moments of one process; and how many draws came too late."""
    await fill(folder / "data" / "regtest", seed, graph_channels)
    async with (
        await MmrpcLeyden.launch(folder, "--no-activate", *source.settings) as leyden,
        leyden.line() as line,
    ):
        run = Sweep(leyden, line, source, random.Random(f"{source.name} {seed}"))
        await run.warm_up()
        moments: list[Moment] = []
        while len(moments) < wanted and run.too_late <= MAX_TOO_LATE * wanted:
            moment = await run.moment(own_start=(len(moments) + seed) % 2 == 1)
            if moment is not None:
                moments.append(moment)
    return moments, run.too_late


def _part(moments: list[Moment], too_late: int, count: int, seed: int, *, timed: bool) -> Part:
    times = sorted(moment.freed_ms for moment in moments)
    statuses = sorted({moment.status for moment in moments})
    facts: dict[str, Any] = {
        "moments": len(moments),
        "came after the end, drawn again": too_late,
        "bar ms": BAR_MS,
        "freed ms": _spread(times),
        "answered ms": _spread(sorted(moment.answered_ms for moment in moments)),
        "within the bar": sum(time_ms <= BAR_MS for time_ms in times),
        "left over": {name: sum(moment.left.get(name, 0) for moment in moments) for name in LEFT},
        "threads that may be made and kept": f"{POOL_THREADS}, of asyncio's own pool; left over is what is beyond",
        "next activation Ok": sum(moment.again == "Ok" for moment in moments),
        "cancelled in": {status: sum(moment.status == status for moment in moments) for status in statuses},
        "by backend": {name: sum(moment.backend == name for moment in moments) for name in NAMES},
    }
    bad = [repr(moment) for moment in moments if not moment.good(timed=timed)]
    if len(moments) != count:
        bad.append(f"{len(moments)} of {count} moments")
    table = ["| | backend | start | after ms | in | freed ms | left | again |", "|---|---|---|---|---|---|---|---|"]
    for number, moment in enumerate(moments, 1):
        kind = "own" if moment.own_start else "init"
        left = ", ".join(f"{name} {more}" for name, more in moment.left.items()) or "nothing"
        table.append(
            f"| {number} | {moment.backend} | {kind} | {moment.after_ms:.0f} | {moment.status} | "
            f"{moment.freed_ms:.0f} | {left} | {moment.again} |"
        )
    return Part("cancel", count, seed, facts, table, bad)


def _spread(times: list[float]) -> dict[str, float]:
    if not times:
        return {}
    return {
        "least": round(times[0], 1),
        "median": round(statistics.median(times), 1),
        "95 of 100": round(times[min(len(times) - 1, int(len(times) * 0.95))], 1),
        "most": round(times[-1], 1),
    }
