"""Signatures verified in processes of their own, so that neither the loop nor the window waits for them.

Nothing is forked: each worker is a program executed at once, with pipes and nothing else of ours. One that dies is
replaced, and what it had not answered is done again; one that is silent for long is killed first. What a caller brings
beyond what the workers have room for makes it wait; meanwhile it should not read its peers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, cast

from core.base.clock import Clock, SystemClock
from core.base.finish import finish
from core.gossip.errors import VerificationFailed
from core.gossip.limits import BATCH_DEATHS, BATCHES_A_WORKER, MOST_WORKERS, STILLBORN_WORKERS, WORKER_SILENT_S
from core.gossip.verify_frames import COUNT, Record, Verdict, frames, read_verdicts

_log = logging.getLogger(__name__)
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_LAST_WORDS = 2_000
"""Bytes of a worker's stderr kept for the reason of its end."""

WORKER_FLAG = "--verify-worker"
"""How the frozen program is told to be a worker; `gui.main` looks for it before anything else."""


def worker_command() -> list[str]:
    """How to run a worker. `-P`: nothing is imported from the folder that the user happens to stand in."""
    if getattr(sys, "frozen", False):
        return [sys.executable, WORKER_FLAG]
    return [sys.executable, "-P", "-m", "core.gossip.verifier"]


def default_workers() -> int:
    """One for each core that we may use, within bounds."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def _where_we_are() -> dict[str, str]:
    """The variable by which a worker finds our code where that is not installed."""
    root = Path(__file__).resolve().parents[2]
    # Installed, it is found anyway; put first, that folder would come before Python's own library.
    return {} if root.name in ("site-packages", "dist-packages") else {"PYTHONPATH": str(root)}


class StartVerifier(Protocol):
    """How a service gets its workers; `Verifier.start` is one."""

    def __call__(self, *, clock: Clock) -> AbstractAsyncContextManager[Verifier]: ...


class _Job:
    """One frame until it is answered."""

    __slots__ = ("answer", "count", "deaths", "frame")

    def __init__(self, frame: bytes, count: int) -> None:
        self.frame = frame
        self.count = count
        self.deaths = 0
        self.answer: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()


class _Worker(asyncio.SubprocessProtocol):
    """One process and the jobs that it has, the one it works on first."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._transport: asyncio.SubprocessTransport | None = None
        self._unread = b""
        self._last_words = b""
        self._problem = ""
        self.jobs: deque[_Job] = deque()
        self.ready = False
        self.answers = 0
        """How many it gave."""
        self.gone = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int | None:
        return None if self._transport is None else self._transport.get_pid()

    def give(self, job: _Job) -> None:
        assert self._transport is not None
        self.jobs.append(job)
        # Writing to one that is dying is without effect; its jobs are done again when it is gone.
        cast("asyncio.WriteTransport", self._transport.get_pipe_transport(_STDIN)).write(job.frame)

    def give_up(self, problem: str) -> None:
        """Kill it for this reason."""
        self._problem = self._problem or problem
        self.kill()

    def kill(self) -> None:
        if self._transport is None or self._transport.get_returncode() is not None:
            return
        if sys.platform == "win32":
            self._transport.kill()
            return
        # Not by the transport: it looks first whether the process has ended, and takes its exit code from asyncio then.
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: the latter for a zombie
            os.kill(self._transport.get_pid(), signal.SIGKILL)

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self._last_words = (self._last_words + data)[-_LAST_WORDS:]
        elif not self._problem:
            self._unread += data
            try:
                self._read_answers()
            except ValueError as error:
                self.give_up(f"a worker gave a wrong answer: {error}")

    def _read_answers(self) -> None:
        while len(self._unread) >= COUNT.size:
            (count,) = COUNT.unpack_from(self._unread)
            if count != (self.jobs[0].count if self.ready and self.jobs else 0) or (self.ready and not self.jobs):
                raise ValueError(f"{count} verdicts were not asked for")
            end = COUNT.size + count
            if len(self._unread) < end:
                return
            verdicts = read_verdicts(self._unread[COUNT.size : end])
            self._unread = self._unread[end:]
            self.answers += 1
            if self.ready:
                self._verifier._answered(self.jobs.popleft(), verdicts)
            else:
                self.ready = True
                self._verifier._is_ready()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd != _STDERR:
            self.kill()  # most often it ended; without its pipes it is of no use either way

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        code = self._transport.get_returncode()
        self._transport.close()
        self._transport = None
        if not self._problem:
            how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
            words = self._last_words.decode(errors="replace").strip().rpartition("\n")[2]
            self._problem = f"a worker ended with {how}" + (f": {words}" if words else "")
        self.gone.set_result(None)
        self._verifier._died(self, self._problem)


