"""What runs behind an active node, and how its troubles are told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.activation.services import FLUSH_INTERVAL_S, BackgroundServices, flush_regularly
from core.gossip.scorer import Scorer
from core.storage.errors import ProfileUnusable
from tests.support.clock import ManualClock


async def test_a_service_that_dies_is_told_and_takes_the_others_with_it() -> None:
    problems: list[BaseException] = []
    ended = asyncio.Event()

    async def dies() -> None:
        raise OSError("gone")

    async def lives() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    services = BackgroundServices(problems.append)
    services.start(lives, dies)
    await ended.wait()
    await services.aclose()
    assert [str(error) for error in problems] == ["gone"]


async def test_services_that_are_stopped_at_once_never_run() -> None:
    ran: list[int] = []

    async def service() -> None:
        ran.append(1)

    services = BackgroundServices(lambda _error: None)
    services.start(service)
    await services.aclose()
    await services.aclose()
    assert ran == []


async def test_what_payments_taught_is_written_every_half_minute(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "scorer"
    scorer = await Scorer.open(path)
    written = asyncio.Event()
    service = asyncio.ensure_future(flush_regularly(scorer, clock, lambda _error: written.set()))
    scorer.payment_failed(1, 0, 5, capacity_msat=9, now=6.0)
    await clock.advance(FLUSH_INTERVAL_S - 1)
    assert not path.exists()
    await clock.advance(1)
    while not path.exists():
        await asyncio.sleep(0.001)
    service.cancel()
    await asyncio.wait([service])
    assert len(await Scorer.open(path)) == 1


async def test_a_disk_that_refuses_is_told_and_tried_again(tmp_path: Path) -> None:
    clock, folder = ManualClock(), tmp_path / "profile"
    scorer = await Scorer.open(folder / "scorer")
    problems: asyncio.Queue[BaseException] = asyncio.Queue()
    service = asyncio.ensure_future(flush_regularly(scorer, clock, problems.put_nowait))
    scorer.payment_failed(1, 0, 5, capacity_msat=9, now=6.0)
    for _ in range(2):
        await clock.advance(FLUSH_INTERVAL_S)
        assert isinstance(await problems.get(), ProfileUnusable)
    folder.mkdir()
    await clock.advance(FLUSH_INTERVAL_S)
    while not (folder / "scorer").exists():
        await asyncio.sleep(0.001)
    service.cancel()
    await asyncio.wait([service])
    assert problems.empty()
