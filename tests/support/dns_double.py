"""A DNS server on loopback, over UDP, with the records a test gives it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class DnsDouble(asyncio.DatagramProtocol):
    """Answers with `records`, by name (without the last dot) and type; NXDOMAIN otherwise, nothing when `silent`."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    silent: bool = False
    port: int = 0
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name, kind = str(query.question[0].name), dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append((name.rstrip("."), kind))
        if self.silent:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        found = self.records.get(self.asked[-1])
        if found:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
        elif not any(known == self.asked[-1][0] for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        assert self._transport is not None
        self._transport.sendto(answer.to_wire(), addr)

    def resolver(self) -> dns.asyncresolver.Resolver:
        """One that asks this server alone."""
        made = dns.asyncresolver.Resolver(configure=False)
        made.nameservers, made.port = ["127.0.0.1"], self.port
        return made


@contextlib.asynccontextmanager
async def dns_double() -> AsyncIterator[DnsDouble]:
    """A server that runs."""
    transport, double = await asyncio.get_running_loop().create_datagram_endpoint(DnsDouble, ("127.0.0.1", 0))
    try:
        yield double
    finally:
        transport.close()
