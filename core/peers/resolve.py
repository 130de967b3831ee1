"""From what a person or a program calls a host to the addresses to dial, by Core Lightning's rules."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeAlias

from core.bolt.address import (
    Address,
    AddressError,
    AddressKind,
    is_dns_name,
    parse_literal,
    split_host_port,
)
from core.peers.errors import HostNotSimple, HostNotValid

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]
"""All addresses of a name, best first; OSError (`socket.gaierror`) when there are none."""

_Found: TypeAlias = list[tuple[Any, Any, int, str, tuple[Any, ...]]]
"""What `socket.getaddrinfo` gives."""

_FOR_LISTENING = ("autotor:", "statictor:")
_DNS_PREFIX = "dns:"
_WEBSOCKET_PREFIX = "ws:"
_MAX_DNS_NAME = 255

_ORDER = {
    AddressKind.LOCAL: 0,
    AddressKind.IPV6: 1,
    AddressKind.DNS: 1,
    AddressKind.UNRESOLVED: 1,
    AddressKind.IPV4: 2,
    AddressKind.TORV3: 3,
}
"""CLN's order of what it knows about a node: IPv6 and names, IPv4, onions."""


async def system_resolver(name: str, port: int) -> Sequence[Address]:
    """The system's resolver. OSError (socket.gaierror) when it knows no such name.

    Each look-up has a daemon thread of its own: a name server that stays silent holds neither the loop's pool, which
    others need, nor the end of the process. The answer to a caller that was cancelled is dropped.
    """
    answer: Future[_Found] = Future()
    threading.Thread(target=_look_up, args=(name, port, answer), name=f"resolve {name[:40]}", daemon=True).start()
    addresses: dict[Address, None] = {}
    for family, _, _, _, sockaddr in await asyncio.wrap_future(answer):
        if family in (socket.AF_INET, socket.AF_INET6):
            addresses[Address.from_socket_name((str(sockaddr[0]), int(sockaddr[1])))] = None
    return list(addresses)


def _look_up(name: str, port: int, answer: Future[_Found]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        found: _Found = list(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG))
    except (OSError, UnicodeError) as error:
        answer.set_exception(error)
    else:
        answer.set_result(found)


async def resolve_host(host: str, port: int | None, default_port: int, resolver: Resolver | None) -> Address:
    """The one address that an explicit host stands for.

    A port inside `host` wins over `port`, which wins over the network's own. HostNotSimple for what CLN takes only for
    listening, HostNotValid with CLN's text for the rest. A name is resolved here and its first address taken (CLN);
    `dns:NAME` stays a name and is resolved with all its addresses when it is dialled. Without `resolver` every name
    stays one, for a proxy to resolve.
    """
    named_port = default_port if port is None else port
    if not host or host.startswith(_FOR_LISTENING):
        raise HostNotSimple(host=host, port=named_port)
    wanted = host.removeprefix(_WEBSOCKET_PREFIX)
    is_dns = wanted.startswith(_DNS_PREFIX)
    wanted = wanted.removeprefix(_DNS_PREFIX)
    try:
        if wanted.startswith("/") and not is_dns:
            name, inner_port = wanted, None
        else:
            name, inner_port = split_host_port(wanted)
        at_port = named_port if inner_port is None else inner_port
        if not name:
            raise HostNotSimple(host=host, port=named_port)
        literal = parse_literal(name, at_port)
        if is_dns:
            return _dns_address(name, at_port, literal)
        if literal is not None:
            return literal
        if resolver is None:
            return _for_proxy(name, at_port)
        return (await _resolved(name, at_port, resolver))[0]
    except AddressError as error:
        raise HostNotValid(host=host, port=named_port, reason=error.reason) from None


def _dns_address(name: str, port: int, literal: Address | None) -> Address:
    if literal is not None:
        raise AddressError("dns: must be followed by a name")
    if len(name) > _MAX_DNS_NAME:
        raise AddressError("DNS address too long")
    if not is_dns_name(name):
        raise AddressError("Not a valid DNS name")
    return Address(AddressKind.DNS, name, port)


def _for_proxy(name: str, port: int) -> Address:
    try:
        ascii_name = name.encode("idna").decode()
    except UnicodeError:
        raise AddressError("Error parsing hostname") from None
    if len(ascii_name) > _MAX_DNS_NAME:
        raise AddressError("Name too long")
    if not is_dns_name(ascii_name):
        raise AddressError("Error parsing hostname")
    return Address(AddressKind.UNRESOLVED, ascii_name, port)


async def _resolved(name: str, port: int, resolver: Resolver) -> Sequence[Address]:
    """All addresses of a name, at least one; AddressError with the resolver's words. An onion is asked of nobody."""
    try:
        if name.encode("idna").lower().removesuffix(b".").endswith(b".onion"):
            raise AddressError("Invalid Tor address")
        addresses = await resolver(name, port)
    except OSError as error:
        raise AddressError(error.strerror or str(error)) from None
    except UnicodeError:
        # idna refuses empty and over-long labels before any look-up
        raise AddressError("Name or service not known") from None
    if not addresses:
        raise AddressError("No address associated with hostname")
    return addresses


async def resolve_announced(address: Address, resolver: Resolver) -> Sequence[Address]:
    """All addresses behind a name that was announced or given as `dns:`; AddressError with CLN's words."""
    try:
        return await _resolved(address.host, address.port, resolver)
    except AddressError as error:
        raise AddressError(f"getaddrinfo error '{error.reason}'") from None


def in_dialling_order(addresses: Sequence[Address]) -> list[Address]:
    """Known addresses of a peer in the order they are tried, each once."""
    return sorted(dict.fromkeys(addresses), key=lambda address: _ORDER[address.kind])
