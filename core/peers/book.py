"""The peers we know: whom to reconnect to at activation, and where they were reached."""

from __future__ import annotations

import sqlite3

from core.base.clock import Clock
from core.bolt.address import Address, AddressKind
from core.peers.values import SavedPeer
from core.storage.database import Database

MAX_ADDRESSES_PER_PEER = 16
"""The oldest beyond these go: a peer cannot fill the database by moving about."""


class SqlitePeerBook:
    """`PeerBook` in the profile's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def saved(self) -> list[SavedPeer]:
        return await self._database.read(_saved)

    async def remember(self, node_id: bytes, address: Address) -> None:
        now = self._clock.time()

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO peers (node_id, saved_at) VALUES (?, ?)", (node_id, now))
            connection.execute(
                "INSERT OR REPLACE INTO peer_addresses (node_id, kind, host, port, used_at) VALUES (?, ?, ?, ?, ?)",
                (node_id, address.kind.value, address.host, address.port, now),
            )
            connection.execute(
                "DELETE FROM peer_addresses WHERE node_id = ?1 AND (kind, host, port) NOT IN (SELECT kind, host, port"
                " FROM peer_addresses WHERE node_id = ?1 ORDER BY used_at DESC LIMIT ?2)",
                (node_id, MAX_ADDRESSES_PER_PEER),
            )

        await self._database.write(work)

    async def forget(self, node_id: bytes) -> None:
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM peers WHERE node_id = ?", (node_id,))
        )

    async def addresses(self, node_id: bytes) -> list[Address]:
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT kind, host, port FROM peer_addresses WHERE node_id = ? ORDER BY used_at DESC", (node_id,)
            ).fetchall()
        )
        return [_address(*row) for row in rows]


def _saved(connection: sqlite3.Connection) -> list[SavedPeer]:
    found: dict[bytes, list[Address]] = {}
    rows = connection.execute(
        "SELECT peers.node_id, kind, host, port FROM peers LEFT JOIN peer_addresses USING (node_id)"
        " ORDER BY saved_at, peers.node_id, used_at DESC"
    )
    for node_id, kind, host, port in rows:
        addresses = found.setdefault(node_id, [])
        if kind is not None:
            addresses.append(_address(kind, host, port))
    return [SavedPeer(node_id, tuple(addresses)) for node_id, addresses in found.items()]


def _address(kind: str, host: str, port: int) -> Address:
    return Address(AddressKind(kind), host, port)
