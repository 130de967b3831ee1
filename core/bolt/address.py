"""Node ids and the addresses they are reached at, as people write them and as CLN prints them."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
from dataclasses import dataclass
from enum import StrEnum

from core.bolt.keys import is_public_key

MAX_PORT = 65_535
LOCAL_SOCKET_PATH_BYTES = 107
"""`sockaddr_un` on Linux without its closing zero."""
_TORV3_BYTES = 35
_MAX_DNS_NAME = 255
_LITERAL_NAMES = {"localhost": "127.0.0.1", "ip6-localhost": "::1"}


class AddressError(ValueError):
    """A text is no address; `reason` is CLN's word for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NodeIdError(ValueError):
    """A text is no node id; `reason` says in plain words what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AddressKind(StrEnum):
    """CLN's words for `type` in an address object."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    TORV3 = "torv3"
    DNS = "dns"
    LOCAL = "local socket"
    UNRESOLVED = "unresolved"
    """A name that only a proxy may resolve."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a peer is, or was seen."""

    kind: AddressKind
    host: str
    """IPv6 without brackets, onion names with `.onion`, for a local socket its path."""
    port: int
    """0 for a local socket."""

    def __str__(self) -> str:
        """As CLN prints it: `1.2.3.4:9735`, `[::1]:9735`, `/run/ln.sock`."""
        if self.kind is AddressKind.LOCAL:
            return self.host
        host = f"[{self.host}]" if self.kind is AddressKind.IPV6 else self.host
        return f"{host}:{self.port}"

    @classmethod
    def from_socket_name(cls, name: tuple[str, int] | tuple[str, int, int, int]) -> Address:
        """From what the socket module says of an IPv4 or IPv6 end; IPv4 mapped into IPv6 is shown as IPv4."""
        ip = ipaddress.ip_address(name[0].partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        return cls(AddressKind.IPV4 if ip.version == 4 else AddressKind.IPV6, str(ip), name[1])


def parse_node_id(text: str) -> bytes:
    """66 hex digits, either case, that are a point of the curve; NodeIdError otherwise."""
    if len(text) != 66:
        raise NodeIdError(f"it should have 66 characters, this has {len(text)}")
    try:
        node_id = bytes.fromhex(text)
    except ValueError:
        raise NodeIdError("it should have hex digits only (0-9, a-f)") from None
    if len(node_id) != 33:  # fromhex skips spaces
        raise NodeIdError("it should have hex digits only (0-9, a-f)")
    if node_id[0] not in (2, 3):
        raise NodeIdError("it should start with 02 or 03")
    if not is_public_key(node_id):
        raise NodeIdError("it is not a point of the curve: some digit is mistyped")
    return node_id


def parse_port(text: str) -> int:
    """1 to 65535 in decimal digits; AddressError otherwise (CLN lets 70000 wrap around)."""
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 0 < int(text) <= MAX_PORT:
        raise AddressError(f"port {text[:20]} is not between 1 and 65535")
    return int(text)


def split_host_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[anything]:port`, or many colons (then all of it is the host), as CLN splits.

    AddressError for an unclosed bracket, text after it, or a port that is none. A single colon at the very end stays
    part of the host, as in CLN.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise AddressError("a bracket is not closed")
        if not rest:
            return host, None
        if not rest.startswith(":"):
            raise AddressError("text after the closing bracket")
        return host, parse_port(rest[1:])
    if text.count(":") == 1 and not text.endswith(":"):
        host, _, port = text.partition(":")
        return host, parse_port(port)
    return text, None


def local_socket_bytes(path: str) -> int:
    """How long the path is for the system; AddressError for one that no file can have."""
    if "\0" in path:
        raise AddressError("a path holds no zero byte")
    try:
        return len(os.fsencode(path))
    except UnicodeEncodeError:  # half surrogates that stand for no byte
        raise AddressError("this path cannot be written") from None


def parse_literal(host: str, port: int) -> Address | None:
    """An address that needs no resolving: IPv4, IPv6, `localhost`, `*.onion` (version 3), `/a/local/socket`.

    `dns:NAME` and other names give None: they are to be resolved. AddressError with CLN's text where it can never be
    one.
    """
    if host.startswith("/"):
        if local_socket_bytes(host) > LOCAL_SOCKET_PATH_BYTES:
            raise AddressError("Socket name too long")
        return Address(AddressKind.LOCAL, host, 0)
    host = _LITERAL_NAMES.get(host, host)
    if host.lower().endswith(".onion"):
        return _parse_onion(host.lower(), port)
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    return Address(AddressKind.IPV4 if ip.version == 4 else AddressKind.IPV6, str(ip), port)


def is_dns_name(name: str) -> bool:
    """Letters, digits and dashes in labels of at most 63, at most 255 in all; `_` in the first label only."""
    labels = name.removesuffix(".").split(".")
    if not name.isascii() or len(name) > _MAX_DNS_NAME or not all(0 < len(label) <= 63 for label in labels):
        return False
    return all(
        not label.startswith("-")
        and not label.endswith("-")
        and label.replace("-", "").replace("_", "" if number == 0 else "_").isalnum()
        for number, label in enumerate(labels)
    )


def _parse_onion(host: str, port: int) -> Address:
    try:
        decoded = base64.b32decode(host.removesuffix(".onion").upper())
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != _TORV3_BYTES or not host.isascii():  # `ı` becomes an I when b32 is made of it
        raise AddressError("Invalid Tor address")
    return Address(AddressKind.TORV3, host, port)
