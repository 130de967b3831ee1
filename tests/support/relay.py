"""A TCP relay whose two directions a test can hold back, to bring messages of two connections into any order."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Gate:
    """One direction: bytes pass while it is open and wait while it is shut; the end of the stream waits too."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def shut(self) -> None:
        """Hold back what comes from now on."""
        self._open.clear()

    def open(self) -> None:
        """Let everything pass."""
        self._open.set()

    async def passage(self) -> None:
        """Wait until it is open."""
        await self._open.wait()


class Relay:
    """Listens on a port of its own and passes every connection on to `port`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.forth = Gate()
        """From who dialled to who is dialled."""
        self.back = Gate()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, onward_writer]
        for source, sink, gate in ((reader, onward_writer, self.forth), (onward_reader, writer, self.back)):
            task = asyncio.create_task(_pump(source, sink, gate))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, gate: Gate) -> None:
    try:
        while data := await source.read(1 << 16):
            await gate.passage()
            sink.write(data)
            await sink.drain()
        await gate.passage()
        sink.write_eof()
    except OSError:
        sink.transport.abort()
