"""What a running program says of the network over its RPC socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from tests.acceptance.gossip_naive import Facts
from tests.acceptance.program import InstalledLeyden

PAUSE_S = 0.02


async def listed(leyden: InstalledLeyden) -> Facts:
    """Channels are those that an update is known of."""
    channels, nodes = await leyden.requests([("listchannels", {}), ("listnodes", {})])
    rows = channels["result"]["channels"]
    return Facts(
        {row["short_channel_id"] for row in rows},
        {(row["short_channel_id"], row["direction"]): row["last_update"] for row in rows},
        {row["nodeid"]: row["last_timestamp"] for row in nodes["result"]["nodes"] if "last_timestamp" in row},
    )


def lacking(reported: Facts, now: Facts) -> list[str]:
    """What was reported and is not there any more, or only in an older form."""
    halves: list[object] = [name for name, stamp in reported.halves.items() if now.halves.get(name, -1) < stamp]
    nodes: list[object] = [name for name, stamp in reported.nodes.items() if now.nodes.get(name, -1) < stamp]
    found = (("updates", halves), ("nodes", nodes))
    return [f"{len(missing)} {what} of those reported are missing: {missing[:3]}" for what, missing in found if missing]


def differing(one: Facts, other: Facts) -> list[str]:
    """How two views of the network differ; channels without any update are nobody's concern."""
    halves: set[object] = one.halves.items() ^ other.halves.items()
    nodes: set[object] = one.nodes.items() ^ other.nodes.items()
    found = (("updates", halves), ("nodes", nodes))
    return [f"{len(different)} {what} differ: {list(different)[:3]}" for what, different in found if different]


async def until_true(holds: Callable[[], Awaitable[bool]], wait_s: float) -> None:
    """Ask again until it holds; TimeoutError when it does not."""
    async with asyncio.timeout(wait_s):
        while not await holds():
            await asyncio.sleep(PAUSE_S)


async def until_listed(leyden: InstalledLeyden, wanted: Facts, wait_s: float) -> list[str]:
    """Wait until the program lists just this; what differs when it does not."""

    async def holds() -> bool:
        return not differing(wanted, await listed(leyden))

    with contextlib.suppress(TimeoutError):
        await until_true(holds, wait_s)
    return differing(wanted, await listed(leyden))


def graph_line(leyden: InstalledLeyden) -> str:
    """What it said of the store when it started."""
    return next(line for line in leyden.lines() if line.startswith("ReadingNetworkGraphFromFile: done"))
