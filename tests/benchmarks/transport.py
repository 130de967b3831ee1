"""Messages a second over loopback, both ends in one thread, beside Electrum's transport and the bare AEAD calls.

    python -m tests.benchmarks.transport [--seconds 1.0] [--rounds 7] [--sizes 60 430 65535] [--qt]

Rows are medians of interleaved rounds on asyncio's own loop, by the process's own processor time: on an idle machine
that is the wall clock, on a shared one it is what can be compared. `bare` seals and opens one message with the two
AEAD calls each way that BOLT 8 asks for, and nothing else; `electrum` is Electrum's `lntransport` (see `electrum.py`);
`transport` is ours and hands every message to an owner that counts; `session` is two whole peer managers, from `send`
to the handler's table, with messages that are ignored there. `--qt` adds `transport` in the window's loop.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from core.base.clock import SystemClock
from core.bolt.keys import NodeKey
from core.bolt.noise import NoiseConnection
from core.peers.budget import LoopBudget
from core.peers.limits import Limits
from core.peers.transport import Transport
from tests.benchmarks import electrum
from tests.benchmarks.support import Counting, Row, batch_of, interleaved, manager, told

SIZES = (60, 430, 65_535)
_IGNORED_TYPE = b"\x00\x07"
"""`peer_storage`, which a node that keeps nothing for others lets pass at any length."""


async def bare(size: int, seconds: float) -> float:
    """Two seals and two opens a message, one AEAD object a direction, nonces made beforehand."""
    sender, receiver = ChaCha20Poly1305(bytes(32)), ChaCha20Poly1305(bytes(32))
    nonces = [struct.pack("<4xQ", count) for count in range(1000)]
    header, body, batch = struct.pack(">H", size), bytes(size), batch_of(size)
    count, began = 0, time.process_time()
    while (elapsed := time.process_time() - began) < seconds:
        for at in range(0, 2 * batch, 2):
            first = sender.encrypt(nonces[at], header, None)
            second = sender.encrypt(nonces[at + 1], body, None)
            receiver.decrypt(nonces[at], first, None)
            receiver.decrypt(nonces[at + 1], second, None)
        count += batch
    return count / elapsed


async def transport(size: int, seconds: float) -> float:
    """Two transports, nothing above them."""
    loop, budget, clock = asyncio.get_running_loop(), LoopBudget(), SystemClock()
    alice, bob = NodeKey.generate(), NodeKey.generate()
    sending, counting = Counting(), Counting()
    receiver = Transport(NoiseConnection.responder(bob), counting, budget, Limits(), clock)
    server = await loop.create_server(lambda: receiver, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = Transport(NoiseConnection.initiator(alice, bob.node_id), sending, budget, Limits(), clock)
    await loop.create_connection(lambda: sender, "127.0.0.1", port)
    await sending.ready.wait()
    await counting.ready.wait()
    rate = await messages_a_second(sender, lambda: counting.count, bytes(size), seconds)
    sender.abort()
    receiver.abort()
    await sending.gone.wait()
    await counting.gone.wait()
    server.close()
    return rate


async def session(size: int, seconds: float) -> float:
    """Two managers, a message type that the receiving one looks up and lets pass."""
    budget, key = LoopBudget(), NodeKey.generate()
    caller, called = manager(NodeKey.generate(), budget), manager(key, budget)
    (address,) = await called.listen(["127.0.0.1:0"])
    await caller.connect(key.node_id, address.host, address.port)
    (sender,) = caller._sessions
    message = _IGNORED_TYPE + bytes(size - 2)
    rate = await messages_a_second(sender.transport, lambda: called.messages_in, message, seconds)
    await caller.aclose()
    await called.aclose()
    return rate


async def messages_a_second(sender: Transport, received: Callable[[], int], message: bytes, seconds: float) -> float:
    """Send for so many seconds of processor time, then wait until all has arrived."""
    send, batch = sender.send, batch_of(len(message))
    first, sent, began = received(), 0, time.process_time()
    while time.process_time() - began < seconds:
        for _ in range(batch):
            send(message)
        sent += batch
        if sender.peer_is_slow:
            await sender.writable()
        await asyncio.sleep(0)
    while received() - first < sent:
        await asyncio.sleep(0)
    return sent / (time.process_time() - began)


def in_qt(size: int, seconds: float) -> Callable[[], Any]:
    """`transport` in the window's loop, run to its end from within the row."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QApplication

    from gui.loop import LeydenLoop

    qt = QApplication.instance() or QApplication(["transport"])

    def run() -> float:
        with asyncio.Runner(loop_factory=lambda: LeydenLoop(qt)) as runner:  # type: ignore[arg-type]
            return runner.run(transport(size, seconds))

    return run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--qt", action="store_true", help="also in the window's loop")
    options = parser.parse_args()
    for size in options.sizes:
        rows: dict[str, Row] = {"bare": partial(bare, size, options.seconds)}
        if electrum.load() is not None:
            rows["electrum"] = partial(electrum.transport, size, options.seconds)
        rows["transport"] = partial(transport, size, options.seconds)
        rows["session"] = partial(session, size, options.seconds)
        others = {"qt transport": in_qt(size, options.seconds)} if options.qt else {}
        print(told(f"{size} bytes", interleaved(rows, options.rounds, others)), flush=True)


if __name__ == "__main__":
    main()