class Verifier:
    """Made by `start`."""

    def __init__(self, workers: int, clock: Clock, command: Sequence[str]) -> None:
        self._clock = clock
        self._command = command
        self._workers: list[_Worker] = []
        self._room = asyncio.Semaphore(workers * BATCHES_A_WORKER)
        """A place for each job that is under way or has to be done again."""
        self._waiting: deque[_Job] = deque()
        self._replacing: set[asyncio.Task[None]] = set()
        self._stillborn = 0
        self._failed = ""

    @classmethod
    @asynccontextmanager
    async def start(
        cls, workers: int | None = None, *, clock: Clock | None = None, command: Sequence[str] | None = None
    ) -> AsyncIterator[Verifier]:
        """Run so many workers until the context ends; they need a moment until they answer, which nobody waits for.

        None: one a core, `MOST_WORKERS` at most.
        VerificationFailed when none can be started at all. `clock`: by which one that is silent is noticed, or else the
        machine's. `command` is for tests.
        """
        workers = default_workers() if workers is None else workers
        verifier = cls(workers, clock or SystemClock(), worker_command() if command is None else command)
        watching = asyncio.create_task(verifier._watch())
        try:
            for _ in range(workers):
                await verifier._spawn()
            yield verifier
        finally:
            watching.cancel()
            await finish(verifier._close())

    @property
    def pids(self) -> list[int]:
        """Of the workers that live, as far as we know."""
        return [pid for worker in self._workers if (pid := worker.pid) is not None]

    async def verify(self, batch: Sequence[Record]) -> list[Verdict]:
        """The verdict on each record, in order. Best in batches of 64 and more: smaller ones cost by the call.

        VerificationFailed when it cannot be known; ValueError as `verify_frames.frames`.
        """
        jobs: list[_Job] = []
        try:
            for count, frame in frames(batch):
                await self._room.acquire()
                if self._failed:
                    self._room.release()
                    raise VerificationFailed(reason=self._failed)
                jobs.append(_Job(frame, count))
                self._waiting.append(jobs[-1])
                self._hand_out()
            return [verdict for job in jobs for verdict in await job.answer]
        finally:
            for job in jobs:
                job.answer.cancel()  # without effect on one that is done, and asyncio misses nobody who looked at it

    def _hand_out(self) -> None:
        """Give jobs to the worker that has the fewest, as long as one has room."""
        while self._waiting and self._workers:
            worker = min(self._workers, key=lambda worker: len(worker.jobs))
            if len(worker.jobs) >= BATCHES_A_WORKER:
                return
            job = self._waiting.popleft()
            if job.answer.done():  # nobody wants it any more
                self._room.release()
            else:
                worker.give(job)

    def _is_ready(self) -> None:
        self._stillborn = 0

    def _answered(self, job: _Job, verdicts: list[Verdict]) -> None:
        self._room.release()
        if not job.answer.done():
            job.answer.set_result(verdicts)
        self._hand_out()

    def _fail(self, job: _Job, reason: str) -> None:
        self._room.release()
        if not job.answer.done():
            job.answer.set_exception(VerificationFailed(reason=reason))

    def _died(self, worker: _Worker, how: str) -> None:
        """Do again what it did not answer, and start another one."""
        if worker in self._workers:
            self._workers.remove(worker)
        jobs, worker.jobs = worker.jobs, deque()
        if jobs and worker.ready:
            jobs[0].deaths += 1
            if jobs[0].deaths >= BATCH_DEATHS:
                self._fail(jobs.popleft(), how)
        self._waiting.extendleft(reversed(jobs))
        self._stillborn += not worker.ready
        if self._failed:
            self._fail_all()
        elif self._stillborn >= STILLBORN_WORKERS:
            self._give_up(how)
        else:
            _log.warning("%s; it is replaced, %d batches are done again", how, len(jobs))
            self._hand_out()
            task = asyncio.get_running_loop().create_task(self._replace())
            self._replacing.add(task)
            task.add_done_callback(self._replacing.discard)

    async def _watch(self) -> None:
        """Two looks, not a time: after the computer slept, one look is late for everybody."""
        heard: dict[_Worker, int] = {}
        while True:
            await self._clock.sleep(WORKER_SILENT_S)
            for worker, answers in heard.items():
                if worker.answers == answers:
                    worker.give_up(f"a worker was silent for {WORKER_SILENT_S:.0f} s")
            heard = {worker: worker.answers for worker in self._workers if worker.jobs}

    async def _replace(self) -> None:
        try:
            await self._spawn()
        except VerificationFailed as error:
            self._give_up(error.reason)

    async def _spawn(self) -> None:
        # To its end, whoever is cancelled: asyncio loses the pipes of a half-started process, and the next descriptor
        # of that number, any connection's, cannot be registered with the loop any more.
        await finish(self._start_worker())

    async def _start_worker(self) -> None:
        environment = {**os.environ, **_where_we_are()}
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            options["creationflags"] = 0x0800_0000 | 0x4000  # CREATE_NO_WINDOW, BELOW_NORMAL_PRIORITY_CLASS
        try:
            _, worker = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Worker(self), *self._command, env=environment, start_new_session=True, **options
            )
        except OSError as error:
            raise VerificationFailed(reason=f"{self._command[0]}: {error.strerror or error}") from error
        if worker.pid is not None:  # otherwise it is gone already, and was replaced
            self._workers.append(worker)
            self._hand_out()

    def _give_up(self, reason: str) -> None:
        _log.error("signatures are not verified any more: %s", reason)
        self._failed = reason
        for worker in self._workers:
            worker.kill()
        self._fail_all()

    def _fail_all(self) -> None:
        """The jobs of workers that still live follow when those are gone."""
        while self._waiting:
            self._fail(self._waiting.popleft(), self._failed)

    async def _close(self) -> None:
        self._failed = self._failed or "it was closed"
        for task in tuple(self._replacing):
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        workers = tuple(self._workers)
        for worker in workers:
            worker.kill()
        for worker in workers:
            await worker.gone
        self._fail_all()
