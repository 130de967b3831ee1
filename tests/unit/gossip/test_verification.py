"""Batches go to processes and come back in order, whatever becomes of a process."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from coincurve import PrivateKey

from core.bolt.gossip import SignedPart
from core.gossip.errors import VerificationFailed
from core.gossip.limits import (
    BATCH_DEATHS,
    BATCHES_A_WORKER,
    MOST_WORKERS,
    STILLBORN_WORKERS,
    WORKER_NICENESS,
    WORKER_SILENT_S,
)
from core.gossip.verification import Verifier, default_workers
from core.gossip.verify_frames import Verdict
from tests.support.announcements import compact_signature
from tests.support.clock import ManualClock

KEY = PrivateKey(b"\x09" * 32)
DIGEST = b"\x02" * 32
GOOD = SignedPart(DIGEST, ((compact_signature(DIGEST, KEY), KEY.public_key.format()),))
BAD = SignedPart(b"\x03" * 32, GOOD.checks)
PATTERN = [BAD if number % 7 == 0 else GOOD for number in range(1_500)]
EXPECTED = [Verdict.VALID if record is GOOD else Verdict.WRONG_SIGNATURE for record in PATTERN]


def _python(script: str) -> list[str]:
    return [sys.executable, "-S", "-c", script]


async def _until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("workers", [1, 2])
async def test_verdicts_stand_in_the_order_of_the_batch(workers: int) -> None:
    async with Verifier.start(workers) as verifier:
        assert await verifier.verify([]) == []
        assert await verifier.verify(PATTERN) == EXPECTED


@pytest.mark.qt_loop
async def test_the_same_in_the_windows_loop() -> None:
    async with Verifier.start(2) as verifier:
        assert await verifier.verify(PATTERN) == EXPECTED


async def test_there_is_one_for_each_core_and_they_stand_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 1), (2, 2), (64, MOST_WORKERS)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid, cores=cores: set(range(cores)), raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert default_workers() == workers
    monkeypatch.undo()
    async with Verifier.start() as verifier:
        assert len(verifier.pids) == default_workers()
        assert all(await verifier.verify([GOOD]))  # so that one of them is ready
        if sys.platform != "win32":
            own = os.getpriority(os.PRIO_PROCESS, 0)
            nices = [os.getpriority(os.PRIO_PROCESS, pid) for pid in verifier.pids]
            assert max(nices) == min(19, own + WORKER_NICENESS)


async def test_many_callers_get_their_own_verdicts() -> None:
    async with Verifier.start(2) as verifier:
        pieces = [PATTERN[start : start + 70] for start in range(0, 1_400, 70)]
        answers = await asyncio.gather(*map(verifier.verify, pieces))
        assert [verdict for answer in answers for verdict in answer] == EXPECTED[:1_400]


async def test_killed_workers_are_replaced_and_nothing_is_lost() -> None:
    async with Verifier.start(2) as verifier:
        await verifier.verify(PATTERN)
        for _ in range(3):
            before = verifier.pids
            work = asyncio.ensure_future(verifier.verify(PATTERN * 4))
            await asyncio.sleep(0)  # the first frames are on their way
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            assert await work == EXPECTED * 4
            await _until(lambda before=before: len(set(verifier.pids) - set(before)) == 2)  # type: ignore[misc]


async def test_what_a_dead_worker_had_waits_for_a_place_like_everything_else() -> None:
    async with Verifier.start(2) as verifier:
        await verifier.verify(PATTERN)
        stopped, killed = verifier.pids
        for pid in verifier.pids:
            os.kill(pid, signal.SIGSTOP)
        work = asyncio.ensure_future(verifier.verify(PATTERN))
        await asyncio.sleep(0)
        survivor = next(worker for worker in verifier._workers if worker.pid == stopped)
        os.kill(killed, signal.SIGKILL)
        await _until(lambda: killed not in verifier.pids)
        assert len(survivor.jobs) == BATCHES_A_WORKER
        os.kill(stopped, signal.SIGCONT)
        assert await work == EXPECTED


async def test_a_stopped_worker_is_killed_and_its_batches_are_done_again() -> None:
    clock = ManualClock()
    async with Verifier.start(2, clock=clock) as verifier:
        await verifier.verify(PATTERN)
        stopped, sound = verifier.pids
        os.kill(stopped, signal.SIGSTOP)
        work = asyncio.ensure_future(verifier.verify(PATTERN))
        jobs = {worker.pid: worker.jobs for worker in verifier._workers}
        await _until(lambda: len(jobs[stopped]) == BATCHES_A_WORKER and not jobs[sound])
        await clock.advance(WORKER_SILENT_S)
        assert not work.done()
        assert stopped in verifier.pids, "it may have been given them just now"
        await clock.advance(WORKER_SILENT_S)
        assert await work == EXPECTED
        assert stopped not in verifier.pids
        await _until(lambda: len(verifier.pids) == 2)
        assert sound in verifier.pids


async def test_who_waits_for_work_or_does_it_is_not_silent() -> None:
    clock = ManualClock()
    async with Verifier.start(1, clock=clock) as verifier:
        await verifier.verify([GOOD])
        before = verifier.pids
        for _ in range(4):
            await clock.advance(WORKER_SILENT_S)
        for _ in range(4):
            [worker] = verifier._workers
            os.kill(before[0], signal.SIGSTOP)
            work = asyncio.ensure_future(verifier.verify([GOOD]))
            await _until(lambda worker=worker: worker.jobs)  # type: ignore[misc]
            await clock.advance(WORKER_SILENT_S)
            os.kill(before[0], signal.SIGCONT)
            assert await work == [Verdict.VALID]
        assert verifier.pids == before


async def test_a_worker_that_never_gets_ready_is_given_up_in_the_end() -> None:
    clock = ManualClock()
    async with Verifier.start(1, clock=clock, command=_python("import sys; sys.stdin.buffer.read()")) as verifier:
        work = asyncio.ensure_future(verifier.verify([GOOD]))
        for _ in range(STILLBORN_WORKERS):
            await _until(lambda: verifier.pids)
            [pid] = verifier.pids
            await clock.advance(2 * WORKER_SILENT_S)
            await _until(lambda pid=pid: pid not in verifier.pids)  # type: ignore[misc]
        with pytest.raises(VerificationFailed, match="silent for 15 s"):
            await work


async def test_exit_codes_are_asyncios_to_collect(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        async with Verifier.start(2) as verifier:
            await verifier.verify([GOOD, GOOD])
            for pid in verifier.pids:
                os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(0)
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_an_idle_worker_that_dies_is_replaced_however_often() -> None:
    async with Verifier.start(1) as verifier:
        for _ in range(5):
            assert await verifier.verify([GOOD]) == [Verdict.VALID]
            [pid] = verifier.pids
            os.kill(pid, signal.SIGKILL)
            await _until(lambda pid=pid: verifier.pids not in ([], [pid]))  # type: ignore[misc]
        assert await verifier.verify([BAD]) == [Verdict.WRONG_SIGNATURE]


async def test_who_brings_more_than_there_is_room_for_waits() -> None:
    async with Verifier.start(1) as verifier:
        await verifier.verify([GOOD])
        [pid] = verifier.pids
        os.kill(pid, signal.SIGSTOP)
        works = [asyncio.ensure_future(verifier.verify([GOOD] * 64)) for _ in range(10)]
        await asyncio.sleep(0)
        assert len(verifier._workers[0].jobs) == BATCHES_A_WORKER
        assert not verifier._waiting
        os.kill(pid, signal.SIGCONT)
        assert await asyncio.gather(*works) == [[Verdict.VALID] * 64] * 10


async def test_cancelled_callers_leave_no_place_taken() -> None:
    async with Verifier.start(1) as verifier:
        await verifier.verify([GOOD])
        [pid] = verifier.pids
        os.kill(pid, signal.SIGSTOP)
        works = [asyncio.ensure_future(verifier.verify([GOOD] * 300)) for _ in range(5)]
        await asyncio.sleep(0)
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        os.kill(pid, signal.SIGCONT)
        assert await verifier.verify(PATTERN) == EXPECTED
        assert verifier._room._value == BATCHES_A_WORKER


async def test_what_kills_every_worker_is_given_up_and_the_rest_goes_on() -> None:
    poison = (
        "import sys; write = lambda b: (sys.stdout.buffer.write(b), sys.stdout.flush()); write(bytes(2))\n"
        "while head := sys.stdin.buffer.read(4):\n"
        "    body = sys.stdin.buffer.read(int.from_bytes(head, 'big'))\n"
        "    b'poison' in body and sys.exit('choked')\n"
        "    write(b'\\0\\1\\0')\n"
    )
    async with Verifier.start(1, command=_python(poison)) as verifier:
        poisoned = asyncio.ensure_future(verifier.verify([b"poison"]))
        assert await verifier.verify([b"sound"]) == [Verdict.VALID]
        with pytest.raises(VerificationFailed, match="choked"):
            await poisoned
        assert await verifier.verify([b"sound"]) == [Verdict.VALID]
    assert BATCH_DEATHS > 1


async def test_a_program_that_never_gets_ready_is_not_started_for_ever() -> None:
    async with Verifier.start(2, command=_python("raise SystemExit('no such library')")) as verifier:
        with pytest.raises(VerificationFailed, match="no such library"):
            await verifier.verify(PATTERN)
        with pytest.raises(VerificationFailed):
            await verifier.verify([GOOD])
        await _until(lambda: not verifier.pids)


async def test_only_failures_in_a_row_count_before_it_is_ready(tmp_path: Path) -> None:
    lives = (
        "import pathlib, sys; lived = pathlib.Path(sys.argv[1]); life = len(lived.read_bytes())\n"
        "lived.write_bytes(bytes(life + 1))\n"
        "if life in (0, 1, 3, 4): sys.exit('stillborn')\n"
        "sys.stdout.buffer.write(bytes(2)); sys.stdout.flush(); sys.stdin.buffer.read(100)\n"
        "if life == 2: sys.exit('died at work')\n"
        "sys.stdout.buffer.write(b'\\0\\1\\0'); sys.stdout.flush(); sys.stdin.buffer.read()\n"
    )
    lived = tmp_path / "lived"
    lived.write_bytes(b"")
    async with Verifier.start(1, command=[*_python(lives), str(lived)]) as verifier:
        assert await verifier.verify([bytes(200)]) == [Verdict.VALID]
    assert lived.stat().st_size == 6


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(VerificationFailed, match="No such file"):
        async with Verifier.start(1, command=["/nowhere/leyden"]):
            pass


@pytest.mark.parametrize("said", [r"\0\5", r"\0\0\0\7", r"\0\0\0\1\x63"], ids=["not ready", "too many", "no verdict"])
async def test_a_worker_that_answers_nonsense_is_not_believed(said: str) -> None:
    script = f"import sys; sys.stdout.buffer.write(b'{said}'); sys.stdout.flush(); sys.stdin.buffer.read()"
    async with Verifier.start(1, command=_python(script)) as verifier:
        with pytest.raises(VerificationFailed, match="wrong answer"):
            await verifier.verify([GOOD])


async def test_closing_ends_the_workers_and_those_who_wait() -> None:
    async with Verifier.start(2) as verifier:
        await verifier.verify([GOOD])
        for pid in (pids := verifier.pids):
            os.kill(pid, signal.SIGSTOP)
        works = [asyncio.ensure_future(verifier.verify(PATTERN)) for _ in range(3)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*works, return_exceptions=True)
    assert all(isinstance(result, VerificationFailed) for result in results)
    works.clear()
    results.clear()
    gc.collect()  # asyncio says of a failure that nobody looked at when it is collected
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(VerificationFailed, match="closed"):
        await verifier.verify([GOOD])


async def test_a_record_no_transport_carries_is_the_callers_mistake() -> None:
    async with Verifier.start(1) as verifier:
        with pytest.raises(ValueError, match="bytes"):
            await verifier.verify([*PATTERN, bytes(70_000)])
        assert await verifier.verify([GOOD]) == [Verdict.VALID]


async def test_the_loop_is_never_held_up() -> None:
    """By its own processor time between two turns, the best of some tries: cold caches are other programs' doing."""
    records = PATTERN * 20
    longest = []
    async with Verifier.start(1) as verifier:
        for _ in range(5):
            work, turns = asyncio.ensure_future(verifier.verify(records)), [0.0]
            while not work.done():
                began = time.thread_time()
                await asyncio.sleep(0)
                turns.append(time.thread_time() - began)
            assert len(work.result()) == len(records)
            longest.append(max(turns))
    assert min(longest) < 0.004
