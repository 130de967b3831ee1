"""BOLT 8: whatever is done to the bytes on the way, only a NoiseError, and never a message that was not sent."""

from __future__ import annotations

import atheris

with atheris.instrument_imports(include=["core"]):
    from core.bolt.keys import NodeKey
    from core.bolt.noise import NoiseConnection, NoiseError

from tests.fuzz.harness import Source, Surprise, fuzz

OURS, THEIRS, OUR_EPHEMERAL, THEIR_EPHEMERAL = (NodeKey(bytes([number]) * 32) for number in (1, 2, 3, 4))
MESSAGES = (b"\x00\x10\x00\x00\x00\x00", b"", b"\x9c\x41hello", bytes(5000), b"\x9c\x41last")
RAW_RESPONDER, RAW_INITIATOR = 0, 1


def try_one(data: bytes) -> None:
    """First byte: raw bytes to either side, or a true conversation with edits."""
    source = Source(data)
    kind = source.byte() % 4
    if kind == RAW_RESPONDER:
        _raw(NoiseConnection.responder(OURS, OUR_EPHEMERAL), source)
    elif kind == RAW_INITIATOR:
        dialling = NoiseConnection.initiator(OURS, THEIRS.node_id, OUR_EPHEMERAL)
        dialling.start()
        _raw(dialling, source)
    else:
        _conversation(source)


def _raw(victim: NoiseConnection, source: Source) -> None:
    size, data = source.byte() + 8, source.rest()
    try:
        for at in range(0, len(data), size):
            victim.feed(data[at : at + size])
        victim.eof()
    except NoiseError:
        return
    if victim.handshake_complete:
        raise Surprise("a handshake out of thin air")


def _conversation(source: Source) -> None:
    """Act one, act three and the messages on their way to a responder, some bytes changed, in pieces of any size."""
    stream = bytearray(STREAM)
    for _ in range(source.byte() % 3):
        at = source.number() % len(stream)
        stream[at] ^= source.byte()
    changed_at = next(
        (at for at, pair in enumerate(zip(stream, STREAM, strict=True)) if pair[0] != pair[1]), len(stream)
    )
    received = _received(bytes(stream), source.number() % 4096 + 8)
    expected = [message for message, end in zip(MESSAGES, ENDS, strict=True) if end <= changed_at]
    if received != expected:
        raise Surprise(f"{len(received)} messages where {len(expected)} came whole; changed at {changed_at}")


def _received(stream: bytes, size: int) -> list[bytes]:
    victim, received = NoiseConnection.responder(OURS, OUR_EPHEMERAL), []
    try:
        for at in range(0, len(stream), size):
            victim.feed(stream[at : at + size])
            while (message := victim.next_message()) is not None:
                received.append(bytes(message))
    except NoiseError:
        pass
    return received


def _true_stream() -> tuple[bytes, list[int]]:
    """All that an honest initiator sends, and where each message ends; the same every time, since the keys are."""
    sender = NoiseConnection.initiator(THEIRS, OURS.node_id, THEIR_EPHEMERAL)
    listener = NoiseConnection.responder(OURS, OUR_EPHEMERAL)
    act_one = sender.start()
    stream = act_one + sender.feed(listener.feed(act_one))
    ends = []
    for message in MESSAGES:
        stream += sender.seal(message)
        ends.append(len(stream))
    return stream, ends


STREAM, ENDS = _true_stream()
CONVERSATION = 2

if __name__ == "__main__":
    untouched, one_byte = bytes([CONVERSATION, 0, 0, 99]), bytes([CONVERSATION, 1, 0, 200, 1, 0, 6])
    act_one = STREAM[:50]
    fuzz(try_one, [untouched, one_byte, bytes([RAW_RESPONDER, 49]) + act_one, bytes([RAW_INITIATOR, 9]) + act_one])
