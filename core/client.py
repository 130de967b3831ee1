"""`leyden-cli`: asks a running node over its socket, as `lightning-cli` does.

Imports next to nothing, so that a script may call it hundreds of times. Exit codes: 0 the node answered, 1 it answered
with an error (printed as JSON), 2 no node could be talked to, 3 wrong usage.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from core.bolt.networks import NETWORKS

EXIT_ERROR, EXIT_NO_NODE, EXIT_USAGE = 1, 2, 3
EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells expect."""
INDENT = 3
"""As CLN's own client prints."""

USAGE = """\
usage: leyden-cli [OPTION...] METHOD [ARGUMENT...]

Asks a running Leyden and prints its answer as JSON. Arguments stand in the command's order, or as KEY=VALUE.
Numbers, true, false, null, {...}, [...] and "..." are sent as they are, anything else as a string.

  --data-dir DIR        where the node keeps its profiles
  --network NETWORK     bitcoin (default), testnet, testnet4, signet or regtest
  --rpc-file PATH       the socket itself, instead of the two above
  -k, --keywords        arguments are KEY=VALUE (without -k or -o: when the first one has a '=')
  -o, --order           arguments stand in order
  -l, --filter JSON     only these parts of the answer, such as {"peers":[{"id":true}]}
  -J, --json            JSON also where plain text is usual (help)
  -R, --raw             JSON as it came, without line breaks
  -H, --human-readable  plain text also where JSON is usual
  -F, --flat            a line NAME=VALUE for each value, such as peers[0].id=02ab...
  -N, --notifications LEVEL
                        what the node says before its answer, on stderr after a '#': io, debug, info (default),
                        unusual, broken and what is graver, or none
  -h, --help            this text; `leyden-cli help` lists the node's commands
  -V, --version         the version
"""

_VALUE_OPTIONS = {
    "--data-dir": "data_dir",
    "--network": "network",
    "--rpc-file": "rpc_file",
    "--filter": "filter",
    "--notifications": "notifications",
}
_SHORT_VALUE_OPTIONS = {"-l": "--filter", "-N": "--notifications"}
_FLAGS = {"-k": "keywords", "--keywords": "keywords", "-o": "order", "--order": "order"}
_FORMATS = {
    "-J": "json",
    "--json": "json",
    "-R": "raw",
    "--raw": "raw",
    "-H": "human",
    "--human-readable": "human",
    "-F": "flat",
    "--flat": "flat",
}
LEVELS = ("io", "debug", "info", "unusual", "broken", "none")


class Usage(Exception):
    """The command line cannot be understood."""


class NoNode(Exception):
    """No node answers; the text says where it was looked for and what to do."""


@dataclass
class CommandLine:
    """What was asked for."""

    data_dir: str | None = None
    network: str = "bitcoin"
    rpc_file: str | None = None
    filter: str | None = None
    notifications: str = "info"
    """The least grave level that is shown."""
    format: str | None = None
    """None: as the node hints."""
    flags: set[str] = field(default_factory=set)
    words: list[str] = field(default_factory=list)
    """Method and arguments."""

    @property
    def method(self) -> str:
        return self.words[0]

    @property
    def socket_path(self) -> Path:
        if self.rpc_file is not None:
            return Path(self.rpc_file)
        from core.base.paths import ProfilePaths, default_data_dir

        folder = Path(self.data_dir).expanduser() if self.data_dir else default_data_dir()
        return ProfilePaths(folder, self.network).socket


