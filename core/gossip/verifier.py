"""A worker process that verifies signatures: `python -m core.gossip.verifier`, frames on stdin, answers on stdout.

It ends when stdin does, so it never outlives the node, however that ended. It holds no secret and opens nothing.

Coincurve's public face takes DER: encoding to it and parsing it again costs 5 % (31.7 us a signature to 30.1 through
the library's low-level calls; 28.1 with the key remembered), which is not worth leaning on what may change.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from functools import lru_cache
from typing import BinaryIO

from coincurve import PublicKey

from core.bolt.gossip import SignedPart
from core.gossip.limits import NODE_KEYS, WORKER_NICENESS
from core.gossip.verify_frames import LENGTH, Verdict, answer, parts

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_NODE_CHECKS = 2
"""An announcement's first two checks, and the only one of an update, are by keys of nodes."""

_node_key = lru_cache(maxsize=NODE_KEYS)(PublicKey)


def judge(part: SignedPart | None) -> Verdict:
    """Verify one record; the first check that fails ends it."""
    if part is None:
        return Verdict.MALFORMED
    for index, (signature, key) in enumerate(part.checks):
        try:
            point = _node_key(key) if index < _NODE_CHECKS else PublicKey(key)
        except ValueError:
            return Verdict.BAD_KEY
        if not point.verify(der(signature), part.digest, None):
            return Verdict.WRONG_SIGNATURE
    return Verdict.VALID


def der(signature: bytes) -> bytes:
    """A compact signature (64 bytes) in DER."""
    r, s = signature[:32].lstrip(b"\0") or b"\0", signature[32:].lstrip(b"\0") or b"\0"
    if r[0] & 0x80:
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    return b"\x30%c\x02%c%b\x02%c%b" % (4 + len(r) + len(s), len(r), r, len(s), s)


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Say that we are ready, then answer each frame, until `source` ends."""
    sink.write(answer([]))
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        body = source.read(length)
        if len(body) < length:
            return
        sink.write(answer([judge(part) for part in parts(body)]))


def main() -> int:
    """The worker's life. The exit code is 0 however the node ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node, which then ends us
    if sys.platform != "win32":  # there whoever starts us says so
        os.nice(WORKER_NICENESS)
    answers = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)  # what a library may print is no answer
    with (
        contextlib.suppress(BrokenPipeError),
        open(_STDIN, "rb", closefd=False) as source,
        open(answers, "wb", buffering=0) as sink,
    ):
        serve(source, sink)
    return 0


if __name__ == "__main__":
    sys.exit(main())
