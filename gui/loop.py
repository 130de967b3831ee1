"""The one event loop: asyncio inside Qt's own.

qasync is the bridge: it runs `QApplication.exec()` as the loop and, on Windows, polls the completion port. `LeydenLoop`
replaces what qasync 0.28 does with one Qt timer a callback by asyncio's own ready queue and timer heap, served by two
Qt timers:

- a *turn* runs what is ready and ends after `TURN_S`, so that Qt can paint and take input before the next. It starts
  from a zero timer, which Qt serves after everything else that waits;
- a timer that is cancelled costs nothing more than its place in the heap, and the heap is compacted;
- contexts are kept everywhere: callbacks from threads, timers, readers and writers;
- a Qt loop nested in a callback (`QMenu.exec`, a native dialog) keeps other tasks running instead of killing them;
- `KeyboardInterrupt` and `SystemExit` end `run_forever` and are raised from it; Qt would print and forget them.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import os
import signal
import sys
import threading
from asyncio import BaseEventLoop
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

os.environ.setdefault("QT_API", "pyside6")  # qasync would prefer PyQt where both are installed

import qasync  # it chooses its Qt while it is imported
from PySide6.QtCore import QObject, QSocketNotifier, Qt, QTimer, Signal, Slot

logger = logging.getLogger("asyncio")
"""Where asyncio's own loop tells of slow callbacks."""

TURN_S = 0.0015
"""A turn that has run this long leaves the rest of its callbacks to the next one. A tick of the window that falls into
a turn waits for its end, and two ticks can be off by a turn each way: turns of 4 ms would put the 99th percentile of a
16 ms tick at 19.4 ms. The peers' budget (`core.peers.limits.TURN_S`) bounds the one callback that may come on top."""

YOUNG_TURN_S = 0.0005
"""A turn younger than this goes on with what its callbacks made ready; an older one lets Qt have a look first."""

SIGNAL_POLL_MS = 200
"""Where a signal cannot wake Qt (Windows), Python gets the chance to notice one this often."""

_COMPACT_FROM = 100  # asyncio's own figure: below it a heap of cancelled timers is not worth a pass
_MAX_TIMER_MS = 2**31 - 1  # what QTimer takes; a later deadline is met by arming again


