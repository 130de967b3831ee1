"""The same snapshots read by LDK and by us give the same network."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

from core.bolt.addresses import decode_descriptors
from core.bolt.wire import ShortChannelId
from core.gossip.graph import Graph
from core.gossip.graph_values import Trust
from core.gossip.rapid import read_snapshot
from core.gossip.rapid_overlay import lay
from tests.counterparts.ldk import ldk_packages, node_program
from tests.support.network import make_network
from tests.support.rapid_snapshot import REGTEST, Content, Node, Update, described, write_snapshot
from tests.unit.gossip.rapid_parts import done

LATEST = 1_770_000_000
SCRIPT = Path(__file__).parents[1] / "counterparts" / "ldk_rapid.mjs"
VALUES = ("cltv_expiry_delta", "htlc_minimum_msat", "fee_base_msat", "fee_proportional_millionths", "htlc_maximum_msat")


async def ldk_reads(folder: Path, *snapshots: bytes) -> Any:
    """What LDK makes of them, one after the other."""
    files = [folder / f"{number}.lngossip" for number in range(len(snapshots))]
    for file, snapshot in zip(files, snapshots, strict=True):
        file.write_bytes(snapshot)
    out = folder / "listing.json"
    process = await asyncio.create_subprocess_exec(
        node_program(),
        *(str(SCRIPT), "--packages", str(ldk_packages()), "--now", str(LATEST + 1000), "--out", str(out)),
        *map(str, files),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    return json.loads(out.read_bytes())


def we_read(*snapshots: bytes) -> Graph:
    graph = Graph(REGTEST)
    for snapshot in snapshots:
        done(lay(graph, done(read_snapshot(snapshot))))
    return graph


def listing(graph: Graph) -> dict[str, Any]:
    """As the counterpart's script has it, sorted."""
    channels: list[dict[str, Any]] = []
    for channel in graph.channels():
        policies = [
            policy
            and {
                "timestamp": policy.timestamp,
                "enabled": not policy.disabled,
                "cltv_expiry_delta": policy.cltv_expiry_delta,
                "htlc_minimum_msat": str(policy.htlc_minimum_msat),
                "htlc_maximum_msat": str(policy.htlc_maximum_msat),
                "fee_base_msat": policy.fee_base_msat,
                "fee_proportional_millionths": policy.fee_proportional_millionths,
            }
            for policy in channel.policies
        ]
        channels.append(
            {
                "scid": str(int(channel.short_channel_id)),
                "node_1": channel.node_id_1.hex(),
                "node_2": channel.node_id_2.hex(),
                "features": channel.features.hex(),
                "policies": policies,
            }
        )
    nodes = [
        {
            "id": node.node_id.hex(),
            "announced": node.announced
            and {
                "timestamp": node.announced.timestamp,
                "features": node.announced.features.hex(),
                "addresses": [one.encode().hex() for one in decode_descriptors(node.announced.addresses)],
            },
        }
        for node in graph.nodes()
    ]
    return {"channels": _sorted(channels), "nodes": _sorted(nodes)}


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=json.dumps)


def said(found: Any) -> dict[str, Any]:
    return {name: _sorted(found[name]) for name in ("channels", "nodes")}


async def test_a_whole_snapshot_of_either_version_is_read_as_ldk_reads_it(tmp_path: Path) -> None:
    content = described(make_network(21, 500))
    for version in (1, 2):
        snapshot = write_snapshot(content, LATEST, version)
        found = await ldk_reads(tmp_path, snapshot)
        assert found["results"] == [{"latest_seen": LATEST}]
        graph = we_read(snapshot)
        assert len(graph) == 500 == len(found["channels"])
        assert {channel.trust for channel in graph.channels()} == {Trust.OVERLAY}
        assert listing(graph) == said(found)


async def test_what_changed_since_is_laid_upon_it_as_ldk_does(tmp_path: Path) -> None:
    chance = random.Random(4)
    content = described(make_network(22, 300))
    first = Content(content.channels[:250], [one for one in content.updates if one.scid != content.channels[9].scid])
    known = {channel.scid for channel in first.channels}
    changed = [_changed(chance, update, incremental=update.scid in known) for update in content.updates[::3]]
    stranger = Update(int(ShortChannelId(3, 3, 3)), 1, (1, 2, 3, 4, 5))
    orphan = Update(content.channels[9].scid, 0, (None, 5, None, None, None), incremental=True)
    changed = [one for one in changed if one.scid != orphan.scid]
    nodes = [Node(one.node_id, reminder=True, more=b"\xff" * 300) for one in content.nodes[:40]]
    second = Content(content.channels[250:], [*changed, stranger, orphan], [*nodes, *content.nodes[40:70]])
    snapshots = (write_snapshot(first, LATEST - 86_400, 2), write_snapshot(second, LATEST, 2))
    found = await ldk_reads(tmp_path, *snapshots)
    assert found["results"] == [{"latest_seen": LATEST - 86_400}, {"latest_seen": LATEST}]
    graph = we_read(*snapshots)
    assert len(graph) == 300
    assert listing(graph) == said(found)


def _changed(chance: random.Random, update: Update, *, incremental: bool) -> Update:
    """Some of its values; a whole one has them all."""
    values = tuple(None if incremental and chance.random() < 0.5 else chance.randrange(1, 60_000) for _name in VALUES)
    return Update(update.scid, update.direction, values, chance.random() < 0.3, incremental)
