"""pyln-client's Gossmap reads our store, and sees what is in it."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from pathlib import Path
from typing import Any

from core.gossip.store import GossipStore, open_gossip_store
from core.gossip.store_format import delete_channel
from tests.unit.gossip.stores import announcement, network, node, node_id, update

READ = """
import json, sys
from pyln.client import Gossmap
found = Gossmap(sys.argv[1])
print(json.dumps({
    "channels": {str(c.scid): [
        c.node1.node_id.nodeid.hex(), c.node2.node_id.nodeid.hex(), c.satoshis, c.features,
        [h and [h.timestamp, h.fee_proportional_millionths, h.htlc_maximum_msat, h.hdr.timestamp]
         for h in c.half_channels],
    ] for c in found.channels.values()},
    "nodes": {n.node_id.nodeid.hex(): [n.alias.rstrip(chr(0)), n.timestamp, n.addresses]
              for n in found.nodes.values() if n.announced},
    "read": found.bytes_read,
    "orphans": len(found.orphan_channel_updates),
}))
"""


async def gossmap(path: Path) -> dict[str, Any]:
    reader = await asyncio.create_subprocess_exec(
        os.environ["LEYDEN_PYLN_PYTHON"], "-c", READ, str(path), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await reader.communicate()
    assert reader.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found


def name(scid: int) -> str:
    return f"{scid >> 40}x{scid >> 16 & 0xFFFFFF}x{scid & 0xFFFF}"


def expected(records: list[tuple[bytes, int]]) -> dict[str, Any]:
    """What is in records as they come in, read by hand."""
    channels: dict[str, Any] = {}
    nodes: dict[str, Any] = {}
    last = ""
    for message, _ in records:
        (kind,) = struct.unpack_from(">H", message)
        if kind == 256:
            features = message[260 : 260 + int.from_bytes(message[258:260], "big")]
            behind = message[260 + len(features) + 32 :]
            last = name(int.from_bytes(behind[:8], "big"))
            ends = behind[8:41].hex(), behind[41:74].hex()
            channels[last] = [*ends, None, int.from_bytes(features, "big"), [None, None]]
        elif kind == 4101:
            channels[last][2] = int.from_bytes(message[2:], "big")
        elif kind == 258:
            scid, stamp, _, flags, _, _, _, ppm, maximum = struct.unpack_from(">QIBBHQIIQ", message, 98)
            channels[name(scid)][4][flags & 1] = [stamp, ppm, maximum, stamp]
        elif kind == 257:
            stamp = int.from_bytes(message[68:72], "big")
            nodes[message[72:105].hex()] = [message[108:140].rstrip(b"\0").decode(), stamp, ["127.0.0.1:9735"]]
    return {"channels": channels, "nodes": nodes}


async def seen_alike(path: Path, records: list[tuple[bytes, int]]) -> None:
    found = await gossmap(path)
    wanted = expected(records)
    assert found["channels"] == wanted["channels"]
    assert found["nodes"] == wanted["nodes"]
    assert (found["read"], found["orphans"]) == (path.stat().st_size, 0)


async def changed(store: GossipStore) -> list[tuple[bytes, int]]:
    """Store a network, then end a channel, and replace an update and a node's announcement; gives what is left."""
    records = network(7, 60)
    offsets = dict(zip([message for message, _ in records], await store.append(records), strict=True))
    stamps = dict(records)
    await store.append([(delete_channel(5), 0)])
    start = next(number for number, (message, _) in enumerate(records) if message[:258] == announcement(5)[:258])
    gone = [records[start][0], *(update(5, direction, records[start][1]) for direction in (0, 1))]
    newer = [(update(9, 1, 1_800_000_000), 1_800_000_000), (node(3, 1_900_000_000), 1_900_000_000)]
    await store.append(newer)
    older = [
        message for message in stamps if message[:2] == newer[0][0][:2] and message[98:112] == _about(9, 1, stamps)
    ]
    older += [message for message in stamps if message[:2] == newer[1][0][:2] and message[72:105] == node_id(3)]
    assert len(older) == 2
    await store.mark_deleted(offsets[message] for message in [*gone, *older])
    left = [(message, stamp) for message, stamp in records if message not in gone and message not in older]
    del left[next(number for number, (message, _) in enumerate(left) if message == records[start + 1][0])]
    return left + newer


def _about(scid: int, direction: int, stamps: dict[bytes, int]) -> bytes:
    stamp = next(stamp for message, stamp in stamps.items() if message[:258] == announcement(scid)[:258])
    return update(scid, direction, stamp)[98:112]


async def test_gossmap_sees_what_we_stored_and_what_is_left_after_a_compaction(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    store = await open_gossip_store(path)
    left = await changed(store)
    await seen_alike(path, left)
    await store.compact()
    await seen_alike(path, left)
    more = network(8, 3)
    more = [(message, stamp) for message, stamp in more if message[:2] == node(1)[:2]]
    await store.append(more)
    await store.aclose()
    await seen_alike(path, left + more)


async def test_gossmap_sees_all_but_the_damaged_record_after_our_start(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    store = await open_gossip_store(path)
    records = [(message, stamp) for message, stamp in network(7, 20)]
    offsets = await store.append(records)
    await store.aclose()
    bad = bytearray(path.read_bytes())
    number = next(number for number, (message, _) in enumerate(records) if message[:2] == update(1, 0)[:2])
    bad[offsets[number] + 70] ^= 1
    path.write_bytes(bad)
    assert (await open_gossip_store(path)).report.lost_records == 1
    await seen_alike(path, records[:number] + records[number + 1 :])
