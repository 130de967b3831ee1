"""Tor's control protocol, as much of it as an onion service takes. Pure: lines in, values out.

Own code: aiostem, the one asyncio library for it that is kept up, holds `cryptography` below the version we use.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from core.bolt.onion_key import OnionKey

COOKIE_BYTES = 32
NONCE_BYTES = 32
MAX_LINE_BYTES = 16 * 1024
MAX_LINES = 64
"""Of one reply; the longest that we ask for has a handful."""
PROTOCOLINFO = "PROTOCOLINFO 1"
_OK = 250
_AUTH = re.compile(r'AUTH METHODS=([A-Z0-9,]+)(?: COOKIEFILE="((?:[^"\\]|\\.)*)")?')
_CHALLENGE = re.compile(r"AUTHCHALLENGE SERVERHASH=([0-9A-Fa-f]{64}) SERVERNONCE=([0-9A-Fa-f]{64})")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)")
_SERVER_KEY = b"Tor safe cookie authentication server-to-controller hash"
_CLIENT_KEY = b"Tor safe cookie authentication controller-to-server hash"


class ControlError(ValueError):
    """Tor refuses, or what answers is not Tor; `reason` in plain words, with nothing secret in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer."""

    code: int
    lines: tuple[str, ...]

    def check(self, command: str) -> Reply:
        """Itself; ControlError with Tor's words unless it is 250."""
        if self.code != _OK:
            raise ControlError(f"Tor answers {command} with {self.code} {self.lines[-1][:200]}".strip())
        return self


class ReplyReader:
    """Puts the lines of one answer together."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def take(self, line: bytes) -> Reply | None:
        """The answer, once this line was its last. ControlError when it is none."""
        text = line.rstrip(b"\r\n").decode("ascii", "replace")
        code, mark = text[:3], text[3:4]
        # A `+` would open a block of data: nothing that we ask is answered with one.
        if not (code.isascii() and code.isdigit()) or mark not in ("-", " ") or not line.endswith(b"\n"):
            raise ControlError("what answers there is not Tor's control port")
        self._lines.append(text[4:])
        if mark == " ":
            return Reply(int(code), tuple(self._lines))
        if len(self._lines) == MAX_LINES:
            raise ControlError("Tor's answer is too long")
        return None


@dataclass(frozen=True, slots=True)
class AuthMethods:
    """How Tor wants to be spoken to."""

    methods: frozenset[str]
    cookie_file: str | None


def auth_methods(reply: Reply) -> AuthMethods:
    """What PROTOCOLINFO said; ControlError when it said nothing of it."""
    for line in reply.check("PROTOCOLINFO").lines:
        found = _AUTH.fullmatch(line)
        if found is not None:
            path = None if found[2] is None else _ESCAPE.sub(_unescaped, found[2])
            # Tor writes the bytes beyond ASCII in octal, each by itself; whoever does not gets no path of ours.
            file = None if path is None else path.encode("latin-1", "replace").decode(errors="replace")
            return AuthMethods(frozenset(found[1].split(",")), file)
    raise ControlError("Tor does not say how it wants to be spoken to")


def authenticate_by_password(password: bytes) -> str:
    """In hex, so that no character of it needs quoting."""
    return f"AUTHENTICATE {password.hex()}"


def challenge(nonce: bytes) -> str:
    """SAFECOOKIE's first half."""
    return f"AUTHCHALLENGE SAFECOOKIE {nonce.hex()}"


def authenticate_by_cookie(reply: Reply, cookie: bytes, nonce: bytes) -> str:
    """SAFECOOKIE's second half; ControlError unless the other end knows the cookie too."""
    found = _CHALLENGE.fullmatch(reply.check("AUTHCHALLENGE").lines[-1])
    if found is None:
        raise ControlError("Tor's answer to AUTHCHALLENGE makes no sense")
    said = cookie + nonce + bytes.fromhex(found[2])
    if not hmac.compare_digest(hmac.digest(_SERVER_KEY, said, hashlib.sha256), bytes.fromhex(found[1])):
        raise ControlError("what answers there does not know Tor's cookie")
    return f"AUTHENTICATE {hmac.digest(_CLIENT_KEY, said, hashlib.sha256).hex()}"


def add_onion(key: OnionKey, port: int, target: str) -> str:
    """The service lives as long as the connection that asks for it (no `Detach`), and Tor repeats no key."""
    blob = base64.b64encode(key.expanded()).decode()
    return f"ADD_ONION ED25519-V3:{blob} Flags=DiscardPK Port={port},{target}"


def check_service(reply: Reply, key: OnionKey) -> None:
    """ControlError unless Tor made the service at the address that is ours."""
    if f"ServiceID={key.host.removesuffix('.onion')}" not in reply.check("ADD_ONION").lines:
        raise ControlError("Tor made another onion address than ours")


def del_onion(key: OnionKey) -> str:
    """Only for politeness: with the connection the service ends anyhow."""
    return f"DEL_ONION {key.host.removesuffix('.onion')}"


def _unescaped(found: re.Match[str]) -> str:
    text = found[1]
    return chr(int(text, 8) & 0xFF) if text[0] in "01234567" else {"n": "\n", "t": "\t", "r": "\r"}.get(text, text)
