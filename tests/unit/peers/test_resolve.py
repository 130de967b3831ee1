"""Hosts by CLN's rules (reference, sections 1.2 and 1.3)."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from core.bolt.address import Address, AddressKind
from core.peers.errors import HostNotSimple, HostNotValid
from core.peers.resolve import in_dialling_order, resolve_host, system_resolver

DEFAULT = 19846
V4, V6, DNS, TOR, LOCAL = (
    AddressKind.IPV4,
    AddressKind.IPV6,
    AddressKind.DNS,
    AddressKind.TORV3,
    AddressKind.LOCAL,
)
ONION = "a" * 56 + ".onion"
NOT_KNOWN = "Name or service not known"


async def _no_names(name: str, port: int) -> list[Address]:
    raise socket.gaierror(socket.EAI_NONAME, NOT_KNOWN)


async def _resolve(host: str, port: int | None = None, resolver=_no_names) -> Address:
    return await resolve_host(host, port, DEFAULT, resolver)


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("1.2.3.4", None, Address(V4, "1.2.3.4", DEFAULT)),
        ("1.2.3.4", 5, Address(V4, "1.2.3.4", 5)),
        ("1.2.3.4:6", 5, Address(V4, "1.2.3.4", 6)),
        ("[::1]", None, Address(V6, "::1", DEFAULT)),
        ("[::1]:6", None, Address(V6, "::1", 6)),
        ("::1", 7, Address(V6, "::1", 7)),
        ("::1:1", None, Address(V6, "::0.1.0.1", DEFAULT)),
        ("localhost", None, Address(V4, "127.0.0.1", DEFAULT)),
        ("ip6-localhost", None, Address(V6, "::1", DEFAULT)),
        ("ws:1.2.3.4:6", None, Address(V4, "1.2.3.4", 6)),
        ("dns:node.example", None, Address(DNS, "node.example", DEFAULT)),
        ("dns:node.example:6", 5, Address(DNS, "node.example", 6)),
        (ONION, None, Address(TOR, ONION, DEFAULT)),
        ("/run/ln", None, Address(LOCAL, "/run/ln", 0)),
        ("/run/ln:5", None, Address(LOCAL, "/run/ln:5", 0)),
    ],
)
async def test_hosts_that_need_no_look_up(host: str, port: int | None, address: Address) -> None:
    found = await _resolve(host, port)
    if host == "::1:1":  # CLN prints the same address with its last four bytes dotted
        assert (found.kind, found.host, found.port) == (V6, "::1:1", DEFAULT)
    else:
        assert found == address


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1:", NOT_KNOWN),
        ("no such name", NOT_KNOWN),
        ("a..b", NOT_KNOWN),
        ("dns:1.2.3.4", "dns: must be followed by a name"),
        ("dns:" + "a" * 256, "DNS address too long"),
        ("dns:-bad-", "Not a valid DNS name"),
        ("short.onion", "Invalid Tor address"),
        ("/" + "x" * 107, "Socket name too long"),
        ("127.0.0.1:70000", "port 70000 is not between 1 and 65535"),
        ("127.0.0.1:0", "port 0 is not between 1 and 65535"),
        ("127.0.0.1:x", "port x is not between 1 and 65535"),
        ("[::1", "a bracket is not closed"),
    ],
)
async def test_hosts_that_are_none(host: str, reason: str) -> None:
    with pytest.raises(HostNotValid) as caught:
        await _resolve(host, 5)
    assert (caught.value.host, caught.value.port, caught.value.reason) == (host, 5, reason)


@pytest.mark.parametrize("host", ["", ":9735", "autotor:127.0.0.1", "statictor:127.0.0.1", "[]"])
async def test_hosts_that_cln_takes_for_listening_only(host: str) -> None:
    with pytest.raises(HostNotSimple) as caught:
        await _resolve(host)
    assert (caught.value.host, caught.value.port) == (host, DEFAULT)


async def test_of_a_names_addresses_the_first_is_taken() -> None:
    async def two(name: str, port: int) -> list[Address]:
        assert (name, port) == ("node.example", 6)
        return [Address(V6, "2001:db8::1", port), Address(V4, "192.0.2.1", port)]

    assert await _resolve("node.example:6", 5, two) == Address(V6, "2001:db8::1", 6)


async def test_a_name_without_addresses() -> None:
    async def none(_name: str, _port: int) -> list[Address]:
        return []

    with pytest.raises(HostNotValid):
        await _resolve("node.example", None, none)


async def test_a_name_that_the_resolver_cannot_even_encode() -> None:
    async def idna(name: str, _port: int) -> list[Address]:
        name.encode("idna")
        raise AssertionError("it can be encoded")

    with pytest.raises(HostNotValid) as caught:
        await _resolve("a..b", None, idna)
    assert caught.value.reason == NOT_KNOWN


async def test_the_systems_resolver_gives_addresses_once_each() -> None:
    found = await system_resolver("127.0.0.1", 5)
    assert list(found) == [Address(V4, "127.0.0.1", 5)]
    with pytest.raises(OSError, match=NOT_KNOWN):
        await system_resolver("nowhere.invalid", 5)


def test_known_addresses_go_ipv6_and_names_then_ipv4_then_onions() -> None:
    tor, four, name, six = (
        Address(TOR, ONION, 1),
        Address(V4, "192.0.2.1", 1),
        Address(DNS, "node.example", 1),
        Address(V6, "2001:db8::1", 1),
    )
    assert in_dialling_order([tor, four, name, six, four]) == [name, six, four, tor]


async def test_a_name_server_that_stays_silent_holds_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    silence = threading.Event()

    def silent(*_arguments: object, **_options: object) -> list[object]:
        silence.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    stuck = [asyncio.ensure_future(system_resolver(f"name{number}.invalid", 1)) for number in range(40)]
    await asyncio.sleep(0)
    assert await asyncio.to_thread(lambda: "free") == "free"
    stuck[0].cancel()
    silence.set()
    outcomes = await asyncio.gather(*stuck, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert all(isinstance(outcome, socket.gaierror) for outcome in outcomes[1:])
    for thread in threading.enumerate():
        if thread.name.startswith("resolve "):
            thread.join()
