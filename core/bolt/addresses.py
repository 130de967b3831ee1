"""Address descriptors of `node_announcement` (BOLT 7), kept as they came: a foreign signature covers each byte."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from core.bolt.address import Address, AddressKind, is_dns_name
from core.bolt.wire import OutOfRange, Reader

IPV4, IPV6, TORV2, TORV3, DNS = 1, 2, 3, 4, 5
_DATA_BYTES = {IPV4: 6, IPV6: 18, TORV2: 12, TORV3: 37}
"""Without the type byte; a DNS name brings its length along."""
_PORT_BYTES = 2
_TORV3_NAME_BYTES = 35
_MAX_PORT = 65_535
_MOST_READ = 1_000
"""Descriptors read of one announcement: 65,535 bytes hold 16,000, and reading those holds up whoever reads."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One address as it stands in the message."""

    type: int
    data: bytes
    """What follows the type. An unknown type's length nobody knows, so all the rest is its data; so it is with what
    stands beyond the first thousand."""

    def encode(self) -> bytes:
        """OutOfRange for a type that is no byte."""
        if not 0 <= self.type <= 0xFF:
            raise OutOfRange(f"{self.type} is no type of an address")
        return self.type.to_bytes(1, "big") + self.data

    @property
    def is_known(self) -> bool:
        """Of a type of BOLT 7 and as long as such a one is."""
        if self.type == DNS:
            return len(self.data) == 1 + self.data[0] + _PORT_BYTES if self.data else False
        return len(self.data) == _DATA_BYTES.get(self.type)

    @property
    def address(self) -> Address | None:
        """Where it can be dialled; None for unknown types, version 2 onions, port 0 and names that are none."""
        port = int.from_bytes(self.data[-_PORT_BYTES:], "big")
        if not self.is_known or self.type == TORV2 or not port:
            return None
        body = self.data[:-_PORT_BYTES]
        if self.type == TORV3:
            return Address(AddressKind.TORV3, base64.b32encode(body).decode("ascii").lower() + ".onion", port)
        if self.type == DNS:
            return _dns(body[1:], port)
        kind = AddressKind.IPV4 if self.type == IPV4 else AddressKind.IPV6
        return Address(kind, str(ipaddress.ip_address(body)), port)

    @classmethod
    def of(cls, address: Address) -> Self:
        """The descriptor that announces `address`. OutOfRange for what cannot be announced: local sockets, port 0."""
        if not 0 < address.port <= _MAX_PORT:
            raise OutOfRange(f"port {address.port} cannot be announced")
        port = address.port.to_bytes(_PORT_BYTES, "big")
        try:
            match address.kind:
                case AddressKind.IPV4:
                    return cls(IPV4, ipaddress.IPv4Address(address.host).packed + port)
                case AddressKind.IPV6:
                    return cls(IPV6, ipaddress.IPv6Address(address.host).packed + port)
                case AddressKind.TORV3:
                    return cls(TORV3, _onion_bytes(address.host) + port)
                case AddressKind.DNS if is_dns_name(address.host):
                    name = address.host.encode("ascii")
                    return cls(DNS, len(name).to_bytes(1, "big") + name + port)
        except ValueError as error:
            raise OutOfRange(f"{address} is no address of its kind") from error
        raise OutOfRange(f"{address} cannot be announced")


def _onion_bytes(host: str) -> bytes:
    """Public key, checksum and version; ValueError when `host` is no version 3 onion name."""
    decoded = base64.b32decode(host.removesuffix(".onion").upper())
    if len(decoded) != _TORV3_NAME_BYTES:
        raise ValueError(f"{len(decoded)} bytes in a version 3 onion name")
    return decoded


def _dns(name: bytes, port: int) -> Address | None:
    if not name.isascii():
        return None
    text = name.decode("ascii")
    return Address(AddressKind.DNS, text, port) if is_dns_name(text) else None


def decode_descriptors(data: bytes) -> tuple[Descriptor, ...]:
    """All of `data` in its order. Truncated when a known type has too little left (BOLT 7: a warning is due)."""
    reader = Reader(data)
    found: list[Descriptor] = []
    while reader.remaining:
        type_ = reader.u8()
        if len(found) >= _MOST_READ:
            body = reader.rest()
        elif type_ == DNS:
            length = reader.u8()
            body = length.to_bytes(1, "big") + reader.take(length + _PORT_BYTES)
        elif type_ in _DATA_BYTES:
            body = reader.take(_DATA_BYTES[type_])
        else:
            body = reader.rest()
        found.append(Descriptor(type_, body))
    return tuple(found)


def encode_descriptors(descriptors: Iterable[Descriptor]) -> bytes:
    """In the order given: BOLT 7 wants our own ascending by type (`ascending`), foreign ones as they came."""
    return b"".join(descriptor.encode() for descriptor in descriptors)


def ascending(addresses: Iterable[Address]) -> tuple[Descriptor, ...]:
    """What a node announces of its own: ascending, one DNS name at most (BOLT 7). Raises OutOfRange as `of`."""
    found = sorted({Descriptor.of(address) for address in addresses}, key=Descriptor.encode)
    names = [descriptor for descriptor in found if descriptor.type == DNS]
    return tuple(descriptor for descriptor in found if descriptor not in names[1:])


def usable(descriptors: Iterable[Descriptor]) -> tuple[Address, ...]:
    """Addresses to dial, in their order; of several DNS names the first (BOLT 7: ignore the additional data)."""
    found: list[Address] = []
    named = False
    for descriptor in descriptors:
        if descriptor.type == DNS:
            if named:
                continue
            named = True
        if (address := descriptor.address) is not None:
            found.append(address)
    return tuple(found)


def may_be_forwarded(descriptors: Sequence[Descriptor]) -> bool:
    """BOLT 7: an announcement of more than one DNS name MUST NOT be forwarded; nor is one too long to tell."""
    return len(descriptors) <= _MOST_READ and sum(descriptor.type == DNS for descriptor in descriptors) <= 1
