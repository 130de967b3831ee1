"""A thousand connected peers: memory a peer, the idle share of a core, and what a message costs beside ten.

    python -m tests.benchmarks.thousand [--peers 1000] [--seconds 30] [--rounds 7]

A real `PeerManager` stands in a process of its own and listens; the peers are bare Noise initiators in this one, each
with its own node id, that send init and then read without answering. Memory is the growth of the manager's resident
set (asyncio's sockets included, the kernel's buffers not), the idle share its processor time over `--seconds` without
traffic. Per-message cost is its processor time a message of 60 bytes, sent in turn by every peer, 80 at a time, which
is one full read.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from core.bolt.features import LEYDEN_FEATURES
from core.bolt.keys import NodeKey
from core.bolt.messages import Init
from core.bolt.noise import NoiseConnection
from core.peers.budget import LoopBudget
from tests.benchmarks.support import REGTEST, UNTHROTTLED, manager

ROOT = Path(__file__).parents[2]
PEERS_FEW = 10
MESSAGES = 40_000
_AT_ONCE = 80
_MESSAGE = b"\x00\x07" + bytes(58)
_PAGE_BYTES = resource.getpagesize()


def resident_bytes() -> int:
    """Of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


async def serve(peers: int) -> None:
    """The manager's process: answers each line on stdin with what it has used so far."""
    key, loop = NodeKey.generate(), asyncio.get_running_loop()
    limits = replace(UNTHROTTLED, incoming=peers + 10, unauthenticated=peers, unauthenticated_per_host=peers)
    node = manager(key, LoopBudget(), limits)
    (address,) = await node.listen(["127.0.0.1:0"])
    print(json.dumps({"port": address.port, "id": key.node_id.hex()}), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        gc.collect()
        used = {
            "peers": len(node.peers()),
            "bytes": resident_bytes(),
            "messages": node.messages_in,
            "cpu_s": time.process_time(),
        }
        print(json.dumps(used), flush=True)
    await node.aclose(flush_timeout_s=0)


class Peer(asyncio.Protocol):
    """Connects, says init, and sends when told to."""

    def __init__(self, node_id: bytes, ready: asyncio.Event) -> None:
        self.noise = NoiseConnection.initiator(NodeKey.generate(), node_id)
        self._ready = ready

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.link = cast(asyncio.Transport, transport)
        self.link.write(self.noise.start())

    def data_received(self, data: bytes) -> None:
        if self._ready.is_set():
            return
        answer = self.noise.feed(data)
        if self.noise.handshake_complete:
            init = Init(b"", LEYDEN_FEATURES, (REGTEST.chain_hash,), None).encode()
            self.link.write(answer + self.noise.seal(init))
            self._ready.set()

    def send(self, count: int) -> None:
        self.link.write(b"".join(self.noise.seal_all([_MESSAGE] * count)))


class Served:
    """The manager's process and the peers that are connected to it."""

    async def __aenter__(self) -> Served:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.benchmarks.thousand", "--serve",
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._node = await self._read()
        self.peers: list[Peer] = []
        return self

    async def __aexit__(self, *_error: object) -> None:
        for peer in self.peers:
            peer.link.abort()
        self._process.kill()
        await self._process.wait()

    async def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return cast(dict[str, Any], json.loads(await self._process.stdout.readline()))

    async def used(self) -> dict[str, Any]:
        """What the manager has used so far."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return await self._read()

    async def connect(self, count: int) -> None:
        """Until so many stand, inits done."""
        loop, node_id = asyncio.get_running_loop(), bytes.fromhex(self._node["id"])
        while len(self.peers) < count:
            ready = asyncio.Event()
            peer = Peer(node_id, ready)
            await loop.create_connection(lambda made=peer: made, "127.0.0.1", self._node["port"])
            await ready.wait()
            self.peers.append(peer)
        while (await self.used())["peers"] < count:
            await asyncio.sleep(0.02)

    async def message_cost_us(self, messages: int = MESSAGES) -> float:
        """Processor time of one message; every peer sends in turn."""
        before = await self.used()
        sent = 0
        while sent < messages:
            for peer in self.peers:
                peer.send(_AT_ONCE)
                sent += _AT_ONCE
                if sent % 1_600 == 0:
                    await asyncio.sleep(0)
        while (after := await self.used())["messages"] - before["messages"] < sent:
            await asyncio.sleep(0.05)
        return (after["cpu_s"] - before["cpu_s"]) / sent * 1e6


async def measure(peers: int, seconds: float, rounds: int) -> None:
    """Both sizes stand side by side, so that their rounds can alternate."""
    async with Served() as few, Served() as many:
        await few.connect(PEERS_FEW)
        before = await many.used()
        began = time.perf_counter()
        await many.connect(peers)
        took_s = time.perf_counter() - began
        print(f"{peers} peers connected in {took_s:.1f} s")
        idle = await many.used()
        print(f"memory a peer     {(idle['bytes'] - before['bytes']) / peers / 1000:8.1f} kB   (bar 40)")
        await asyncio.sleep(seconds)
        after = await many.used()
        # The two readings themselves, a collection each, are in the figure.
        share = (after["cpu_s"] - idle["cpu_s"]) / seconds
        print(f"idle share        {share:8.2%} of a core over {seconds:.0f} s   (bar 2 %)")
        costs: dict[int, list[float]] = {PEERS_FEW: [], peers: []}
        for _ in range(rounds):
            costs[PEERS_FEW].append(await few.message_cost_us())
            costs[peers].append(await many.message_cost_us())
        cost = {count: statistics.median(values) for count, values in costs.items()}
        for count, value in cost.items():
            print(f"a message, {count:>5} peers {value:6.2f} us")
        print(f"ratio             {cost[peers] / cost[PEERS_FEW]:8.2f} x   (bar 1.2)")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    files, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(files, 4 * options.peers)), hard))
    if options.serve:
        asyncio.run(serve(options.peers))
    else:
        asyncio.run(measure(options.peers, options.seconds, options.rounds))


if __name__ == "__main__":
    main()
