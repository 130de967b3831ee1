"""What runs behind an active node until it stops: flushing, pruning, pings, reconnecting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from core.base.clock import Clock
from core.chain.errors import ChainUnavailable
from core.chain.source import ChainSource
from core.gossip.kept_graph import KeptGraph
from core.gossip.scorer import Scorer
from core.gossip.store_format import StoreDamaged
from core.storage.errors import ProfileUnusable

FLUSH_INTERVAL_S = 30.0
TELL_INTERVAL_S = 1.0
"""Changes of the graph are told at most so often, all since the last time at once."""
PRUNE_INTERVAL_S = 3600.0
"""The first time after as long: who was away for two weeks hears first what is new."""
COMPACT_INTERVAL_S = 300.0
"""How often the graph's store is looked at whether most of it is deleted: peers together could make it grow by some
600 KB/s of updates."""

Service = Callable[[], Coroutine[Any, Any, None]]
"""Makes the coroutine when it is its turn, so that none is made in vain."""

Problem = Callable[[BaseException], None]
"""Told of what turns the node's state to Problem."""


class BackgroundServices:
    """Coroutines that run until `aclose`; one that dies is told to `problem`, and takes the others with it."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._task: asyncio.Task[None] | None = None

    def start(self, *services: Service) -> None:
        self._task = asyncio.create_task(self._run(services), name="background services")

    async def aclose(self) -> None:
        """Stop them all and wait until they have; closing twice does nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self, services: tuple[Service, ...]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for service in services:
                    group.create_task(service())
        except* Exception as died:  # noqa: BLE001 - whatever it died of, the node must tell
            for error in died.exceptions:
                self._problem(error)


async def tell_regularly(kept: KeptGraph, clock: Clock) -> None:
    """Publish what changed in the graph."""
    while True:
        await clock.sleep(TELL_INTERVAL_S)
        kept.tell()


async def prune_regularly(kept: KeptGraph, chain: ChainSource, node_id: bytes, clock: Clock, problem: Problem) -> None:
    """Take dead channels out of the graph."""
    while True:
        await clock.sleep(PRUNE_INTERVAL_S)
        try:
            height = (await chain.tip()).height
        except ChainUnavailable:
            height = None
        try:
            await kept.prune(height, spare=node_id)
        except (ProfileUnusable, StoreDamaged) as error:
            problem(error)


async def compact_regularly(kept: KeptGraph, clock: Clock, problem: Problem) -> None:
    """Have the graph's store rewritten when most of it is deleted."""
    while True:
        await clock.sleep(COMPACT_INTERVAL_S)
        try:
            await kept.compact()
        except ProfileUnusable as error:
            problem(error)


async def flush_regularly(scorer: Scorer, clock: Clock, problem: Problem) -> None:
    """Write what payments taught every half minute; a disk that refuses is told each time and tried again."""
    while True:
        await clock.sleep(FLUSH_INTERVAL_S)
        try:
            await scorer.flush()
        except ProfileUnusable as error:
            problem(error)
