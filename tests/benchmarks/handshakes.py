"""Handshakes a second with TCP connect, both sides in one thread, beside Electrum's and the bare cryptography.

    python -m tests.benchmarks.handshakes [--seconds 1.0] [--rounds 7]

Medians of interleaved rounds by processor time. `bare` is what Noise_XK asks of both sides together and nothing else:
two ephemeral keys with their public points, six Diffie-Hellmans, eight key derivations, eight AEAD calls, twelve
hashes. `ours` is two transports from TCP connect to both sides authenticated, then dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from functools import partial
from hashlib import sha256

from coincurve import PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.base.clock import SystemClock
from core.bolt.keys import NodeKey
from core.bolt.noise import NoiseConnection
from core.peers.budget import LoopBudget
from core.peers.limits import Limits
from core.peers.transport import Transport
from tests.benchmarks import electrum
from tests.benchmarks.support import Counting, Row, interleaved, told


async def bare(seconds: float) -> float:
    """The calls alone."""
    static = PrivateKey()
    point, nonce, text = static.public_key.format(), bytes(12), bytes(33)
    count, began = 0, time.process_time()
    while (elapsed := time.process_time() - began) < seconds:
        for _ in range(2):
            PrivateKey().public_key.format()
        for _ in range(6):
            secret = static.ecdh(point)
        for _ in range(8):
            HKDF(algorithm=SHA256(), length=64, salt=secret, info=b"").derive(secret)
        for _ in range(4):
            sealed = ChaCha20Poly1305(secret).encrypt(nonce, text, secret)
            ChaCha20Poly1305(secret).decrypt(nonce, sealed, secret)
        for _ in range(12):
            sha256(sealed).digest()
        count += 1
    return count / elapsed


async def ours(seconds: float) -> float:
    """Transports that connect, shake hands and are dropped, one pair after the other."""
    loop, budget, clock, limits = asyncio.get_running_loop(), LoopBudget(), SystemClock(), Limits()
    alice, bob = NodeKey.generate(), NodeKey.generate()
    accepted: list[tuple[Transport, Counting]] = []

    def accept() -> Transport:
        owner = Counting()
        accepted.append((Transport(NoiseConnection.responder(bob), owner, budget, limits, clock), owner))
        return accepted[-1][0]

    server = await loop.create_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    count, began = 0, time.process_time()
    while (elapsed := time.process_time() - began) < seconds:
        owner = Counting()
        dialled = Transport(NoiseConnection.initiator(alice, bob.node_id), owner, budget, limits, clock)
        await loop.create_connection(lambda made=dialled: made, "127.0.0.1", port)
        await owner.ready.wait()
        link, other = accepted.pop()
        await other.ready.wait()
        dialled.abort()
        link.abort()
        count += 1
    server.close()
    await asyncio.sleep(0)
    return count / elapsed


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    rows: dict[str, Row] = {"bare": partial(bare, options.seconds)}
    if electrum.load() is not None:
        rows["electrum"] = partial(electrum.handshakes, options.seconds)
    rows["ours"] = partial(ours, options.seconds)
    print(told("handshakes", interleaved(rows, options.rounds)))


if __name__ == "__main__":
    main()
