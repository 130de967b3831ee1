"""A peer that does exactly what a test says: BOLT 8 over asyncio streams, and whatever messages it is told to send.

async with RawPeer.dialled(key, node_id, "127.0.0.1", port) as peer:
    await peer.exchange_init()
    await peer.send(b"\\x94\\x19hello")
    assert await peer.receive() == ...

async with RawListener(key) as listener:      # node dials listener.port
    peer = await listener.accept()
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from types import TracebackType

from core.bolt.features import LEYDEN_FEATURES
from core.bolt.keys import NodeKey
from core.bolt.messages import Init
from core.bolt.networks import NETWORKS
from core.bolt.noise import NoiseConnection

WAIT_S = 30.0
"""How long anything here is waited for before the test fails."""

_READ_BYTES = 1 << 16


class RawPeer:
    """One connection past act three (or before, when a test stops the handshake)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, noise: NoiseConnection) -> None:
        self.reader = reader
        self.writer = writer
        self.noise = noise

    @classmethod
    @contextlib.asynccontextmanager
    async def dialled(
        cls, key: NodeKey, node_id: bytes, host: str, port: int, *, handshake: bool = True
    ) -> AsyncIterator[RawPeer]:
        """Dial a node; without `handshake` only the TCP connection is made and nothing is sent."""
        reader, writer = await asyncio.open_connection(host, port)
        peer = cls(reader, writer, NoiseConnection.initiator(key, node_id))
        try:
            if handshake:
                await peer.shake_hands()
            yield peer
        finally:
            await peer.close()

    async def shake_hands(self) -> None:
        """All three acts, either side; ConnectionError when the other end closes, NoiseError when it is wrong."""
        self.writer.write(self.noise.start())
        while not self.noise.handshake_complete:
            data = await self._read()
            if not data:
                raise ConnectionError("closed during the handshake")
            self.writer.write(self.noise.feed(data))
        await self.writer.drain()

    async def send(self, *messages: bytes) -> None:
        """Seal and write messages, their type bytes included, all in one piece."""
        await self.send_raw(b"".join(self.noise.seal(message) for message in messages))

    async def send_raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)
        async with asyncio.timeout(WAIT_S):
            await self.writer.drain()

    async def receive(self) -> bytes | None:
        """The next message; None when the other end has closed, and then we close as well."""
        while True:
            message = self.noise.next_message()
            if message is not None:
                return message
            try:
                data = await self._read()
            except ConnectionError:
                data = b""
            if not data:
                self.writer.close()
                return None
            self.noise.feed(data)

    async def receive_all(self) -> list[bytes]:
        """Every message until the other end closes; TimeoutError when it does not."""
        messages = []
        while (message := await self.receive()) is not None:
            messages.append(message)
        return messages

    async def send_init(self) -> None:
        """Send our init; theirs was taken before."""
        await self.send(regtest_init().encode())

    async def exchange_init(self, init: Init | None = None) -> Init:
        """Send an init (by default one like our own on regtest) and take theirs."""
        await self.send((init or regtest_init()).encode())
        theirs = await self.receive()
        assert theirs is not None, "closed instead of sending init"
        return Init.decode(theirs)

    async def pong_after(self) -> list[bytes]:
        """What the node sends before it answers a ping of ours: proof that it has seen all we sent, and is alive."""
        mark = 7  # bytes of pong that nothing else asks for
        await self.send(b"\x00\x12" + struct.pack(">HH", mark, 0))
        before = []
        while True:
            message = await self.receive()
            assert message is not None, f"closed instead of a pong, after {before!r}"
            if message == b"\x00\x13" + struct.pack(">H", mark) + bytes(mark):
                return before
            before.append(message)

    async def close(self) -> None:
        """Close in order."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def reset(self) -> None:
        """Close so that the other end sees a reset."""
        link: socket.socket = self.writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        await asyncio.sleep(0)

    async def _read(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            return await self.reader.read(_READ_BYTES)


class RawListener:
    """Listens on loopback for a node to dial; each connection waits in `accept`."""

    def __init__(self, key: NodeKey | None = None, host: str = "127.0.0.1") -> None:
        self.key = key or NodeKey.generate()
        self.host = host
        self.port = 0
        self._server: asyncio.Server | None = None
        self._waiting: asyncio.Queue[RawPeer] = asyncio.Queue()
        self._peers: list[RawPeer] = []

    @property
    def node_id(self) -> bytes:
        """Who answers here."""
        return self.key.node_id

    async def accept(self, *, handshake: bool = True) -> RawPeer:
        """The next connection, its handshake done unless told otherwise."""
        async with asyncio.timeout(WAIT_S):
            peer = await self._waiting.get()
        if handshake:
            await peer.shake_hands()
        return peer

    async def __aenter__(self) -> RawListener:
        self._server = await asyncio.start_server(self._connected, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        asyncio.get_running_loop().remove_reader(self._server.sockets[0].fileno())
        for _ in range(5):
            await asyncio.sleep(0)  # what is being accepted arrives, or asyncio would leave it open
        self._server.close()
        for peer in self._peers:
            await peer.close()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = RawPeer(reader, writer, NoiseConnection.responder(self.key))
        self._peers.append(peer)
        self._waiting.put_nowait(peer)


def regtest_init(features: bytes = LEYDEN_FEATURES) -> Init:
    """An init that our node accepts."""
    return Init(b"", features, (NETWORKS["regtest"].chain_hash,))