class LeydenLoop(qasync.QEventLoop):  # type: ignore[misc]  # qasync has no type hints
    """asyncio event loop on a running `QApplication`; one at a time, in Qt's main thread.

    Usable with `asyncio.Runner(loop_factory=lambda: LeydenLoop(app))`. Unlike asyncio's own, it is the running loop
    in plain Qt slots too, so these may create tasks.
    """

    # qasync has versions of its own that lose the handler or the context, or run on ten QThreads; asyncio's are right.
    run_until_complete = BaseEventLoop.run_until_complete
    call_later = BaseEventLoop.call_later
    call_soon_threadsafe = BaseEventLoop.call_soon_threadsafe
    run_in_executor = BaseEventLoop.run_in_executor
    set_default_executor = BaseEventLoop.set_default_executor
    set_exception_handler = BaseEventLoop.set_exception_handler
    default_exception_handler = BaseEventLoop.default_exception_handler
    call_exception_handler = BaseEventLoop.call_exception_handler

    # asyncio's own, as BaseEventLoop makes them
    _ready: deque[Any]
    _scheduled: list[Any]
    _timer_cancelled_count: int
    _thread_id: int | None
    _current_handle: asyncio.Handle | None

    _polls_signals = os.name == "nt"

    def __init__(self, app: QObject | None = None) -> None:
        self._readers: dict[int, _Watch] = {}
        self._writers: dict[int, _Watch] = {}
        self._polled_signals: dict[int, Any] = {}
        self._depth = 0  # turns on the stack: more than one while a Qt loop is nested in a callback
        self._entered: list[Context] = []  # contexts of the callbacks under which a Qt loop is nested
        self._held: list[Any] = []  # callbacks that need one of these
        self._handle: Any = None
        self._escaped: BaseException | None = None
        self._woken = True  # the zero timer runs, or the loop does not and nobody needs waking
        self._armed_for = -math.inf  # when the deadline timer fires; while the loop does not run, never earlier
        self._soon = QTimer(singleShot=True, interval=0)
        self._soon.timeout.connect(self._on_soon)
        self._later = QTimer(singleShot=True, timerType=Qt.TimerType.PreciseTimer)
        self._later.timeout.connect(self._on_later)
        self._signal_poll = QTimer(interval=SIGNAL_POLL_MS)
        self._signal_poll.timeout.connect(_let_python_run)
        self._waker = _Waker(self._on_woken)
        super().__init__(app)

    # Running

    def run_forever(self) -> None:
        """Run until `stop`; `KeyboardInterrupt` and `SystemExit` of a callback come out of here."""
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self._debug)
        hooks = sys.get_asyncgen_hooks()
        self._thread_id = threading.get_ident()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook)
        self._armed_for = math.inf
        self._soon.start()
        try:
            with self._signals_heard():
                super().run_forever()
        finally:
            self._soon.stop()
            self._later.stop()
            self._woken = True
            self._armed_for = -math.inf
            self._stopping = False
            self._thread_id = None
            self._set_coroutine_origin_tracking(False)
            sys.set_asyncgen_hooks(*hooks)
        escaped, self._escaped = self._escaped, None
        if escaped is not None:
            raise escaped

    def stop(self) -> None:
        """End `run_forever` after the callbacks that are ready now."""
        self._stopping = True
        if not self._woken:
            self._wake()

    def close(self) -> None:
        """Give up every timer, notifier and thread. Not while the loop runs."""
        super().close()
        for sig in tuple(self._polled_signals):
            self.remove_signal_handler(sig)
        for watch in (*self._readers.values(), *self._writers.values()):
            watch.cancel()
        self._readers.clear()
        self._writers.clear()

    # Scheduling

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        self._check_closed()
        if self._debug:
            self._check_thread()
            self._check_callback(callback, "call_soon")
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        if not self._woken:
            self._wake()
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer: asyncio.TimerHandle = BaseEventLoop.call_at(self, when, callback, *args, context=context)
        if when < self._armed_for:
            self._arm(when)
        return timer

    def _add_callback(self, handle: asyncio.Handle, delay: float = 0) -> None:
        if not handle._cancelled:
            self._ready.append(handle)
            if not self._woken:
                self._wake()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        super()._timer_handle_cancelled(handle)
        timers = self._scheduled
        if len(timers) > _COMPACT_FROM and self._timer_cancelled_count * 2 > len(timers):
            alive = []
            for timer in timers:
                if timer._cancelled:
                    timer._scheduled = False
                else:
                    alive.append(timer)
            heapq.heapify(alive)
            self._scheduled = alive
            self._timer_cancelled_count = 0

    def _write_to_self(self) -> None:
        """Wake the loop from any thread, through Qt: Windows has no self-pipe here."""
        self._waker.wake()

    # Turns

    def _turn(self) -> None:
        """Run what is ready, at most for about `TURN_S`, and see to it that the next turn comes."""
        if not self.is_running():
            return
        self._wake()  # now, not at the end: a Qt loop nested in a callback needs its turns too
        with self._nested() if self._depth else _NOT_NESTED:
            self._depth += 1
            try:
                self._run_passes()
            except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt or SystemExit: raised from run_forever
                self._escaped = error
                self._stopping = True
            finally:
                self._depth -= 1
                self._handle = None  # what it holds may go now, not with the next callback
        if self._held and not self._depth:
            self._ready.extendleft(reversed(self._held))
            self._held.clear()
        if self._stopping:
            super().stop()
        else:
            self._look_ahead()

    def _run_passes(self) -> None:
        ready = self._ready
        now = self.time()
        young_until = now + YOUNG_TURN_S
        deadline = now + TURN_S
        while True:
            self._collect_due(now)
            for _ in range(len(ready)):
                if not ready:
                    return  # a nested Qt loop ran the rest of this pass
                handle = ready.popleft()
                if handle._cancelled:
                    continue
                if self._entered and any(handle._context is context for context in self._entered):
                    self._held.append(handle)
                    continue
                self._handle = handle
                if self._debug:
                    self._run_watched(handle)
                else:
                    handle._run()
                now = self.time()
                if now >= deadline and not self._stopping:
                    return
            if self._stopping or not ready or now >= young_until:
                return

    def _run_watched(self, handle: asyncio.Handle) -> None:
        """Debug mode: say which callback held the loop for longer than `slow_callback_duration`."""
        self._current_handle = handle
        start = self.time()
        try:
            handle._run()
        finally:
            self._current_handle = None
        took_s = self.time() - start
        if took_s >= self.slow_callback_duration:
            logger.warning("Executing %r took %.3f seconds", handle, took_s)

    @contextmanager
    def _nested(self) -> Iterator[None]:
        """Step out of the task in whose step this Qt loop is nested, so that others can be stepped.

        Without it every other task that wakes here fails with "Cannot enter into task" and never runs again. A
        context cannot be entered twice either: callbacks that share the outer one's wait until it has returned.
        """
        task = asyncio.current_task(self)
        handle = self._handle
        if task is not None:
            asyncio.tasks._leave_task(self, task)  # asyncio's hook for other loops
        if handle is not None:
            self._entered.append(handle._context)
        try:
            yield
        finally:
            if handle is not None:
                self._entered.pop()
            self._handle = handle
            if task is not None:
                asyncio.tasks._enter_task(self, task)

    def _collect_due(self, now: float) -> None:
        timers = self._scheduled
        due_by = now + self._clock_resolution
        while timers and timers[0]._when < due_by:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if timer._cancelled:
                self._timer_cancelled_count -= 1
            else:
                self._ready.append(timer)

    def _look_ahead(self) -> None:
        """End of a turn: rest when nothing is ready, and wake for the next timer."""
        if not self._ready:
            self._soon.stop()
            self._woken = False
        timers = self._scheduled
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
            self._timer_cancelled_count -= 1
        if timers and timers[0]._when < self._armed_for:
            self._arm(timers[0]._when)

    def _wake(self) -> None:
        self._woken = True
        self._soon.start()

    def _arm(self, when: float) -> None:
        self._armed_for = when
        self._later.start(max(0, min(_MAX_TIMER_MS, math.ceil((when - self.time()) * 1000))))

    def _on_soon(self) -> None:
        self._turn()

    def _on_later(self) -> None:
        self._armed_for = math.inf
        self._turn()

    def _on_woken(self) -> None:
        if not self._woken:
            self._wake()

    # Readers and writers

    def _add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        return self._watch(self._readers, fd, QSocketNotifier.Type.Read, callback, args)

    def _add_writer(self, fd: Any, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        return self._watch(self._writers, fd, QSocketNotifier.Type.Write, callback, args)

    def _remove_reader(self, fd: Any) -> bool:
        return self._unwatch(self._readers, fd)

    def _remove_writer(self, fd: Any) -> bool:
        return self._unwatch(self._writers, fd)

    def _watch(
        self,
        watches: dict[int, _Watch],
        fd: Any,
        kind: QSocketNotifier.Type,
        callback: Callable[..., object],
        args: tuple[Any, ...],
    ) -> _Watch:
        self._check_closed()
        number = _number_of(fd)
        if number in watches:
            watches.pop(number).cancel()
        watch = watches[number] = _Watch(number, kind, callback, args, self)
        return watch

    def _unwatch(self, watches: dict[int, _Watch], fd: Any) -> bool:
        watch = None if self.is_closed() else watches.pop(_number_of(fd), None)
        if watch is None:
            return False
        watch.cancel()
        return True

    # Signals

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        """As asyncio's, on Windows as well (there within `SIGNAL_POLL_MS`)."""
        if not self._polls_signals:
            super().add_signal_handler(sig, callback, *args)
            return
        self._check_closed()
        before = signal.signal(sig, lambda *_: self.call_soon_threadsafe(callback, *args))
        self._polled_signals.setdefault(sig, before)

    def remove_signal_handler(self, sig: int) -> bool:
        if self._polls_signals:
            before = self._polled_signals.pop(sig, None)
            if before is None:
                return False
            signal.signal(sig, before)
            return True
        removed: bool = super().remove_signal_handler(sig)
        if self.is_running() and threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)  # asyncio gave it up with the last
        return removed

    @contextmanager
    def _signals_heard(self) -> Iterator[None]:
        """While Qt waits in C++ no Python runs, and so no signal handler: let each signal wake it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        default_interrupt = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if default_interrupt:
            signal.signal(signal.SIGINT, self._on_interrupt)
        wakeup_fd = -1
        if self._polls_signals:
            self._signal_poll.start()
        else:
            wakeup_fd = signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            if self._polls_signals:
                self._signal_poll.stop()
            elif not self._signal_handlers:
                signal.set_wakeup_fd(wakeup_fd)
            if default_interrupt and signal.getsignal(signal.SIGINT) == self._on_interrupt:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    def _on_interrupt(self, _signum: int, _frame: object) -> None:
        """Python's own Ctrl-C: raised in a callback where one runs; in a Qt slot it would be printed and lost."""
        if self._depth:
            raise KeyboardInterrupt
        self._escaped = KeyboardInterrupt()
        self.stop()


