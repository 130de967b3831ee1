"""A table of every error of connect, disconnect, sendcustommsg and of the JSON-RPC itself: CLN's answer beside ours.

    python -m tests.acceptance.error_table        Markdown on stdout; exit code 1 when a row is neither equal nor safer

Ours are asked of the installed `leyden --headless`, which dials real sockets on loopback; channel records are put into
its database before it starts. One row is a peer that stays silent for CLN's 60 s, so a run takes a little longer.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.bolt.keys import NodeKey
from core.channels.states import ChannelState
from tests.acceptance.channel_records import put_channels
from tests.acceptance.error_failures import connect_failures
from tests.acceptance.error_limits import limit_failures
from tests.acceptance.error_rows import STRANGER, error_rows
from tests.acceptance.program import InstalledLeyden
from tests.counterparts import PylnPeer

_LONGEST_CELL = 110
_ID = re.compile(r"\b(0[23][0-9a-f]{6})[0-9a-f]{58}\b")
"""Of a node; the table shows how it begins."""
_NORMAL = "Peer has (at least one) channel in state CHANNELD_NORMAL"
_BAD = "invalid token (see logs for details)"
_NO_JSONRPC = "JSON-RPC message does not contain \"jsonrpc\" field: '{}'"
_UNKNOWN = (
    "unknown parameter: x, this may be caused by a failure to autodetect key=value-style parameters. Please try using "
    "the -k flag and explicit key=value pairs of parameters."
)

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    section: str
    request: str
    theirs: Answer
    """CLN's error object; where `safer` says what CLN does, the evident one instead."""
    ours: Answer
    safer: str = ""

    @property
    def verdict(self) -> str:
        if self.ours != self.theirs:
            return "**differs**"
        return f"safer: {self.safer}" if self.safer else "equal"

    def markdown(self) -> str:
        theirs = "see last column" if self.safer else _answer(self.theirs)
        request = _cut(_short(self.request))
        cells = (self.section, f"`{request}`", _short(theirs), _short(_answer(self.ours)), self.verdict)
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _answer(answer: Answer) -> str:
    return f"{answer.get('code')} `{answer.get('message')}`" if "message" in answer else f"`{json.dumps(answer)}`"


