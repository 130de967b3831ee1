"""Numbered messages both ways at once with pyln-proto, past very many keys: none lost, none out of order.

    python -m tests.endurance.rotation [--messages 100000]

A key serves for 500 messages of one direction (BOLT 8), so 100,000 each way are 200 rotations each way. What counts as
arrived is what pyln-proto has in its own log, and what our manager published. The keys that ours ends with are worked
out a second time here, from those it began with. Exit code 1 when a message or a key is not what it has to be.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from core.base.events import PeerConnected
from core.bolt.noise import NoiseConnection
from tests.counterparts import PylnPeer
from tests.interop.ours import CUSTOM, OurNode, number, our_node
from tests.support.peers import until

KEY_SERVES = 500
IN_FLIGHT = 2_000
"""Messages of ours that pyln-proto has not logged yet: who queues all at once measures a queue."""
LONGEST_S = 600.0


@dataclass(frozen=True)
class Cipher:
    """One direction of ours: its chaining key, its key, and what it has been used for."""

    chaining_key: bytes
    key: bytes
    uses: int

    def after(self, messages: int) -> tuple[Cipher, int]:
        """What it has to be so many messages later, by BOLT 8 alone, and after how many rotations."""
        chaining_key, key, uses, rotations = self.chaining_key, self.key, self.uses, 0
        for _ in range(messages):
            if uses == 2 * KEY_SERVES:
                secret = hmac.digest(chaining_key, key, hashlib.sha256)
                chaining_key = hmac.digest(secret, b"\x01", hashlib.sha256)
                key = hmac.digest(secret, chaining_key + b"\x02", hashlib.sha256)
                uses, rotations = 0, rotations + 1
            uses += 2
        return Cipher(chaining_key, key, uses), rotations


def ciphers(noise: NoiseConnection) -> tuple[Cipher, Cipher]:
    """Ours, for sending and receiving."""
    sending, receiving = noise._sending, noise._receiving
    assert sending is not None and receiving is not None
    return (
        Cipher(sending._chaining_key, sending._key, sending.uses),
        Cipher(receiving._chaining_key, receiving._key, receiving.uses),
    )


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    messages: int
    seconds: float
    right_there: int
    """Messages that are in their place in pyln-proto's log."""
    right_here: int
    came_there: int
    came_here: int
    rotations: tuple[int, int]
    """Ours, sending and receiving."""
    keys_are_right: bool

    @property
    def holds(self) -> bool:
        """Whether all arrived, once, in order, under the right keys."""
        counts = {self.right_there, self.right_here, self.came_there, self.came_here}
        return counts == {self.messages} and self.keys_are_right

    def report(self) -> str:
        """A few lines."""
        return (
            f"{self.messages:,} messages each way in {self.seconds:.1f} s\n"
            f"to pyln-proto:   {self.came_there:,} came, {self.right_there:,} in their place, "
            f"{self.rotations[0]} rotations\n"
            f"from pyln-proto: {self.came_here:,} came, {self.right_here:,} in their place, "
            f"{self.rotations[1]} rotations\n"
            f"keys at the end: {'as BOLT 8 makes them' if self.keys_are_right else 'WRONG'}\n"
            f"holds: {'yes' if self.holds else 'NO'}"
        )


async def exchange(messages: int) -> Outcome:
    """All of it, on one connection that we dialled."""
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        async with our_node() as ours, await PylnPeer.start(Path(folder)) as pyln:
            await ours.manager.connect(pyln.node_id, "127.0.0.1", pyln.port)
            await ours.wait_for(PeerConnected)
            await pyln.wait_for(event="message")
            (session,) = ours.manager._sessions
            noise = session.transport.noise
            before, started = ciphers(noise), time.monotonic()
            async with asyncio.timeout(LONGEST_S):
                await asyncio.gather(
                    pyln.command("send_many", type=CUSTOM, count=messages, timeout_s=LONGEST_S),
                    _send(ours, pyln, messages),
                    until(
                        lambda: _lives(ours) and ours.manager.messages_in > messages, LONGEST_S
                    ),  # their init is one more
                )
                last = number(messages - 1).hex()
                await pyln.wait_for(event="message", payload=last, since=pyln.mark - IN_FLIGHT, timeout_s=LONGEST_S)
            seconds = time.monotonic() - started
            right = [one.after(messages) for one in before]
            there = [bytes.fromhex(event["payload"]) for event in pyln.seen(event="message", type=CUSTOM)]
            here = ours.received(CUSTOM)
            return Outcome(
                messages=messages,
                seconds=seconds,
                right_there=_in_place(there),
                right_here=_in_place(here),
                came_there=len(there),
                came_here=len(here),
                rotations=(right[0][1], right[1][1]),
                keys_are_right=[one for one, _ in right] == list(ciphers(noise)),
            )


def _lives(ours: OurNode) -> bool:
    """AssertionError, which ends the run with code 1, once the connection is lost."""
    assert ours.manager.peers(), "the connection was lost"
    return True


async def _send(ours: OurNode, pyln: PylnPeer, messages: int) -> None:
    start = pyln.mark
    for count in range(messages):
        if count % 100 == 0:
            await until(lambda count=count: count - (pyln.mark - start) < IN_FLIGHT, LONGEST_S)  # type: ignore[misc]
        ours.send(pyln.node_id, CUSTOM, number(count))


def _in_place(payloads: list[bytes]) -> int:
    return sum(payload == number(count) for count, payload in enumerate(payloads))


def main() -> int:
    """Print the report; 1 when something is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000, help="each way")
    outcome = asyncio.run(exchange(parser.parse_args().messages))
    print(outcome.report())
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main())
