"""A peer in a process of its own that feeds a node with gossip that never ends.

    python -m tests.acceptance.gossip_feeder SEED CHANNELS

It takes lines `PORT NODE_ID` and dials that node; says `feeding` once inits are exchanged, and `gone` when the node is.
What it sends is validly signed: channels it has not told yet, each with its updates and nodes, and between them newer
updates of those it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import Iterator
from types import TracebackType

from core.bolt.gossip import NodeAnnouncement
from core.bolt.keys import NodeKey
from tests.acceptance.gossip_part import TODAY
from tests.counterparts.process import REPOSITORY
from tests.support.network import make_network
from tests.support.raw_peer import RawPeer

OLDEST = 10 * 86_400
"""How long ago updates begin; a node takes none of two weeks ago."""
_AT_ONCE = 16
_NEWER_A_CHANNEL = 4
_START_S = 60.0


class Feed:
    """Messages without end, the same for the same seed."""

    def __init__(self, seed: int, channels: int) -> None:
        self._network = make_network(seed, channels, now_s=TODAY)
        self._chance = random.Random(seed)
        self._told = 0
        self._stamp = TODAY - OLDEST
        announced = map(NodeAnnouncement.decode, self._network.node_announcements)
        self._nodes = dict(zip((one.node_id for one in announced), self._network.node_announcements, strict=True))

    def __iter__(self) -> Iterator[bytes]:
        """Goes on where it was."""
        while True:
            if self._told < len(self._network.channel_announcements):
                yield from self._channel(self._told)
                self._told += 1
            for _ in range(_NEWER_A_CHANNEL):
                yield self._update(self._chance.randrange(self._told), self._chance.randrange(2))

    def _channel(self, number: int) -> Iterator[bytes]:
        yield self._network.channel_announcements[number]
        for direction in (0, 1):
            yield self._update(number, direction)
            node = self._nodes.pop(self._network.signers[2 * number + direction], None)
            if node is not None:
                yield node

    def _update(self, channel: int, direction: int) -> bytes:
        self._stamp += 1
        return self._network.update(channel, direction, timestamp=self._stamp)


class Feeder:
    """The process, from outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, seed: int, channels: int) -> Feeder:
        command = (sys.executable, "-m", "tests.acceptance.gossip_feeder", str(seed), str(channels))
        pipe = asyncio.subprocess.PIPE
        self = cls(await asyncio.create_subprocess_exec(*command, cwd=REPOSITORY, stdin=pipe, stdout=pipe))
        await self._said("ready")
        return self

    async def feed(self, port: int, node_id: bytes) -> None:
        """Returns once it feeds that node."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{port} {node_id.hex()}\n".encode())
        await self._said("feeding")

    async def gone(self) -> None:
        """Returns once the node that it fed is gone."""
        await self._said("gone")

    async def _said(self, wanted: str) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_S):
            said = (await self._process.stdout.readline()).decode().strip()
        assert said == wanted, f"the feeder said {said!r}, not {wanted!r}"

    async def __aenter__(self) -> Feeder:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()


async def _feed(feed: Iterator[bytes], port: int, node_id: bytes) -> None:
    async with RawPeer.dialled(NodeKey.generate(), node_id, "127.0.0.1", port) as peer:
        await peer.exchange_init()
        print("feeding", flush=True)
        reading = asyncio.create_task(peer.receive_all())
        with contextlib.suppress(OSError, TimeoutError):
            while not reading.done():
                await peer.send(*(next(feed) for _ in range(_AT_ONCE)))
                await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])


async def _serve(seed: int, channels: int) -> None:
    feed = iter(Feed(seed, channels))
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        port, node_id = line.split()
        with contextlib.suppress(OSError, TimeoutError):
            await _feed(feed, int(port), bytes.fromhex(node_id))
        print("gone", flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