def _short(text: str) -> str:
    return _ID.sub(r"\1…", text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "..."


def _error(code: int, message: str) -> Answer:
    return {"code": code, "message": message}


async def _raw(leyden: InstalledLeyden, sent: str) -> Answer:
    """The error that answers these bytes; the connection is ours alone."""
    reader, writer = await asyncio.open_unix_connection(str(leyden.socket), limit=1 << 24)
    try:
        writer.write(sent.encode())
        async with asyncio.timeout(30):
            reply = json.loads(await reader.readuntil(b"\n\n"))
    finally:
        writer.close()
        await writer.wait_closed()
    return dict(reply.get("error", reply))


def _requests() -> list[tuple[str, int, str]]:
    """Section 4.3, by what is sent."""
    head = '{"jsonrpc":"2.0","id":1,"method":"getinfo",'
    id_ = f'"id":"{STRANGER}"'
    no_filter = {
        "1": "Expected object",
        '{"a":1}': "value must be true",
        '{"a":[]}': "Arrays can only have one element",
    }
    return [
        ('{"jsonrpc":"2.0"}', -32600, "No id"),
        ('{"jsonrpc":"2.0","id":[]}', -32600, "Expected string/primitive for id"),
        ('{"jsonrpc":"1.0","id":1}', -32600, 'jsonrpc: "2.0" must be specified in the request'),
        ("{}", -32600, _NO_JSONRPC.format("{}")),
        ('[{"jsonrpc":"2.0"}]', -32600, _NO_JSONRPC.format('[{"jsonrpc":"2.0"}]')),
        ("hello}", -32600, "Failed to parse RPC JSON response 'hello}'"),
        ('{"jsonrpc" "2.0"}', -32600, 'Failed to parse RPC JSON response \'{"jsonrpc" "2.0"}\''),
        ('{"jsonrpc":"2.0","id":1}', -32600, "No method"),
        ('{"jsonrpc":"2.0","id":1,"method":"getinfo"}', -32600, "No params"),
        ('{"jsonrpc":"2.0","id":1,"method":5,"params":{}}', -32600, "Expected string for method"),
        ('{"jsonrpc":"2.0","id":1,"method":"nope","params":{}}', -32601, "Unknown command 'nope'"),
        ('{"jsonrpc":"2.0","id":1,"method":"help","params":["nope"]}', -32601, "Unknown command nope"),
        (head + '"params":null}', -32602, "Expected array or object for params"),
        (head + '"params":"x"}', -32602, "Expected array or object for params"),
        (head + '"params":[1,2]}', -32602, "too many parameters: got 2, expected 0"),
        (head + '"params":{"x":1}}', -32602, _UNKNOWN),
        (
            f'{{"jsonrpc":"2.0","id":1,"method":"connect","params":{{{id_},{id_}}}}}',
            -32602,
            "duplicate json names: id",
        ),
        ('{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}', -32602, "missing required parameter: id"),
        (
            '{"jsonrpc":"2.0","id":1,"method":"connect","params":{"id":null}}',
            -32602,
            f"id: should be a node id: {_BAD}",
        ),
        (
            '{"jsonrpc":"2.0","id":1,"method":"check","params":["connect","x"]}',
            -32602,
            "id: should be a node id: invalid token '\"x\"'",
        ),
        *(
            (f'{head}"params":{{}},"filter":{sent}}}', -32602, f"filter: {why}: {_BAD}")
            for sent, why in no_filter.items()
        ),
    ]


def _section(method: str) -> str:
    return {"connect": "1 connect", "disconnect": "2 disconnect", "sendcustommsg": "3 sendcustommsg"}[method]


async def _lines(folder: Path) -> list[Line]:
    away = NodeKey.generate().node_id
    async with AsyncExitStack() as stack:
        pyln = await stack.enter_async_context(await PylnPeer.start(folder / "pyln"))
        profile = folder / "leyden" / "data" / "regtest"
        await put_channels(profile, dict.fromkeys((pyln.node_id, away), ChannelState.CHANNELD_NORMAL))
        leyden = await stack.enter_async_context(await InstalledLeyden.start(folder / "leyden"))

        async def ask(method: str, *params: Any) -> Answer:
            reply = await leyden.request(method, list(params))
            return dict(reply.get("error", reply))

        silent = asyncio.create_task(_failures(leyden))
        lines = [
            Line(
                _section(row.method),
                f"{row.method} {json.dumps(row.params)}",
                row.expected,
                (await leyden.request(row.method, row.params)).get("error", {}),
                row.safer,
            )
            for row in await error_rows(leyden, pyln)
        ]
        known = pyln.node_id.hex()
        channel_rows: list[tuple[str, str, list[Any], Answer]] = [
            ("2 disconnect", "disconnect", [known], _error(-1, _NORMAL)),
            ("2 disconnect", "disconnect", [away.hex()], _error(-1, "Peer not connected")),
            ("3 sendcustommsg", "sendcustommsg", [away.hex(), "8001"], _error(-32600, "Peer is not connected")),
        ]
        for section, method, params, theirs in channel_rows:
            request = f"{method} {json.dumps(params)} (a channel in CHANNELD_NORMAL)"
            lines.append(Line(section, request, theirs, await ask(method, *params)))
        for sent, code, message in _requests():
            lines.append(Line("4.3 JSON-RPC", sent, _error(code, message), await _raw(leyden, sent)))
        async for situation, theirs, ours in limit_failures(folder):
            lines.append(Line("1.6 connect fails", situation, theirs, ours))
        lines += await silent
        assert (await leyden.call("getinfo"))["num_peers"] == 1, "the node is not as it was"
    return sorted(lines, key=lambda line: line.section)


async def _failures(leyden: InstalledLeyden) -> list[Line]:
    return [
        Line("1.6 connect fails", situation, theirs, ours) async for situation, theirs, ours in connect_failures(leyden)
    ]


def main() -> int:
    """Print it; 1 when a row differs."""
    with tempfile.TemporaryDirectory(prefix="ly-") as folder:
        lines = asyncio.run(_lines(Path(folder)))
    print("| section | request | CLN | ours | |\n|---|---|---|---|---|")
    for line in lines:
        print(line.markdown())
    wrong = [line for line in lines if line.ours != line.theirs]
    safer = sum(bool(line.safer) for line in lines)
    print(f"\n{len(lines)} rows: {len(lines) - safer - len(wrong)} equal, {safer} safer, {len(wrong)} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
