"""What hostile peers do to a node that listens. Each attack is given a size and ends by itself, at the latest when its
time is over, with all its connections closed; it returns what it came to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from core.bolt.keys import NodeKey
from core.bolt.noise import NoiseConnection
from core.bolt.wire import MAX_MESSAGE_BYTES
from tests.support.raw_peer import RawPeer

HOST = "127.0.0.1"
ACT_ONE_BYTES = 50
_CONNECTING = 50
"""Connections begun at once; more would only fill the backlog."""
_REFUSED = (OSError, EOFError, TimeoutError)
"""What a node that defends itself does to us."""
CUSTOM_ODD = 40_001
PING_FOR_MUCH = b"\x00\x12" + struct.pack(">HH", 65_000, 0)


@dataclass(frozen=True)
class Target:
    """Where the node listens, and until when (`loop.time()`) it may be attacked."""

    node_id: bytes
    port: int
    until: float

    @property
    def over(self) -> bool:
        """Whether the attack's time is up."""
        return asyncio.get_running_loop().time() >= self.until


@dataclass(frozen=True)
class Attack:
    """One way to be hostile; sizes for the suite and for `hostility`."""

    name: str
    unit: str
    run: Callable[[Target, int], Awaitable[int]]
    small: int
    full: int


async def slow_loris(target: Target, size: int) -> int:
    """So many connections, each of which sends its first act a byte at a time."""
    links = await _tcp(target, size)
    act_one = NoiseConnection.initiator(NodeKey.generate(), target.node_id).start()
    step_s = min(0.2, (target.until - asyncio.get_running_loop().time()) / ACT_ONE_BYTES / 2)
    for byte in act_one[:-1]:
        if target.over:
            break
        for link in links:
            if not link.is_closing():
                link.write(bytes([byte]))
        await asyncio.sleep(step_s)  # the attack itself: nothing waits for anything here
    await _close(links)
    return len(links)


async def half_open(target: Target, size: int) -> int:
    """So many connections that say nothing, as many at once as the node lets stand."""
    links = await _tcp(target, size)
    await _close(links)
    return len(links)


async def connects(target: Target, size: int) -> int:
    """So many peers one after the other, each with a node id of its own: handshake, inits, gone."""
    done = 0
    while done < size and not target.over:
        with contextlib.suppress(*_REFUSED):
            async with _established(target):
                done += 1
    return done


async def garbage(target: Target, size: int) -> int:
    """So many peers that send 65,535 random bytes a message as fast as the socket takes them, until time is over."""
    body = os.urandom(MAX_MESSAGE_BYTES - 2)
    return await _flood(target, size, struct.pack(">H", CUSTOM_ODD) + body)


async def pings(target: Target, size: int) -> int:
    """So many peers that send the shortest pings as fast as the socket takes them and throw the answers away."""
    return await _flood(target, size, b"\x00\x12" + bytes(4))


async def random_bytes(target: Target, size: int) -> int:
    """So many rounds of random bytes in place of act one, of act three, and of the first message."""
    done = 0
    while done < size and not target.over:
        for acts in range(3):
            with contextlib.suppress(*_REFUSED):
                await _random_after(target, acts, 1 + int.from_bytes(os.urandom(2)))
        done += 1
    return done


async def never_reading(target: Target, size: int) -> int:
    """So many peers that ask for pongs of 65,000 bytes and read none of them, until time is over."""
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(_established(target)) for _ in range(size)]
        for peer in peers:
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        asked = 0
        with contextlib.suppress(*_REFUSED):
            async with asyncio.timeout_at(target.until):
                while True:
                    asked += sum(_ask_for_much(peer) for peer in peers)
                    await asyncio.sleep(0.005)
        for peer in peers:
            peer.writer.transport.abort()
    return asked


ATTACKS = (
    Attack("slow-loris", "connections", slow_loris, 20, 400),
    Attack("half-open flood", "connections", half_open, 100, 2_000),
    Attack("connects in a row", "connects", connects, 50, 2_000),
    Attack("65,535-byte garbage", "peers", garbage, 16, 16),
    Attack("ping flood", "peers", pings, 4, 16),
    Attack("random bytes after each act", "rounds", random_bytes, 20, 500),
    Attack("never reading", "peers", never_reading, 4, 50),
)


async def _tcp(target: Target, size: int) -> list[asyncio.StreamWriter]:
    """So many connections on which nothing is said; those that the node closes are among them."""
    links: list[asyncio.StreamWriter] = []
    while len(links) < size and not target.over:
        count = min(_CONNECTING, size - len(links))
        opened = await asyncio.gather(
            *(asyncio.open_connection(HOST, target.port) for _ in range(count)), return_exceptions=True
        )
        made = [link[1] for link in opened if not isinstance(link, BaseException)]
        if not made:
            break
        links += made
    return links


async def _close(links: list[asyncio.StreamWriter]) -> None:
    for link in links:
        link.close()
    for link in links:
        with contextlib.suppress(OSError):
            await link.wait_closed()


@contextlib.asynccontextmanager
async def _established(target: Target) -> AsyncIterator[RawPeer]:
    """A peer past its inits."""
    async with RawPeer.dialled(NodeKey.generate(), target.node_id, HOST, target.port) as peer:
        await peer.exchange_init()
        yield peer


async def _flood(target: Target, size: int, message: bytes) -> int:
    """Bytes that the node took of so many peers, each sending the same message without end."""
    return sum(await asyncio.gather(*(_flood_one(target, message) for _ in range(size))))


async def _flood_one(target: Target, message: bytes) -> int:
    count, taken = max(1, MAX_MESSAGE_BYTES // (len(message) + 34)), 0
    with contextlib.suppress(*_REFUSED):
        async with _established(target) as peer, asyncio.timeout_at(target.until):
            discarding = asyncio.create_task(_discard(peer))
            try:
                while True:
                    piece = b"".join(peer.noise.seal(message) for _ in range(count))
                    peer.writer.write(piece)
                    await peer.writer.drain()
                    taken += len(piece)
            finally:
                discarding.cancel()
                peer.writer.transport.abort()
    return taken


async def _discard(peer: RawPeer) -> None:
    while await peer.reader.read(1 << 16):
        pass


async def _random_after(target: Target, acts: int, length: int) -> None:
    async with (
        RawPeer.dialled(NodeKey.generate(), target.node_id, HOST, target.port, handshake=acts == 2) as peer,
        asyncio.timeout_at(target.until),
    ):
        if acts == 1:
            peer.writer.write(peer.noise.start())
            await peer.reader.readexactly(ACT_ONE_BYTES)
        peer.writer.write(os.urandom(length + MAX_MESSAGE_BYTES))
        peer.writer.write_eof()
        await _discard(peer)


def _ask_for_much(peer: RawPeer) -> int:
    if peer.writer.transport.get_write_buffer_size() > 1 << 16:
        return 0
    peer.writer.write(peer.noise.seal(PING_FOR_MUCH))
    return 1
