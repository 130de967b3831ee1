"""The peers we know: whom to reconnect to at activation, where they were reached, and how the user calls them."""

from __future__ import annotations

import sqlite3

from core.base.clock import Clock
from core.bolt.address import Address, AddressKind
from core.peers.values import KeptAddress, KeptPeer, Learnt, SavedPeer
from core.storage.database import Database

MAX_ADDRESSES_PER_PEER = 16
"""The oldest beyond these go: a peer cannot fill the database by moving about."""
MAX_LABEL_CHARACTERS = 64
MAX_NOTE_CHARACTERS = 2_000
"""The schema holds both bounds too."""


class SqlitePeerBook:
    """`PeerBook` in the profile's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def saved(self) -> list[SavedPeer]:
        return [
            SavedPeer(peer.node_id, tuple(kept.address for kept in peer.addresses))
            for peer in await self.records()
            if peer.addresses
        ]

    async def records(self, node_id: bytes | None = None) -> list[KeptPeer]:
        return await self._database.read(lambda connection: _kept(connection, node_id))

    async def remember(self, node_id: bytes, address: Address, learnt: Learnt = Learnt.CONNECT) -> None:
        now = self._clock.time()

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO peers (node_id, saved_at) VALUES (?, ?)", (node_id, now))
            connection.execute(
                "INSERT INTO peer_addresses (node_id, kind, host, port, used_at, learnt) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET used_at = excluded.used_at",
                (node_id, *_columns(address), now, learnt.value),
            )
            connection.execute(
                "DELETE FROM peer_addresses WHERE node_id = ?1 AND (kind, host, port) NOT IN (SELECT kind, host, port"
                " FROM peer_addresses WHERE node_id = ?1 ORDER BY used_at DESC LIMIT ?2)",
                (node_id, MAX_ADDRESSES_PER_PEER),
            )

        await self._database.write(work)

    async def failed(self, node_id: bytes, address: Address) -> None:
        values = (self._clock.time(), node_id, *_columns(address))
        await self._database.write(
            lambda connection: connection.execute(
                "UPDATE peer_addresses SET failed_at = ? WHERE node_id = ? AND kind = ? AND host = ? AND port = ?",
                values,
            )
        )

    async def describe(self, node_id: bytes, *, label: str | None = None, note: str | None = None) -> None:
        now = self._clock.time()

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO peers (node_id, saved_at) VALUES (?, ?)", (node_id, now))
            connection.execute(
                "UPDATE peers SET label = coalesce(?, label), note = coalesce(?, note) WHERE node_id = ?",
                (label, note, node_id),
            )

        await self._database.write(work)

    async def forget(self, node_id: bytes) -> bool:
        return await self._database.write(
            lambda connection: connection.execute("DELETE FROM peers WHERE node_id = ?", (node_id,)).rowcount > 0
        )

    async def forget_address(self, node_id: bytes, address: Address) -> bool:
        return await self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM peer_addresses WHERE node_id = ? AND kind = ? AND host = ? AND port = ?",
                    (node_id, *_columns(address)),
                ).rowcount
                > 0
            )
        )

    async def addresses(self, node_id: bytes) -> list[Address]:
        return [kept.address for peer in await self.records(node_id) for kept in peer.addresses]


class NothingKept:
    """`PeerBook` of a node that keeps nothing."""

    async def saved(self) -> list[SavedPeer]:
        return []

    async def records(self, node_id: bytes | None = None) -> list[KeptPeer]:
        return []

    async def remember(self, node_id: bytes, address: Address, learnt: Learnt = Learnt.CONNECT) -> None:
        return None

    async def failed(self, node_id: bytes, address: Address) -> None:
        return None

    async def describe(self, node_id: bytes, *, label: str | None = None, note: str | None = None) -> None:
        return None

    async def forget(self, node_id: bytes) -> bool:
        return False

    async def forget_address(self, node_id: bytes, address: Address) -> bool:
        return False

    async def addresses(self, node_id: bytes) -> list[Address]:
        return []


def _kept(connection: sqlite3.Connection, node_id: bytes | None) -> list[KeptPeer]:
    found: dict[bytes, tuple[float, str, str, list[KeptAddress]]] = {}
    rows = connection.execute(
        "SELECT peers.node_id, saved_at, label, note, kind, host, port, learnt, used_at, failed_at"
        " FROM peers LEFT JOIN peer_addresses USING (node_id) WHERE ?1 IS NULL OR peers.node_id = ?1"
        " ORDER BY saved_at, peers.node_id, used_at DESC",
        (node_id,),
    )
    for peer_id, saved_at, label, note, kind, host, port, learnt, used_at, failed_at in rows:
        addresses = found.setdefault(peer_id, (saved_at, label, note, []))[3]
        if kind is not None:
            address = Address(AddressKind(kind), host, port)
            addresses.append(KeptAddress(address, Learnt(learnt), used_at, failed_at))
    return [
        KeptPeer(peer_id, saved_at, label, note, tuple(addresses))
        for peer_id, (saved_at, label, note, addresses) in found.items()
    ]


def _columns(address: Address) -> tuple[str, str, int]:
    return address.kind.value, address.host, address.port