class _Watch(asyncio.Handle):
    """One reader or writer: a Qt notifier and the callback that it makes ready.

    The notifier rests from its report until the callback has run, because it would report again at every look.
    """

    __slots__ = ("_notifier",)
    _loop: LeydenLoop

    def __init__(
        self,
        fd: int,
        kind: QSocketNotifier.Type,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: LeydenLoop,
    ) -> None:
        super().__init__(callback, args, loop, None)
        self._notifier = QSocketNotifier(fd, kind)
        self._notifier.activated["int"].connect(self._on_activated)  # type: ignore[index]  # an overload by its type
        self._notifier.setEnabled(True)

    def cancel(self) -> None:
        self._notifier.setEnabled(False)
        super().cancel()

    def _on_activated(self) -> None:
        self._notifier.setEnabled(False)
        self._loop._add_callback(self)

    def _run(self) -> None:
        try:
            super()._run()
        finally:
            if not self._cancelled:
                self._notifier.setEnabled(True)


class _Waker(QObject):
    """Wakes the loop from any thread. Wakes that come before the first was served are one."""

    _woken = Signal()

    def __init__(self, callback: Callable[[], None]) -> None:
        super().__init__()
        self._callback = callback
        self._pending = False
        self._woken.connect(self._serve, Qt.ConnectionType.QueuedConnection)

    def wake(self) -> None:
        if not self._pending:
            self._pending = True
            self._woken.emit()

    @Slot()
    def _serve(self) -> None:
        self._pending = False  # before the callback looks: who appends after this look wakes again
        self._callback()


class _NotNested:
    """A context that is nothing: the usual turn."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_exc: object) -> None:
        return None


_NOT_NESTED = _NotNested()


def _number_of(fd: Any) -> int:
    return fd if isinstance(fd, int) else int(fd.fileno())


def _let_python_run() -> None:
    """Python's signal handlers run between two bytecodes; these are two."""
