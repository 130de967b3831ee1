"""gui.loop: asyncio's promises hold on Qt's loop, and Qt gets its look between turns."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QAbstractEventDispatcher, QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from gui import loop as loop_module
from gui.loop import TURN_S, LeydenLoop

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


@pytest.fixture
def loop(qapp: QApplication) -> Iterator[LeydenLoop]:
    """A loop that the test runs itself."""
    qapp.setQuitOnLastWindowClosed(False)
    loop = LeydenLoop(qapp)
    yield loop
    loop.close()


def qt_timers(loop: LeydenLoop) -> int:
    """How many Qt timers the loop has armed."""
    timers = (loop._soon, loop._later, loop._signal_poll)
    return sum(timer.isActive() for timer in timers)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


# What runs, and in which order


@pytest.mark.qt_loop
async def test_an_async_test_runs_on_our_loop() -> None:
    assert type(asyncio.get_running_loop()) is LeydenLoop


@pytest.mark.qt_loop
async def test_callbacks_of_every_kind_find_the_running_loop() -> None:
    loop = asyncio.get_running_loop()
    found: dict[str, asyncio.AbstractEventLoop] = {}

    def note(kind: str) -> None:
        found[kind] = asyncio.get_running_loop()

    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.setblocking(False)
        loop.add_reader(ours, lambda: (note("reader"), loop.remove_reader(ours)))
        loop.add_writer(theirs, lambda: (note("writer"), loop.remove_writer(theirs)))
        theirs.send(b"x")
        loop.call_soon(note, "soon")
        loop.call_later(0.001, note, "later")
        QTimer.singleShot(0, lambda: note("qt slot"))
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(note, "thread"))
        thread.start()
        await until(lambda: len(found) == 6)
        thread.join()
    assert set(found.values()) == {loop}


@pytest.mark.qt_loop
async def test_call_soon_keeps_its_order_and_leaves_out_the_cancelled() -> None:
    loop = asyncio.get_running_loop()
    ran: list[int] = []
    handles = [loop.call_soon(ran.append, number) for number in range(100)]
    handles[50].cancel()
    await asyncio.sleep(0)
    await until(lambda: len(ran) == 99)
    assert ran == [number for number in range(100) if number != 50]


@pytest.mark.qt_loop
async def test_timers_come_in_the_order_of_their_deadlines_however_they_were_made() -> None:
    loop = asyncio.get_running_loop()
    ran: list[int] = []
    start = loop.time()
    for number in (3, 1, 4, 2, 0):
        loop.call_at(start + number / 1000, ran.append, number)
    loop.call_later(-1, ran.append, -1)
    await until(lambda: len(ran) == 6)
    assert ran == [-1, 0, 1, 2, 3, 4]


@pytest.mark.qt_loop
async def test_a_timer_never_comes_before_its_time() -> None:
    loop = asyncio.get_running_loop()
    for delay_s in (0.0005, 0.001, 0.0099, 0.02):
        deadline = loop.time() + delay_s
        await asyncio.sleep(delay_s)
        assert loop.time() >= deadline - loop._clock_resolution  # type: ignore[attr-defined]


def test_a_turn_runs_no_timer_that_is_not_due(loop: LeydenLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1.0
    monkeypatch.setattr(loop, "time", lambda: now)
    ran: list[str] = []
    loop.call_at(1.0, ran.append, "due")
    loop.call_at(1.001, ran.append, "not due")
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    assert ran == ["due"]


@pytest.mark.qt_loop
async def test_waiting_for_a_timer_wakes_the_loop_once_or_twice_and_never_spins() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeydenLoop)
    wakes: list[None] = []
    loop._later.timeout.connect(lambda: wakes.append(None))
    for _ in range(5):
        wakes.clear()
        await asyncio.sleep(0.0059)
        assert len(wakes) <= 2


def test_a_turn_ends_after_its_time_so_that_qt_has_a_look(loop: LeydenLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(loop, "time", lambda: now)
    order: list[str] = []

    def slow() -> None:
        nonlocal now
        now += TURN_S * 0.6
        order.append("asyncio")

    looks = QTimer(interval=0)
    looks.timeout.connect(lambda: order.append("qt"))
    for _ in range(10):
        loop.call_soon(slow)
    loop.call_soon(loop.stop)
    looks.start()
    loop.run_forever()
    looks.stop()
    runs = "".join("a" if what == "asyncio" else " " for what in order).split()
    assert sum(map(len, runs)) == 10
    assert max(map(len, runs)) <= 2


def test_only_a_young_turn_goes_on_with_what_it_made_ready(loop: LeydenLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(loop, "time", lambda: now)
    order: list[str] = []

    def chain(name: str, left: int, cost_s: float) -> None:
        nonlocal now
        now += cost_s
        order.append(name)
        if left:
            loop.call_soon(chain, name, left - 1, cost_s)
        else:
            loop.stop()

    looks = QTimer(interval=0)
    looks.timeout.connect(lambda: order.append(" "))
    looks.start()
    loop.call_soon(chain, "s", 5, loop_module.YOUNG_TURN_S)
    loop.run_forever()
    slow = "".join(order).split()
    order.clear()
    loop.call_soon(chain, "q", 5, 0.0)
    loop.run_forever()
    looks.stop()
    assert slow == ["s"] * 6
    assert "".join(order).split() == ["q" * 6]


# Cost


@pytest.mark.qt_loop
async def test_cancelled_timers_leave_neither_qt_timers_nor_a_heap() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeydenLoop)
    keep = [loop.call_later(3600, print) for _ in range(10)]
    for _ in range(30_000):
        loop.call_later(3600, print).cancel()
    assert len(loop._scheduled) < 250
    assert qt_timers(loop) <= 2
    await asyncio.sleep(0.001)
    for timer in keep:
        timer.cancel()


@pytest.mark.qt_loop
async def test_a_live_timer_survives_the_compaction_of_its_heap() -> None:
    loop = asyncio.get_running_loop()
    ran: list[int] = []
    for number in range(500):
        timer = loop.call_later(0.005 + number * 1e-6, ran.append, number)
        if number % 10:
            timer.cancel()
    await until(lambda: len(ran) == 50)
    assert ran == list(range(0, 500, 10))


def test_an_idle_loop_arms_no_timer_and_a_stopped_one_none_at_all(loop: LeydenLoop) -> None:
    async def idle() -> int:
        looked: asyncio.Future[int] = loop.create_future()
        # A plain Qt timer looks, because a callback of the loop's own would be a turn.
        QTimer.singleShot(20, lambda: looked.set_result(qt_timers(loop)))
        return await looked

    assert loop.run_until_complete(idle()) == 0
    loop.call_later(3600, print)
    loop.call_soon(print)
    assert qt_timers(loop) == 0, "not running: nobody needs to be woken"
    loop.run_until_complete(asyncio.sleep(0))
    assert qt_timers(loop) == 0


def test_a_closed_loop_has_given_everything_back(qapp: QApplication) -> None:
    loop = LeydenLoop(qapp)
    loop.call_later(0.01, print)
    theirs, ours = socket.socketpair()
    with theirs, ours:
        called: list[str] = []
        loop.add_reader(ours, called.append, "read")
        loop.add_writer(ours, called.append, "written")
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        loop.close()
        called.clear()
        theirs.send(b"x")
        qapp.processEvents()
        assert called == []
    dispatcher = QAbstractEventDispatcher.instance()
    assert loop.is_closed()
    assert not dispatcher.registeredTimers(loop._soon) and not dispatcher.registeredTimers(loop._later)
    assert not loop._readers and not loop._writers and not loop._scheduled
    for refused in (loop.call_soon, loop.call_soon_threadsafe):
        with pytest.raises(RuntimeError, match="closed"):
            refused(print)


# Contexts and threads


@pytest.mark.qt_loop
async def test_every_callback_runs_in_the_context_it_was_given() -> None:
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    context.run(variable.set, "given")
    found: dict[str, str] = {}

    def note(kind: str) -> None:
        found[kind] = variable.get()

    loop.call_soon(note, "soon", context=context.copy())
    loop.call_later(0.001, note, "later", context=context.copy())
    loop.call_at(loop.time(), note, "at", context=context.copy())
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(note, "thread", context=context.copy()))
    thread.start()
    theirs, ours = socket.socketpair()
    with theirs, ours:
        context.run(loop.add_reader, ours, lambda: (note("reader"), loop.remove_reader(ours)))
        theirs.send(b"x")
        await until(lambda: len(found) == 5)
    thread.join()
    assert set(found.values()) == {"given"}


@pytest.mark.qt_loop
async def test_a_thread_wakes_an_idle_loop() -> None:
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    thread = threading.Timer(0.05, loop.call_soon_threadsafe, (woken.set,))
    thread.start()
    await woken.wait()
    thread.join()


@pytest.mark.qt_loop
async def test_callbacks_from_many_threads_all_run_each_threads_in_order() -> None:
    loop = asyncio.get_running_loop()
    ran: list[tuple[int, int]] = []

    def work(thread: int) -> None:
        for number in range(2500):
            loop.call_soon_threadsafe(ran.append, (thread, number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    await until(lambda: len(ran) == 10_000)
    for thread in threads:
        thread.join()
    for number in range(4):
        assert [turn for thread, turn in ran if thread == number] == list(range(2500))


@pytest.mark.qt_loop
async def test_work_in_an_executor_comes_back() -> None:
    assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()


# Errors


@pytest.mark.qt_loop
async def test_an_error_in_a_callback_is_reported_and_the_loop_goes_on() -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    assert before is not None
    reported: list[str] = []
    loop.set_exception_handler(lambda _loop, context: reported.append(str(context["exception"])))

    def fail(text: str) -> None:
        raise ValueError(text)

    theirs, ours = socket.socketpair()
    with theirs, ours:
        loop.add_reader(ours, lambda: (loop.remove_reader(ours), fail("reader")))
        theirs.send(b"x")
        loop.call_soon(fail, "soon")
        loop.call_later(0.001, fail, "later")
        loop.call_soon_threadsafe(fail, "thread")
        await until(lambda: len(reported) == 4)
    loop.set_exception_handler(before)
    assert sorted(reported) == ["later", "reader", "soon", "thread"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_end_comes_out_of_the_loop_and_leaves_it_usable(loop: LeydenLoop, kind: type[BaseException]) -> None:
    def end() -> None:
        raise kind(3)

    loop.call_soon(end)
    with pytest.raises(kind):
        loop.run_forever()

    async def in_a_task() -> None:
        raise kind(3)

    with pytest.raises(kind):
        loop.run_until_complete(in_a_task())
    assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


@pytest.mark.qt_loop
async def test_debug_mode_names_slow_callbacks_and_calls_from_other_threads(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0

    def work() -> None:
        pass

    with caplog.at_level(logging.WARNING, "asyncio"):
        loop.call_soon(work)
        await asyncio.sleep(0.001)
        with pytest.raises(RuntimeError, match="Non-thread-safe"):
            await asyncio.to_thread(loop.call_soon, work)
    loop.set_debug(False)
    assert "work()" in caplog.text and "took" in caplog.text


# Running and stopping


def test_stop_lets_what_is_ready_run_and_nothing_that_comes_after(loop: LeydenLoop) -> None:
    ran: list[str] = []
    loop.call_soon(loop.stop)
    loop.call_soon(lambda: (ran.append("ready"), loop.call_soon(ran.append, "after")))
    loop.run_forever()
    assert ran == ["ready"]
    loop.run_until_complete(asyncio.sleep(0))
    assert ran == ["ready", "after"]


def test_a_stop_before_the_run_gives_one_turn(loop: LeydenLoop) -> None:
    ran: list[str] = []
    loop.call_soon(ran.append, "ready")
    loop.stop()
    loop.run_forever()
    assert ran == ["ready"]


def test_a_plain_slot_may_stop_an_idle_loop_and_start_tasks(loop: LeydenLoop) -> None:
    ended: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.001)
        ended.append("worked")
        QTimer.singleShot(1, loop.stop)

    tasks: list[asyncio.Task[None]] = []
    QTimer.singleShot(0, lambda: tasks.append(asyncio.create_task(work())))
    loop.run_forever()
    assert ended == ["worked"]


def test_a_timer_made_in_a_plain_slot_wakes_an_idle_loop(loop: LeydenLoop) -> None:
    QTimer.singleShot(10, lambda: loop.call_later(0.005, loop.stop))
    loop.run_forever()


def test_a_loop_stopped_early_says_so_and_refuses_to_run_twice(loop: LeydenLoop) -> None:
    async def never() -> None:
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()
        loop.stop()
        await loop.create_future()

    task = loop.create_task(never())
    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


def test_the_runner_closes_async_generators_and_pending_tasks(qapp: QApplication) -> None:
    closed: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.append("generator")

    async def lasting() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            closed.append("task")

    generator = numbers()
    left_to_the_runner: list[asyncio.Task[None]] = []

    async def main() -> int:
        left_to_the_runner.append(asyncio.create_task(lasting()))
        return await anext(generator)

    with asyncio.Runner(loop_factory=lambda: LeydenLoop(qapp)) as runner:
        assert runner.run(main()) == 1
        assert asyncio._get_running_loop() is None
    assert closed == ["task", "generator"]


# Qt loops nested in a callback


def nested_qt_loop(ms: int) -> None:
    """What `exec()` of a dialog or a menu does."""
    nested = QEventLoop()
    end = QTimer(singleShot=True, interval=ms)
    end.timeout.connect(nested.quit)
    end.start()
    nested.exec()
    end.stop()


@pytest.mark.qt_loop
async def test_a_qt_loop_nested_in_a_coroutine_keeps_every_other_task_alive() -> None:
    ticks = 0

    async def ticker() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        writer.close()

    task = asyncio.create_task(ticker())
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    answer = asyncio.create_task(reader.readexactly(1))
    await asyncio.sleep(0)
    writer.write(b"x")
    myself = asyncio.current_task()
    nested_qt_loop(60)
    during = ticks
    assert asyncio.current_task() is myself
    assert during > 0, "the ticker ran while the Qt loop was open"
    assert answer.done() and answer.result() == b"x"
    await until(lambda: ticks > during)
    task.cancel()
    writer.close()
    server.close()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.005)


@pytest.mark.qt_loop
async def test_a_qt_loop_opened_by_a_plain_slot_leaves_the_tasks_alone() -> None:
    ticks = 0
    during: list[int] = []

    def slot() -> None:
        before = ticks
        nested_qt_loop(30)
        during.append(ticks - before)

    QTimer.singleShot(1, slot)
    while not during:
        await asyncio.sleep(0.001)
        ticks += 1
    assert during[0] > 0


@pytest.mark.qt_loop
async def test_a_task_that_shares_the_outer_ones_context_waits_for_it_and_then_runs() -> None:
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    order: list[str] = []

    async def outer() -> None:
        nested_qt_loop(20)
        order.append("outer")

    async def sharing() -> None:
        order.append("sharing")

    await asyncio.gather(loop.create_task(outer(), context=context), loop.create_task(sharing(), context=context))
    assert order == ["outer", "sharing"]


def test_stop_ends_a_nested_qt_loop_too(loop: LeydenLoop) -> None:
    loop.call_soon(nested_qt_loop, 60_000)
    loop.call_soon(loop.stop)
    loop.run_forever()


# Readers, sockets, children


@pytest.mark.qt_loop
async def test_a_reader_removed_after_its_notice_is_not_called() -> None:
    loop = asyncio.get_running_loop()
    called: list[socket.socket] = []
    pairs = [socket.socketpair() for _ in range(2)]
    for _, ours in pairs:
        # Whichever comes first removes both, while the other waits in the ready queue.
        loop.add_reader(ours, lambda ours: (called.append(ours), [loop.remove_reader(each) for _, each in pairs]), ours)
    for theirs, _ in pairs:
        theirs.send(b"x")
    await until(lambda: bool(called))
    await asyncio.sleep(0.005)
    assert len(called) == 1
    assert loop.remove_reader(pairs[0][1]) is False
    for theirs, ours in pairs:
        theirs.close()
        ours.close()


@pytest.mark.qt_loop
async def test_a_reader_is_called_once_a_notice_and_again_while_bytes_are_left() -> None:
    loop = asyncio.get_running_loop()
    read: list[bytes] = []
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.setblocking(False)
        loop.add_reader(ours, lambda: read.append(ours.recv(1)))
        theirs.send(b"abc")
        await until(lambda: len(read) == 3)
        await asyncio.sleep(0.005)
        loop.remove_reader(ours)
    assert read == [b"a", b"b", b"c"]


@pytest.mark.qt_loop
async def test_streams_over_tcp_and_unix_sockets_and_raw_sockets_work(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    payload = os.urandom(1_000_000)
    tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
    path = str(tmp_path / "s")
    unix = await asyncio.start_unix_server(echo, path)
    connections = [
        await asyncio.open_connection(*tcp.sockets[0].getsockname()),
        await asyncio.open_unix_connection(path),
    ]
    for reader, writer in connections:
        writer.write(payload)
        assert await reader.readexactly(len(payload)) == payload
        writer.close()
        await writer.wait_closed()
    loop = asyncio.get_running_loop()
    theirs, ours = socket.socketpair()
    with theirs, ours:
        theirs.setblocking(False)
        ours.setblocking(False)
        _, got = await asyncio.gather(loop.sock_sendall(theirs, b"raw"), loop.sock_recv(ours, 3))
    assert got == b"raw"
    for server in (tcp, unix):
        server.close()
        await server.wait_closed()
    await asyncio.sleep(0.005)


@pytest.mark.qt_loop
async def test_a_child_process_is_read_and_waited_for() -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('here')", stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    assert (out.strip(), child.returncode) == (b"here", 0)


# Signals


def interrupt_when_idle(sig: signal.Signals) -> threading.Timer:
    """Send ourselves a signal while Qt waits in C++."""
    thread = threading.Timer(0.05, os.kill, (os.getpid(), sig))
    thread.start()
    return thread


@pytest.mark.parametrize("polled", [False, True], ids=["self-pipe", "as on Windows"])
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_an_idle_loop(qapp: QApplication, sig: signal.Signals, polled: bool) -> None:
    before = signal.getsignal(sig)
    loop = LeydenLoop(qapp)
    loop._polls_signals = polled
    heard: list[str] = []
    loop.add_signal_handler(sig, lambda: (heard.append("heard"), loop.stop()))
    thread = interrupt_when_idle(sig)
    loop.run_forever()
    thread.join()
    assert loop.remove_signal_handler(sig) is True
    assert loop.remove_signal_handler(sig) is False
    loop.close()
    assert heard == ["heard"]
    assert signal.getsignal(sig) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_ctrl_c_without_a_handler_comes_out_of_an_idle_loop(loop: LeydenLoop) -> None:
    loop.add_signal_handler(signal.SIGTERM, print)
    loop.call_soon(loop.remove_signal_handler, signal.SIGTERM)  # asyncio gives the wake-up up with the last handler
    thread = interrupt_when_idle(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_without_signal_handlers_leaves_the_wake_up_as_it_was(loop: LeydenLoop) -> None:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.setblocking(False)
        signal.set_wakeup_fd(ours.fileno())
        loop.run_until_complete(asyncio.sleep(0))
        assert signal.set_wakeup_fd(-1) == ours.fileno()


def test_ctrl_c_under_the_runner_cancels_the_main_task(qapp: QApplication) -> None:
    ended: list[Any] = []

    async def main() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    thread = interrupt_when_idle(signal.SIGINT)
    with asyncio.Runner(loop_factory=lambda: LeydenLoop(qapp)) as runner, pytest.raises(KeyboardInterrupt):
        runner.run(main())
    thread.join()
    assert ended == ["cancelled"]