def read_command_line(argv: Sequence[str], environ: Mapping[str, str]) -> CommandLine:
    """Options may stand anywhere, as with CLN's client; after `--` nothing is one. Raises Usage."""
    line = CommandLine(environ.get("LEYDEN_DATA_DIR"), environ.get("LEYDEN_NETWORK") or "bitcoin")
    waiting = list(argv)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            line.words += waiting
            break
        if not word.startswith("-") or word == "-":
            line.words.append(word)
            continue
        name, has_value, value = word.partition("=")
        name = _SHORT_VALUE_OPTIONS.get(name, name)
        if name in _VALUE_OPTIONS:
            if not has_value:
                if not waiting:
                    raise Usage(f"{name} wants a value")
                value = waiting.pop(0)
            setattr(line, _VALUE_OPTIONS[name], value)
        elif word in _FLAGS:
            line.flags.add(_FLAGS[word])
        elif word in _FORMATS:
            line.format = _FORMATS[word]
        else:
            raise Usage(f"unknown option {word}")
    if not line.words:
        raise Usage("which METHOD?")
    if line.notifications not in LEVELS:
        raise Usage(f"{line.notifications!r} is none of {', '.join(LEVELS)}")
    if line.network not in NETWORKS:
        raise Usage(f"{line.network!r} is none of {', '.join(NETWORKS)}")
    return line


