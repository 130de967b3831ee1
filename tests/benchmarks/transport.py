"""Messages a second through our transport over loopback, both ends in one thread, beside the bare AEAD calls.

    python -m tests.benchmarks.transport [--seconds 1.0] [--rounds 5]

Rows are medians of interleaved rounds on asyncio's own loop, by the process's own processor time: on an idle machine
that is the wall clock, on a shared one it is what can be compared. `bare` seals and opens one message with the two
AEAD calls each way that BOLT 8 asks for, and nothing else; `transport` hands every message to an owner that counts;
`session` is two whole peer managers, from `send` to the handler's table, with messages that are ignored there.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import struct
import time
from collections.abc import Awaitable, Callable

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from core.base.clock import SystemClock
from core.base.events import EventBus
from core.bolt.keys import NodeKey
from core.bolt.networks import NETWORKS
from core.bolt.noise import NoiseConnection, NoiseError
from core.peers.budget import LoopBudget
from core.peers.limits import Limits
from core.peers.manager import PeerManager
from core.peers.transport import Transport
from core.peers.values import SavedPeer

SIZES = (60, 430, 65_535)
_BATCH = 64
_IGNORED_TYPE = b"\x02\x01"
"""`onion_message`, which a node that does not offer to relay any lets pass at any length."""


class _Counts:
    """A transport's owner that only counts."""

    def __init__(self) -> None:
        self.count = 0
        self.ready = asyncio.Event()

    def opened(self) -> None:
        return None

    def authenticated(self) -> None:
        self.ready.set()

    def received(self, message: bytes) -> None:
        self.count += 1

    def noise_failed(self, error: NoiseError) -> None:
        raise error

    def crashed(self, error: Exception) -> None:
        raise error

    def not_reading(self) -> None:
        raise RuntimeError("not reading")

    def lost(self, error: BaseException | None) -> None:
        self.ready.set()


class _Book:
    async def saved(self) -> list[SavedPeer]:
        return []

    async def remember(self, node_id: bytes, address: object) -> None:
        return None

    async def forget(self, node_id: bytes) -> None:
        return None

    async def addresses(self, node_id: bytes) -> list[object]:
        return []

    def state_of(self, node_id: bytes) -> str | None:
        return None


async def bare(size: int, seconds: float) -> float:
    """Two seals and two opens a message, one AEAD object a direction, nonces made beforehand."""
    sender, receiver = ChaCha20Poly1305(bytes(32)), ChaCha20Poly1305(bytes(32))
    nonces = [struct.pack("<4xQ", count) for count in range(1000)]
    header, body = struct.pack(">H", size), bytes(size)
    count, began = 0, time.process_time()
    while (elapsed := time.process_time() - began) < seconds:
        for at in range(0, 2 * _BATCH, 2):
            first = sender.encrypt(nonces[at], header, None)
            second = sender.encrypt(nonces[at + 1], body, None)
            receiver.decrypt(nonces[at], first, None)
            receiver.decrypt(nonces[at + 1], second, None)
        count += _BATCH
    return count / elapsed


async def transport(size: int, seconds: float) -> float:
    """Two transports, nothing above them."""
    loop, budget, clock = asyncio.get_running_loop(), LoopBudget(), SystemClock()
    alice, bob = NodeKey.generate(), NodeKey.generate()
    sending, counting = _Counts(), _Counts()
    receiver = Transport(NoiseConnection.responder(bob), counting, budget, Limits(), clock)
    server = await loop.create_server(lambda: receiver, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = Transport(NoiseConnection.initiator(alice, bob.node_id), sending, budget, Limits(), clock)
    await loop.create_connection(lambda: sender, "127.0.0.1", port)
    await sending.ready.wait()
    await counting.ready.wait()
    rate = await _rate(sender, lambda: counting.count, bytes(size), seconds)
    sender.abort()
    receiver.abort()
    server.close()
    await asyncio.sleep(0)
    return rate


async def session(size: int, seconds: float) -> float:
    """Two managers, a message type that the receiving one looks up and lets pass."""
    budget = LoopBudget()
    managers = [
        PeerManager(
            key=NodeKey.generate(),
            network=NETWORKS["regtest"],
            bus=EventBus(),
            clock=SystemClock(),
            budget=budget,
            book=_Book(),  # type: ignore[arg-type]
            channels=_Book(),
        )
        for _ in range(2)
    ]
    (address,) = await managers[1].listen(["127.0.0.1:0"])
    await managers[0].connect(managers[1]._key.node_id, address.host, address.port)
    (sender,) = managers[0]._sessions
    message = _IGNORED_TYPE + bytes(size - 2)
    rate = await _rate(sender.transport, lambda: managers[1].messages_in, message, seconds)
    for manager in managers:
        await manager.aclose()
    return rate


async def _rate(sender: Transport, received: Callable[[], int], message: bytes, seconds: float) -> float:
    send = sender.send
    first, began = received(), time.process_time()
    sent = 0
    while time.process_time() - began < seconds:
        for _ in range(max(1, min(_BATCH, 256_000 // len(message)))):
            send(message)
            sent += 1
        if sender.peer_is_slow:
            await sender.writable()
        await asyncio.sleep(0)
    while received() - first < sent:
        await asyncio.sleep(0)
    return sent / (time.process_time() - began)


ROWS: dict[str, Callable[[int, float], Awaitable[float]]] = {"bare": bare, "transport": transport, "session": session}


def measured(size: int, seconds: float, rounds: int) -> dict[str, float]:
    """Median messages a second of each row."""
    rates: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(rounds):
        for name, row in ROWS.items():
            gc.collect()
            rates[name].append(asyncio.run(row(size, seconds)))
    return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    options = parser.parse_args()
    print(f"{'bytes':>6} {'row':>10} {'messages/s':>12} {'of bare':>8}")
    for size in options.sizes:
        rates = measured(size, options.seconds, options.rounds)
        for name, rate in rates.items():
            print(f"{size:>6} {name:>10} {rate:>12,.0f} {rate / rates['bare']:>8.2f}")


if __name__ == "__main__":
    main()
