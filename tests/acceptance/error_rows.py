"""The error rows of `connect`, `disconnect` and `sendcustommsg` that need no channel, as Core Lightning answers them.

Read from its sources and seen on a running node (v26.06.6, production mode). Where it crashes or wraps a number
around, the row holds the evident error instead; those rows are marked `safer`.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from tests.acceptance.program import InstalledLeyden
from tests.counterparts import PylnPeer

_BAD = "invalid token (see logs for details)"
_INTERNAL = (
    "Cannot send messages of type {} ({}). It is not possible to send messages that have a type managed internally "
    "since that might cause issues with the internal state tracking."
)
_EVEN = (
    "Cannot send even-typed {} custom message. Currently custom messages are limited to odd-numbered message types, "
    "as even-numbered types might result in disconnections."
)
_WRAPS = "CLN takes the port modulo 65536 and dials 4464"
_CRASHES = "CLN takes it for an empty message, or one without a type, and crashes or sends it"
_SENDS_EVEN = "CLN sends it since v23.11 and the peer may close; the man page that Leyden follows refuses it by default"
STRANGER = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
"""The curve's generator: a valid id that nobody answers to here."""


@dataclass(frozen=True, slots=True)
class Row:
    """A request and the error object that answers it."""

    method: str
    params: Any
    code: int
    message: str
    safer: str = ""
    """Where Core Lightning does worse: what it does."""

    @property
    def expected(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message}


async def error_rows(leyden: InstalledLeyden, pyln: PylnPeer) -> list[Row]:
    """All rows; `pyln` is connected by this, and is the one connected peer."""
    await leyden.call("connect", pyln.node_id.hex(), "127.0.0.1", pyln.port)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = probe.getsockname()[1]
    return [*_connect_rows(pyln.port, closed), *_disconnect_rows(pyln.node_id.hex()), *_custom_rows(pyln.node_id.hex())]


def _connect_rows(wrong_key_port: int, closed_port: int) -> list[Row]:
    twice = "as both xxx@yyy and separate argument"
    return [
        Row("connect", [], -32602, "missing required parameter: id"),
        Row("connect", ["02ab"], -32602, f"id: should be a node id: {_BAD}"),
        Row("connect", ["02" + "ff" * 32], -32602, f"id: should be a node id: {_BAD}"),
        Row("connect", [STRANGER + "@127.0.0.1:1", "127.0.0.1"], -32602, f"Can't specify host {twice}"),
        Row("connect", {"host": "127.0.0.1", "id": STRANGER + "@127.0.0.1"}, -32602, f"Can't specify host {twice}"),
        Row(
            "connect",
            {"id": STRANGER + "@127.0.0.1:1", "port": 5},
            -32602,
            "Can't specify port as both xxx@yyy:port and separate argument",
        ),
        Row("connect", [STRANGER + "@[::1"], -32602, "malformed host @part"),
        Row("connect", [STRANGER + "@127.0.0.1:0"], -32602, "malformed host @part"),
        Row("connect", [STRANGER + "@127.0.0.1:70000"], -32602, "malformed host @part", safer=_WRAPS),
        Row("connect", [STRANGER, "127.0.0.1", 0], -32602, f"port: should be non-zero: {_BAD}"),
        Row("connect", [STRANGER, "127.0.0.1", 70000], -32602, f"port: should be a 16-bit integer: {_BAD}"),
        Row("connect", {"id": STRANGER, "port": 9735}, -32602, "Can't specify port without host"),
        Row("connect", [STRANGER, "", 9735], -1, "Host :9735 not a simple type"),
        Row("connect", [STRANGER, "autotor:127.0.0.1"], -1, "Host autotor:127.0.0.1:19846 not a simple type"),
        Row("connect", [STRANGER, "127.0.0.1:"], -1, "Host 127.0.0.1::19846 not valid: Name or service not known"),
        Row(
            "connect",
            [STRANGER, "expyuzz4wqqyqhjn.onion"],
            -1,
            "Host expyuzz4wqqyqhjn.onion:19846 not valid: Invalid Tor address",
        ),
        Row(
            "connect",
            [STRANGER, "/" + "x" * 108],
            -1,
            f"Host /{'x' * 108}:19846 not valid: Socket name too long",
        ),
        Row(
            "connect",
            [STRANGER, "dns:127.0.0.1"],
            -1,
            "Host dns:127.0.0.1:19846 not valid: dns: must be followed by a name",
        ),
        Row(
            "connect",
            [STRANGER, "127.0.0.1:70000"],
            -1,
            "Host 127.0.0.1:70000:19846 not valid: port 70000 is not between 1 and 65535",
            safer=_WRAPS,
        ),
        Row("connect", [STRANGER], 400, "Unable to connect, no address known for peer"),
        Row(
            "connect",
            [STRANGER, "127.0.0.1", closed_port],
            401,
            f"All addresses failed: 127.0.0.1:{closed_port}: Connection establishment: Connection refused. ",
        ),
        Row("connect", [STRANGER, "a", 1, 2], -32602, "too many parameters: got 4, expected 3"),
        Row(
            "connect",
            {"id": STRANGER, "nonsense": 1},
            -32602,
            "unknown parameter: nonsense, this may be caused by a failure to autodetect key=value-style parameters. "
            "Please try using the -k flag and explicit key=value pairs of parameters.",
        ),
    ]


def _disconnect_rows(connected: str) -> list[Row]:
    return [
        Row("disconnect", [], -32602, "missing required parameter: id"),
        Row("disconnect", ["02ab"], -32602, f"id: invalid peer id: {_BAD}"),
        Row("disconnect", [STRANGER], -32602, f"Unknown peer '{STRANGER}'"),
        Row("disconnect", [connected, "true"], -32602, f"force: should be 'true' or 'false': {_BAD}"),
    ]


def _custom_rows(connected: str) -> list[Row]:
    sized = f"msg: should be a hex value of 2 to 65535 bytes: {_BAD}"
    return [
        Row("sendcustommsg", ["02ab", "9c41"], -32602, f"node_id: should be a node id: {_BAD}"),
        Row("sendcustommsg", [connected, "xyz"], -32602, f"msg: should be a hex value: {_BAD}", safer=_CRASHES),
        Row("sendcustommsg", [connected, ""], -32602, sized, safer=_CRASHES),
        Row("sendcustommsg", [connected, "9c"], -32602, sized, safer=_CRASHES),
        Row("sendcustommsg", [connected, "9c41" + "00" * 65_534], -32602, sized, safer=_CRASHES),
        Row("sendcustommsg", [STRANGER, "0012"], -32600, _INTERNAL.format(18, "WIRE_PING")),
        Row("sendcustommsg", [STRANGER, "0089"], -32600, _INTERNAL.format(137, "WIRE_UPDATE_BLOCKHEIGHT")),
        Row("sendcustommsg", [STRANGER, "0201"], -32600, _INTERNAL.format(513, "WIRE_ONION_MESSAGE")),
        Row("sendcustommsg", [STRANGER, "a864"], -32600, _EVEN.format(43108), safer=_SENDS_EVEN),
        Row("sendcustommsg", [STRANGER, "9c41"], -32600, f"No such peer: {STRANGER}"),
    ]
