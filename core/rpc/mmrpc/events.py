"""The event stream: each change of a task, to the client whose id its `init` named."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from core.activation.errors import TaskNotFound
from core.base.events import EventBus, StepChanged, TaskChanged, TaskState
from core.rpc.mmrpc.face import MmNode
from core.rpc.mmrpc.json_text import dump
from core.rpc.mmrpc.tasks import status_object

MAX_STREAMS = 32
"""Open at once."""
MAX_FRAMES = 256
"""Waiting for one client; who is further behind is let go."""
MAX_WATCHED = 256
"""Tasks; those that nobody waits for end by themselves."""


class IdInUse(Exception):
    """A stream of this client id is open."""


class TooManyStreams(Exception):
    """`MAX_STREAMS` are open."""


class Stream:
    """The frames for one client; None ends it."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_FRAMES)
        self._ended = False

    def push(self, frame: bytes) -> None:
        """A client that is too far behind gets no more: its stream ends."""
        if self._ended:
            return
        if self.frames.qsize() < MAX_FRAMES - 1:
            self.frames.put_nowait(frame)
        else:
            self.end()

    def end(self) -> None:
        """What still waits is dropped."""
        if not self._ended:
            self._ended = True
            while not self.frames.empty():
                self.frames.get_nowait()
            self.frames.put_nowait(None)


class EventStreams:
    """All streams of one server."""

    def __init__(self, node: MmNode, bus: EventBus) -> None:
        self._node = node
        self._streams: dict[int, Stream] = {}
        self._watched: dict[int, int] = {}
        self._last: dict[int, bytes] = {}
        """By task: what was told of it last; the same is not told again."""
        self._subscriptions = (
            bus.subscribe(StepChanged, lambda event: self._changed(event.task_id)),
            bus.subscribe(TaskChanged, self._task_changed),
        )

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def close(self) -> None:
        """End every stream and listen no more."""
        for subscription in self._subscriptions:
            subscription.close()
        for stream in self._streams.values():
            stream.end()

    def watch(self, task_id: int, client_id: int) -> None:
        """Tell `client_id` of this task from now on."""
        if len(self._watched) < MAX_WATCHED:
            self._watched[task_id] = client_id
            self._changed(task_id)

    @contextmanager
    def open(self, client_id: int) -> Iterator[Stream]:
        """The stream of `client_id`, for as long as the block lasts. Raises IdInUse, TooManyStreams."""
        if client_id in self._streams:
            raise IdInUse
        if len(self._streams) >= MAX_STREAMS:
            raise TooManyStreams
        stream = self._streams[client_id] = Stream()
        try:
            yield stream
        finally:
            del self._streams[client_id]

    def _task_changed(self, event: TaskChanged) -> None:
        self._changed(event.task_id)
        if event.state is not TaskState.IN_PROGRESS:
            self._watched.pop(event.task_id, None)
            self._last.pop(event.task_id, None)

    def _changed(self, task_id: int) -> None:
        client_id = self._watched.get(task_id)
        stream = None if client_id is None else self._streams.get(client_id)
        if stream is None:
            return
        try:
            status = self._node.tasks.status(task_id)
        except TaskNotFound:  # it is being cancelled: nothing is told of it any more
            return
        message = status_object(status, self._node.settings.mmrpc_texts)
        # With the space and two line ends of upstream (mm2_net's sse_handler.rs).
        frame = b"data: " + dump({"_type": f"TASK:{task_id}", "message": message}) + b" \n\n"
        if self._last.get(task_id) != frame:
            self._last[task_id] = frame
            stream.push(frame)
