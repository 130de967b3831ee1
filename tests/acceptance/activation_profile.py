"""A profile with something to lose, written before a node starts, and what is in it read without the node."""

from __future__ import annotations

import json
import random
import sqlite3
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from core.base.clock import SystemClock
from core.bolt.address import Address, AddressKind
from core.bolt.keys import NodeKey
from core.channels.records import ChannelRecord, ChannelRecords, Opener
from core.channels.states import ChannelState
from core.gossip.liquidity import LiquidityBounds
from core.gossip.scorer import encode
from core.gossip.store_format import CHANNEL_ANNOUNCEMENT, CHANNEL_UPDATE, CURRENT_VERSION, encode_record
from core.peers.book import SqlitePeerBook
from core.storage.database import Database

CHANNELS = 25
TRUSTED = 3
SAVED_PEERS = 2
SCORES = 2_000
GRAPH_CHANNELS = 60_000
"""About those of bitcoin; an announcement and two updates each."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in a profile."""

    rows: dict[str, int]
    """Of each table of the database."""
    channels: str
    """Hash of the channels' rows."""
    graph: str
    """Hash of `gossip_store`."""
    scorer: str
    trusted: str


async def fill(profile: Path, seed: int, graph_channels: int = GRAPH_CHANNELS) -> None:
    """Channel records, saved peers, trusted nodes, a graph and scores, in a profile that no node holds."""
    chance = random.Random(seed)
    profile.mkdir(mode=0o700, parents=True, exist_ok=True)
    nodes = [NodeKey.generate().node_id for _ in range(max(TRUSTED, SAVED_PEERS))]
    database = await Database.open(profile / "leyden.sqlite")
    try:
        records = await ChannelRecords.open(database, SystemClock())
        for number in range(CHANNELS):
            txid = chance.randbytes(32)
            state = ChannelState.CHANNELD_NORMAL if number % 5 else ChannelState.CLOSED
            await records.put(
                ChannelRecord(txid, nodes[number % len(nodes)], state, Opener.LOCAL, txid, 0, 100_000 + number)
            )
        book = SqlitePeerBook(database, SystemClock())
        for node_id in nodes[:SAVED_PEERS]:
            # Port 9 of loopback: nobody answers, and it is refused at once.
            await book.remember(node_id, Address(AddressKind.IPV4, "127.0.0.1", 9))
    finally:
        await database.aclose()
    (profile / "trusted_nodes").write_text(json.dumps([node.hex() for node in nodes[:TRUSTED]]))
    scores = {(number, number % 2): LiquidityBounds(number, 1000 + number, 1.7e9) for number in range(SCORES)}
    (profile / "scorer").write_bytes(encode(scores))
    (profile / "gossip_store").write_bytes(graph(chance, graph_channels))


def graph(chance: random.Random, channels: int) -> bytes:
    """A `gossip_store` of so many channels; their signatures are noise, which its reader does not look at."""
    announcement = CHANNEL_ANNOUNCEMENT.to_bytes(2, "big") + chance.randbytes(430)
    update = CHANNEL_UPDATE.to_bytes(2, "big") + chance.randbytes(136)
    store = bytearray([CURRENT_VERSION])
    for number in range(channels):
        mark = number.to_bytes(8, "big")
        store += encode_record(announcement + mark, 1_700_000_000)
        store += 2 * encode_record(update + mark, 1_700_000_000)
    return bytes(store)


def kept(profile: Path) -> Kept:
    """Read it from outside; a node may be running on it."""
    return Kept(rows(profile), _channels(profile), *(_hash(profile / name) for name in _FILES))


_FILES = ("gossip_store", "scorer", "trusted_nodes")


_COUNTED = {"meta": "meta WHERE key != 'gossip_chain_seen'"}
"""Which block was looked at last is noted as soon as the chain is known, and belongs to nobody's work."""


def rows(profile: Path) -> dict[str, int]:
    """How many each table has."""
    connection = _open(profile)
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: connection.execute(f"SELECT count(*) FROM {_COUNTED.get(name, name)}").fetchone()[0]
            for name in sorted(names)
        }
    finally:
        connection.close()


def files(folder: Path) -> frozenset[str]:
    """Every file and folder below, by its path."""
    return frozenset(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _channels(profile: Path) -> str:
    connection = _open(profile)
    try:
        return sha256(repr(connection.execute("SELECT * FROM channels").fetchall()).encode()).hexdigest()[:16]
    finally:
        connection.close()


def _open(profile: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{profile / 'leyden.sqlite'}?mode=ro", uri=True, timeout=10.0)


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else "none"


def graph_line(channels: int) -> str:
    """How a node tells that it read a graph of so many channels."""
    return f"{channels} channels, 0 nodes in {3 * channels} records"
