"""A worker process that verifies signatures: `python -m core.gossip.verifier`, frames on stdin, answers on stdout.

It ends when stdin does, so it never outlives the node, however that ended. It holds no secret and opens nothing.

It calls libsecp256k1 as coincurve's own public face does, but for that face's DER: encoding to it and parsing it again
costs 5 % (31.7 us a signature to 30.1; 28.1 with the key remembered), and these calls are what a full sync waits for.
Coincurve is pinned, so what they lean on does not move by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from functools import lru_cache
from typing import Any, BinaryIO

from coincurve import GLOBAL_CONTEXT
from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found]  # compiled, no types

from core.bolt.gossip import SignedPart
from core.gossip.limits import NODE_KEYS, WORKER_NICENESS
from core.gossip.verify_frames import LENGTH, Verdict, answer, parts

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_NODE_CHECKS = 2
"""An announcement's first two checks, and the only one of an update, are by keys of nodes."""

_CONTEXT: Any = GLOBAL_CONTEXT.ctx
_SIGNATURE: Any = ffi.new("secp256k1_ecdsa_signature *")


def judge(part: SignedPart | None) -> Verdict:
    """Verify one record; the first check that fails ends it."""
    if part is None:
        return Verdict.MALFORMED
    for index, (signature, key) in enumerate(part.checks):
        point = _node_point(key) if index < _NODE_CHECKS else _point(key)
        if point is None:
            return Verdict.BAD_KEY
        # libsecp256k1 takes no r or s outside of the curve's order, and no high s.
        is_signature = lib.secp256k1_ecdsa_signature_parse_compact(_CONTEXT, _SIGNATURE, signature)
        if not (is_signature and lib.secp256k1_ecdsa_verify(_CONTEXT, _SIGNATURE, part.digest, point)):
            return Verdict.WRONG_SIGNATURE
    return Verdict.VALID


def _point(key: bytes) -> Any:
    """Of 33 bytes; None when they are no point of the curve."""
    point = ffi.new("secp256k1_pubkey *")
    return point if lib.secp256k1_ec_pubkey_parse(_CONTEXT, point, key, len(key)) else None


_node_point = lru_cache(maxsize=NODE_KEYS)(_point)


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
