"""Who is kept out until when: node ids, IP addresses and ranges of them."""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from core.base.clock import Clock
from core.base.finish import finish
from core.bolt.address import Address, AddressKind, NodeIdError, parse_node_id
from core.peers.errors import BansFull, NotBanned
from core.storage.database import Database

MAX_BANS = 10_000
_NODE_ID_DIGITS = 66
_MAPPED_PREFIX = 96
"""`::ffff:0:0/96` holds the IPv4 addresses."""

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Ban:
    """One ban; wall times."""

    subject: str
    """A node id in hex, or an address or range as `parse_subject` writes it."""
    until: float
    banned_at: float


def parse_subject(text: str) -> str:
    """A node id, an IP address, or a range such as `10.0.0.0/8`, in the one form that bans are kept in.

    ValueError for anything else. Bits beyond a range's prefix are dropped, IPv4 mapped into IPv6 becomes IPv4.
    """
    if len(text) == _NODE_ID_DIGITS:
        try:
            return parse_node_id(text).hex()
        except NodeIdError as error:
            raise ValueError(error.reason) from None
    network = _network(text)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def banned_node(subject: str) -> bytes | None:
    """The node id that `subject` is; None for an address or a range."""
    return bytes.fromhex(subject) if len(subject) == _NODE_ID_DIGITS else None


def covers(subject: str, node_id: bytes | None, address: Address) -> bool:
    """Whether a ban of `subject` is about a connection with this peer (None: not known yet) at this address."""
    if len(subject) == _NODE_ID_DIGITS:
        return node_id == bytes.fromhex(subject)
    network = _ip_of(address)
    return network is not None and network.network_address in _network(subject)


class Bans:
    """The bans in force, in memory to be asked at each accept, and in the database when there is one.

    A ban that has run out is in force no more from that moment on, and leaves the database with the next change.
    """

    def __init__(self, clock: Clock, database: Database | None = None, bans: Iterable[Ban] = ()) -> None:
        """Without a database they last as long as this object."""
        self._clock = clock
        self._database = database
        self._bans: dict[str, Ban] = {}
        self._ranges: dict[tuple[int, int], dict[int, Ban]] = {}
        """By IP version and prefix length, then by the prefix: an accept costs a look-up for each length in use."""
        for ban in bans:
            self._enter(ban)

    @classmethod
    async def open(cls, database: Database, clock: Clock) -> Bans:
        """Read them. Raises DatabaseDamaged."""
        rows = await database.read(
            lambda connection: connection.execute("SELECT subject, until, banned_at FROM bans").fetchall()
        )
        return cls(clock, database, (Ban(*row) for row in rows))

    def all(self) -> list[Ban]:
        """Those in force, the one that ends first first."""
        return sorted(filter(self._holds, self._bans.values()), key=lambda ban: (ban.until, ban.subject))

    def of_node(self, node_id: bytes) -> Ban | None:
        """The ban on this node id."""
        ban = self._bans.get(node_id.hex())
        return ban if ban is not None and self._holds(ban) else None

    def of_address(self, address: Address) -> Ban | None:
        """The ban on this address, the longest when there are more; None for what is no IP address."""
        ip = _ip_of(address) if self._ranges else None
        if ip is None:
            return None
        bits, number = ip.max_prefixlen, int(ip.network_address)
        found = [
            ban
            for (version, length), bans in self._ranges.items()
            if version == ip.version and (ban := bans.get(number >> (bits - length))) is not None and self._holds(ban)
        ]
        return max(found, key=lambda ban: ban.until, default=None)

    async def put(self, subject: str, until: float) -> Ban:
        """Ban, or give a ban another end; `subject` as `parse_subject` gives it. Raises BansFull."""
        return await finish(self._put(subject, until))

    async def lift(self, subject: str) -> None:
        """End a ban. Raises NotBanned."""
        await finish(self._lift(subject))

    async def _put(self, subject: str, until: float) -> Ban:
        self._drop_expired()
        if subject not in self._bans and len(self._bans) >= MAX_BANS:
            raise BansFull(limit=MAX_BANS)
        now = self._clock.time()
        ban = Ban(subject, until, now)
        self._enter(ban)
        if self._database is not None:

            def work(connection: sqlite3.Connection) -> None:
                connection.execute("DELETE FROM bans WHERE until <= ?", (now,))
                connection.execute("INSERT OR REPLACE INTO bans VALUES (?, ?, ?)", (subject, until, now))

            await self._database.write(work)
        return ban

    async def _lift(self, subject: str) -> None:
        self._drop_expired()
        if subject not in self._bans:
            raise NotBanned(subject=subject)
        self._leave(subject)  # at once, or a ban put meanwhile would be kept and not in force
        if self._database is not None:
            await self._database.write(
                lambda connection: connection.execute("DELETE FROM bans WHERE subject = ?", (subject,))
            )

    def _holds(self, ban: Ban) -> bool:
        return ban.until > self._clock.time()

    def _drop_expired(self) -> None:
        for ban in tuple(self._bans.values()):
            if not self._holds(ban):
                self._leave(ban.subject)

    def _enter(self, ban: Ban) -> None:
        self._bans[ban.subject] = ban
        if len(ban.subject) != _NODE_ID_DIGITS:
            network = _network(ban.subject)
            self._ranges.setdefault((network.version, network.prefixlen), {})[_prefix(network)] = ban

    def _leave(self, subject: str) -> None:
        if self._bans.pop(subject, None) is None or len(subject) == _NODE_ID_DIGITS:
            return
        network = _network(subject)
        key = network.version, network.prefixlen
        self._ranges[key].pop(_prefix(network), None)
        if not self._ranges[key]:
            del self._ranges[key]


def _network(text: str) -> _Network:
    """ValueError when it is none; a zone (`%eth0`) is left out."""
    address, slash, length = text.partition("/")
    network = ipaddress.ip_network(f"{address.partition('%')[0]}{slash}{length}", strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_PREFIX:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))
    return network


def _ip_of(address: Address) -> _Network | None:
    return _network(address.host) if address.kind in (AddressKind.IPV4, AddressKind.IPV6) else None


def _prefix(network: _Network) -> int:
    return int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
