"""kill -9 at random moments of activation: what the next start on the same folder finds, and what is in its way."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.activation_backends import Backend, backend
from tests.acceptance.activation_outside import is_free, is_locked, left_of
from tests.acceptance.activation_part import Part
from tests.acceptance.activation_profile import (
    CHANNELS,
    GRAPH_CHANNELS,
    SCORES,
    TRUSTED,
    Kept,
    fill,
    graph_line,
    kept,
)
from tests.acceptance.mmrpc_program import MmrpcLeyden, envelope, private_file
from tests.counterparts.electrum import free_port

PASSPHRASE = "an acceptance passphrase"
LANES = 4
"""Processes at once on one backend; each has a profile of its own."""
ELECTRUMX_SHARE = 0.5
START_S = 40.0
"""How long a start may take here, where several go on at once."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One, and the start after it."""

    backend: str
    after_ms: float
    """From the node's own line, which comes right before its activation."""
    status: str
    """The last one that had ended; empty before the first."""
    faults: tuple[str, ...]


class Lane:
    """One profile, killed again and again."""

    def __init__(self, folder: Path, source: Backend, chance: random.Random, graph_channels: int) -> None:
        self._folder = folder
        self._source = source
        self._chance = chance
        self._graph_channels = graph_channels
        self._profile = folder / "data" / "regtest"
        self._port = free_port()
        self._node_id = ""
        self._longest = 0.0
        self._kept: Kept

    async def prepare(self, seed: int) -> None:
        """Fill the profile and start once: the node's id, what it holds, and how long activation takes."""
        await fill(self._profile, seed, self._graph_channels)
        self._passphrase = private_file(self._folder / "passphrase", PASSPHRASE)
        leyden = await self._launch()
        async with leyden:
            self._node_id = _node_id(leyden)
            began = time.monotonic()
            await leyden.wait_for(event="ready", timeout_s=START_S)
            self._longest = time.monotonic() - began
            await leyden.stop()
        self._kept = kept(self._profile)

    async def kill(self) -> Kill:
        """Once, and the start after it."""
        after = self._chance.uniform(0.0, self._longest)
        leyden = await self._launch()
        await asyncio.sleep(after)
        pid = leyden.pid
        ended = [line.split(":")[0] for line in leyden.lines() if ": done in" in line]
        await leyden.kill()
        faults = self._left(pid, leyden.mmrpc_port)
        try:
            faults += await self._start_again()
        except Exception as error:  # noqa: BLE001 - whatever the start did is the result
            faults.append(f"the next start: {type(error).__name__}: {str(error)[:500]}")
        return Kill(self._source.name, after * 1000, ended[-1] if ended else "", tuple(faults))

    def _left(self, pid: int, mmrpc_port: int) -> list[str]:
        faults = [f"port {port} is taken" for port in (self._port, mmrpc_port) if not is_free(port)]
        if children := left_of(pid):
            faults.append(f"{children} processes are left")
        if is_locked(self._profile):
            faults.append("the profile is locked")
        return faults

    async def _start_again(self) -> list[str]:
        async with await self._launch() as leyden:
            await leyden.wait_for(event="ready", timeout_s=START_S)
            faults = [] if _node_id(leyden) == self._node_id else [f"node id {_node_id(leyden)}"]
            lines = "\n".join(leyden.lines())
            wanted = (
                f"{CHANNELS} channels at height",
                graph_line(self._graph_channels),
                f"{SCORES} channel directions",
            )
            faults += [f"it did not say: {words}" for words in wanted if words not in lines]
            faults += await self._asked(leyden)
            await leyden.stop()
            if leyden.exit_code != 0:
                faults.append(f"exit code {leyden.exit_code}")
        now = kept(self._profile)
        if now != self._kept:
            faults.append(f"kept {now}, before {self._kept}")
        return faults

    async def _asked(self, leyden: MmrpcLeyden) -> list[str]:
        """What the running node knows, by its own answers."""
        async with leyden.line() as line:
            found = {}
            for name, method in _LISTS.items():
                answer = await line.ask(envelope(method, {"coin": "RBTC-lightning"}))
                listed = answer.body["result"]
                found[name] = listed.get("total", len(listed.get("trusted_nodes", ())))
        return [] if found == _KNOWN else [f"it knows {found}, before {_KNOWN}"]

    async def _launch(self) -> MmrpcLeyden:
        key = ("--keystore", "file", "--passphrase-file", str(self._passphrase))
        return await MmrpcLeyden.launch(self._folder, *key, "--bind", f"127.0.0.1:{self._port}", *self._source.settings)


_LISTS = {
    "open channels": "lightning::channels::list_open_channels_by_filter",
    "closed channels": "lightning::channels::list_closed_channels_by_filter",
    "trusted nodes": "lightning::nodes::list_trusted_nodes",
}
_CLOSED = len(range(0, CHANNELS, 5))
_KNOWN = {"open channels": CHANNELS - _CLOSED, "closed channels": _CLOSED, "trusted nodes": TRUSTED}


def _node_id(leyden: MmrpcLeyden) -> str:
    return next(line.split()[1] for line in leyden.lines() if line.startswith("node "))


async def kills(folder: Path, count: int, seed: int, graph_channels: int = GRAPH_CHANNELS) -> Part:
    """`count` kills, half of them on ElectrumX and half on the embedded chain, which is killed with the node."""
    electrumx = max(1, round(count * ELECTRUMX_SHARE))
    found: list[Kill] = []
    for name, wanted in (("electrumx", electrumx), ("embedded", count - electrumx)):
        async with AsyncExitStack() as stack:
            source = await stack.enter_async_context(backend(name, folder / name))
            lanes = min(LANES, wanted)
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(
                        _lane(
                            folder / f"{name}{lane}", source, _dealt(wanted, lanes, lane), seed + lane, graph_channels
                        )
                    )
                    for lane in range(lanes)
                ]
        found += [kill for lane_of in running for kill in lane_of.result()]
    return _part(found, count, seed)


def _dealt(wanted: int, lanes: int, lane: int) -> int:
    return wanted // lanes + (lane < wanted % lanes)


async def _lane(folder: Path, source: Backend, wanted: int, seed: int, graph_channels: int) -> list[Kill]:
    lane = Lane(folder, source, random.Random(f"{source.name} {seed}"), graph_channels)
    await lane.prepare(seed)
    return [await lane.kill() for _ in range(wanted)]


def _part(found: list[Kill], count: int, seed: int) -> Part:
    statuses = dict.fromkeys(kill.status for kill in found)
    facts: dict[str, Any] = {
        "kills": len(found),
        "next start as before": sum(not kill.faults for kill in found),
        "killed after the end of": {
            status or "nothing yet": sum(kill.status == status for kill in found) for status in statuses
        },
        "after ms": f"median {statistics.median(kill.after_ms for kill in found):.0f}, "
        f"most {max(kill.after_ms for kill in found):.0f}",
        "looked at": "node id; rows of every table, channel records, graph, scores and trusted nodes; what the node "
        "lists; ports, processes of its group, the profile's lock; exit code of a stop",
    }
    table = ["| | backend | after ms | last status that had ended | next start |", "|---|---|---|---|---|"]
    for number, kill in enumerate(found, 1):
        verdict = "; ".join(kill.faults) or "as before"
        table.append(f"| {number} | {kill.backend} | {kill.after_ms:.0f} | {kill.status} | {verdict} |")
    bad = [f"{kill.backend} after {kill.after_ms:.0f} ms: {fault}" for kill in found for fault in kill.faults]
    return Part("kill", count, seed, facts, table, bad)