def make_request(line: CommandLine, request_id: str) -> str:
    """The request as JSON. Raises Usage."""
    arguments = line.words[1:]
    keywords = "keywords" in line.flags or ("order" not in line.flags and bool(arguments) and "=" in arguments[0])
    if keywords:
        params = "{" + ",".join(_keyword(argument) for argument in arguments) + "}"
    else:
        params = "[" + ",".join(_literal(argument) for argument in arguments) + "]"
    wanted = f',"filter":{line.filter}' if line.filter is not None else ""
    text = f'{{"jsonrpc":"2.0","id":{_quoted(request_id)},"method":{_quoted(line.method)}{wanted},"params":{params}}}'
    try:
        json.loads(text, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise Usage(f"an argument is no valid JSON: {error}") from None
    return text


def _keyword(argument: str) -> str:
    name, equals, value = argument.partition("=")
    if not equals:
        raise Usage(f"Expected key=value in '{argument}'")
    return f"{_quoted(name)}:{_literal(value)}"


def _literal(text: str) -> str:
    """As CLN's client decides: what looks like JSON is sent as it is; a number with a leading zero is a string."""
    number = text.isascii() and text.isdigit() and (text == "0" or not text.startswith("0"))
    if number or text in ("true", "false", "null"):
        return text
    if len(text) > 1 and text[0] + text[-1] in ("{}", "[]", '""'):
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def ask(path: Path, request: str, request_id: str, level: str = "none") -> dict[str, Any]:
    """The reply object; what is said before it from `level` on goes to stderr. Raises NoNode."""
    if level != "none":
        # Both in one piece: the reply to the first is passed over like everything else that is not ours.
        enable_id = _quoted(f"{request_id}+notifications")
        enable = f'{{"jsonrpc":"2.0","id":{enable_id},"method":"notifications","params":{{"enable":true}}}}'
        request = enable + request
    if not hasattr(socket, "AF_UNIX"):
        raise NoNode("this system has no unix sockets, and Leyden offers nothing else yet")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(os.fspath(path))
            connection.sendall(request.encode(errors="backslashreplace"))
            return _read_reply(connection, request_id, level)
    except OSError as error:
        raise NoNode(
            f"no node answers at {path}: {error.strerror or error}. "
            "Is Leyden running with this --data-dir and --network?"
        ) from None


def _read_reply(connection: socket.socket, request_id: str, level: str) -> dict[str, Any]:
    """The reply among what comes; a reply ends with an empty line, and nothing else has that id."""
    buffer = bytearray()
    while True:
        chunk = connection.recv(1 << 16)
        if not chunk:
            raise NoNode("the node closed the connection without an answer")
        sought = max(0, len(buffer) - 1)
        buffer += chunk
        while (end := buffer.find(b"\n\n", sought)) >= 0:
            reply = _parsed(buffer[:end])
            if reply.get("id") in (request_id, None) and ("result" in reply or "error" in reply):
                return reply
            said = _said(reply, request_id, level)
            if said is not None:
                print(f"# {said}", file=sys.stderr, flush=True)
            del buffer[: end + 2]
            sought = 0


def _said(note: Mapping[str, Any], request_id: str, level: str) -> str | None:
    """What a notification about our request tells people; None when it tells them nothing."""
    params = note.get("params")
    if not isinstance(params, dict) or params.get("id") != request_id:
        return None
    if note.get("method") == "progress" and all(type(params.get(name)) is int for name in ("num", "total")):
        return f"{params['num'] + 1} of {params['total']}"
    graveness = params.get("level")
    if note.get("method") == "message" and graveness in LEVELS and LEVELS.index(graveness) >= LEVELS.index(level):
        words = str(params.get("message"))
        return "".join(sign if sign.isprintable() else "?" for sign in words)
    return None


def _parsed(raw: bytearray) -> dict[str, Any]:
    try:
        reply = json.loads(raw)
    except ValueError:
        raise NoNode("what answers there is no Leyden: its reply is no JSON") from None
    if not isinstance(reply, dict):
        raise NoNode("what answers there is no Leyden: its reply is no JSON object")
    return reply


def show(reply: Mapping[str, Any], wanted: str | None) -> tuple[str, int]:
    """What to print in the wanted format (None: as the node hints), and the exit code."""
    error = reply.get("error")
    if error is not None:
        return (_compact if wanted == "raw" else _pretty)(error), EXIT_ERROR
    result = reply.get("result")
    if isinstance(result, dict) and result.pop("format-hint", None) == "simple" and wanted is None:
        wanted = "human"
    match wanted:
        case "human":
            return "\n".join(_plain(result)), 0
        case "flat":
            return "\n".join(_flat("", result)), 0
        case "raw":
            return _compact(result), 0
    return _pretty(result), 0


def _compact(value: Any) -> str:
    return _harmless(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def _pretty(value: Any) -> str:
    return _harmless(json.dumps(value, indent=INDENT, ensure_ascii=False))


def _plain(value: Any) -> list[str]:
    """Lines for people: a value alone as it is, several as `name=value`, objects of a list apart."""
    if isinstance(value, dict):
        if len(value) == 1:
            return _plain(next(iter(value.values())))
        return [f"{name}={_in_line(line)}" for name, part in value.items() for line in _plain(part)]
    if isinstance(value, list):
        return [line for part in value for line in _plain(part)]
    return [_word(value)]


def _flat(name: str, value: Any) -> list[str]:
    """A line for each value, with the way to it."""
    if isinstance(value, dict):
        return [line for key, part in value.items() for line in _flat(f"{name}.{key}" if name else key, part)]
    if isinstance(value, list):
        return [line for place, part in enumerate(value) for line in _flat(f"{name}[{place}]", part)]
    return [f"{name}={_in_line(_word(value))}"]


def _in_line(text: str) -> str:
    """Nobody's name makes a line that looks like another value."""
    return text.replace("\n", "\\n")


def _word(value: Any) -> str:
    return _harmless(value) if isinstance(value, str) else json.dumps(value)


def _harmless(text: str) -> str:
    """What steers a terminal or turns the reading direction as JSON writes it: names of nodes are anybody's words."""
    lines = text.split("\n")
    return "\n".join(line if line.isprintable() else "".join(map(_as_json, line)) for line in lines)


def _as_json(sign: str) -> str:
    return sign if sign.isprintable() else json.dumps(sign)[1:-1]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The console script; ends the process."""
    try:
        sys.exit(run(sys.argv[1:] if argv is None else argv, os.environ))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask and print; the exit code."""
    if {"-h", "--help"} & set(_before_arguments(argv)):
        print(USAGE, end="")
        return 0
    if {"-V", "--version"} & set(_before_arguments(argv)):
        import core

        print(core.__version__)
        return 0
    try:
        line = read_command_line(argv, environ)
        request_id = f"leyden-cli:{line.method}#{os.getpid()}"
        reply = ask(line.socket_path, make_request(line, request_id), request_id, line.notifications)
    except Usage as error:
        print(f"leyden-cli: {error}\n{USAGE}", file=sys.stderr, end="")
        return EXIT_USAGE
    except NoNode as error:
        print(f"leyden-cli: {error}", file=sys.stderr)
        return EXIT_NO_NODE
    text, code = show(reply, line.format)
    print(text)
    return code


def _before_arguments(argv: Sequence[str]) -> Sequence[str]:
    """What may hold options: everything up to `--`."""
    return argv[: argv.index("--")] if "--" in argv else argv


if __name__ == "__main__":
    main()
