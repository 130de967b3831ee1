"""Tor's control port on loopback: as much of control-spec as makes an onion service, answered as Tor does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from core.base.setting_faults import parse_ip_and_port
from core.bolt.address import Address


@dataclass
class _Caller:
    """One connection."""

    services: set[str] = field(default_factory=set)
    authentic: bool = False
    proof: str | None = None


@dataclass
class TorDouble:
    """Keeps its services by connection, as Tor does. What it shall do otherwise is set before it is asked."""

    cookie_file: Path
    methods: str = "COOKIE,SAFECOOKIE"
    password: bytes = b""
    knows_cookie: bool = True
    answers: dict[str, bytes] = field(default_factory=dict)
    """By command: said in place of its own answer; empty says nothing at all."""
    hangs_up_at: str = ""
    """The command after whose answer the connection ends."""
    port: int = 0
    commands: list[str] = field(default_factory=list)
    services: dict[str, tuple[int, Address]] = field(default_factory=dict)
    """What a client of Tor would reach: virtual port and target by service id."""
    connections: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        caller = _Caller()
        try:
            while line := await reader.readline():
                command, _, rest = line.decode().rstrip("\r\n").partition(" ")
                self.commands.append(command)
                writer.write(self.answers.get(command) or self._answer(command, rest, caller))
                if command in ("QUIT", self.hangs_up_at):
                    break
        except OSError:
            return
        finally:
            for service in caller.services:
                self.services.pop(service, None)
            self.connections.remove(writer)
            writer.close()

    def _answer(self, command: str, rest: str, caller: _Caller) -> bytes:
        if command in self.answers:
            return b""
        if command == "PROTOCOLINFO":
            path = str(self.cookie_file).replace("\\", "\\\\").replace('"', '\\"')
            cookie = f' COOKIEFILE="{path}"' if "COOKIE" in self.methods else ""
            return (
                f"250-PROTOCOLINFO 1\r\n250-AUTH METHODS={self.methods}{cookie}\r\n"
                '250-VERSION Tor="0.4.8.10"\r\n250 OK\r\n'
            ).encode()
        if command == "AUTHCHALLENGE":
            return self._challenge(bytes.fromhex(rest.removeprefix("SAFECOOKIE ")), caller)
        if command == "AUTHENTICATE":
            if rest not in (caller.proof, *self._expected()):
                return b"515 Authentication failed: Authentication cookie did not match expected value.\r\n"
            caller.authentic = True
            return b"250 OK\r\n"
        if command == "QUIT":
            return b"250 closing connection\r\n"
        if not caller.authentic:
            return b"514 Authentication required.\r\n"
        if command == "ADD_ONION":
            return self._add(rest, caller)
        if command == "DEL_ONION" and rest in caller.services:
            caller.services.remove(rest)
            del self.services[rest]
            return b"250 OK\r\n"
        return b'510 Unrecognized command "' + command.encode() + b'"\r\n'

    def _expected(self) -> set[str]:
        by_password = {self.password.hex()} if "HASHEDPASSWORD" in self.methods else set()
        return by_password | ({""} if "NULL" in self.methods else set())

    def _challenge(self, nonce: bytes, caller: _Caller) -> bytes:
        cookie = self.cookie_file.read_bytes() if self.knows_cookie else bytes(32)
        ours = secrets.token_bytes(32)
        said = cookie + nonce + ours
        caller.proof = hmac.digest(
            b"Tor safe cookie authentication controller-to-server hash", said, hashlib.sha256
        ).hex()
        proof = hmac.digest(b"Tor safe cookie authentication server-to-controller hash", said, hashlib.sha256)
        return f"250 AUTHCHALLENGE SERVERHASH={proof.hex().upper()} SERVERNONCE={ours.hex().upper()}\r\n".encode()

    def _add(self, rest: str, caller: _Caller) -> bytes:
        key, flags, port = rest.split(" ")
        assert flags == "Flags=DiscardPK"
        kind, _, blob = key.partition(":")
        assert kind == "ED25519-V3"
        service = service_id(base64.b64decode(blob, validate=True))
        if service in self.services:
            return b"550 Onion address collision\r\n"
        virtual, _, target = port.removeprefix("Port=").partition(",")
        host, number = parse_ip_and_port(target)
        self.services[service] = int(virtual), Address.from_socket_name((host, number))
        caller.services.add(service)
        return f"250-ServiceID={service}\r\n250 OK\r\n".encode()

    def drop(self) -> None:
        """Tor stops, or is told to forget who controls it."""
        for writer in self.connections:
            writer.transport.abort()


def service_id(expanded: bytes) -> str:
    """The address without `.onion`, from the 64 bytes that Tor is given: its own way, by the scalar alone."""
    assert len(expanded) == 64
    scalar = int.from_bytes(expanded[:32], "little")
    assert scalar % 8 == 0 and scalar >> 254 == 1, "not clamped"
    public = _compressed(_times(scalar))
    checksum = hashlib.sha3_256(b".onion checksum" + public + b"\x03").digest()[:2]
    return base64.b32encode(public + checksum + b"\x03").decode().lower()


_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_Point = tuple[int, int]
_BASE: _Point = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)


def _plus(a: _Point, b: _Point) -> _Point:
    twist = _D * a[0] * b[0] * a[1] * b[1] % _P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + twist, -1, _P) % _P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - twist, -1, _P) % _P
    return x, y


def _times(scalar: int) -> _Point:
    found, step = (0, 1), _BASE
    while scalar:
        if scalar & 1:
            found = _plus(found, step)
        step = _plus(step, step)
        scalar >>= 1
    return found


def _compressed(point: _Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


@contextlib.asynccontextmanager
async def tor_double(folder: Path, port: int = 0) -> AsyncIterator[TorDouble]:
    """A control port that runs, with its cookie in `folder`; every connection is closed at the end."""
    cookie_file = folder / 'control "auth" cookie'
    cookie_file.write_bytes(secrets.token_bytes(32))
    double = TorDouble(cookie_file)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(double.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
