"""Where a peer is, as far as we can know: given, announced, remembered, and at last by a DNS seed (BOLT 10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import dns.asyncresolver
import dns.exception

from core.bolt.address import Address, AddressKind
from core.bolt.bech32 import bech32_encode
from core.peers.proxy import led_by_onion
from core.peers.resolve import in_dialling_order
from core.peers.values import Learnt, PeerBook

_NODE_PREFIX = "ln"
_SEED_PORT = 9735
"""BOLT 10: A and AAAA records carry no port, and stand for this one."""
_MAX_TARGETS = 4
_MAX_ADDRESSES = 16
_QUERY_S = 5.0
_ALL_S = 20.0


class DnsBootstrap:
    """Asks DNS seeds that the user named for one node; the handshake proves who answers there."""

    def __init__(
        self,
        seeds: Sequence[str],
        make_resolver: Callable[[], dns.asyncresolver.Resolver] = dns.asyncresolver.Resolver,
        timeout_s: float = _ALL_S,
    ) -> None:
        """`make_resolver` gives the system's by default."""
        self._seeds = tuple(seeds)
        self._make_resolver = make_resolver
        self._timeout_s = timeout_s

    async def addresses(self, node_id: bytes) -> list[Address]:
        """What the first seed that knows the node says of it; empty when none does, or none answers in time."""
        label = bech32_encode(_NODE_PREFIX, node_id)
        try:
            resolver = self._make_resolver()
            resolver.lifetime = _QUERY_S
            async with asyncio.timeout(self._timeout_s):
                for seed in self._seeds:
                    found = await _ask(resolver, label, seed.rstrip("."))
                    if found:
                        return found
        except (dns.exception.DNSException, TimeoutError):
            return []
        return []


async def _ask(resolver: dns.asyncresolver.Resolver, label: str, seed: str) -> list[Address]:
    host = f"{label}.{seed}."
    services = [(str(service.target), int(service.port)) for service in await _records(resolver, host, "SRV")]
    targets = [(name, port) for name, port in services if port and _may_be(label, name)][:_MAX_TARGETS]
    if not services:
        targets = [(host, _SEED_PORT)]
    found: dict[Address, None] = {}
    for name, port in targets:
        for record_type, kind in (("AAAA", AddressKind.IPV6), ("A", AddressKind.IPV4)):
            for record in await _records(resolver, name, record_type):
                found[Address(kind, str(record.address), port)] = None
    return list(found)[:_MAX_ADDRESSES]


def _may_be(label: str, target: str) -> bool:
    """Not the virtual host of another node: a seed may answer with whomever it likes."""
    first = target.partition(".")[0].lower()
    return first == label or not first.startswith(f"{_NODE_PREFIX}1")


async def _records(resolver: dns.asyncresolver.Resolver, name: str, record_type: str) -> list[Any]:
    """In the order in which they are to be used (RFC 2782); none when there is no such name or no answer."""
    try:
        answer = await resolver.resolve(name, record_type, search=False)
    except (dns.exception.DNSException, OSError):
        return []
    return list(answer.rrset.processing_order()) if answer.rrset is not None else []


Announced = Callable[[bytes], Sequence[Address]]
"""Where a node says that it is; empty when nothing was heard of it."""


def nothing_announced(_node_id: bytes) -> Sequence[Address]:
    """Without a network graph."""
    return ()


class AddressSources:
    """All that is known of where a peer is."""

    def __init__(
        self, book: PeerBook, bootstrap: DnsBootstrap | None, announced: Announced, *, remembers: bool = True
    ) -> None:
        """Without `remembers` only what was given or announced counts, as in Core Lightning."""
        self._book = book
        self._bootstrap = bootstrap if remembers else None
        self._announced = announced
        self._remembers = remembers
        self._heard: dict[bytes, list[Address]] = {}
        """What was announced, of peers that were asked for last."""
        self._named: dict[bytes, list[Address]] = {}
        """What the seeds said last, of peers that nobody knew an address of."""

    def learnt(self, node_id: bytes, address: Address) -> Learnt:
        """Where an address that was dialled comes from, unless the book knows better."""
        if address in self._heard.get(node_id, ()):
            return Learnt.GOSSIP
        return Learnt.BOOTSTRAP if address in self._named.get(node_id, ()) else Learnt.CONNECT

    async def of(self, node_id: bytes, given: Sequence[Address]) -> list[Address]:
        """Given, announced, remembered; when there is none, a seed is asked. After an onion nothing past the proxy."""
        remembered = led_by_onion(await self._book.addresses(node_id)) if self._remembers else []
        announced = in_dialling_order(self._announced(node_id))[:_MAX_ADDRESSES]
        if remembered:  # whoever reached it by its onion address is not to be seen at those that it announces
            announced = led_by_onion([remembered[0], *announced])[1:]
        found = list(dict.fromkeys(led_by_onion([*given, *announced, *in_dialling_order(remembered)])))
        self._named.pop(node_id, None)
        self._heard.pop(node_id, None)
        heard = [address for address in announced if address not in given and address not in remembered]
        if heard:
            self._heard[node_id] = heard
        if not found and self._bootstrap is not None:
            found = await self._bootstrap.addresses(node_id)
            if found:
                self._named[node_id] = found
        return found
