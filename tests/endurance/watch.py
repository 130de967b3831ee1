"""Asks a node over and over, from a process of its own, and tells how long each answer took.

    python -m tests.endurance.watch SOCKET

Ends when its stdin does; prints the milliseconds of every answer as one JSON list. An answer that does not come within
`DEADLINE_S` ends it with an error.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

DEADLINE_S = 5.0
PAUSE_S = 0.01
REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"getinfo","params":{}}'


def main() -> None:
    """Ask until nobody wants to know any more."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(DEADLINE_S)
        link.connect(sys.argv[1])
        _ask(link)
        print("ready", flush=True)
        answers = [_asked(link)]
        while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
            answers.append(_asked(link))
        print(json.dumps(answers))


def _asked(link: socket.socket) -> float:
    """Milliseconds until the answer was there."""
    began = time.perf_counter()
    _ask(link)
    return (time.perf_counter() - began) * 1e3


def _ask(link: socket.socket) -> None:
    link.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"\n\n"):
        part = link.recv(1 << 16)
        if not part:
            raise ConnectionError("the node closed the RPC connection")
        answer += part


if __name__ == "__main__":
    main()
