"""What can be wrong with the text of a setting, in plain words."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from core.bolt.address import LOCAL_SOCKET_PATH_BYTES, AddressError, is_dns_name, local_socket_bytes, parse_port

MAX_ALIAS_BYTES = 32
MAX_LOCK_MINUTES = 1440


def _alias_fault(text: str) -> str | None:
    if not text.isprintable():
        return "it holds characters that cannot be shown"
    if len(text.encode()) > MAX_ALIAS_BYTES:
        return f"it has {len(text.encode())} bytes, at most {MAX_ALIAS_BYTES} fit"
    return None


def _color_fault(text: str) -> str | None:
    if len(text) == 6 and all(letter in "0123456789abcdefABCDEF" for letter in text):
        return None
    return f"{text!r} is not six hex digits such as 3A4BD0"


def parse_ip_and_port(text: str) -> tuple[str, int]:
    """`IP:PORT` or `localhost:PORT`, port 0 included; AddressError in plain words otherwise."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise AddressError(f"{text!r} is not of the form HOST:PORT, such as 127.0.0.1:9735")
    number = 0 if port == "0" else parse_port(port)
    try:
        ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise AddressError(f"{host!r} is not an IP address") from None
    return str(ip), number


def _bind_fault(text: str) -> str | None:
    if text.startswith("/"):
        try:
            fits = local_socket_bytes(text) <= LOCAL_SOCKET_PATH_BYTES
        except AddressError as error:
            return error.reason
        return None if fits else "it is too long for a socket's path"
    try:
        parse_ip_and_port(text)
    except AddressError as error:
        return error.reason
    return None


def _proxy_fault(text: str) -> str | None:
    try:
        if text and not parse_ip_and_port(text)[1]:
            return "a proxy has a port"
    except AddressError as error:  # also for a name: it would be resolved past the proxy
        return error.reason
    return None


def _mmrpc_fault(text: str) -> str | None:
    try:
        host, _port = parse_ip_and_port(text) if text else ("127.0.0.1", 0)
    except AddressError as error:
        return error.reason
    return None if ipaddress.ip_address(host).is_loopback else f"{host} is not loopback"


def _origin_fault(text: str) -> str | None:
    """Compared letter by letter with what a browser sends, which has no path and no capitals."""
    scheme, separator, rest = text.partition("://")
    if scheme and separator and rest and text == text.lower() and text.isascii() and not set(rest) & set("/?#@* "):
        return None
    return f"{text!r} is not an origin such as http://localhost:3000"


def _control_fault(text: str) -> str | None:
    try:
        host, port = parse_ip_and_port(text) if text else ("127.0.0.1", 1)
    except AddressError as error:
        return error.reason
    if not port:
        return "a control port has a number"
    # Who holds the connection reads the service's key.
    return None if ipaddress.ip_address(host).is_loopback else f"{host} is not loopback"


def _seed_fault(text: str) -> str | None:
    return None if is_dns_name(text) else f"{text!r} is not a DNS name"


def _rpc_fault(text: str) -> str | None:
    try:
        if text and not parse_ip_and_port(text)[1]:
            return "an RPC server has a port"
    except AddressError as error:
        return error.reason
    return None


def _electrum_fault(text: str) -> str | None:
    host, _, rest = text.rpartition(":")
    host, _, port = host.rpartition(":")
    try:
        parse_port(port)
    except AddressError:
        host = ""
    if host and rest in ("s", "t") and host.isprintable() and " " not in host:
        return None
    return f"{text!r} is not of the form HOST:PORT:s (TLS) or HOST:PORT:t"


def _minutes_fault(text: str) -> str | None:
    """Whole minutes, at most a day."""
    if text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= MAX_LOCK_MINUTES:
        return None
    return f"{text!r} is not a number of minutes from 0 to {MAX_LOCK_MINUTES}"


def _rapid_fault(text: str) -> str | None:
    """A snapshot is not signed, so nobody may change it on its way."""
    if not text.isprintable() or " " in text.partition("://")[0]:
        return "it is neither a URL nor a file's path"
    scheme, separator, rest = text.partition("://")
    if not separator:
        return None if not text or text.startswith(("/", "~")) or ":\\" in text[:4] else "a file's path is absolute"
    try:
        url = urlsplit(text)
        host, _port = url.hostname or "", url.port
    except ValueError:
        host, rest = "", ""
    if not rest or not host or scheme not in ("https", "http") or set(text) & set(" ?#@"):
        return f"{text!r} is not a URL such as https://rapidsync.lightningdevkit.org/snapshot"
    if scheme == "http" and not host.endswith(".onion") and not is_loopback(host):
        return "it needs https: over http anybody on the way could change what it brings"
    return None


def is_loopback(host: str) -> bool:
    """Whether it is an IP address of this computer alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


FAULTS: dict[str, Callable[[str], str | None]] = {
    "alias": _alias_fault,
    "auto-lock-minutes": _minutes_fault,
    "bind": _bind_fault,
    "bitcoin-rpc": _rpc_fault,
    "color": _color_fault,
    "dns-seed": _seed_fault,
    "electrum-server": _electrum_fault,
    "mmrpc": _mmrpc_fault,
    "mmrpc-origin": _origin_fault,
    "proxy": _proxy_fault,
    "rapid-gossip-sync": _rapid_fault,
    "tor-control": _control_fault,
}
"""What is wrong with a text, or with each of a list; None when nothing is."""
