"""`importrapidgossip`, and how what it brings is listed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.gossip.graph_values import Trust
from core.gossip.rapid import read_snapshot
from core.gossip.rapid_overlay import lay
from tests.support.rapid_snapshot import Channel, Content, Node, Update, write_snapshot
from tests.unit.gossip.graphs import NOW, scid
from tests.unit.gossip.rapid_parts import done
from tests.unit.rpc.parts import served
from tests.unit.rpc.test_network import ID, INVALID, KEYS

URL = "https://rapidsync.lightningdevkit.org/snapshot"


async def test_importrapidgossip_tells_what_became_of_a_snapshot() -> None:
    async with served() as rpc, rpc.client() as client:
        whole = {
            "source": "/a/b",
            "trust": "overlay",
            "latest_seen": 1_770_000_000,
            "channels": 1,
            "channel_updates": 2,
            "nodes": 3,
            "passed_over": 4,
        }
        assert await client.result("importrapidgossip", ["/a/b"]) == whole
        assert await client.result("importrapidgossip", {"source": URL}) == whole | {"source": URL}
        assert rpc.node.snapshots == ["/a/b", URL]
        gone = await client.error("importrapidgossip", ["/a/gone"])
        assert gone == (-1, "No snapshot from /a/gone: No such file or directory")


async def test_importrapidgossip_takes_the_settings_source_where_none_is_given() -> None:
    async with served() as rpc, rpc.client() as client:
        words = (-32602, "No source was given, and there is none in the setting rapid-gossip-sync")
        assert await client.error("importrapidgossip", []) == words
        rpc.node.settings = replace(rpc.node.settings, rapid_gossip_sync=URL)
        assert (await client.result("importrapidgossip", []))["source"] == URL
        assert rpc.node.snapshots == [""]


@pytest.mark.parametrize("source", ["a/b", "", "~/a", 5, "http://example.org/a", "ftp://a/b", "https://u@h/a", ["/a"]])
async def test_importrapidgossip_refuses_what_is_no_source(source: Any) -> None:
    async with served() as rpc, rpc.client() as client:
        words = f"source: should be an https URL or an absolute path: {INVALID}"
        assert await client.error("importrapidgossip", {"source": source}) == (-32602, words)
        assert rpc.node.snapshots == []


async def test_what_nobody_signed_says_so() -> None:
    ends = sorted(KEYS[:2])
    content = Content(
        [Channel(int(scid(1)), *ends, capacity_sat=5000)],
        [Update(int(scid(1)), 1, (40, 1, 1000, 10, 99))],
        [Node(ends[0], b"\x80", ())],
    )
    async with served() as rpc, rpc.client() as client:
        done(lay(rpc.node.graph, done(read_snapshot(write_snapshot(content, NOW)))))
        (channel,) = (await client.result("listchannels", []))["channels"]
        assert (channel["trust"], channel["amount_msat"], channel["direction"]) == (Trust.OVERLAY.value, 5_000_000, 1)
        nodes = {node["nodeid"]: node for node in (await client.result("listnodes", []))["nodes"]}
        assert set(nodes) == {end.hex() for end in ends} <= set(ID)
        assert (nodes[ends[0].hex()]["trust"], nodes[ends[0].hex()]["features"]) == ("overlay", "80")
        assert "trust" not in nodes[ends[1].hex()]
